//! A patch of uncommitted changes, applied to a repository here.
//!
//! Invariant: nothing is applied that was not tried before on an index of ours: what git did there is what is asked for.

use super::{Consent, is_plain, kind_here};
use crate::cmd::work::autorun::{FileKind, is_in_git_folder};
use crate::exit::{Exit, UserError};
use crate::git::{self, CleanRepository, Git, GitOutput, ModeChange, TrialIndex};
use crate::hint;
use crate::say;
use crate::text;
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Longest first line of an answer, in bytes: `base` and the id of a commit.
const MAX_FIRST_LINE_BYTES: u64 = 256;

pub struct Patch {
    file: File,
    /// Offset of the patch's first byte in the file.
    start: u64,
    /// The commit it is made on.
    base: Option<String>,
    repository: CleanRepository,
    /// The files that it names, with their names before and after it.
    paths: BTreeSet<PathBuf>,
}

/// How git applies a patch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    /// To the files as they are here.
    Plain,
    /// By the blobs that the patch names: the commits may differ by now.
    ThreeWay,
}

/// What a patch does, as git did it on an index of ours.
struct Trial {
    method: Method,
    /// The files that it changes, and what it makes of each.
    files: BTreeMap<PathBuf, FileKind>,
    /// git's check of the files as they are here.
    check: GitOutput,
}

impl Patch {
    /// # Errors
    /// `UserError` for a patch that git does not read, or that leaves the repository.
    pub fn open(mut file: File, repository: CleanRepository) -> Result<Patch> {
        file.seek(SeekFrom::Start(0))?;
        let mut first = String::new();
        BufReader::new(&file).take(MAX_FIRST_LINE_BYTES).read_line(&mut first)?;
        let base = first.strip_prefix("base ").context("the reader is not understood")?.trim_end();
        let base = (base != "none").then(|| base.to_owned());
        let mut patch = Patch { file, start: first.len() as u64, base, repository, paths: BTreeSet::new() };
        if patch.file.metadata()?.len() > patch.start {
            patch.paths = patch.named_paths(&[])?;
            // Backwards, git names a file that the patch renames by its old name.
            patch.paths.extend(patch.named_paths(&["--reverse"])?);
            patch.check_attributes()?;
        }
        Ok(patch)
    }

    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Top folder of the repository.
    fn top(&self) -> &Path {
        &self.repository.repository.top
    }

    /// Runs `git apply` with these arguments on the patch.
    fn git_apply(&self, git: Git, args: impl IntoIterator<Item = OsString>) -> Result<GitOutput> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(self.start))?;
        let quiet =
            ["-c", "apply.whitespace=nowarn", "-c", "apply.ignoreWhitespace=no", "apply", "--whitespace=nowarn"];
        Ok(git.args(quiet).args(args).args(["-"]).writes().run_reading(file)?)
    }

    /// The files that the patch names, as git reads it. It reads it in an empty folder, where it finds no attributes.
    fn named_paths(&self, args: &[&str]) -> Result<BTreeSet<PathBuf>> {
        let args = args.iter().chain(&["--numstat", "-z"]).map(OsString::from);
        let said = self.git_apply(Git::isolated(&self.repository.scratch("nothing")?), args)?;
        if !said.is_success() {
            return Err(unreadable(&text::visible(said.error_line())));
        }
        let path =
            |field: &[u8]| field.splitn(3, |byte| *byte == b'\t').nth(2).map(|path| OsStr::from_bytes(path).into());
        let paths: BTreeSet<PathBuf> = said.fields().filter_map(path).collect();
        match paths.iter().find(|path| is_in_git_folder(path)) {
            Some(path) => Err(unreadable(&format!("`{}` is git's own file on some machines", text::path(path)))),
            None => Ok(paths),
        }
    }

    /// # Errors
    /// `UserError` for a pipe where git reads the attributes of a file: it would wait for ever.
    fn check_attributes(&self) -> Result<()> {
        let folders: BTreeSet<&Path> = self.paths.iter().flat_map(|path| path.ancestors().skip(1)).collect();
        for folder in folders {
            let path = self.top().join(folder).join(".gitattributes");
            if path.metadata().is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
                return Err(UserError::new(format!("`{}` is not a file", text::path(&path))).into());
            }
        }
        Ok(())
    }

    /// # Errors
    /// `UserError` where the repository here lacks the commit that the changes are made on.
    pub fn check_base(&self, identity: &str) -> Result<()> {
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
    pub fn apply(&self, consent: &mut Consent) -> Result<ControlFlow<Exit>> {
        let mut trial = self.try_out(&BTreeSet::new())?;
        let left_out = match consent.left_out(self.top(), &trial.files)? {
            ControlFlow::Continue(left_out) => left_out,
            ControlFlow::Break(exit) => return Ok(ControlFlow::Break(exit)),
        };
        if trial.files.is_empty() {
            say::note(&format!("`{}` has the changes already", text::path(self.top())));
        }
        if trial.files.keys().all(|path| left_out.contains(path)) {
            return Ok(ControlFlow::Continue(()));
        }
        if !left_out.is_empty() {
            let rest = self.try_out(&left_out)?;
            let has_consent =
                |(path, kind): (&PathBuf, &FileKind)| !left_out.contains(path) && trial.files.get(path) == Some(kind);
            if !rest.files.iter().all(has_consent) {
                return Err(
                    UserError::new("not applied: what is left out changes what the rest of the patch does").into()
                );
            }
            trial = rest;
        }
        self.apply_as_tried(&trial, &left_out)
    }

    fn apply_as_tried(&self, trial: &Trial, left_out: &BTreeSet<PathBuf>) -> Result<ControlFlow<Exit>> {
        let before = self.conflicts()?;
        let done = self.git_apply(self.repository.git(), trial.method.args().chain(exclusions(left_out)))?;
        if done.is_success() {
            for path in trial.files.keys() {
                say::out(&format!("{}\n", text::path(path)))?;
            }
            say::note(&format!("applied to `{}`", text::path(self.top())));
            return Ok(ControlFlow::Continue(()));
        }
        let after = self.conflicts()?;
        if after != before {
            // git's own words have names as they are, line feeds included.
            let paths: BTreeSet<&Path> = after.difference(&before).map(|(path, _)| path.as_path()).collect();
            for path in paths {
                say::line(&format!("conflict: {}", text::path(path)));
            }
            return Err(UserError::new(format!(
                "applied to `{}` with conflicts, marked as git marks them",
                self.top().display()
            ))
            .hint("git status")
            .into());
        }
        Err(not_applied(&trial.check, &done))
    }

    /// The files in conflict here, once for each of their entries in the index: path, and mode, object and stage.
    fn conflicts(&self) -> Result<BTreeSet<(PathBuf, Vec<u8>)>> {
        let listed = self.repository.query(&["ls-files", "--unmerged", "-z"])?;
        let entries = listed.fields().filter_map(git::split_entry);
        Ok(entries.map(|(path, about)| (path, about.to_owned())).collect())
    }

    /// Applies the patch, without the files that are left out, to an index of ours.
    ///
    /// # Errors
    /// `UserError` for changes that do not apply.
    fn try_out(&self, left_out: &BTreeSet<PathBuf>) -> Result<Trial> {
        let check = self.git_apply(self.repository.git(), iter_words(&["--check"]).chain(exclusions(left_out)))?;
        let method = if check.is_success() { Method::Plain } else { Method::ThreeWay };
        let index = TrialIndex::new(&self.repository)?;
        if method == Method::Plain {
            let is_file = |path: &&Path| {
                is_plain(self.top(), path.parent().unwrap_or(Path::new("")))
                    && self.top().join(path).symlink_metadata().is_ok_and(|meta| meta.is_file() || meta.is_symlink())
            };
            index.add_files(self.paths.iter().map(PathBuf::as_path).filter(is_file))?;
        }
        let before = index.entries()?;
        let args = iter_words(&["--cached"]).chain(method.args()).chain(exclusions(left_out));
        let done = self.git_apply(index.git(), args)?;
        let changes = git::changes(&before, &index.entries()?);
        // After a conflict git has written what it could.
        if !done.is_success() && changes.is_empty() {
            return Err(not_applied(&check, &done));
        }
        let kind = |path: &Path, change: &ModeChange| kind_after(change, || kind_here(&self.top().join(path)));
        let files = changes.iter().map(|(path, change)| (path.clone(), kind(path, change))).collect();
        Ok(Trial { method, files, check })
    }
}

impl Method {
    /// What `git apply` is given for it.
    fn args(self) -> impl Iterator<Item = OsString> {
        iter_words(match self {
            Method::Plain => &[],
            Method::ThreeWay => &["--3way"],
        })
    }
}

fn iter_words(words: &'static [&str]) -> impl Iterator<Item = OsString> {
    words.iter().map(OsString::from)
}

/// What a change makes of a file. One that changes no mode leaves the file's own.
fn kind_after(change: &ModeChange, here: impl Fn() -> FileKind) -> FileKind {
    let kinds = change.after.iter().map(|mode| match mode {
        0o120000 => FileKind::Link,
        0o160000 => FileKind::Submodule,
        0o100644 => FileKind::Plain,
        _ => FileKind::Executable,
    });
    let own = change.after.iter().all(|mode| change.before.contains(mode)).then(here);
    kinds.chain(own).max().unwrap_or(FileKind::Plain)
}

fn unreadable(why: &str) -> anyhow::Error {
    UserError::new(format!("the changes cannot be read: {why}")).into()
}

/// `check`: of the files as they are here, which alone tells that a new file exists already. `done`: the last try.
fn not_applied(check: &GitOutput, done: &GitOutput) -> anyhow::Error {
    let said = if check.stderr.contains("already exists") { check } else { done };
    UserError::new(format!("not applied, and nothing changed: {}", text::one_line(said.error_line())))
        .hint("commit, stash or move away what is changed here, then type this again")
        .into()
}

/// Arguments by which `git apply` leaves out these files alone.
fn exclusions(paths: &BTreeSet<PathBuf>) -> impl Iterator<Item = OsString> {
    paths.iter().map(|path| {
        let mut option = b"--exclude=".to_vec();
        for &byte in path.as_os_str().as_bytes() {
            // It would mean something in a pattern.
            if b"*?[]\\".contains(&byte) {
                option.push(b'\\');
            }
            option.push(byte);
        }
        OsString::from_vec(option)
    })
}
