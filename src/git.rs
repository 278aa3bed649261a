//! The host's git on the host's repositories. What a repository configures to run by itself (hooks, a file system
//! monitor) stays off, and variables of the caller that lead git to another repository are removed.

use crate::exit::{EngineError, UserError};
use anyhow::Result;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
pub use sys::git::GitOutput;

/// Longest output of git that is read, in bytes. The list of files of the largest known repositories is below it.
const MAX_OUTPUT_BYTES: u64 = 1 << 30;

/// One call of git, to be given its arguments and run. Its errors are the user's.
pub struct Git(sys::git::Git);

impl Git {
    /// git in this folder.
    pub fn new(folder: &Path) -> Git {
        Git(sys::git::Git::new(folder).max_output(MAX_OUTPUT_BYTES))
    }

    /// git in a folder that may come from anyone: no transport is allowed.
    pub fn offline(folder: &Path) -> Git {
        Git(Git::new(folder).0.offline())
    }

    pub fn args<S: AsRef<OsStr>>(self, args: impl IntoIterator<Item = S>) -> Git {
        Git(self.0.args(args))
    }

    /// Runs git with `stdin` as its input.
    ///
    /// # Errors
    /// `UserError` if git is not installed, cannot be run, prints more than 1 GiB or takes longer than an hour.
    pub fn run(self, stdin: Vec<u8>) -> Result<GitOutput, UserError> {
        self.0.run(stdin).map_err(user_error)
    }

    /// Runs git with an open file as its input, from the file's position.
    ///
    /// # Errors
    /// As for [`Git::run`].
    pub fn run_reading(self, stdin: File) -> Result<GitOutput, UserError> {
        self.0.run_reading(stdin).map_err(user_error)
    }
}

fn user_error(error: io::Error) -> UserError {
    match error.kind() {
        ErrorKind::NotFound => UserError::new("no `git` on this machine").hint("install git"),
        _ => UserError::new(format!("cannot run `git`: {error}")),
    }
}

/// The top directory of the repository that contains `folder`; `None` if there is none.
///
/// # Errors
/// As for [`Git::run`].
pub fn top(folder: &Path) -> Result<Option<PathBuf>, UserError> {
    let mut output = Git::new(folder).args(["rev-parse", "--show-toplevel"]).run(Vec::new())?;
    output.stdout.pop();
    let found = output.is_success() && !output.stdout.is_empty();
    Ok(found.then(|| PathBuf::from(OsString::from_vec(output.stdout))))
}

/// The ids of the commits and tags that the refs point at, one on each line.
///
/// # Errors
/// As for [`Git::run`].
pub fn tips(repository: &Path) -> Result<Vec<u8>, UserError> {
    Ok(Git::new(repository).args(["for-each-ref", "--format=%(objectname)"]).run(Vec::new())?.stdout)
}

/// Fetches the refs `refs/bottle/…` of a bundle as `refs/bottles/IDENTITY/…`, and nothing else: no tag, no `FETCH_HEAD`.
/// The bundle's objects are checked first.
///
/// # Errors
/// `EngineError` with git's own error line.
pub fn fetch(repository: &Path, bundle: &Path, identity: &str) -> Result<()> {
    expect_success(&check_objects(repository, bundle)?)?;
    let fixed = [
        "-c",
        "fetch.writeCommitGraph=false",
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-recurse-submodules",
        "--no-write-fetch-head",
        "--no-auto-maintenance",
        "--no-prune",
        "--no-prune-tags",
        "--no-show-forced-updates",
        "--refmap=",
    ];
    let git = Git::new(repository).args(fixed);
    expect_success(
        &git.args([bundle.as_os_str(), format!("+refs/bottle/*:refs/bottles/{identity}/*").as_ref()]).run(Vec::new())?,
    )
}

fn expect_success(output: &GitOutput) -> Result<()> {
    match output.is_success() {
        true => Ok(()),
        false => Err(EngineError::new(format!("the commits were not taken: {}", output.error_line())).into()),
    }
}

/// Unpacks a bundle into an object folder beside the repository's and lets git check each new object. A fetch is not
/// enough: git before 2.46 does not check a bundle's objects, whatever `fetch.fsckObjects` says.
fn check_objects(repository: &Path, bundle: &Path) -> Result<GitOutput> {
    let mut file = BufReader::new(File::open(bundle)?);
    // The pack begins after the first empty line.
    let (mut line, mut start) = (Vec::new(), 0);
    while line != b"\n" {
        line.clear();
        match file.read_until(b'\n', &mut line)? {
            0 => break,
            count => start += count as u64,
        }
    }
    let mut pack = file.into_inner();
    pack.seek(SeekFrom::Start(start))?;
    let objects = Git::new(repository).args(["rev-parse", "--path-format=absolute", "--git-path", "objects"]);
    let aside = tempfile::tempdir_in(bundle.parent().unwrap_or(Path::new(".")))?;
    fs::create_dir(aside.path().join("info"))?;
    fs::write(aside.path().join("info/alternates"), objects.run(Vec::new())?.stdout)?;
    let Git(git) = Git::new(repository).args(["index-pack", "--stdin", "--fix-thin", "--strict"]);
    Ok(Git(git.env("GIT_OBJECT_DIRECTORY", aside.path())).run_reading(pack)?)
}
