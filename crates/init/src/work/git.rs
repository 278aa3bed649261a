//! git, run without anything of the agent's but the repository that is asked about, and bounded in what it may say.

use super::super::Failure;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// The most that is read of an answer, bytes: a status of a million files.
const ANSWER: u64 = 128 << 20;

/// Against settings that would run a program, write, or reach out; nothing that we write has to survive.
const QUIET: [&str; 9] = [
    "core.fsmonitor=false",
    "core.fsync=none",
    "core.hooksPath=/dev/null",
    "core.untrackedCache=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.allow=never",
    "safe.directory=*",
    "submodule.recurse=false",
];

/// One call, to be given arguments.
pub struct Git(Command);

/// How a call ended, and what it printed.
pub struct Said {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
}

impl Git {
    /// Of this git directory; `work` is its worktree.
    pub fn of(git: &Path, work: &Path) -> Git {
        let Git(mut command) = Git::without(work);
        command.arg("--git-dir").arg(git).arg("--work-tree").arg(work);
        Git(command)
    }

    /// Of no repository.
    pub fn without(folder: &Path) -> Git {
        let mut command = Command::new("git");
        command.current_dir(folder);
        // What the agent's environment says of git is not asked either.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"GIT_")) {
            command.env_remove(name);
        }
        for (name, value) in [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_LITERAL_PATHSPECS", "0"),
            ("HOME", "/nonexistent"),
            ("LC_ALL", "C.UTF-8"),
        ] {
            command.env(name, value);
        }
        command.env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder));
        for setting in QUIET {
            command.args(["-c", setting]);
        }
        Git(command)
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Git {
        self.0.args(args);
        self
    }

    pub fn arg_path(mut self, path: &Path) -> Git {
        self.0.arg(path);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Git {
        self.0.env(name, value);
        self
    }

    /// # Errors
    /// Where git cannot be run, or says more than can be read.
    pub fn ask(mut self, stdin: &[u8]) -> Result<Said, Failure> {
        let mut child = self.0.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let (pipe, answer) = (child.stdin.take(), child.stdout.take());
        let mut stdout = Vec::new();
        let read = std::thread::scope(|scope| {
            scope.spawn(|| pipe.map(|mut pipe| pipe.write_all(stdin)));
            answer.map_or(Ok(0), |answer| answer.take(ANSWER).read_to_end(&mut stdout))
        });
        if read.is_err() || stdout.len() as u64 == ANSWER {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Failure("git says more than can be read".into()));
        }
        Ok(Said { status: child.wait()?, stdout })
    }

    /// The same, where any other end than a good one is an error.
    pub fn must(self, stdin: &[u8]) -> Result<Vec<u8>, Failure> {
        let said = self.ask(stdin)?;
        match said.status.success() {
            true => Ok(said.stdout),
            false => Err(Failure(format!("git ended with {}", said.status))),
        }
    }

    /// One line that it prints; `None` where it fails.
    pub fn line(self) -> Result<Option<String>, Failure> {
        let said = self.ask(b"")?;
        let line = String::from_utf8_lossy(&said.stdout).trim_end().to_owned();
        Ok((said.status.success() && !line.is_empty()).then_some(line))
    }

    /// With its stdout ours.
    pub fn through(mut self, stdin: &[u8]) -> Result<ExitStatus, Failure> {
        let mut child = self.0.stdin(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        if let Some(mut pipe) = child.stdin.take() {
            let _ = pipe.write_all(stdin);
        }
        Ok(child.wait()?)
    }
}

/// Lines of an answer.
pub fn lines(answer: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(answer).lines().map(str::to_owned).collect()
}

/// A path that differs, of `--raw -z --no-abbrev`: mode and blob before and after, zeros where there is none.
pub struct Difference<'a> {
    pub before: (String, String),
    pub after: (String, String),
    pub path: &'a [u8],
}

pub fn differences(raw: &[u8]) -> Vec<Difference<'_>> {
    let (mut parts, mut all) = (fields(raw), Vec::new());
    // `:MODE MODE BLOB BLOB STATUS`, then the path.
    while let (Some(change), Some(path)) = (parts.next(), parts.next()) {
        let change = String::from_utf8_lossy(change);
        let [old_mode, new_mode, old, new, _] = change.trim_start_matches(':').split(' ').collect::<Vec<_>>()[..]
        else {
            continue;
        };
        let pair = |mode: &str, blob: &str| (mode.to_owned(), blob.to_owned());
        all.push(Difference { before: pair(old_mode, old), after: pair(new_mode, new), path });
    }
    all
}

/// Is this mode one of a file that is not there?
pub fn is_absent(mode: &str) -> bool {
    mode.bytes().all(|digit| digit == b'0')
}

/// Fields of an answer that end in NUL.
pub fn fields(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    answer.split(|byte| *byte == 0).filter(|field| !field.is_empty())
}
