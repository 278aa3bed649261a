//! `work apply`: applies uncommitted changes to the files here. Nothing that exists only here is overwritten, and files
//! that run by themselves are asked for by class.

mod loose;

use super::autorun::{AutorunClass, FileKind, class_of, is_in_git_folder};
use super::{SessionWork, choose_repository, note_nothing};
use crate::cli::WorkApplyArgs;
use crate::exit::{Exit, UserError};
use crate::git::{CleanRepository, GitOutput};
use crate::hint;
use crate::say;
use crate::text;
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use sys::signals::{self, Signals};
use sys::tty::{Answer, Tty};

pub fn run(asked: &WorkApplyArgs) -> Result<Exit> {
    let session = SessionWork::open(&asked.identity)?;
    let reader = session.reader()?;
    let found = reader.work()?;
    let name = choose_repository(&found, asked.repository.as_deref(), |repository| repository.files > 0)?;
    let loose = asked.repository.is_none() && found.files > 0;
    let mut autorun = AutorunConsent { all: asked.all, signals: None };
    if let Some(name) = &name {
        let repository = session.local_repository(name)?.with_user_data()?;
        let patch = reader.answer_in_file(&["work", "patch", name], Vec::new(), session.folder.path())?;
        let patch = patch.map(|file| Patch::open(file.into_file(), repository)).transpose()?;
        match patch {
            Some(patch) if !patch.paths.is_empty() => {
                patch.check_base(&session.plan.identity)?;
                if let ControlFlow::Break(exit) = patch.apply(&mut autorun)? {
                    return Ok(exit);
                }
            }
            _ => say::note(&format!("no uncommitted changes in `{}`", text::one_line(name))),
        }
    }
    if loose {
        return loose::apply(&session, &reader, &mut autorun);
    }
    if name.is_none() {
        note_nothing("uncommitted changes", &found);
    }
    Ok(Exit::OK)
}

/// A patch of uncommitted changes, and the repository it is applied to.
struct Patch {
    file: File,
    /// Offset of the patch's first byte in the file.
    start: u64,
    /// The commit it is made on.
    base: Option<String>,
    repository: CleanRepository,
    /// The files it changes, as git reads it.
    paths: Vec<String>,
}

impl Patch {
    fn open(mut file: File, repository: CleanRepository) -> Result<Patch> {
        file.seek(SeekFrom::Start(0))?;
        let mut first = String::new();
        BufReader::new(&file).read_line(&mut first)?;
        let base = first.strip_prefix("base ").context("the reader is not understood")?.trim_end();
        let base = (base != "none").then(|| base.to_owned());
        let mut patch = Patch { file, start: first.len() as u64, base, repository, paths: Vec::new() };
        if patch.file.metadata()?.len() > patch.start {
            patch.paths = patch.changed_paths()?;
        }
        Ok(patch)
    }

    /// Top folder of the repository.
    fn top(&self) -> &Path {
        &self.repository.repository.top
    }

    /// Runs `git apply` with these arguments on the patch.
    fn git_apply(&self, args: &[String]) -> Result<GitOutput> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(self.start))?;
        let quiet =
            ["-c", "apply.whitespace=nowarn", "-c", "apply.ignoreWhitespace=no", "apply", "--whitespace=nowarn"];
        Ok(self.repository.git().args(quiet).args(args).args(["-"]).writes().run_reading(file)?)
    }

    /// The files that the patch changes, as git reads it.
    ///
    /// # Errors
    /// `UserError` for a patch that git does not read, or that leaves the repository.
    fn changed_paths(&self) -> Result<Vec<String>> {
        let said = self.git_apply(&["--numstat".to_owned(), "-z".to_owned()])?;
        if !said.is_success() {
            return Err(
                UserError::new(format!("the changes cannot be read: {}", text::visible(said.error_line()))).into()
            );
        }
        let path = |field: &[u8]| {
            let text = String::from_utf8(field.to_vec()).ok()?;
            Some(text.splitn(3, '\t').nth(2)?.to_owned())
        };
        let paths = said.fields().map(path).collect::<Option<Vec<_>>>();
        let paths = paths.ok_or_else(|| UserError::new("a changed file's name is not UTF-8"))?;
        match paths.iter().find(|path| is_in_git_folder(path)) {
            Some(path) => Err(UserError::new(format!(
                "the changes cannot be read: `{}` is git's own file on some machines",
                text::one_line(path)
            ))
            .into()),
            None => Ok(paths),
        }
    }

    /// # Errors
    /// `UserError` where the repository here lacks the commit that the changes are made on.
    fn check_base(&self, identity: &str) -> Result<()> {
        let Some(base) = &self.base else { return Ok(()) };
        let known = self.repository.git().args(["cat-file", "-e", &format!("{base}^{{commit}}")]).run(Vec::new())?;
        match known.is_success() {
            true => Ok(()),
            false => Err(UserError::new(format!(
                "`{}` lacks the commit that the changes are made on",
                text::path(self.top())
            ))
            .hint(hint!("`claude-bottle work fetch {}`, then merge it", identity))
            .into()),
        }
    }

    /// Applies what has consent; breaks with an exit code after a signal.
    ///
    /// # Errors
    /// `UserError` for changes that do not apply, or that conflict.
    fn apply(&self, autorun: &mut AutorunConsent) -> Result<ControlFlow<Exit>> {
        let left_out = match autorun.left_out(&self.changes()?)? {
            ControlFlow::Continue(left_out) => left_out,
            ControlFlow::Break(exit) => return Ok(ControlFlow::Break(exit)),
        };
        let taken: Vec<&String> = self.paths.iter().filter(|path| !left_out.contains(*path)).collect();
        if taken.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let except: Vec<String> = left_out.iter().map(|path| format!("--exclude={}", glob_literal(path))).collect();
        let with =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).chain(except.clone()).collect::<Vec<_>>();
        let plain = self.git_apply(&with(&["--check"]))?;
        // Where the commits differ by now, a three-way merge by the blobs that the patch names may still succeed.
        let done = self.git_apply(&with(if plain.is_success() { &[] } else { &["--3way"] }))?;
        if done.is_success() {
            for path in &taken {
                say::out(&format!("{}\n", text::one_line(path)))?;
            }
            say::note(&format!("applied to `{}`", text::path(self.top())));
            return Ok(ControlFlow::Continue(()));
        }
        let words: Vec<String> = done.stderr.lines().map(text::visible).collect();
        if words.iter().any(|line| line.contains("with conflicts")) {
            say::text(&format!("{}\n", words.join("\n")));
            return Err(UserError::new(format!(
                "applied to `{}` with conflicts, marked as git marks them",
                self.top().display()
            ))
            .hint("git status")
            .into());
        }
        // Only the check without a merge tells that a new file exists already.
        let said = if plain.stderr.contains("already exists") { &plain } else { &done };
        Err(UserError::new(format!("not applied, and nothing changed: {}", text::one_line(said.error_line())))
            .hint("commit, stash or move away what is changed here, then type this again")
            .into())
    }

    /// The files that the patch changes, with what it makes of each.
    ///
    /// git names a file here whose mode the patch makes or changes; where only the content changes, the file that is here
    /// has the mode. A name with a line feed is not found among git's lines, and is asked for because of its name.
    fn changes(&self) -> Result<Vec<(String, FileKind)>> {
        let summary = self.git_apply(&["--summary".to_owned()])?.lines();
        let new: HashMap<&str, FileKind> = summary.iter().filter_map(|line| mode_and_name(line)).collect();
        let kind = |path: &String| new.get(path.as_str()).copied().unwrap_or_else(|| kind_here(&self.top().join(path)));
        Ok(self.paths.iter().map(|path| (path.clone(), kind(path))).collect())
    }
}

/// The name in a line of `git apply --summary`, and what its new mode makes of it: ` create mode 100755 NAME`,
/// ` mode change 100644 => 100755 NAME`.
fn mode_and_name(line: &str) -> Option<(&str, FileKind)> {
    let line = line.trim_start();
    let rest = match line.strip_prefix("create mode ") {
        Some(rest) => rest,
        None => line.strip_prefix("mode change ")?.split_once(" => ")?.1,
    };
    let (mode, name) = rest.split_once(' ')?;
    let kind = match mode {
        "120000" => FileKind::Link,
        "160000" => FileKind::Submodule,
        "100644" => FileKind::Plain,
        _ => FileKind::Executable,
    };
    Some((name, kind))
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

/// Consent to files that run by themselves.
struct AutorunConsent {
    /// Given for all files.
    all: bool,
    /// Caught at the first question, for all questions.
    signals: Option<Signals>,
}

impl AutorunConsent {
    /// Paths of one class that are shown; the others are counted.
    const MAX_SHOWN_PATHS: usize = 200;

    /// Asks for those of these files that run by themselves, once for each class; the ones without consent. Breaks with an
    /// exit code after a signal.
    fn left_out(&mut self, changes: &[(String, FileKind)]) -> Result<ControlFlow<Exit, BTreeSet<String>>> {
        let mut classes: BTreeMap<AutorunClass, BTreeSet<&str>> = BTreeMap::new();
        for (path, kind) in changes {
            if let Some(class) = class_of(path, *kind) {
                classes.entry(class).or_default().insert(path);
            }
        }
        let mut left_out = BTreeSet::new();
        if classes.is_empty() || self.all {
            return Ok(ControlFlow::Continue(left_out));
        }
        say::line("these can run by themselves here:");
        let mut tty = Tty::open();
        for (class, paths) in classes {
            say::line(&format!("  {}:", class.title()));
            say::text(&tree(&paths, AutorunConsent::MAX_SHOWN_PATHS));
            if let Some(tty) = &mut tty {
                if self.signals.is_none() {
                    self.signals = Some(signals::catch()?);
                }
                let question = match paths.len() {
                    1 => "bring it, too? [y/N] ".to_owned(),
                    count => format!("bring these {count}, too? [y/N] "),
                };
                match self.signals.as_ref().map(|signals| tty.ask(&question, signals)) {
                    Some(Answer::Signal(number)) => return Ok(ControlFlow::Break(Exit::signal(number))),
                    Some(answer) if answer.is_yes() => continue,
                    _ => {}
                }
            }
            left_out.extend(paths.into_iter().map(str::to_owned));
        }
        if !left_out.is_empty() {
            say::line(&format!("left out: {} of them", left_out.len()));
            say::hint("look at them with `claude-bottle work diff`; `--all` brings them");
        }
        Ok(ControlFlow::Continue(left_out))
    }
}

/// Paths as a tree, each folder once, at most `max` of them.
fn tree(paths: &BTreeSet<&str>, max: usize) -> String {
    let (mut text, mut above): (String, Vec<&str>) = Default::default();
    for path in paths.iter().take(max) {
        let parts: Vec<&str> = path.split('/').collect();
        let (file, folders) = parts.split_last().unwrap_or((&"", &[]));
        let common = above.iter().zip(folders).take_while(|(one, other)| one == other).count();
        for (depth, folder) in folders.iter().enumerate().skip(common) {
            text.push_str(&format!("    {}{}/\n", "  ".repeat(depth), text::one_line(folder)));
        }
        text.push_str(&format!("    {}{}\n", "  ".repeat(folders.len()), text::one_line(file)));
        above = folders.to_vec();
    }
    if paths.len() > max {
        text.push_str(&format!("    and {} more\n", paths.len() - max));
    }
    text
}

/// The glob pattern that matches this path alone.
fn glob_literal(path: &str) -> String {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '\\');
    path.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Is every existing component of the path `below` under `root` a directory, and none a symlink?
fn is_plain(root: &Path, below: &Path) -> bool {
    below.ancestors().filter(|path| !path.as_os_str().is_empty()).all(|path| {
        let found = std::fs::symlink_metadata(root.join(path));
        found.map_or(true, |meta| meta.is_dir())
    })
}
