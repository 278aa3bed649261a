//! Routes as text in the user's editor, until they are right or the user gives up.

use super::editor::Editor;
use crate::exit::{Exit, UserError};
use crate::manifest::{self, FILE, Route};
use crate::say;
use crate::supervise::SupervisedSession;
use anyhow::Result;
use std::fs;
use std::io::Write;
use sys::signals::{PromptReader, Signals};
use sys::tty::{self, Answer, Tty};

/// A longer text is no route.
const MAX_TEXT_BYTES: u64 = 64 << 10;

/// What came of an edit.
pub enum Edited<T> {
    Done(T),
    /// The editor failed, a signal came, or the user gave up.
    Left(Exit),
}

/// Reads one route, as a manifest of the session's home could have it.
///
/// # Errors
/// `UserError` for what is no route.
pub fn read(session: &SupervisedSession, text: &str) -> Result<Route, UserError> {
    manifest::read_route(&session.plan.home.join(FILE), text)
}

/// Opens `text` in the editor until `check` takes it.
///
/// # Errors
/// `UserError` without a terminal, and where the editor cannot be run.
pub fn edit<T>(text: &str, check: impl Fn(&str) -> Result<T, UserError>, signals: &Signals) -> Result<Edited<T>> {
    let no_terminal = || UserError::new("no terminal to edit on").hint("leave `--edit` out");
    let mut tty = Tty::open().filter(|_| tty::attached()).ok_or_else(no_terminal)?;
    let editor = Editor::of_user()?;
    // Editors use Ctrl-C as a key: however often it is pressed, it does not end this program.
    let _listening = PromptReader::begin();
    // Editors know by the suffix that it is JSON with comments.
    let mut file = tempfile::Builder::new().prefix("claude-bottle-route-").suffix(".jsonc").tempfile()?;
    file.write_all(format!("{text}\n").as_bytes())?;
    let path = file.into_temp_path();
    loop {
        if let Some(exit) = editor.open(&path, None, signals)? {
            say::line("nothing was changed");
            return Ok(Edited::Left(exit));
        }
        let is_short = fs::metadata(&path).is_ok_and(|meta| meta.len() <= MAX_TEXT_BYTES);
        let written = if is_short { fs::read_to_string(&path).ok() } else { None };
        let written = written.ok_or_else(|| UserError::new("what the editor left is no text of a route"));
        match written.and_then(|written| check(&written)) {
            Ok(done) => return Ok(Edited::Done(done)),
            Err(error) => say::error(&error.into()),
        }
        match tty.ask("edit again? [Y/n] ", signals) {
            Answer::Signal(number) => return Ok(Edited::Left(Exit::signal(number))),
            Answer::Line(line) if ["", "y", "Y", "yes"].contains(&line.trim()) => {}
            _ => {
                say::line("nothing was changed");
                return Ok(Edited::Left(Exit::OK));
            }
        }
    }
}
