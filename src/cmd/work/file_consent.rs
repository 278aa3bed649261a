//! Questions about files that are to come here: one for each class of those that run by themselves, and one for those that are
//! here with other contents.

use super::autorun::FileKind;
use super::classes::{self, autorun_classes};
use crate::exit::Exit;
use crate::say;
use crate::text;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use sys::signals::{self, Signals};
use sys::tty::{Answer, Tty};

/// Consent to files that run by themselves, or replace others.
pub struct FileConsent {
    /// Given for all files that run by themselves.
    all: bool,
    /// No question is asked: no is the answer to each.
    is_unasked: bool,
    /// Path of the repository in the directory: the names of its folders count, too.
    below: PathBuf,
    /// Caught at the first question, for all questions.
    signals: Option<Signals>,
}

impl FileConsent {
    /// Paths of one class that are shown; the others are counted.
    const MAX_SHOWN_PATHS: usize = 200;

    pub fn new(all: bool) -> FileConsent {
        FileConsent { all, is_unasked: false, below: PathBuf::new(), signals: None }
    }

    /// Whether no question is asked.
    pub fn unasked(self, is_unasked: bool) -> FileConsent {
        FileConsent { is_unasked, ..self }
    }

    /// For files of the repository at this path of the directory.
    pub fn of_repository(&mut self, below: &Path) -> &mut FileConsent {
        self.below = below.to_owned();
        self
    }

    /// Asks for those of these files below `top` that run by themselves, once for each class; the ones without consent.
    /// Breaks with an exit code after a signal.
    pub fn left_out(
        &mut self,
        top: &Path,
        files: &BTreeMap<PathBuf, FileKind>,
    ) -> Result<ControlFlow<Exit, BTreeSet<PathBuf>>> {
        let root = top.ancestors().nth(self.below.components().count()).unwrap_or(top).to_owned();
        let files: Vec<(PathBuf, FileKind)> = files.iter().map(|(path, kind)| (self.below.join(path), *kind)).collect();
        let files: Vec<(&Path, FileKind)> = files.iter().map(|(path, kind)| (path.as_path(), *kind)).collect();
        let classes = autorun_classes(&root, &files);
        let mut left_out = BTreeSet::new();
        if classes.is_empty() || self.all {
            return Ok(ControlFlow::Continue(left_out));
        }
        say::line(classes::TITLE);
        for (class, paths) in classes {
            say::line(&format!("  {}:", class.title()));
            say::text(&tree(&paths, FileConsent::MAX_SHOWN_PATHS));
            let question = match paths.len() {
                1 => "bring it, too? [y/N] ".to_owned(),
                count => format!("bring these {count}, too? [y/N] "),
            };
            match self.ask(&question)? {
                ControlFlow::Continue(true) => {}
                ControlFlow::Continue(false) => {
                    let relative = paths.into_iter().filter_map(|path| path.strip_prefix(&self.below).ok());
                    left_out.extend(relative.map(Path::to_owned));
                }
                ControlFlow::Break(exit) => return Ok(ControlFlow::Break(exit)),
            }
        }
        if !left_out.is_empty() {
            say::line(&format!("left out: {} of them", left_out.len()));
        }
        Ok(ControlFlow::Continue(left_out))
    }

    /// Says how files come that were left out by `work apply`.
    pub fn hint_at_left_out(left_out: &BTreeSet<PathBuf>) {
        if !left_out.is_empty() {
            say::hint("look at them with `claude-bottle work diff`; `--all` brings them");
        }
    }

    /// Asks whether these files, which are here with other contents, are replaced. Breaks with an exit code after a signal.
    pub fn replaced(&mut self, paths: &[&Path]) -> Result<ControlFlow<Exit, bool>> {
        if paths.is_empty() {
            return Ok(ControlFlow::Continue(false));
        }
        say::line("these are here already, with other contents:");
        say::text(&tree(&paths.iter().copied().collect(), FileConsent::MAX_SHOWN_PATHS));
        self.ask(&match paths.len() {
            1 => "replace it? [y/N] ".to_owned(),
            count => format!("replace these {count}? [y/N] "),
        })
    }

    /// The answer to a question; no without a terminal. Breaks with an exit code after a signal.
    fn ask(&mut self, question: &str) -> Result<ControlFlow<Exit, bool>> {
        let tty = if self.is_unasked { None } else { Tty::open() };
        let Some(mut tty) = tty else { return Ok(ControlFlow::Continue(false)) };
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
