//! A temporary git directory over a worktree of the agent's. It borrows the objects of the agent's repository, but no
//! configuration, hook, filter or attribute file of that repository decides what is exported.

use super::baseline::{Baseline, KnownRepository};
use super::file::copy_regular;
use super::git::{Difference, Git, differences, fields, is_absent};
use super::paths::WorkPaths;
use super::repository::Repository;
use crate::failure::Failure;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Removed on drop.
pub struct CleanRepository<'a> {
    pub repository: &'a Repository,
    pub baseline: &'a Baseline,
    folder: PathBuf,
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
        self.baseline.repositories.get(&self.repository.path)
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
    pub fn tree_before(&self) -> Result<String, Failure> {
        let head = self.repository.head()?;
        self.git_with_index("before").args(["read-tree", head.as_deref().unwrap_or("--empty")]).stdout(b"")?;
        if let Some(known) = self.known() {
            let empty = self.repository.empty_tree()?;
            let (then, now) = (known.head.as_ref().unwrap_or(&empty), head.as_ref().unwrap_or(&empty));
            let args = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", then, now];
            let committed = self.git().args(args).stdout(b"")?;
            let committed: BTreeSet<&[u8]> = fields(&committed).collect();
            let mut lines = Vec::new();
            for (path, was) in known.dirty.iter().filter(|(path, _)| !committed.contains(path.as_bytes())) {
                let none = ("0".to_owned(), "0".repeat(empty.len()));
                let (mode, blob) = was.as_ref().unwrap_or(&none);
                lines.extend_from_slice(format!("{mode} {blob}\t{path}\0").as_bytes());
            }
            self.git_with_index("before").args(["update-index", "-z", "--index-info"]).stdout(&lines)?;
        }
        self.write_tree("before")
    }

    /// The tree of the worktree as it is now. A file that has not changed since the baseline is taken from `before`, whatever
    /// git reads here: on the machine that it came from, the repository may have had a filter.
    ///
    /// # Errors
    /// git fails.
    pub fn tree_now(&self, before: &str) -> Result<String, Failure> {
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
            let mut lines = Vec::new();
            for Difference { before: (mode, blob), path, .. } in differences(&raw) {
                if !is_absent(&mode)
                    && self.repository.is_untouched(Path::new(OsStr::from_bytes(path)), self.baseline.instant)
                {
                    lines.extend_from_slice(format!("{mode} {blob}\t").as_bytes());
                    lines.extend_from_slice(path);
                    lines.push(0);
                }
            }
            self.git_with_index("now").args(["update-index", "-z", "--index-info"]).stdout(&lines)?;
        }
        self.write_tree("now")
    }
}

impl Drop for CleanRepository<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
