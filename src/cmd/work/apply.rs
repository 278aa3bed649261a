//! `work apply`: applies uncommitted changes to the files here. Nothing that exists only here is overwritten, and files
//! that run by themselves are asked for by class.

mod changes;
mod loose;
mod patch;
mod placement;

use super::autorun::FileKind;
use super::classes::{self, autorun_classes};
use super::{SessionWork, choose_repository, note_nothing};
use crate::cli::WorkApplyArgs;
use crate::cmd::home_reader::HomeReader;
use crate::exit::{Exit, UserError};
use crate::say;
use crate::text;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use sys::signals::{self, Signals};
use sys::tty::{Answer, Tty};

pub fn run(asked: &WorkApplyArgs) -> Result<Exit> {
    let session = SessionWork::open(asked.identity.as_deref())?;
    let reader = session.reader()?;
    let ended = bring(&session, &reader, asked.repository.as_deref(), asked.all);
    session.end(&reader, ended)
}

/// Applies what there is in this repository, or in the one that has something, and outside of repositories. `all`: files that
/// run by themselves, too.
pub fn bring(session: &SessionWork, reader: &HomeReader, named: Option<&str>, all: bool) -> Result<Exit> {
    let brought = session.folder.brought();
    let found = reader.work(&brought.elsewhere())?;
    let name = choose_repository(&found, named, |repository| repository.files > 0)?;
    // What was applied may have been taken back there.
    let name = name.or_else(|| brought.only_changed().map(str::to_owned));
    let loose = named.is_none() && found.files > 0;
    let mut consent = Consent { all, signals: None };
    if let Some(name) = &name
        && let ControlFlow::Break(exit) = changes::apply(session, reader, name, &mut consent)?
    {
        return Ok(exit);
    }
    if name.is_none() && !loose {
        note_nothing("uncommitted changes", &found);
        return Ok(Exit::OK);
    }
    match loose {
        true => loose::apply(session, reader, &mut consent),
        false => Ok(Exit::OK),
    }
}

/// The error of a step before which nothing was changed, or after which all was put back.
fn nothing_changed(error: &UserError) -> UserError {
    UserError::new(format!("not applied, and nothing changed: {}", error.what))
}

/// What is at a path of this machine.
fn kind_here(path: &Path) -> FileKind {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => FileKind::Link,
        Ok(meta) if meta.is_dir() => FileKind::Submodule,
        Ok(meta) if meta.permissions().mode() & 0o111 != 0 => FileKind::Executable,
        _ => FileKind::Plain,
    }
}

/// Consent to files that run by themselves, or replace others.
struct Consent {
    /// Given for all files that run by themselves.
    all: bool,
    /// Caught at the first question, for all questions.
    signals: Option<Signals>,
}

impl Consent {
    /// Paths of one class that are shown; the others are counted.
    const MAX_SHOWN_PATHS: usize = 200;

    /// Asks for those of these files below `top` that run by themselves, once for each class; the ones without consent.
    /// Breaks with an exit code after a signal.
    fn left_out(
        &mut self,
        top: &Path,
        files: &BTreeMap<PathBuf, FileKind>,
    ) -> Result<ControlFlow<Exit, BTreeSet<PathBuf>>> {
        let files: Vec<(&Path, FileKind)> = files.iter().map(|(path, kind)| (path.as_path(), *kind)).collect();
        let classes = autorun_classes(top, &files);
        let mut left_out = BTreeSet::new();
        if classes.is_empty() || self.all {
            return Ok(ControlFlow::Continue(left_out));
        }
        say::line(classes::TITLE);
        for (class, paths) in classes {
            say::line(&format!("  {}:", class.title()));
            say::text(&tree(&paths, Consent::MAX_SHOWN_PATHS));
            let question = match paths.len() {
                1 => "bring it, too? [y/N] ".to_owned(),
                count => format!("bring these {count}, too? [y/N] "),
            };
            match self.ask(&question)? {
                ControlFlow::Continue(true) => {}
                ControlFlow::Continue(false) => left_out.extend(paths.into_iter().map(Path::to_owned)),
                ControlFlow::Break(exit) => return Ok(ControlFlow::Break(exit)),
            }
        }
        if !left_out.is_empty() {
            say::line(&format!("left out: {} of them", left_out.len()));
            say::hint("look at them with `claude-bottle work diff`; `--all` brings them");
        }
        Ok(ControlFlow::Continue(left_out))
    }

    /// Asks whether these files, which are here with other contents, are replaced. Breaks with an exit code after a signal.
    fn replaced(&mut self, paths: &[&Path]) -> Result<ControlFlow<Exit, bool>> {
        if paths.is_empty() {
            return Ok(ControlFlow::Continue(false));
        }
        say::line("these are here already, with other contents:");
        say::text(&tree(&paths.iter().copied().collect(), Consent::MAX_SHOWN_PATHS));
        self.ask(&match paths.len() {
            1 => "replace it? [y/N] ".to_owned(),
            count => format!("replace these {count}? [y/N] "),
        })
    }

    /// The answer to a question; no without a terminal. Breaks with an exit code after a signal.
    fn ask(&mut self, question: &str) -> Result<ControlFlow<Exit, bool>> {
        let Some(mut tty) = Tty::open() else { return Ok(ControlFlow::Continue(false)) };
        let signals = match self.signals.take() {
            Some(signals) => signals,
            None => signals::catch()?,
        };
        Ok(match tty.ask(question, self.signals.insert(signals)) {
            Answer::Signal(number) => ControlFlow::Break(Exit::signal(number)),
            answer => ControlFlow::Continue(answer.is_yes()),
        })
    }
}

/// Paths as a tree, each folder once, at most `max` of them.
fn tree(paths: &BTreeSet<&Path>, max: usize) -> String {
    let (mut text, mut above): (String, Vec<&OsStr>) = Default::default();
    for path in paths.iter().take(max) {
        let parts: Vec<&OsStr> = path.iter().collect();
        let (file, folders) = parts.split_last().map_or((OsStr::new(""), &[][..]), |(file, folders)| (*file, folders));
        let common = above.iter().zip(folders).take_while(|(one, other)| one == other).count();
        for (depth, folder) in folders.iter().enumerate().skip(common) {
            text.push_str(&format!("    {}{}/\n", "  ".repeat(depth), text::path(folder.as_ref())));
        }
        text.push_str(&format!("    {}{}\n", "  ".repeat(folders.len()), text::path(file.as_ref())));
        above = folders.to_vec();
    }
    if paths.len() > max {
        text.push_str(&format!("    and {} more\n", paths.len() - max));
    }
    text
}

/// Is every existing component of the path `below` under `root` a directory, and none a symlink?
fn is_plain(root: &Path, below: &Path) -> bool {
    below.ancestors().filter(|path| !path.as_os_str().is_empty()).all(|path| {
        let found = std::fs::symlink_metadata(root.join(path));
        found.map_or(true, |meta| meta.is_dir())
    })
}
