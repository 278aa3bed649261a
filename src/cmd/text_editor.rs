//! A text in the user's editor, until it is right or the user gives up.

use super::editor::Editor;
use crate::exit::{Exit, UserError};
use crate::say;
use anyhow::Result;
use std::fs;
use std::io::Write;
use sys::signals::Signals;
use sys::tty::Answer;

/// A longer text is none that a person wrote.
const MAX_TEXT_BYTES: u64 = 64 << 10;

/// What came of an edit.
pub enum Edited<T> {
    Done(T),
    /// The editor failed, a signal came, or the user gave up.
    Left(Exit),
}

/// A text that a person is to write.
pub struct EditedText<'a> {
    pub text: &'a str,
    /// What it is, as in "no text of WHAT".
    pub what: &'static str,
    /// The ending of the file's name; editors know by it what they edit.
    pub suffix: &'static str,
    /// What to type where there is no terminal.
    pub without_terminal: &'static str,
}

/// Opens the text in the editor until `check` takes it.
///
/// # Errors
/// `UserError` without a terminal, and where the editor cannot be run.
pub fn edit<T>(
    edited: &EditedText,
    check: impl Fn(&str) -> Result<T, UserError>,
    signals: &Signals,
) -> Result<Edited<T>> {
    let (mut tty, editor, _listening) = Editor::on_terminal(|| edited.without_terminal.into())?;
    let mut file = tempfile::Builder::new().prefix("claude-bottle-edit-").suffix(edited.suffix).tempfile()?;
    file.write_all(format!("{}\n", edited.text).as_bytes())?;
    let path = file.into_temp_path();
    loop {
        if let Some(exit) = editor.open(&path, None, signals)? {
            say::line("nothing was changed");
            return Ok(Edited::Left(exit));
        }
        let is_short = fs::metadata(&path).is_ok_and(|meta| meta.len() <= MAX_TEXT_BYTES);
        let written = if is_short { fs::read_to_string(&path).ok() } else { None };
        let written =
            written.ok_or_else(|| UserError::new(format!("what the editor left is no text of {}", edited.what)));
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
