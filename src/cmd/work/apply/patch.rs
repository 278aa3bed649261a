//! A patch of uncommitted changes, applied to a repository here.
//!
//! Invariant: nothing is applied that was not tried before on an index of ours: what git did there is what is asked for. What
//! does not conflict comes as a whole or not at all.

use super::placement::{Existing, FileStamp, Placement};
use super::{kind_here, nothing_changed};
use crate::cmd::work::autorun::{FileKind, is_in_git_folder};
use crate::cmd::work::expect_placeable;
use crate::cmd::work::file_consent::FileConsent;
use crate::cmd::work::place::is_plain;
use crate::cmd::work::refs::BottleRefs;
use crate::exit::{Exit, UserError};
use crate::git::{self, CleanRepository, Git, GitOutput, ModeChange, TrialIndex};
use crate::hint;
use crate::say;
use crate::state::ChangedFile;
use crate::text;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use wire::Blob;

/// The mode of a submodule in an index.
const SUBMODULE: u32 = 0o160000;

pub struct Patch<'a> {
    /// The patch is what it has from `start` on.
    file: File,
    start: u64,
    /// The commit it is made on.
    pub base: Option<String>,
    repository: &'a CleanRepository,
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
struct Trial<'a> {
    method: Method,
    /// The files that it changes, and what it makes of each.
    files: BTreeMap<PathBuf, FileKind>,
    changes: BTreeMap<PathBuf, ModeChange>,
    /// git's check of the files as they are here.
    check: GitOutput,
    index: TrialIndex<'a>,
    /// The blobs of the files before it.
    before: BTreeMap<PathBuf, String>,
    /// The blobs of the files after it, without those in conflict.
    after: BTreeMap<PathBuf, String>,
    is_in_conflict: bool,
}

/// What became of a patch.
#[derive(Default)]
pub struct Applied {
    /// The files without consent.
    pub left_out: BTreeSet<PathBuf>,
    pub files: Vec<ChangedFile>,
    /// It was applied with conflicts, which are marked in the files.
    pub conflict: Option<UserError>,
}

impl<'a> Patch<'a> {
    /// The patch that `file` has from `start` on.
    ///
    /// # Errors
    /// `UserError` for a patch that git does not read, or that leaves the repository.
    pub fn open(file: File, start: u64, base: Option<String>, repository: &'a CleanRepository) -> Result<Patch<'a>> {
        let mut patch = Patch { file, start, base, repository, paths: BTreeSet::new() };
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

    /// Does it apply to the files as they are here? `args`: further arguments of `git apply`.
    pub fn fits(&self, args: &'static [&str]) -> Result<bool> {
        Ok(self.git_apply(self.repository.git(), iter_words(&["--check"]).chain(iter_words(args)))?.is_success())
    }

    /// Top folder of the repository.
    fn top(&self) -> &'a Path {
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

    /// The error for changes on a commit that was fetched and is not merged; `None` where it is.
    fn unmerged_base(&self, identity: &str) -> Result<Option<UserError>> {
        let Some(base) = &self.base else { return Ok(None) };
        if self.repository.is_ancestor(base, "HEAD")? {
            return Ok(None);
        }
        let folder = BottleRefs::folder_of(identity);
        let named = ["for-each-ref", "--format=%(refname)", "--contains", base, &folder];
        let named = self.repository.git().args(named).run(Vec::new())?.lines();
        let heads = |name: &&String| name.contains("/heads/");
        let name = named.iter().find(heads).or(named.first()).cloned().unwrap_or_else(|| base.clone());
        let what = "the changes are made on a commit that is fetched and not merged";
        let error = UserError::new(format!("not applied to `{}`, and nothing changed: {what}", text::path(self.top())));
        Ok(Some(error.hint(hint!("merge it first: `git merge {}`", name))))
    }

    /// Applies what has consent; breaks with an exit code after a signal.
    ///
    /// # Errors
    /// `UserError` for changes that do not apply, or that conflict.
    pub fn apply(&self, consent: &mut FileConsent, identity: &str) -> Result<ControlFlow<Exit, Applied>> {
        // Taken before anything is decided about the files, so that what is edited at a question is not overwritten.
        let stamp = |path: &PathBuf| (path.clone(), FileStamp::of(&self.top().join(path)));
        let stamps: BTreeMap<PathBuf, FileStamp> = self.paths.iter().map(stamp).collect();
        let mut trial = match self.try_out(&BTreeSet::new()) {
            Ok(trial) if trial.is_in_conflict => self.unmerged_base(identity)?.map_or(Ok(trial), Err)?,
            Ok(trial) => trial,
            Err(error) => return Err(self.unmerged_base(identity)?.map_or(error, Into::into)),
        };
        let left_out = match consent.left_out(self.top(), &trial.files)? {
            ControlFlow::Continue(left_out) => left_out,
            ControlFlow::Break(exit) => return Ok(ControlFlow::Break(exit)),
        };
        FileConsent::hint_at_left_out(&left_out);
        if trial.files.is_empty() {
            say::note(&format!("`{}` has the changes already", text::path(self.top())));
        }
        if trial.files.keys().all(|path| left_out.contains(path)) {
            return Ok(ControlFlow::Continue(Applied { left_out, ..Applied::default() }));
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
        let conflict = match trial.method {
            Method::Plain => self.place(&trial, &stamps).map(|()| None)?,
            Method::ThreeWay => self.apply_three_way(&trial, &left_out)?,
        };
        if conflict.is_some() {
            return Ok(ControlFlow::Continue(Applied { left_out, files: trial.changed_files(), conflict }));
        }
        for path in trial.files.keys() {
            say::out(&format!("{}\n", text::path(path)))?;
        }
        say::note(&format!("applied to `{}`", text::path(self.top())));
        Ok(ControlFlow::Continue(Applied { left_out, files: trial.changed_files(), conflict: None }))
    }

    /// Puts the files in their places as the trial has them. `stamps`: what they were before it.
    fn place(&self, trial: &Trial, stamps: &BTreeMap<PathBuf, FileStamp>) -> Result<()> {
        let fresh = self.repository.scratch("fresh")?;
        let is_file = |change: &ModeChange| change.after.iter().any(|mode| *mode != SUBMODULE);
        let files = trial.changes.iter().filter(|(_, change)| is_file(change)).map(|(path, _)| path.as_path());
        trial.index.check_out(files, &fresh).map_err(|error| nothing_changed(&error))?;
        let mut placement = Placement::new(self.top());
        for (path, change) in &trial.changes {
            let was = || stamps.get(path).cloned().unwrap_or_else(|| FileStamp::of(&self.top().join(path)));
            if change.after.is_empty() {
                placement.remove(path, was());
            } else if is_file(change) {
                let from = fresh.join(path);
                let mode = from.symlink_metadata()?.permissions().mode() & 0o777;
                placement.add(path, &from, mode, Existing::Replace(was())).map_err(|error| nothing_changed(&error))?;
            } else {
                say::line(&format!("stays in the bottle, as a submodule: {}", text::path(path)));
            }
        }
        placement.finish().map_err(|error| nothing_changed(&error))?;
        Ok(())
    }

    /// Lets git merge. `Some`: the error for conflicts, which are marked in the files.
    ///
    /// # Errors
    /// `UserError` where git failed.
    fn apply_three_way(&self, trial: &Trial, left_out: &BTreeSet<PathBuf>) -> Result<Option<UserError>> {
        // git writes file by file: is there room for all of them?
        let room = tempfile::Builder::new().prefix(".claude-bottle-").tempdir_in(self.top());
        let room = room.map_err(|error| nothing_changed(&UserError::new(error.to_string())))?;
        let files = trial.changes.keys().filter(|path| trial.after.contains_key(*path)).map(PathBuf::as_path);
        trial.index.check_out(files, room.path()).map_err(|error| nothing_changed(&error))?;
        drop(room);
        let paths = || trial.changes.keys().cloned();
        let look = || TrialIndex::new(self.repository)?.worktree_blobs(paths());
        let (blobs, before) = (look()?, self.conflicts()?);
        let done = self.git_apply(self.repository.git(), trial.method.args().chain(exclusions(left_out)))?;
        if done.is_success() {
            return Ok(None);
        }
        let after = self.conflicts()?;
        if after != before {
            // git's own words have names as they are, line feeds included.
            let paths: BTreeSet<&Path> = after.difference(&before).map(|(path, _)| path.as_path()).collect();
            for path in paths {
                say::line(&format!("conflict: {}", text::path(path)));
            }
            let top = text::path(self.top());
            let what = format!("applied to `{top}` with conflicts, marked as git marks them");
            return Ok(Some(UserError::new(what).hint("git status")));
        }
        let now = look()?;
        let changed: Vec<PathBuf> = paths().filter(|path| blobs.get(path) != now.get(path)).collect();
        if changed.is_empty() {
            return Err(not_applied(&trial.check, &done));
        }
        for path in &changed {
            say::line(&format!("changed: {}", text::path(path)));
        }
        let what = format!("applied in part to `{}`: {}", text::path(self.top()), text::one_line(done.error_line()));
        Err(UserError::new(what).hint("git status").into())
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
    fn try_out(&self, left_out: &BTreeSet<PathBuf>) -> Result<Trial<'a>> {
        let check = self.git_apply(self.repository.git(), iter_words(&["--check"]).chain(exclusions(left_out)))?;
        let method = if check.is_success() { Method::Plain } else { Method::ThreeWay };
        let index = TrialIndex::new(self.repository)?;
        if method == Method::Plain {
            let is_file = |path: &&Path| {
                is_plain(self.top(), path.parent().unwrap_or(Path::new("")))
                    && self.top().join(path).symlink_metadata().is_ok_and(|meta| meta.is_file() || meta.is_symlink())
            };
            let (here, gone) = self.paths.iter().map(PathBuf::as_path).partition(is_file);
            index.set_files(here, gone)?;
        }
        let before = index.entries()?;
        let args = iter_words(&["--cached"]).chain(method.args()).chain(exclusions(left_out));
        let done = self.git_apply(index.git(), args)?;
        let after = index.entries()?;
        let changes = git::changes(&before, &after);
        // After a conflict git has written what it could.
        if !done.is_success() && changes.is_empty() {
            return Err(not_applied(&check, &done));
        }
        let kind = |path: &Path, change: &ModeChange| kind_after(change, || kind_here(&self.top().join(path)));
        let files = changes.iter().map(|(path, change)| (path.clone(), kind(path, change))).collect();
        let is_in_conflict = !done.is_success();
        let (before, after) = (git::blobs(&before), git::blobs(&after));
        let written = changes.keys().filter_map(|path| after.get(path)).map(String::as_str);
        expect_placeable(self.repository.total_size(index.git(), written)?, "applied")?;
        Ok(Trial { method, files, changes, check, index, before, after, is_in_conflict })
    }
}

impl Trial<'_> {
    fn changed_files(&self) -> Vec<ChangedFile> {
        let file = |path: &PathBuf| ChangedFile {
            path: Blob(path.as_os_str().as_bytes().to_vec()),
            before: self.before.get(path).cloned(),
            after: self.after.get(path).cloned(),
        };
        self.changes.keys().map(file).collect()
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
    let kinds = change.after.iter().map(|mode| FileKind::of_mode(*mode));
    let own = change.after.iter().all(|mode| change.before.contains(mode)).then(here);
    kinds.chain(own).max().unwrap_or(FileKind::Plain)
}

fn unreadable(why: &str) -> anyhow::Error {
    UserError::new(format!("the changes cannot be read: {why}")).into()
}

/// `check`: of the files as they are here, which alone tells that a new file exists already. `done`: the last try.
fn not_applied(check: &GitOutput, done: &GitOutput) -> anyhow::Error {
    let said = if check.stderr.contains("already exists") { check } else { done };
    let why = text::one_line(said.error_line());
    let hint = match why.to_lowercase().contains("out of memory") {
        true => "`claude-bottle get` copies single files",
        false => "commit, stash or move away what is changed here, then type this again",
    };
    UserError::new(format!("not applied, and nothing changed: {why}")).hint(hint).into()
}

/// Arguments by which `git apply` leaves out these files alone.
fn exclusions(paths: &BTreeSet<PathBuf>) -> impl Iterator<Item = OsString> {
    paths.iter().map(|path| sys::git::exclude_option(path.as_os_str()))
}
