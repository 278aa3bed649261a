//! `list`: the sessions on disk. Never asks the engine, never settles.

use crate::cli::{List, ListFormat};
use crate::exit::Exit;
use crate::say;
use crate::state::{Condition, Folder, Home};
use anyhow::Result;
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Serialize)]
struct Row {
    identity: String,
    agent: Option<String>,
    bottle: Option<String>,
    /// live, detached, kept, lost
    state: &'static str,
    why: Option<String>,
    /// Unix time of the last change, seconds.
    since: Option<u64>,
    cwd: Option<String>,
    engine: Option<String>,
}

pub fn run(asked: &List) -> Result<Exit> {
    let rows: Vec<Row> = Home::locate()?.folders().iter().map(row).collect();
    match asked.format {
        ListFormat::Json => say::out(&format!("{}\n", serde_json::to_string_pretty(&rows)?))?,
        ListFormat::Text if rows.is_empty() => say::line("no sessions"),
        ListFormat::Text => say::out(&table(&rows))?,
    }
    Ok(Exit::OK)
}

fn row(folder: &Folder) -> Row {
    let plan = folder.summary();
    let (state, why) = match folder.condition() {
        Condition::Live => ("live", None),
        Condition::Detached => ("detached", None),
        Condition::Kept(kept) => ("kept", Some(kept.why)),
        Condition::Lost => ("lost", None),
    };
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Row {
        identity: folder.identity.clone(),
        state,
        why,
        since: folder.since().map(seconds),
        agent: plan.as_ref().map(|plan| plan.spec.agent.clone()),
        bottle: plan.as_ref().map(|plan| plan.bottle.clone()),
        cwd: plan.as_ref().map(|plan| plan.spec.cwd.display().to_string()),
        engine: plan.as_ref().map(|plan| plan.engine.place().to_owned()),
    }
}

fn table(rows: &[Row]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let width = rows.iter().map(|row| row.identity.len()).max().unwrap_or(0).max("IDENTITY".len());
    let mut text = format!("{:<width$}  {:<8}  {:>4}  WHY\n", "IDENTITY", "STATE", "AGE");
    for row in rows {
        let age = row.since.map_or_else(String::new, |since| age(now.saturating_sub(since)));
        let why = say::visible(row.why.as_deref().unwrap_or_default()).replace('\n', " ");
        let line = format!("{:<width$}  {:<8}  {age:>4}  {why}", row.identity, row.state);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `45s`, `12m`, `3h`, `8d`.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}
