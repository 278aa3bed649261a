//! `work diff`: all that is nowhere else, as text. On a terminal what hides is made visible; into a pipe it goes as it is.

use super::Subject;
use crate::cli::WorkDiff;
use crate::cmd::reader::FAILED;
use crate::exit::Exit;
use crate::say;
use anyhow::{Context as _, Result};
use std::io::{BufRead, BufReader, IsTerminal};

pub fn run(asked: &WorkDiff) -> Result<Exit> {
    let subject = Subject::of(&asked.identity)?;
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
            true => say::out(&say::visible(&String::from_utf8_lossy(&line)))?,
            false => say::bytes(&line)?,
        }
        line.clear();
    }
    stream.must(FAILED)?;
    if !any {
        say::line("nothing is there that is nowhere else");
    }
    Ok(Exit::OK)
}
