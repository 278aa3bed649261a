//! One repository of the agent's, and what is asked of it: its commits, stashes and changes.

use super::super::Failure;
use super::baseline::Baseline;
use super::git::{Git, fields, lines};
use super::walk::{Found, Instant, changed, regular};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

pub struct Repository {
    /// Relative to the workspace.
    pub path: PathBuf,
    pub work: PathBuf,
    pub git_dir: PathBuf,
    pub objects: PathBuf,
    /// Worktrees of other repositories below it, relative to it.
    inner: Vec<PathBuf>,
}

impl Repository {
    /// One of those that were found.
    ///
    /// # Errors
    /// Where git does not take it for one.
    pub fn open(workspace: &Path, path: &Path, found: &Found) -> Result<Repository, Failure> {
        let work = workspace.join(path);
        let git = || Git::of(Path::new(".git"), &work);
        let asked = |what: &[&str]| -> Result<PathBuf, Failure> {
            let mut answer = git().args(["rev-parse"]).args(what).must(b"")?;
            answer.pop();
            // Relative to where git was run.
            Ok(work.join(OsString::from_vec(answer)))
        };
        let (git_dir, objects) = (asked(&["--absolute-git-dir"])?, asked(&["--git-path", "objects"])?);
        let below = |other: &PathBuf| other.strip_prefix(path).ok().map(Path::to_owned);
        let inner = found.repositories.iter().filter_map(below).filter(|path| !path.as_os_str().is_empty()).collect();
        Ok(Repository { path: path.to_owned(), work, git_dir, objects, inner })
    }

    pub fn git(&self) -> Git {
        Git::of(&self.git_dir, &self.work)
    }

    /// The commit that is checked out.
    pub fn head(&self) -> Result<Option<String>, Failure> {
        self.git().args(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).line()
    }

    pub fn empty_tree(&self) -> Result<String, Failure> {
        let id = self.git().args(["hash-object", "-t", "tree", "--stdin"]).line()?;
        id.ok_or_else(|| Failure("git knows no empty tree".into()))
    }

    /// Newest first.
    pub fn stashes(&self) -> Result<Vec<String>, Failure> {
        let said = self.git().args(["rev-list", "-g", "refs/stash", "--"]).ask(b"")?;
        let mut stashes = lines(&said.stdout);
        if stashes.is_empty() {
            // Older ones went with the log of this ref.
            stashes.extend(self.git().args(["rev-parse", "--verify", "--quiet", "refs/stash"]).line()?);
        }
        Ok(stashes)
    }

    /// Puts the worktree into this git's index, but for the repositories in it and what cannot be read; whether git did.
    pub fn add(&self, git: Git) -> Result<bool, Failure> {
        let mut args: Vec<OsString> = ["add", "-A", "--ignore-errors", "--", "."].map(OsString::from).into();
        args.extend(self.inner.iter().map(|path| {
            let mut spec = OsString::from(":(exclude,top,literal)");
            spec.push(path);
            spec
        }));
        // 1: all but some.
        Ok(matches!(git.args(args).ask(b"")?.status.code(), Some(0 | 1)))
    }

    /// Commits on no remote-tracking ref and on none of the baseline's, newest first.
    pub fn commits(&self, baseline: &Baseline) -> Result<Vec<String>, Failure> {
        let mut args: Vec<String> =
            ["rev-list", "--ignore-missing", "--stdin", "--branches", "--tags"].map(str::to_owned).into();
        args.extend(self.head()?);
        args.push("--not".to_owned());
        args.extend(self.remotes()?.iter().map(|name| format!("--remotes={name}")));
        let mut elsewhere = String::new();
        // Of all repositories: one may be a clone of another, or its worktree.
        for tip in baseline.repositories.values().flat_map(|known| &known.tips) {
            elsewhere.push_str(&format!("^{tip}\n"));
        }
        Ok(lines(&self.git().args(args).must(elsewhere.as_bytes())?))
    }

    /// Remotes that are elsewhere: not a path in the bottle.
    fn remotes(&self) -> Result<Vec<String>, Failure> {
        let said = self.git().args(["config", "-z", "--get-regexp", r"^remote\..*\.url$"]).ask(b"")?;
        let remote = |field: &[u8]| {
            let text = String::from_utf8_lossy(field).into_owned();
            let (key, url) = text.split_once('\n')?;
            let name = key.strip_prefix("remote.")?.strip_suffix(".url")?;
            let scheme = url.split_once("://").is_some_and(|(scheme, _)| scheme != "file");
            let host = url.split_once(':').is_some_and(|(host, rest)| !host.contains('/') && !rest.starts_with("//"));
            (scheme || host).then(|| name.to_owned())
        };
        Ok(fields(&said.stdout).filter_map(remote).collect())
    }

    pub fn new_stashes(&self, baseline: &Baseline) -> Result<Vec<String>, Failure> {
        let mut stashes = self.stashes()?;
        stashes.retain(|stash| baseline.repositories.values().all(|known| !known.stashes.contains(stash)));
        Ok(stashes)
    }

    /// Changed and untracked files that are not ignored, but for those that were so at the baseline.
    pub fn changes(&self, baseline: &Baseline) -> Result<Vec<PathBuf>, Failure> {
        let known = baseline.repositories.get(&self.path);
        let args = [
            "status",
            "--porcelain=v2",
            "-z",
            "--untracked-files=all",
            "--ignore-submodules=all",
            "--no-renames",
            "--no-ahead-behind",
        ];
        let said = self.git().args(args).must(b"")?;
        let mut changes = Vec::new();
        for entry in fields(&said) {
            // Words before the path, and whether the last commit has it: `1 XY …`, an unmerged one, an untracked one.
            let (words, committed) = match entry[0] {
                b'1' => (8, !entry.iter().take(4).any(|byte| *byte == b'A')),
                b'u' => (10, true),
                b'?' => (1, false),
                _ => continue,
            };
            let Some(path) = entry.splitn(words + 1, |byte| *byte == b' ').nth(words) else { continue };
            let path = PathBuf::from(OsString::from_vec(path.to_vec()));
            let inner = path.as_os_str().as_bytes().ends_with(b"/") || self.inner.contains(&path);
            let noted = known.and_then(|known| known.dirty.get(path.to_str()?));
            let was_so = match noted {
                Some(None) => changed(&self.work.join(&path)).is_err(),
                // One that was not there under this name may have been moved here: that leaves its time as it is.
                None if known.is_none() || !committed => false,
                _ => self.is_untouched(&path, baseline.instant),
            };
            if !inner && !was_so {
                changes.push(path);
            }
        }
        Ok(changes)
    }

    /// Is this file there, and as it was at that time?
    pub fn is_untouched(&self, path: &Path, since: Instant) -> bool {
        changed(&self.work.join(path)).is_ok_and(|changed| changed < since)
    }
}

/// A file with its time, by which git knows what it has to read again; only where there is a regular one.
pub fn copy(from: &Path, to: &Path) {
    if let Some((mut file, meta)) = regular(from)
        && let Ok(mut copy) = fs::File::create(to)
    {
        let _ = std::io::copy(&mut file, &mut copy);
        let _ = meta.modified().and_then(|time| copy.set_modified(time));
    }
}
