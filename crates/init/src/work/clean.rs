//! A git directory of our own over a repository of the agent's, whose objects it borrows: no configuration, hook, filter
//! or attribute file of the agent's decides what leaves.

use super::super::Failure;
use super::Place;
use super::baseline::{Baseline, Known};
use super::git::{Difference, Git, differences, fields, is_absent};
use super::repository::{Repository, copy};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Settings that say how bytes in the worktree and in the repository differ; the worktree was written by them.
const OF_DATA: [&str; 5] = ["core.autocrlf", "core.eol", "core.filemode", "core.symlinks", "core.ignorecase"];

/// Gone when it is dropped.
pub struct Clean<'a> {
    pub repository: &'a Repository,
    pub baseline: &'a Baseline,
    folder: PathBuf,
}

impl<'a> Clean<'a> {
    pub fn new(repository: &'a Repository, baseline: &'a Baseline, place: &Place) -> Result<Clean<'a>, Failure> {
        let folder = std::env::temp_dir().join(format!("claude-bottle-work-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let clean = Clean { repository, baseline, folder };
        let kind = repository.git().args(["rev-parse", "--show-object-format"]).line()?;
        let format = format!("--object-format={}", kind.as_deref().unwrap_or("sha1"));
        fs::create_dir(&clean.folder)?;
        let init = ["init", "--quiet", "--bare", "--template=", &format, "."];
        Git::without(&clean.folder).args(init).must(b"")?;
        clean.git().args(["config", "core.bare", "false"]).must(b"")?;
        for name in OF_DATA {
            if let Some(value) = repository.git().args(["config", "--get", name]).line()? {
                clean.git().args(["config", name, &value]).must(b"")?;
            }
        }
        let mut borrowed = vec![repository.objects.clone()];
        borrowed.extend(clean.known().map(|known| place.notes.join(&known.objects)));
        let mut alternates = Vec::new();
        for path in borrowed {
            alternates.extend_from_slice(path.as_os_str().as_bytes());
            alternates.push(b'\n');
        }
        fs::create_dir_all(clean.folder.join("objects/info"))?;
        fs::write(clean.folder.join("objects/info/alternates"), alternates)?;
        fs::create_dir_all(clean.folder.join("info"))?;
        copy(&repository.git_dir.join("info/exclude"), &clean.folder.join("info/exclude"));
        copy(&repository.git_dir.join("shallow"), &clean.folder.join("shallow"));
        Ok(clean)
    }

    fn known(&self) -> Option<&'a Known> {
        self.baseline.repositories.get(&self.repository.path)
    }

    pub fn git(&self) -> Git {
        Git::of(&self.folder, &self.repository.work)
    }

    /// With an index of this name.
    fn indexed(&self, index: &str) -> Git {
        self.git().env("GIT_INDEX_FILE", self.folder.join(index))
    }

    fn tree(&self, index: &str) -> Result<String, Failure> {
        let tree = self.indexed(index).args(["write-tree"]).line()?;
        tree.ok_or_else(|| Failure("the index is no tree".into()))
    }

    /// What a patch is made from: the last commit, and what was uncommitted even at the baseline, where no commit has
    /// touched it since.
    pub fn tree_before(&self) -> Result<String, Failure> {
        let head = self.repository.head()?;
        self.indexed("before").args(["read-tree", head.as_deref().unwrap_or("--empty")]).must(b"")?;
        if let Some(known) = self.known() {
            let empty = self.repository.empty_tree()?;
            let (then, now) = (known.head.as_ref().unwrap_or(&empty), head.as_ref().unwrap_or(&empty));
            let args = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", then, now];
            let committed = self.git().args(args).must(b"")?;
            let committed: BTreeSet<&[u8]> = fields(&committed).collect();
            let mut lines = Vec::new();
            for (path, was) in known.dirty.iter().filter(|(path, _)| !committed.contains(path.as_bytes())) {
                let none = ("0".to_owned(), "0".repeat(empty.len()));
                let (mode, blob) = was.as_ref().unwrap_or(&none);
                lines.extend_from_slice(format!("{mode} {blob}\t{path}\0").as_bytes());
            }
            self.indexed("before").args(["update-index", "-z", "--index-info"]).must(&lines)?;
        }
        self.tree("before")
    }

    /// Of the worktree as it is now. What nobody touched since the baseline is what it was before, however git would read
    /// it here: the repository may have had a filter on the machine that it came from.
    pub fn tree_now(&self, before: &str) -> Result<String, Failure> {
        let index = self.folder.join("now");
        copy(&self.repository.git_dir.join("index"), &index);
        if !index.exists() || !self.repository.add(self.indexed("now"))? {
            // None, or one that is not understood outside its own git directory: the last commit's.
            let head = self.repository.head()?;
            self.indexed("now").args(["read-tree", head.as_deref().unwrap_or("--empty")]).must(b"")?;
            if !self.repository.add(self.indexed("now"))? {
                return Err(Failure("git does not read the worktree".into()));
            }
        }
        if self.known().is_some() {
            let args = ["diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", before];
            let raw = self.indexed("now").args(args).must(b"")?;
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
            self.indexed("now").args(["update-index", "-z", "--index-info"]).must(&lines)?;
        }
        self.tree("now")
    }
}

impl Drop for Clean<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
