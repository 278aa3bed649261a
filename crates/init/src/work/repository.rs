//! One repository in the workspace: its commits, stashes and changed files.

use super::baseline::Baseline;
use super::file::{ChangeTime, change_time};
use super::git::{Git, fields, lines};
use super::paths::PathName;
use super::view::{GitDirs, RepositoryView, detached_head, reflog_ids};
use super::walk::WorkspaceListing;
use crate::failure::Failure;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use wire::Elsewhere;

/// Most worktrees of one repository whose `HEAD` counts.
const MAX_WORKTREES: usize = 1000;

pub struct Repository {
    /// Relative to the workspace.
    pub path: PathBuf,
    /// Absolute path of the worktree.
    pub worktree: PathBuf,
    pub dirs: GitDirs,
    /// What git reads instead of the repository's own git directory.
    pub view: RepositoryView,
    /// Worktrees of other repositories below this one, relative to it, without those in one another.
    inner: Vec<PathBuf>,
}

impl Repository {
    /// Opens the repository at `path`, one of those in the listing.
    ///
    /// # Errors
    /// git does not recognise it as a repository.
    pub fn open(workspace: &Path, path: &Path, listing: &WorkspaceListing) -> Result<Repository, Failure> {
        let worktree = workspace.join(path);
        let dirs = GitDirs::find(&worktree)?;
        let view = RepositoryView::new(&dirs)?;
        let below = |other: &PathBuf| other.strip_prefix(path).ok().map(Path::to_owned);
        let below = listing.repositories.iter().filter_map(below).filter(|path| !path.as_os_str().is_empty());
        let mut inner: Vec<PathBuf> = Vec::new();
        // They are sorted. git takes no name for an answer that is in a submodule.
        for path in below {
            if !inner.iter().any(|outer| path.starts_with(outer)) {
                inner.push(path);
            }
        }
        Ok(Repository { path: path.to_owned(), worktree, dirs, view, inner })
    }

    /// Opens a repository without a worktree.
    ///
    /// # Errors
    /// git does not recognise it as a repository.
    pub fn open_bare(folder: PathBuf) -> Result<Repository, Failure> {
        let dirs = GitDirs::of_bare(&folder)?;
        let view = RepositoryView::new(&dirs)?;
        Ok(Repository { path: PathBuf::new(), worktree: folder, dirs, view, inner: Vec::new() })
    }

    pub fn git(&self) -> Git {
        self.view.git(&self.worktree)
    }

    /// The commit that is checked out; `None` before the first commit.
    pub fn head(&self) -> Result<Option<String>, Failure> {
        self.git().args(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).line()
    }

    /// The git directories of all worktrees, wherever they are, each with git's own name of its `HEAD`.
    fn git_dirs(&self) -> Vec<(Vec<u8>, PathBuf)> {
        let GitDirs { own, shared } = &self.dirs;
        let mut places = vec![(b"HEAD".to_vec(), own.clone())];
        if own != shared {
            places.push((b"main-worktree/HEAD".to_vec(), shared.clone()));
        }
        for entry in std::fs::read_dir(shared.join("worktrees")).into_iter().flatten().flatten().take(MAX_WORKTREES) {
            if entry.path() != *own {
                places.push(([b"worktrees/", entry.file_name().as_bytes(), b"/HEAD"].concat(), entry.path()));
            }
        }
        places.sort();
        places
    }

    /// The commits that a worktree has checked out without a branch, each with the name of that `HEAD`.
    pub fn detached_heads(&self) -> Vec<(Vec<u8>, String)> {
        self.git_dirs().into_iter().filter_map(|(name, git_dir)| Some((name, detached_head(&git_dir)?))).collect()
    }

    /// Commits that only the reflog of a `HEAD` leads to: taken back, or left behind without a branch. Newest first.
    pub fn reflog_commits(&self, baseline: &Baseline, host: &Elsewhere) -> Result<Vec<String>, Failure> {
        let ids: BTreeSet<String> = self.git_dirs().iter().flat_map(|(_, git_dir)| reflog_ids(git_dir)).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let known = baseline.repositories.values().flat_map(|known| &known.tips).chain(&host.commits).cloned();
        let known = known.chain(self.detached_heads().into_iter().map(|(_, id)| id));
        let asked: String = ids.iter().cloned().chain(known.map(|id| format!("^{id}"))).map(|id| id + "\n").collect();
        let args = ["rev-list", "--topo-order", "--ignore-missing", "--stdin", "--not", "--all"];
        Ok(lines(&self.git().args(args).stdout(asked.as_bytes())?))
    }

    /// The id of a tree without entries, in this repository's hash.
    pub fn empty_tree(&self) -> Result<String, Failure> {
        let id = self.git().args(["hash-object", "-t", "tree", "--stdin"]).line()?;
        id.ok_or_else(|| Failure("git knows no empty tree".into()))
    }

    /// Commits of the stashes, newest first.
    pub fn stashes(&self) -> Result<Vec<String>, Failure> {
        let mut stashes = self.git().args(["rev-list", "-g", "refs/stash", "--"]).run(b"")?.lines();
        if stashes.is_empty() {
            // Without the reflog only the newest stash is left.
            stashes.extend(self.git().args(["rev-parse", "--verify", "--quiet", "refs/stash"]).line()?);
        }
        Ok(stashes)
    }

    /// Adds the worktree to the index that `git` uses, except for inner repositories and files that cannot be read. False if
    /// git failed.
    pub fn add(&self, git: Git) -> Result<bool, Failure> {
        let mut args: Vec<OsString> = ["add", "-A", "--ignore-errors", "--", "."].map(OsString::from).into();
        args.extend(self.inner.iter().map(|path| {
            let mut spec = OsString::from(":(exclude,top,literal)");
            spec.push(path);
            spec
        }));
        // Status 1: some files could not be added.
        Ok(matches!(git.args(args).run(b"")?.status.code(), Some(0 | 1)))
    }

    /// Commits on no remote-tracking ref, no ref of the baseline and none of the host's, newest first.
    pub fn new_commits(&self, baseline: &Baseline, host: &Elsewhere) -> Result<Vec<String>, Failure> {
        let mut args: Vec<String> = ["rev-list", "--topo-order", "--ignore-missing", "--stdin", "--branches", "--tags"]
            .map(str::to_owned)
            .into();
        args.extend(self.head()?);
        args.extend(self.detached_heads().into_iter().map(|(_, id)| id));
        args.push("--not".to_owned());
        args.extend(self.external_remotes().iter().map(|name| format!("--remotes={name}")));
        let mut elsewhere = String::new();
        // The tips of all repositories count, because one may be a clone or a worktree of another.
        for tip in baseline.repositories.values().flat_map(|known| &known.tips).chain(&host.commits) {
            elsewhere.push_str(&format!("^{tip}\n"));
        }
        Ok(lines(&self.git().args(args).stdout(elsewhere.as_bytes())?))
    }

    /// These commits as they are shown: short id, author and subject.
    pub fn describe(&self, ids: &[String]) -> Result<Vec<String>, Failure> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let args = ["log", "-z", "--no-walk=unsorted", "--stdin", "--no-color", "--no-decorate", "--format=%h %an: %s"];
        let told = self.git().args(args).stdout(ids.join("\n").as_bytes())?;
        let told = told.split(|byte| *byte == 0).filter(|commit| !commit.is_empty());
        Ok(told.map(|commit| String::from_utf8_lossy(commit).into_owned()).collect())
    }

    /// Names of the remotes that are outside the bottle: their URL has a host and is no local path.
    fn external_remotes(&self) -> Vec<String> {
        let is_external = |url: &str| {
            let scheme = url.split_once("://").is_some_and(|(scheme, _)| scheme != "file");
            let host = url.split_once(':').is_some_and(|(host, rest)| !host.contains('/') && !rest.starts_with("//"));
            scheme || host
        };
        let external = self.view.values("remote", "url").filter(|(_, url)| is_external(url));
        external.map(|(name, _)| name.to_owned()).collect()
    }

    /// Stashes that no repository had at the baseline, and the host has not, newest first.
    pub fn new_stashes(&self, baseline: &Baseline, host: &Elsewhere) -> Result<Vec<String>, Failure> {
        let mut stashes = self.stashes()?;
        stashes.retain(|stash| !host.commits.contains(stash));
        stashes.retain(|stash| baseline.repositories.values().all(|known| !known.stashes.contains(stash)));
        Ok(stashes)
    }

    /// Changed and untracked files that are not ignored, except for those that were the same at the baseline.
    pub fn changed_files(&self, baseline: &Baseline) -> Result<Vec<PathBuf>, Failure> {
        let known = baseline.repository(&self.path);
        let args = [
            "status",
            "--porcelain=v2",
            "-z",
            "--untracked-files=all",
            "--ignore-submodules=all",
            "--no-renames",
            "--no-ahead-behind",
        ];
        let status = self.git().args(args).stdout(b"")?;
        let mut changes = Vec::new();
        for entry in fields(&status) {
            // Count of words before the path, and whether the last commit contains the file: a changed entry (`1 XY …`),
            // an unmerged one, an untracked one.
            let (words, committed) = match entry[0] {
                b'1' => (8, !entry.iter().take(4).any(|byte| *byte == b'A')),
                b'u' => (10, true),
                b'?' => (1, false),
                _ => continue,
            };
            let Some(path) = entry.splitn(words + 1, |byte| *byte == b' ').nth(words) else { continue };
            let path = PathBuf::from(OsString::from_vec(path.to_vec()));
            let inner = path.as_os_str().as_bytes().ends_with(b"/") || self.inner.contains(&path);
            let at_baseline = known.and_then(|known| known.dirty.get(&PathName(path.clone())));
            let is_same = match at_baseline {
                Some(None) => change_time(&self.worktree.join(&path)).is_err(),
                // A file that did not have this name at the baseline may have been moved here, which may leave its change
                // time as it is.
                None if known.is_none() || !committed => false,
                _ => self.is_untouched(&path, baseline.instant),
            };
            if !inner && !is_same {
                changes.push(path);
            }
        }
        Ok(changes)
    }

    /// Whether this file exists and has not changed since that time. `path` is relative to the worktree.
    pub fn is_untouched(&self, path: &Path, since: ChangeTime) -> bool {
        change_time(&self.worktree.join(path)).is_ok_and(|changed| changed < since)
    }
}
