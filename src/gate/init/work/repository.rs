//! One repository of the agent's, and what is asked of it: its commits, stashes and changes.

use super::super::Failure;
use super::baseline::{Baseline, Known};
use super::git::{Git, fields, lines};
use super::walk::{Instant, changed};
use std::ffi::OsString;
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
    /// # Errors
    /// Where git does not take it for one.
    pub fn open(workspace: &Path, path: &Path) -> Result<Repository, Failure> {
        let work = workspace.join(path);
        let git = || Git::of(Path::new(".git"), &work);
        let asked = |what: &[&str]| -> Result<PathBuf, Failure> {
            let mut answer = git().args(["rev-parse"]).args(what).must(b"")?;
            answer.pop();
            // Relative to where git was run.
            Ok(work.join(OsString::from_vec(answer)))
        };
        let (git_dir, objects) = (asked(&["--absolute-git-dir"])?, asked(&["--git-path", "objects"])?);
        Ok(Repository { path: path.to_owned(), work, git_dir, objects, inner: Vec::new() })
    }

    /// The same, knowing what other repositories lie in it.
    pub fn among(mut self, all: &[PathBuf]) -> Repository {
        let below = |other: &PathBuf| Some(other.strip_prefix(&self.path).ok()?.to_owned());
        self.inner = all.iter().filter_map(below).filter(|path| !path.as_os_str().is_empty()).collect();
        self
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
        let said = self.git().args(["log", "-g", "--format=%H", "refs/stash", "--"]).ask(b"")?;
        Ok(lines(&said.stdout))
    }

    /// Arguments that put the worktree into an index, but for the repositories in it.
    pub fn add(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = ["add", "-A", "--", "."].map(OsString::from).into();
        args.extend(self.inner.iter().map(|path| {
            let mut spec = OsString::from(":(exclude,top,literal)");
            spec.push(path);
            spec
        }));
        args
    }

    /// Commits on no remote-tracking ref and on none of the baseline's, newest first.
    pub fn commits(&self, known: Option<&Known>) -> Result<Vec<String>, Failure> {
        let mut args: Vec<String> =
            ["rev-list", "--ignore-missing", "--stdin", "--branches", "--tags"].map(str::to_owned).into();
        args.extend(self.head()?);
        args.push("--not".to_owned());
        args.extend(self.remotes()?.iter().map(|name| format!("--remotes={name}")));
        let mut elsewhere = String::new();
        for tip in known.iter().flat_map(|known| &known.tips) {
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

    pub fn new_stashes(&self, known: Option<&Known>) -> Result<Vec<String>, Failure> {
        let mut stashes = self.stashes()?;
        stashes.retain(|stash| known.is_none_or(|known| !known.stashes.contains(stash)));
        Ok(stashes)
    }

    /// Changed and untracked files that are not ignored, but for those that were so at the baseline.
    pub fn changes(&self, known: Option<&Known>, since: Instant) -> Result<Vec<PathBuf>, Failure> {
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
            // Words before the path: of a changed, of an unmerged, of an untracked one.
            let words = match entry[0] {
                b'1' => 8,
                b'u' => 10,
                b'?' => 1,
                _ => continue,
            };
            let Some(path) = entry.splitn(words + 1, |byte| *byte == b' ').nth(words) else { continue };
            let path = PathBuf::from(OsString::from_vec(path.to_vec()));
            let inner = path.as_os_str().as_bytes().ends_with(b"/") || self.inner.contains(&path);
            if !inner && !self.was_so(&path, known, since) {
                changes.push(path);
            }
        }
        Ok(changes)
    }

    /// Was this file, changed or untracked now, like this at the baseline?
    fn was_so(&self, path: &Path, known: Option<&Known>, since: Instant) -> bool {
        let Some(known) = known else { return false };
        match changed(&self.work.join(path)) {
            Ok(changed) => changed < since,
            Err(_) => path.to_str().is_some_and(|path| known.dirty.get(path) == Some(&None)),
        }
    }
}

/// The repositories of the workspace, each with what was known of it.
pub fn all<'a>(
    workspace: &Path,
    found: &[PathBuf],
    baseline: &'a Baseline,
) -> Result<Vec<(Repository, Option<&'a Known>)>, Failure> {
    let open = |path: &PathBuf| Ok((Repository::open(workspace, path)?.among(found), baseline.repositories.get(path)));
    found.iter().map(open).collect()
}
