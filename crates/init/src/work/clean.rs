//! A temporary git directory over a worktree of the agent's. It borrows the objects of the agent's repository, but no
//! configuration, hook, filter or attribute file of that repository decides what is exported.

use super::baseline::{Baseline, KnownRepository};
use super::file::copy_regular;
use super::git::{Difference, Git, ModeAndBlob, differences, exclude_option, fields, is_absent};
use super::paths::{WorkPaths, repository_name};
use super::repository::Repository;
use crate::failure::Failure;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use wire::{AppliedChanges, Elsewhere};

/// Removed on drop.
pub struct CleanRepository<'a> {
    pub repository: &'a Repository,
    pub baseline: &'a Baseline,
    folder: PathBuf,
}

/// The trees of a worktree between which patches are made.
pub struct Trees {
    /// What was committed or uncommitted before the agent's changes.
    pub before: String,
    /// What the host has: `before`, and the changes that were applied there.
    pub host: String,
    pub now: String,
}

impl<'a> CleanRepository<'a> {
    /// # Errors
    /// The folder cannot be made, or git fails.
    pub fn new(
        repository: &'a Repository,
        baseline: &'a Baseline,
        paths: &WorkPaths,
    ) -> Result<CleanRepository<'a>, Failure> {
        let folder = std::env::temp_dir().join(format!("claude-bottle-work-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let clean = CleanRepository { repository, baseline, folder };
        fs::create_dir(&clean.folder)?;
        let init = ["init", "--quiet", "--bare", "--template=", "."];
        Git::without_repository(&clean.folder).args(init).stdout(b"")?;
        repository.view.copy_configuration(&clean.folder.join("config"))?;
        let mut borrowed = vec![repository.view.objects.clone()];
        borrowed.extend(clean.known().map(|known| paths.notes.join(&known.objects)));
        let mut alternates = Vec::new();
        for path in borrowed {
            alternates.extend_from_slice(path.as_os_str().as_bytes());
            alternates.push(b'\n');
        }
        fs::create_dir_all(clean.folder.join("objects/info"))?;
        fs::write(clean.folder.join("objects/info/alternates"), alternates)?;
        fs::create_dir_all(clean.folder.join("info"))?;
        copy_regular(&repository.dirs.shared.join("info/exclude"), &clean.folder.join("info/exclude"));
        copy_regular(&repository.dirs.shared.join("shallow"), &clean.folder.join("shallow"));
        Ok(clean)
    }

    /// This repository at the baseline.
    fn known(&self) -> Option<&'a KnownRepository> {
        self.baseline.repository(&self.repository.path)
    }

    pub fn git(&self) -> Git {
        Git::on(&self.folder, &self.repository.worktree)
    }

    /// git with the index of this name.
    fn git_with_index(&self, index: &str) -> Git {
        self.git().env("GIT_INDEX_FILE", self.folder.join(index))
    }

    /// Writes the tree of the index of this name.
    fn write_tree(&self, index: &str) -> Result<String, Failure> {
        let tree = self.git_with_index(index).args(["write-tree"]).line()?;
        tree.ok_or_else(|| Failure("the index is no tree".into()))
    }

    /// The tree from which a patch starts: the last commit, and the files that were uncommitted even at the baseline, unless
    /// a commit has touched them since.
    ///
    /// # Errors
    /// git fails.
    fn tree_before(&self) -> Result<String, Failure> {
        self.read_tree_on(self.repository.head()?.as_deref(), "before")?;
        self.write_tree("before")
    }

    /// Fills the index of this name with what [`CleanRepository::tree_before`] is where this commit is checked out.
    fn read_tree_on(&self, commit: Option<&str>, index: &str) -> Result<(), Failure> {
        self.git_with_index(index).args(["read-tree", commit.unwrap_or("--empty")]).stdout(b"")?;
        let Some(known) = self.known() else { return Ok(()) };
        let committed = self.paths_between(known.head.as_deref(), commit)?;
        let none = ("0".to_owned(), "0".repeat(self.repository.empty_tree()?.len()));
        let entries =
            known.dirty.iter().map(|(path, was)| (was.as_ref().unwrap_or(&none), path.0.as_os_str().as_bytes()));
        self.set_entries(index, entries.filter(|(_, path)| !committed.contains(*path)))
    }

    /// The files that differ between two commits; `None` is one without files.
    fn paths_between(&self, from: Option<&str>, to: Option<&str>) -> Result<BTreeSet<Vec<u8>>, Failure> {
        let empty = self.repository.empty_tree()?;
        let args = ["diff-tree", "-r", "-z", "--name-only", "--no-renames"];
        let names = self.git().args(args).args([from.unwrap_or(&empty), to.unwrap_or(&empty)]).stdout(b"")?;
        Ok(fields(&names).map(<[u8]>::to_vec).collect())
    }

    /// Sets entries of the index of this name; mode `0` removes one.
    fn set_entries<'b>(
        &self,
        index: &str,
        entries: impl Iterator<Item = (&'b ModeAndBlob, &'b [u8])>,
    ) -> Result<(), Failure> {
        let mut lines = Vec::new();
        for ((mode, blob), path) in entries {
            lines.extend_from_slice(format!("{mode} {blob}\t").as_bytes());
            lines.extend_from_slice(path);
            lines.push(0);
        }
        let args = ["update-index", "--replace", "-z", "--index-info"];
        self.git_with_index(index).args(args).stdout(&lines).map(drop)
    }

    /// The tree that the host has after it applied these changes: `before`, and what was applied of the files that no commit
    /// has touched since.
    ///
    /// # Errors
    /// git fails, as where the commit is gone that they are made on.
    fn tree_on_host(&self, before: &str, applied: &AppliedChanges) -> Result<String, Failure> {
        let (index, base) = ("host", applied.base.as_deref());
        self.read_tree_on(base, index)?;
        if !applied.patch.0.is_empty() {
            let left_out = applied.left_out.iter().map(|path| exclude_option(OsStr::from_bytes(&path.0)));
            let git = self.git_with_index(index).args(["apply", "--cached", "--whitespace=nowarn"]);
            git.args(left_out).stdout(&applied.patch.0)?;
        }
        let tree = self.write_tree(index)?;
        let head = self.repository.head()?;
        if base == head.as_deref() {
            return Ok(tree);
        }
        let committed = self.paths_between(base, head.as_deref())?;
        let raw = self.difference(&tree, before)?;
        let entries = differences(&raw);
        let committed = entries.iter().filter(|entry| committed.contains(entry.path));
        self.set_entries(index, committed.map(|entry| (&entry.after, entry.path)))?;
        self.write_tree(index)
    }

    /// # Errors
    /// git fails.
    pub fn trees(&self, host: &Elsewhere) -> Result<Trees, Failure> {
        let before = self.tree_before()?;
        let applied = host.changes.get(&repository_name(&self.repository.path));
        // Where they cannot be told any more, as after a `gc` without the commit that they are made on, all changes count.
        let on_host = applied.and_then(|applied| self.tree_on_host(&before, applied).ok());
        Ok(Trees { now: self.tree_now(&before)?, host: on_host.unwrap_or_else(|| before.clone()), before })
    }

    /// The raw difference between two trees, for [`differences`].
    ///
    /// # Errors
    /// git fails.
    pub fn difference(&self, from: &str, to: &str) -> Result<Vec<u8>, Failure> {
        self.git().args(["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", from, to]).stdout(b"")
    }

    /// The tree of the worktree as it is now. A file that has not changed since the baseline is taken from `before`, whatever
    /// git reads here: on the machine that it came from, the repository may have had a filter.
    ///
    /// # Errors
    /// git fails.
    fn tree_now(&self, before: &str) -> Result<String, Failure> {
        let index = self.folder.join("now");
        copy_regular(&self.repository.dirs.own.join("index"), &index);
        if !index.exists() || !self.repository.add(self.git_with_index("now"))? {
            // Without an index, or with one that git cannot read outside its own git directory: start at the last commit.
            let head = self.repository.head()?;
            self.git_with_index("now").args(["read-tree", head.as_deref().unwrap_or("--empty")]).stdout(b"")?;
            if !self.repository.add(self.git_with_index("now"))? {
                return Err(Failure("git does not read the worktree".into()));
            }
        }
        if self.known().is_some() {
            let args = ["diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", before];
            let raw = self.git_with_index("now").args(args).stdout(b"")?;
            let untouched = differences(&raw);
            let untouched = untouched.iter().filter(|Difference { before: (mode, _), path, .. }| {
                !is_absent(mode)
                    && self.repository.is_untouched(Path::new(OsStr::from_bytes(path)), self.baseline.instant)
            });
            self.set_entries("now", untouched.map(|entry| (&entry.before, entry.path)))?;
        }
        self.write_tree("now")
    }
}

impl Drop for CleanRepository<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
