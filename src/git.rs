//! The host's git on the host's repositories. Whatever a repository configures to run by itself (hooks, a file system
//! monitor) stays off, and where the caller's environment points has no say.

use crate::exit::{EngineError, UserError};
use anyhow::Result;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One call, to be given arguments.
pub struct Git(Command);

/// How a call ended.
pub struct Said {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    /// Lossy, trimmed.
    pub stderr: String,
}

impl Said {
    pub fn is_good(&self) -> bool {
        self.code == Some(0)
    }

    /// Why it failed, in its words.
    pub fn words(&self) -> &str {
        let why = |line: &str| line.starts_with("fatal: ") || line.starts_with("error: ");
        let line = self.stderr.lines().find(|line| why(line)).or(self.stderr.lines().last());
        let line = line.unwrap_or("git said nothing");
        line.split_once(": ").filter(|_| why(line)).map_or(line, |(_, rest)| rest)
    }

    pub fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.stdout).lines().map(str::to_owned).collect()
    }

    /// What ends in NUL.
    pub fn fields(&self) -> impl Iterator<Item = &[u8]> {
        self.stdout.split(|byte| *byte == 0).filter(|field| !field.is_empty())
    }
}

impl Git {
    /// In this directory.
    pub fn at(folder: &Path) -> Git {
        let mut command = Command::new("git");
        for name in [
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_COMMON_DIR",
            "GIT_OBJECT_DIRECTORY",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            "GIT_NAMESPACE",
            "GIT_PREFIX",
            "GIT_EXTERNAL_DIFF",
        ] {
            command.env_remove(name);
        }
        command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
        command.arg("-C").arg(folder);
        command.args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"]);
        Git(command)
    }

    /// In a directory that may be anybody's: to list it, git may want an object that is not there, and would fetch it by a
    /// program that the repository names.
    pub fn offline(folder: &Path) -> Git {
        let mut git = Git::at(folder);
        git.0.env("GIT_ALLOW_PROTOCOL", "").env("GIT_NO_LAZY_FETCH", "1");
        git
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Git {
        self.0.args(args);
        self
    }

    /// # Errors
    /// `UserError` where this host has no git.
    pub fn ask(self, stdin: Vec<u8>) -> Result<Said, UserError> {
        self.run(Stdio::piped(), stdin)
    }

    /// The same; it reads this file from where that stands.
    pub fn read(self, file: File) -> Result<Said, UserError> {
        self.run(Stdio::from(file), Vec::new())
    }

    fn run(mut self, stdin: Stdio, text: Vec<u8>) -> Result<Said, UserError> {
        let spawned = self.0.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| match error.kind() {
            ErrorKind::NotFound => UserError::new("no `git` on this machine").hint("install git"),
            _ => UserError::new(format!("cannot run `git`: {error}")),
        })?;
        let pipe = child.stdin.take();
        let writer = std::thread::spawn(move || pipe.map(|mut pipe| pipe.write_all(&text)));
        let output = child.wait_with_output().map_err(|error| UserError::new(format!("`git`: {error}")))?;
        let _ = writer.join();
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Ok(Said { code: output.status.code(), stdout: output.stdout, stderr })
    }
}

/// The top directory of the repository that a directory lies in.
pub fn top(folder: &Path) -> Result<Option<PathBuf>, UserError> {
    let said = Git::at(folder).args(["rev-parse", "--show-toplevel"]).ask(Vec::new())?;
    let mut path = said.stdout.clone();
    path.pop();
    Ok((said.is_good() && !path.is_empty()).then(|| PathBuf::from(OsString::from_vec(path))))
}

/// What all refs point at, a commit or tag a line.
pub fn tips(repository: &Path) -> Result<Vec<u8>, UserError> {
    Ok(Git::at(repository).args(["for-each-ref", "--format=%(objectname)"]).ask(Vec::new())?.stdout)
}

/// Takes the refs of a bundle of ours, `refs/bottle/…`, as `refs/bottles/IDENTITY/…`, and nothing else of it: no tag, no
/// `FETCH_HEAD`; its objects are checked.
///
/// # Errors
/// git's own last line.
pub fn fetch(repository: &Path, bundle: &Path, identity: &str) -> Result<()> {
    taken(&check(repository, bundle)?)?;
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
    let git = Git::at(repository).args(fixed);
    taken(
        &git.args([bundle.as_os_str(), format!("+refs/bottle/*:refs/bottles/{identity}/*").as_ref()]).ask(Vec::new())?,
    )
}

fn taken(said: &Said) -> Result<()> {
    match said.is_good() {
        true => Ok(()),
        false => Err(EngineError::new(format!("the commits were not taken: {}", said.words())).into()),
    }
}

/// Unpacks a bundle beside the repository's objects and lets git check each that is new. A fetch does not, whatever
/// `fetch.fsckObjects` says: git before 2.46 takes a bundle's objects as they are.
fn check(repository: &Path, bundle: &Path) -> Result<Said> {
    let mut file = BufReader::new(File::open(bundle)?);
    // The pack begins behind the first empty line.
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
    let objects = Git::at(repository).args(["rev-parse", "--path-format=absolute", "--git-path", "objects"]);
    let aside = tempfile::tempdir_in(bundle.parent().unwrap_or(Path::new(".")))?;
    fs::create_dir(aside.path().join("info"))?;
    fs::write(aside.path().join("info/alternates"), objects.ask(Vec::new())?.stdout)?;
    let mut git = Git::at(repository).args(["index-pack", "--stdin", "--fix-thin", "--strict"]);
    git.0.env("GIT_OBJECT_DIRECTORY", aside.path());
    Ok(git.read(pack)?)
}
