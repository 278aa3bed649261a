//! `work diff`: all that is nowhere else, as text. On a terminal what hides is made visible; into a pipe it goes as it is.

use super::Subject;
use crate::cli::{ListFormat, WorkDiffArgs};
use crate::cmd::reader::FAILED;
use crate::exit::{Exit, UserError};
use crate::say;
use crate::text;
use anyhow::{Context as _, Result};
use std::io::{BufRead, BufReader, IsTerminal};
use wire::Work;

pub fn run(asked: &WorkDiffArgs) -> Result<Exit> {
    let subject = Subject::of(&asked.identity)?;
    if asked.format == ListFormat::Json {
        return counts(asked, subject.reader()?.work()?);
    }
    let mut words = vec!["work", "diff"];
    words.extend(asked.stat.then_some("--stat"));
    words.extend(asked.repository.as_deref());
    let mut stream = subject.reader()?.stream(&words, Vec::new())?;
    let mut text = BufReader::new(stream.child.stdout.take().context("no stdout")?);
    let terminal = std::io::stdout().is_terminal();
    let (mut line, mut any) = (Vec::new(), false);
    while text.read_until(b'\n', &mut line)? > 0 {
        any = true;
        match terminal {
            true => say::out(&text::visible(&String::from_utf8_lossy(&line)))?,
            false => say::bytes(&line)?,
        }
        line.clear();
    }
    stream.expect_success(FAILED)?;
    if !any {
        say::note("nothing is there that is nowhere else");
    }
    Ok(Exit::OK)
}

/// How much of what there is, in all or in one repository.
fn counts(asked: &WorkDiffArgs, mut found: Work) -> Result<Exit> {
    if let Some(only) = asked.repository.as_deref().map(|only| only.trim_end_matches('/')) {
        found.repositories.retain(|one| one.path == only);
        found.files = 0;
        if found.repositories.is_empty() {
            return Err(UserError::new(format!("nothing in `{only}` is nowhere else, or there is no such repository"))
                .hint(format!("claude-bottle work diff --stat {}", asked.identity))
                .into());
        }
    }
    say::json(&found)?;
    Ok(Exit::OK)
}
