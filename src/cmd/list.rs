//! `list`: lists the sessions on disk. Never asks the engine, never settles a session.

use crate::cli::{ListArgs, ListFormat};
use crate::exit::Exit;
use crate::render;
use crate::say;
use crate::state::{Folder, Home, Overview};
use anyhow::Result;

pub fn run(asked: &ListArgs) -> Result<Exit> {
    let folders = Home::locate()?.folders();
    let rows = |read: fn(&Folder) -> Overview| folders.iter().map(read).collect::<Vec<_>>();
    match asked.format {
        ListFormat::Json => say::json(&rows(Overview::read))?,
        ListFormat::Text if folders.is_empty() => say::note("no sessions"),
        ListFormat::Text => say::out(&table(&rows(Overview::without_plan)))?,
    }
    Ok(Exit::OK)
}

/// What is special about it, in single words.
fn flag_words(row: &Overview) -> String {
    let work = match &row.work {
        None if row.state == "kept" => "work?",
        Some(work) if work.is_none() => "",
        Some(work) if !work.complete && work.repositories.is_empty() && work.files == 0 => "work?",
        Some(_) => "work",
        None => "",
    };
    let flags = [work, if row.rebuilt { "rebuilt" } else { "" }, if row.unsettled { "unsettled" } else { "" }];
    flags.into_iter().filter(|flag| !flag.is_empty()).collect::<Vec<_>>().join(",")
}

fn table(rows: &[Overview]) -> String {
    let width = |title: &str, of: &dyn Fn(&Overview) -> usize| rows.iter().map(of).max().unwrap_or(0).max(title.len());
    let identity = width("IDENTITY", &|row| row.identity.len());
    let flags = width("FLAGS", &|row| flag_words(row).len());
    let mut text = format!("{:<identity$}  {:<8}  {:>4}  {:<flags$}  WHY\n", "IDENTITY", "STATE", "AGE", "FLAGS");
    for row in rows {
        let (age, mark, why) = (row.age().map_or_else(String::new, render::age), flag_words(row), row.why());
        let line = format!("{:<identity$}  {:<8}  {age:>4}  {mark:<flags$}  {why}", row.identity, row.state);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
