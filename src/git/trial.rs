//! A copy of a repository's index, and a folder for new objects, in which git shows what a patch would do. Neither the
//! repository nor its worktree changes.
//!
//! Invariant: what is read back ends in NUL, so no name of a file can pass for another entry.

use super::{CleanRepository, Git, GitOutput};
use crate::exit::UserError;
use crate::text;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

pub struct TrialIndex<'a> {
    clean: &'a CleanRepository,
    folder: PathBuf,
}

/// The modes of a file's entries before and after, as in an index: several in a conflict, none where there is no file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ModeChange {
    pub before: Vec<u32>,
    pub after: Vec<u32>,
}

impl<'a> TrialIndex<'a> {
    /// # Errors
    /// `UserError` if the index cannot be copied.
    pub fn new(clean: &'a CleanRepository) -> Result<TrialIndex<'a>, UserError> {
        let trial = TrialIndex { clean, folder: clean.scratch("trial")? };
        let index = clean.repository.own_file("index")?;
        let made = || -> io::Result<()> {
            // git counts a relative path from the folder of objects.
            fs::create_dir_all(trial.objects().join("info"))?;
            fs::write(trial.objects().join("info/alternates"), "../borrowed\n")?;
            symlink(clean.repository.shared.join("objects"), trial.folder.join("borrowed"))?;
            index.map_or(Ok(0), |index| fs::copy(index, trial.index()))?;
            Ok(())
        };
        made().map_err(|error| UserError::new(format!("cannot copy the index for git: {error}")))?;
        Ok(trial)
    }

    fn index(&self) -> PathBuf {
        self.folder.join("index")
    }

    fn objects(&self) -> PathBuf {
        self.folder.join("objects")
    }

    /// git at the top of the worktree, on this index.
    pub fn git(&self) -> Git {
        self.clean.git().env("GIT_INDEX_FILE", self.index()).env("GIT_OBJECT_DIRECTORY", self.objects()).writes()
    }

    /// Takes files of the worktree in as they are there, and others out. Each of `here` must be a file or a link, below folders
    /// that are no links.
    ///
    /// # Errors
    /// `UserError` if git does not read one of them.
    pub fn set_files(&self, here: Vec<&Path>, gone: Vec<&Path>) -> Result<(), UserError> {
        for (words, paths) in [(&["--force-remove"][..], gone), (&["--add", "--replace"], here)] {
            let git = self.git().args(["update-index"]).args(words).args(["-z", "--stdin"]);
            self.clean.successful(git.run(terminated(paths.into_iter()))?)?;
        }
        Ok(())
    }

    /// The blobs that these paths of the worktree would be committed as; one that is no file or link, or lies behind a link, is
    /// left out.
    ///
    /// # Errors
    /// `UserError` if git does not read one of them.
    pub fn worktree_blobs(&self, paths: impl Iterator<Item = PathBuf>) -> Result<BTreeMap<PathBuf, String>, UserError> {
        let top = &self.clean.repository.top;
        let is_file =
            |path: &PathBuf| top.join(path).symlink_metadata().is_ok_and(|meta| meta.is_file() || meta.is_symlink());
        let is_behind_link = |path: &PathBuf| {
            let mut folders = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
            folders.any(|folder| top.join(folder).is_symlink())
        };
        let paths: BTreeSet<PathBuf> = paths.filter(|path| !is_behind_link(path) && is_file(path)).collect();
        self.set_files(paths.iter().map(PathBuf::as_path).collect(), Vec::new())?;
        let mut blobs = blobs(&self.entries()?);
        blobs.retain(|path, _| paths.contains(path));
        Ok(blobs)
    }

    /// Writes files as the index has them, as a checkout would, below `folder`.
    ///
    /// # Errors
    /// `UserError` if git cannot write them.
    pub fn check_out<'b>(&self, paths: impl Iterator<Item = &'b Path>, folder: &Path) -> Result<(), UserError> {
        let mut prefix = OsString::from("--prefix=");
        prefix.push(folder);
        prefix.push("/");
        let git = self.git().args(["checkout-index", "--force", "-z", "--stdin"]).args([prefix]);
        let output = git.run(terminated(paths))?;
        match output.is_success() {
            true => Ok(()),
            false => Err(UserError::new(format!("cannot write: {}", text::one_line(output.error_line())))),
        }
    }

    /// The list of its entries, for [`changes`].
    ///
    /// # Errors
    /// `UserError` if git does not read it.
    pub fn entries(&self) -> Result<GitOutput, UserError> {
        self.clean.successful(self.git().args(["ls-files", "--stage", "-z"]).run(Vec::new())?)
    }
}

/// A list of paths, each ended by NUL.
fn terminated<'b>(paths: impl Iterator<Item = &'b Path>) -> Vec<u8> {
    paths.flat_map(|path| path.as_os_str().as_bytes().iter().copied().chain([0])).collect()
}

/// The files whose entries differ between two lists.
pub fn changes(before: &GitOutput, after: &GitOutput) -> BTreeMap<PathBuf, ModeChange> {
    let old: HashSet<&[u8]> = before.fields().collect();
    let new: HashSet<&[u8]> = after.fields().collect();
    let mut changes: BTreeMap<PathBuf, ModeChange> = BTreeMap::new();
    for (path, mode) in old.difference(&new).filter_map(|entry| path_and_mode(entry)) {
        changes.entry(path).or_default().before.push(mode);
    }
    for (path, mode) in new.difference(&old).filter_map(|entry| path_and_mode(entry)) {
        changes.entry(path).or_default().after.push(mode);
    }
    changes
}

fn path_and_mode(entry: &[u8]) -> Option<(PathBuf, u32)> {
    let (path, about) = split_entry(entry)?;
    let mode = std::str::from_utf8(about).ok()?.split(' ').next()?;
    Some((path, u32::from_str_radix(mode, 8).ok()?))
}

/// The blobs of a list of entries, without files in conflict.
pub fn blobs(entries: &GitOutput) -> BTreeMap<PathBuf, String> {
    let blob = |entry| {
        let (path, about) = split_entry(entry)?;
        let mut words = std::str::from_utf8(about).ok()?.split(' ').skip(1);
        let (id, stage) = (words.next()?, words.next()?);
        (stage == "0").then(|| (path, id.to_owned()))
    };
    entries.fields().filter_map(blob).collect()
}

/// A file of a raw difference, as it is after it.
pub struct RawChange {
    pub path: PathBuf,
    /// `None`: it is gone.
    pub mode: Option<u32>,
    /// The blob; zeros for a file that is gone.
    pub id: String,
}

/// The files of the output of `git diff-tree --raw -z`.
pub fn raw_changes(raw: &GitOutput) -> Vec<RawChange> {
    let mut parts = raw.fields();
    let mut changes = Vec::new();
    // `:MODE MODE BLOB BLOB STATUS`, and the path.
    while let (Some(change), Some(path)) = (parts.next(), parts.next()) {
        let change = String::from_utf8_lossy(change);
        let word = |number| change.split(' ').nth(number).unwrap_or_default();
        let mode = u32::from_str_radix(word(1), 8).ok().filter(|mode| *mode != 0);
        changes.push(RawChange { path: OsStr::from_bytes(path).into(), mode, id: word(3).to_owned() });
    }
    changes
}

/// The path of an entry of an index or a tree, and what is before it: `MODE OBJECT STAGE` or `MODE TYPE OBJECT`, then a tab.
pub fn split_entry(entry: &[u8]) -> Option<(PathBuf, &[u8])> {
    let tab = entry.iter().position(|byte| *byte == b'\t')?;
    Some((OsStr::from_bytes(&entry[tab + 1..]).into(), &entry[..tab]))
}
