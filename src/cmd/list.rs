//! `list`: the sessions on disk. Never asks the engine, never settles.

use crate::cli::{ListArgs, ListFormat};
use crate::exit::Exit;
use crate::render;
use crate::say;
use crate::state::{Condition, Folder, Home, Kept};
use crate::text;
use anyhow::Result;
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};
use wire::Work;

/// What the disk knows of a session. `None` is null in JSON: not known.
#[derive(Serialize)]
pub struct Row {
    pub identity: String,
    pub agent: Option<String>,
    pub bottle: Option<String>,
    /// live, detached, kept, lost
    pub state: &'static str,
    pub why: Option<String>,
    /// Unix time of the last change, seconds.
    pub since: Option<u64>,
    pub cwd: Option<String>,
    pub engine: Option<String>,
    pub work: Option<Work>,
    pub unsettled: bool,
    pub rebuilt: bool,
}

pub fn run(asked: &ListArgs) -> Result<Exit> {
    let rows: Vec<Row> = Home::locate()?.folders().iter().map(Row::read).collect();
    match asked.format {
        ListFormat::Json => say::json(&rows)?,
        ListFormat::Text if rows.is_empty() => say::note("no sessions"),
        ListFormat::Text => say::out(&table(&rows))?,
    }
    Ok(Exit::OK)
}

impl Row {
    pub fn read(folder: &Folder) -> Row {
        let plan = folder.summary();
        Row {
            agent: plan.as_ref().map(|plan| plan.spec.agent.clone()),
            bottle: plan.as_ref().map(|plan| plan.bottle.clone()),
            cwd: plan.as_ref().map(|plan| plan.spec.cwd.display().to_string()),
            engine: plan.as_ref().map(|plan| plan.engine.location().to_owned()),
            ..Row::without_plan(folder)
        }
    }

    /// The same, quicker, for who wants nothing of what its plan says.
    pub fn without_plan(folder: &Folder) -> Row {
        let (state, kept) = match folder.condition() {
            Condition::Live => ("live", None),
            Condition::Detached => ("detached", None),
            Condition::Kept(kept) => ("kept", Some(kept)),
            Condition::Lost => ("lost", None),
        };
        let why = kept.as_ref().map(|kept| kept.why.clone());
        let Kept { work, unsettled, .. } = kept.unwrap_or_default();
        Row {
            identity: folder.identity.clone(),
            state,
            why,
            work,
            unsettled,
            rebuilt: folder.is_rebuilt(),
            since: folder.since().map(seconds),
            agent: None,
            bottle: None,
            cwd: None,
            engine: None,
        }
    }

    /// `3h`
    pub fn age(&self) -> String {
        let age = |since| render::age(seconds(SystemTime::now()).saturating_sub(since));
        self.since.map_or_else(String::new, age)
    }

    /// One line, what hides made visible.
    pub fn why(&self) -> String {
        text::visible(self.why.as_deref().unwrap_or_default()).replace('\n', " ")
    }

    /// What is special about it, in single words.
    fn flags(&self) -> String {
        let work = match &self.work {
            None if self.state == "kept" => "work?",
            Some(work) if work.is_none() => "",
            Some(work) if !work.complete && work.repositories.is_empty() && work.files == 0 => "work?",
            Some(_) => "work",
            None => "",
        };
        let flags = [work, if self.rebuilt { "rebuilt" } else { "" }, if self.unsettled { "unsettled" } else { "" }];
        flags.into_iter().filter(|flag| !flag.is_empty()).collect::<Vec<_>>().join(",")
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn table(rows: &[Row]) -> String {
    let width = |title: &str, of: &dyn Fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0).max(title.len());
    let identity = width("IDENTITY", &|row| row.identity.len());
    let flags = width("FLAGS", &|row| row.flags().len());
    let mut text = format!("{:<identity$}  {:<8}  {:>4}  {:<flags$}  WHY\n", "IDENTITY", "STATE", "AGE", "FLAGS");
    for row in rows {
        let (age, mark, why) = (row.age(), row.flags(), row.why());
        let line = format!("{:<identity$}  {:<8}  {age:>4}  {mark:<flags$}  {why}", row.identity, row.state);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
