//! `edit`: opens a manifest in the user's editor. What is edited is a copy; it replaces the file when it has no error, or
//! when the user says so.

use super::editor::Editor;
use crate::cli::EditArgs;
use crate::exit::{Exit, UserError};
use crate::hint;
use crate::manifest::{self, FILE, Proposed};
use crate::probe;
use crate::say;
use crate::state::{Draft, Home};
use crate::text;
use anyhow::Result;
use std::path::{Path, PathBuf};
use sys::signals::{self, Signals};
use sys::tty::{Answer, Tty};

/// The manifest that is edited, and the line at which the editor opens it.
struct EditedManifest {
    home: PathBuf,
    file: PathBuf,
    line: Option<u32>,
}

pub fn run(asked: &EditArgs) -> Result<Exit> {
    let mut manifest = edited(asked)?;
    let (mut tty, editor, _listening) = Editor::on_terminal(|| hint!("edit `{}`", manifest.file.display()))?;
    let signals = signals::catch()?;
    let draft = Draft::of(&manifest.file)?;
    loop {
        if let Some(exit) = editor.open(draft.path(), manifest.line, &signals)? {
            return leave(draft, exit);
        }
        let Some(written) = draft.changed()? else {
            say::note("nothing was changed");
            return Ok(Exit::OK);
        };
        let faults = manifest.faults(&written);
        let Some(first) = faults.first() else { break };
        manifest.line = line_of(&manifest.file, first).or(manifest.line);
        for fault in faults {
            say::error(&fault.into());
        }
        match ask_next_step(&mut tty, &signals) {
            NextStep::EditAgain => {}
            NextStep::Keep => break,
            NextStep::GoBack => {
                say::note("nothing was changed");
                return Ok(Exit::OK);
            }
            NextStep::Leave(exit) => return leave(draft, exit),
        }
    }
    draft.replace_target()?;
    say::note(&format!("saved `{}`", text::path(&manifest.file)));
    Ok(Exit::OK)
}

/// # Errors
/// `UserError` where there is no such manifest, or no such agent.
fn edited(asked: &EditArgs) -> Result<EditedManifest> {
    let home = Home::locate()?.path().to_owned();
    let cwd = probe::current_dir()?;
    let Some(agent) = &asked.agent else {
        let file = home.join(FILE);
        if !file.exists() {
            let error = UserError::new(format!("there is no `{}`", file.display()));
            return Err(error.hint("`claude-bottle init` writes one to begin with").into());
        }
        return Ok(EditedManifest { home, file, line: None });
    };
    let known = manifest::load(&home, &cwd).map_err(|error| match manifest::load(&home, &home) {
        Err(_) if home.join(FILE).exists() => error.hint("claude-bottle edit"),
        _ => error,
    })?;
    let (file, line) = known.location(agent)?;
    Ok(EditedManifest { file: file.to_owned(), line: Some(line), home })
}

impl EditedManifest {
    /// The errors that the manifest would have with these bytes.
    fn faults(&self, bytes: &[u8]) -> Vec<UserError> {
        let folder = self.file.parent().unwrap_or(&self.home);
        let proposed = Proposed { file: self.file.clone(), bytes: bytes.to_owned() };
        match manifest::load_proposed(&self.home, folder, proposed) {
            Ok(manifest) => manifest.faults_in(&self.file),
            Err(error) => vec![error],
        }
    }
}

/// The line of an error that begins with this file.
fn line_of(file: &Path, fault: &UserError) -> Option<u32> {
    let rest = fault.what.strip_prefix(&format!("{}:", file.display()))?;
    rest.split(':').next()?.parse().ok()
}

/// What follows after an edit with errors.
enum NextStep {
    EditAgain,
    Keep,
    GoBack,
    Leave(Exit),
}

fn ask_next_step(tty: &mut Tty, signals: &Signals) -> NextStep {
    loop {
        match tty.ask("(e)dit again, (k)eep it as it is, go (b)ack to what was before? [E/k/b] ", signals) {
            Answer::Line(line) => match line.trim() {
                "" | "e" | "E" => return NextStep::EditAgain,
                "k" | "K" => return NextStep::Keep,
                "b" | "B" => return NextStep::GoBack,
                _ => {}
            },
            Answer::Nothing => return NextStep::Leave(Exit::REFUSED),
            Answer::Signal(number) => return NextStep::Leave(Exit::signal(number)),
        }
    }
}

/// Ends without a change; what was written so far stays in the draft.
fn leave(draft: Draft, exit: Exit) -> Result<Exit> {
    say::line("nothing was changed");
    if draft.changed().is_ok_and(|written| written.is_some()) {
        say::hint(hint!("what you wrote is in `{}`", draft.keep()?.display()));
    }
    Ok(exit)
}
