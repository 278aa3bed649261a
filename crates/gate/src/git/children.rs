//! The gate's side of its children: how one is run, what it is told, and how it and all that comes of it ends.

use crate::git::confined::Confinement;
use crate::git::failure::Failure;
use crate::git::limits::MAX_MESSAGE_BYTES;
use crate::sessions::Sessions;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

/// Runs confined programs.
#[derive(Clone)]
pub struct Runner {
    sessions: Arc<Sessions>,
    /// The gate's own program.
    pub own_program: PathBuf,
    /// `PATH` of the children.
    search: OsString,
}

/// A program to run, confined.
pub struct Job {
    confinement: Confinement,
    program: &'static str,
    args: Vec<OsString>,
    folder: PathBuf,
    env: Vec<(&'static str, OsString)>,
    stdin: Stdio,
    stdout: Stdio,
    stderr: Option<OwnedFd>,
}

/// A child under way. Dropping it kills it, and all that came of it.
pub struct Child {
    program: &'static str,
    /// Taken when the child has ended.
    child: Option<tokio::process::Child>,
    group: Pid,
    sessions: Arc<Sessions>,
    pub stdin: Option<ChildStdin>,
    pub stdout: Option<ChildStdout>,
    messages: JoinHandle<Vec<u8>>,
}

/// How a child ended.
pub struct Ended {
    program: &'static str,
    /// `None`: it was killed.
    pub code: Option<i32>,
    /// The beginning of what it wrote on stderr.
    pub messages: String,
}

/// What every child is told. None of it is secret.
const ENVIRONMENT: [(&str, &str); 8] = [
    ("HOME", "/nonexistent"),
    ("LC_ALL", "C.UTF-8"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    // gitleaks is written in Go, whose collector then keeps below this.
    ("GOMEMLIMIT", "400MiB"),
];

impl Runner {
    pub fn new(sessions: Arc<Sessions>) -> Result<Runner, String> {
        let own_program =
            std::env::current_exe().map_err(|error| format!("cannot find the gate's program: {error}"))?;
        let search = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        Ok(Runner { sessions, own_program, search })
    }

    pub fn spawn(&self, job: Job) -> Result<Child, Failure> {
        let program = job.program;
        let failed = |error: std::io::Error| Failure::error(format!("cannot run {program}: {error}"));
        let mut command = Command::new(&self.own_program);
        command.args(["confined", job.confinement.word(), &std::process::id().to_string(), program]).args(job.args);
        command.current_dir(job.folder).env_clear().env("PATH", &self.search).envs(ENVIRONMENT).envs(job.env);
        command.stdin(job.stdin).stdout(job.stdout).kill_on_drop(true);
        command.stderr(job.stderr.map_or_else(Stdio::piped, Stdio::from));
        let mut child = command.spawn().map_err(failed)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        let group = group.ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
        self.sessions.insert(group);
        let stderr = child.stderr.take();
        let messages = tokio::spawn(async move {
            match stderr {
                Some(stderr) => read_messages(stderr).await,
                None => Vec::new(),
            }
        });
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (group, sessions) = (Pid::from_raw(group), self.sessions.clone());
        Ok(Child { program, child: Some(child), group, sessions, stdin, stdout, messages })
    }

    /// Runs a job that is given `input`, and returns what it prints, at most `most` bytes. The error says why it failed.
    pub async fn output(&self, job: Job, input: Vec<u8>, most: usize) -> Result<Vec<u8>, Failure> {
        let (ended, output) = self.run(job, input, most).await?;
        ended.checked().map(|_| output)
    }

    /// Runs a job as [`Runner::output`] does, and also tells how it ended.
    pub async fn run(&self, job: Job, input: Vec<u8>, most: usize) -> Result<(Ended, Vec<u8>), Failure> {
        let mut child = self.spawn(job.piped())?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let feed = async move {
            if let Some(mut stdin) = stdin {
                // A child that does not read to the end says in its exit code what it thinks of that.
                let _ = stdin.write_all(&input).await;
            }
        };
        let read = async move {
            let mut output = Vec::new();
            if let Some(stdout) = stdout {
                stdout.take(most as u64 + 1).read_to_end(&mut output).await?;
            }
            Ok::<_, std::io::Error>(output)
        };
        let ((), output) = tokio::join!(feed, read);
        let output =
            output.map_err(|error| Failure::error(format!("cannot read what {} says: {error}", child.program)))?;
        if output.len() > most {
            return Err(Failure::error(format!("{} says more than fits", child.program)));
        }
        Ok((child.wait().await?, output))
    }
}

impl Job {
    pub fn new(confinement: Confinement, program: &'static str, folder: &Path) -> Job {
        let (args, env, stderr) = (Vec::new(), Vec::new(), None);
        let (stdin, stdout) = (Stdio::null(), Stdio::null());
        Job { confinement, program, args, folder: folder.to_owned(), env, stdin, stdout, stderr }
    }

    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Job {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Job {
        self.env.push((name, value.into()));
        self
    }

    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Job {
        self.stdin = stdin.into();
        self
    }

    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Job {
        self.stdout = stdout.into();
        self
    }

    /// The child's messages go there, and are not kept.
    pub fn stderr(mut self, stderr: OwnedFd) -> Job {
        self.stderr = Some(stderr);
        self
    }

    pub fn piped(self) -> Job {
        self.stdin(Stdio::piped()).stdout(Stdio::piped())
    }
}

impl Child {
    /// Waits for the end of the child. What came of it and is still there is killed.
    pub async fn wait(mut self) -> Result<Ended, Failure> {
        self.stdin = None;
        let status = match &mut self.child {
            Some(child) => child.wait().await,
            None => Err(std::io::ErrorKind::NotFound.into()),
        };
        self.child = None;
        end_group(self.group, &self.sessions);
        let status = status.map_err(|error| Failure::error(format!("{} was lost: {error}", self.program)))?;
        let messages = (&mut self.messages).await.unwrap_or_default();
        let messages = String::from_utf8_lossy(&messages).trim_end().to_owned();
        Ok(Ended { program: self.program, code: status.code(), messages })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _ = killpg(self.group, Signal::SIGKILL);
        // It may not lead its group yet.
        let _ = child.start_kill();
        let (group, sessions) = (self.group, self.sessions.clone());
        tokio::spawn(async move {
            let _ = child.wait().await;
            end_group(group, &sessions);
        });
    }
}

/// Kills what a child left behind. As process 1 of its container, the gate inherits it, and takes its exit codes.
fn end_group(group: Pid, sessions: &Sessions) {
    let _ = killpg(group, Signal::SIGKILL);
    let left = Pid::from_raw(-group.as_raw());
    while matches!(waitpid(left, Some(WaitPidFlag::WNOHANG)), Ok(status) if status.pid().is_some()) {}
    // While one of the group dies, its session stays known.
    if killpg(group, None).is_err() {
        sessions.remove(group.as_raw());
    }
}

impl Ended {
    pub fn is_good(&self) -> bool {
        self.code == Some(0)
    }

    /// Why the child failed, in its own words.
    pub fn reason(&self) -> String {
        match (self.messages.is_empty(), self.code) {
            (false, _) => format!("{}: {}", self.program, self.messages),
            (true, Some(code)) => format!("{} ended with code {code}", self.program),
            (true, None) => {
                format!("{} was killed: it needed too much time or memory, or wrote too much", self.program)
            }
        }
    }

    pub fn checked(self) -> Result<Ended, Failure> {
        if self.is_good() { Ok(self) } else { Err(Failure::error(self.reason())) }
    }
}

/// Reads all of a child's messages, and keeps their beginning.
pub async fn read_messages(mut stderr: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut part = [0; 4096];
    while let Ok(count @ 1..) = stderr.read(&mut part).await {
        let room = MAX_MESSAGE_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(&part[..count.min(room)]);
    }
    kept
}
