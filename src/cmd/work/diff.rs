//! `work diff`: prints all changes not copied back yet. On a terminal hidden characters are made visible; a pipe gets the
//! bytes as they are.

use super::SessionWork;
use crate::cli::{ListFormat, WorkDiffArgs};
use crate::cmd::home_reader;
use crate::exit::{Exit, UserError};
use crate::hint;
use crate::say;
use crate::state::budget::{MAX_DIFF_BYTES, MAX_DIFF_LINE_BYTES};
use crate::text;
use anyhow::Result;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use wire::{Elsewhere, Work};

pub fn run(asked: &WorkDiffArgs) -> Result<Exit> {
    let session = SessionWork::open(asked.identity.as_deref())?;
    if asked.format == ListFormat::Json {
        let found = session.reader()?.work(&session.folder.brought().elsewhere())?;
        return print_counts(&session, asked, found);
    }
    let mut words = vec!["work", "diff"];
    words.extend(asked.stat.then_some("--stat"));
    words.extend(asked.commits.then_some("--commits"));
    words.extend(asked.repository.as_deref());
    let reader = session.reader()?;
    let host = session.folder.brought().elsewhere();
    let told = if host == Elsewhere::default() { Vec::new() } else { serde_json::to_vec(&host)? };
    let mut text = BufReader::new(reader.ask(&words, told)?);
    let terminal = std::io::stdout().is_terminal();
    let (mut line, mut is_empty) = (Vec::new(), true);
    let mut printed = 0;
    while (&mut text).take(MAX_DIFF_LINE_BYTES).read_until(b'\n', &mut line).map_err(home_reader::failed)? > 0 {
        is_empty = false;
        printed += line.len() as u64;
        if printed > MAX_DIFF_BYTES {
            let what = format!("the rest is not printed: the differences are more than {} GiB", MAX_DIFF_BYTES >> 30);
            return Err(UserError::new(what)
                .hint(hint!("claude-bottle work diff --stat {}", session.plan.identity))
                .into());
        }
        match terminal {
            true => say::out(&text::visible(&String::from_utf8_lossy(&line)))?,
            false => say::bytes(&line)?,
        }
        line.clear();
    }
    text.into_inner().expect_success()?;
    if is_empty {
        say::note("no changes to copy back");
    }
    Ok(Exit::OK)
}

/// Prints the counts as JSON, of all repositories or of one.
fn print_counts(session: &SessionWork, asked: &WorkDiffArgs, mut found: Work) -> Result<Exit> {
    if let Some(only) = asked.repository.as_deref().map(|only| only.trim_end_matches('/')) {
        found.repositories.retain(|repository| repository.path == only);
        found.files = 0;
        if found.repositories.is_empty() {
            return Err(UserError::new(format!("nothing in `{only}` is nowhere else, or there is no such repository"))
                .hint(hint!("claude-bottle work diff --stat {}", session.plan.identity))
                .into());
        }
    }
    say::json(&found)?;
    Ok(Exit::OK)
}
