//! git as a child process that runs nothing which a repository configures: no hook, no file system monitor.
//!
//! It inherits no descriptor but the three standard streams, never prompts, takes no optional lock, and is bounded in
//! output and time, and ended by a caught signal. [`Git::new`] keeps the user's own configuration; [`Git::isolated`] has none but the one of the git
//! directory that it is given.
#![allow(unsafe_code)]

pub mod config;

use crate::signals::{self, SIGTERM};
use crate::{child, thread};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Longest time that [`Git::run`] waits for git.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);

/// How often a caught signal is looked for.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// Longest output that [`Git::run`] accepts, in bytes: the status of a million files is below it.
const DEFAULT_MAX_OUTPUT_BYTES: u64 = 128 << 20;

/// Longest part of stderr that is kept, in bytes. The rest is read and thrown away.
const MAX_STDERR_BYTES: u64 = 1 << 20;

/// Folders below `refs` that each worktree has of its own.
const WORKTREE_REFS: [&str; 3] = ["bisect", "rewritten", "worktree"];

/// Variables of the caller's environment that would lead git to another repository, or run a program of theirs.
const REDIRECTIONS: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_EXTERNAL_DIFF",
];

/// Configuration of every call. It overrides the repository's.
const NO_PROGRAMS: [&str; 2] = ["core.hooksPath=/dev/null", "core.fsmonitor=false"];

/// Configuration of an isolated call, against settings that start background work, write caches or leave the repository.
/// Nothing that such a call writes has to survive a crash.
const ISOLATED: [&str; 7] = [
    "core.fsync=none",
    "core.untrackedCache=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.allow=never",
    "safe.directory=*",
    "submodule.recurse=false",
];

/// One call of git, to be given its arguments and run.
pub struct Git {
    command: Command,
    timeout: Duration,
    max_output: u64,
    max_memory: Option<u64>,
    /// Whether [`Git::run`] reads stderr.
    keeps_stderr: bool,
}

/// How git ended, and what it printed.
pub struct GitOutput {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    /// The first [`MAX_STDERR_BYTES`], lossy, trimmed. Empty where it is not kept.
    pub stderr: String,
}

impl GitOutput {
    pub fn is_success(&self) -> bool {
        self.status.success()
    }

    /// Why git failed, in its own words: its first `fatal:` or `error:` line without that word, or its last line.
    pub fn error_line(&self) -> &str {
        let is_error = |line: &str| line.starts_with("fatal: ") || line.starts_with("error: ");
        let line = self.stderr.lines().find(|line| is_error(line)).or(self.stderr.lines().last());
        let line = line.unwrap_or("git said nothing");
        line.split_once(": ").filter(|_| is_error(line)).map_or(line, |(_, rest)| rest)
    }

    /// Lines of stdout, lossy.
    pub fn lines(&self) -> Vec<String> {
        lines(&self.stdout)
    }

    /// NUL-terminated fields of stdout.
    pub fn fields(&self) -> impl Iterator<Item = &[u8]> {
        fields(&self.stdout)
    }
}

/// Lines of an output, lossy.
pub fn lines(output: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(output).lines().map(str::to_owned).collect()
}

/// NUL-terminated fields of an output, without empty ones.
pub fn fields(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output.split(|byte| *byte == 0).filter(|field| !field.is_empty())
}

/// Whether each worktree has this entry of `refs` of its own.
pub fn is_of_worktree(name: &OsStr) -> bool {
    WORKTREE_REFS.iter().any(|own| name == *own)
}

/// The option by which `git apply` leaves out this file alone, whatever its name would mean as a pattern.
pub fn exclude_option(path: &OsStr) -> OsString {
    let mut option = b"--exclude=".to_vec();
    for &byte in path.as_bytes() {
        if b"*?[]\\".contains(&byte) {
            option.push(b'\\');
        }
        option.push(byte);
    }
    OsString::from_vec(option)
}

impl Git {
    /// git in `folder`, with the user's own configuration and environment, except for variables that redirect it.
    pub fn new(folder: &Path) -> Git {
        let mut command = Command::new("git");
        for name in REDIRECTIONS {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C");
        Git::prepared(command, folder)
    }

    /// git in `folder`, without the user's and the system's configuration and without any `GIT_` variable of the caller.
    /// It reaches no transport, finds no repository above `folder`, and its stderr is thrown away unless
    /// [`Git::keep_stderr`] is called: a repository of the agent's has no words for anyone.
    pub fn isolated(folder: &Path) -> Git {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"GIT_")) {
            command.env_remove(name);
        }
        for (name, value) in [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_LITERAL_PATHSPECS", "0"),
            ("HOME", "/nonexistent"),
            ("LC_ALL", "C.UTF-8"),
        ] {
            command.env(name, value);
        }
        command.env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder));
        let git = Git { keeps_stderr: false, ..Git::prepared(command, folder) };
        ISOLATED.iter().fold(git.offline(), |git, setting| git.args(["-c", setting]))
    }

    fn prepared(mut command: Command, folder: &Path) -> Git {
        command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0");
        command.arg("-C").arg(folder);
        for setting in NO_PROGRAMS {
            command.args(["-c", setting]);
        }
        let (timeout, max_output, max_memory) = (DEFAULT_TIMEOUT, DEFAULT_MAX_OUTPUT_BYTES, None);
        Git { command, timeout, max_output, max_memory, keeps_stderr: true }
    }

    /// Forbids every transport. To list a repository, git may want an object that is missing, and would fetch it by a
    /// program that the repository names.
    fn offline(mut self) -> Git {
        self.command.env("GIT_ALLOW_PROTOCOL", "").env("GIT_NO_LAZY_FETCH", "1");
        self
    }

    /// Uses this git directory and worktree instead of searching for them. Relative paths count from git's folder.
    pub fn repository(mut self, git_dir: &Path, work_tree: &Path) -> Git {
        self.command.arg("--git-dir").arg(git_dir).arg("--work-tree").arg(work_tree);
        self
    }

    /// Lets [`Git::run`] read the stderr of an isolated call.
    pub fn keep_stderr(mut self) -> Git {
        self.keeps_stderr = true;
        self
    }

    /// Sets the longest time that [`Git::run`] waits for git.
    pub fn timeout(mut self, timeout: Duration) -> Git {
        self.timeout = timeout;
        self
    }

    /// Sets the longest output that [`Git::run`] accepts, in bytes.
    pub fn max_output(mut self, bytes: u64) -> Git {
        self.max_output = bytes;
        self
    }

    /// Sets the most memory that git may have, in bytes, without what it maps of files. It fails where it needs more.
    pub fn max_memory(mut self, bytes: u64) -> Git {
        self.max_memory = Some(bytes);
        self
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Git {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Git {
        self.command.env(name, value);
        self
    }

    /// Runs git with `stdin` as its input.
    ///
    /// # Errors
    /// git cannot be started (`NotFound`: it is not installed), prints more than the maximum, or takes too long: it is
    /// killed then. A caught signal that no code has read (`Interrupted`): git gets SIGTERM, and removes its lock files.
    pub fn run(self, stdin: Vec<u8>) -> io::Result<GitOutput> {
        self.collect(Stdio::piped(), stdin)
    }

    /// Runs git with an open file as its input, from the file's position.
    ///
    /// # Errors
    /// As for [`Git::run`].
    pub fn run_reading(self, stdin: File) -> io::Result<GitOutput> {
        self.collect(Stdio::from(stdin), Vec::new())
    }

    /// Runs git with `stdin` as its input and copies its output to `out`. Its stderr is this process's. Neither the length
    /// of the output nor the time is bounded here: `out` may be slow.
    ///
    /// # Errors
    /// git cannot be started, or `out` cannot be written.
    pub fn copy_output(mut self, stdin: Vec<u8>, out: &mut impl Write) -> io::Result<ExitStatus> {
        let command = self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = spawn(command, self.max_memory)?;
        let copied = match (write_input(child.stdin.take(), stdin), child.stdout.take()) {
            (Ok(()), Some(mut stdout)) => io::copy(&mut stdout, out).and_then(|_| out.flush()),
            (fed, _) => fed,
        };
        // git has no reader any more where copying failed, and ends.
        let status = child.wait()?;
        copied.map(|()| status)
    }

    fn collect(mut self, stdin: Stdio, text: Vec<u8>) -> io::Result<GitOutput> {
        let stderr = if self.keeps_stderr { Stdio::piped() } else { Stdio::null() };
        let command = self.command.stdin(stdin).stdout(Stdio::piped()).stderr(stderr);
        let mut child = spawn(command, self.max_memory)?;
        let output = write_input(child.stdin.take(), text).and_then(|()| self.await_output(&mut child));
        match &output {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => child::send_signal(child.id(), SIGTERM),
            Err(_) => drop(child.kill()),
            Ok(_) => {}
        }
        let status = child.wait()?;
        let (stdout, stderr) = output?;
        Ok(GitOutput { status, stdout, stderr: String::from_utf8_lossy(&stderr).trim().to_owned() })
    }

    /// Waits until both streams and the process have ended.
    fn await_output(&self, child: &mut Child) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let stdout = child.stdout.take().map(|stdout| read_all(stdout, self.max_output)).transpose()?;
        let stderr = child.stderr.take().map(|stderr| read_all(stderr, MAX_STDERR_BYTES)).transpose()?;
        let deadline = Instant::now() + self.timeout;
        let stdout = stdout.map_or(Ok(Output::default()), |stream| receive(&stream, deadline)?)?;
        if stdout.is_cut {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "git says more than can be read"));
        }
        let stderr = stderr.map_or(Ok(Output::default()), |stream| receive(&stream, deadline)?)?;
        let (sender, ended) = channel();
        let number = child.id();
        thread::spawn(move || {
            child::await_end(number);
            sender.send(())
        })?;
        receive(&ended, deadline)?;
        Ok((stdout.bytes, stderr.bytes))
    }
}

/// What git wrote to one of its streams, up to a limit.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    /// There was more than the limit.
    is_cut: bool,
}

/// A stream of git's that another thread reads.
type Stream = Receiver<io::Result<Output>>;

/// Reads a stream on another thread: up to `limit` bytes are kept, and the rest is read and thrown away. It is not read
/// on the caller's thread because a program that git started may keep the stream open for ever.
fn read_all(mut stream: impl Read + Send + 'static, limit: u64) -> io::Result<Stream> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = (&mut stream).take(limit).read_to_end(&mut bytes);
        let mut is_cut = false;
        if read.is_ok() && bytes.len() as u64 == limit {
            is_cut = stream.read(&mut [0]).is_ok_and(|count| count > 0);
        }
        let _ = sender.send(read.map(|_| Output { bytes, is_cut }));
        let _ = io::copy(&mut stream, &mut io::sink());
    })?;
    Ok(receiver)
}

/// Writes git's input on another thread: git may print before it has read everything. An input that git does not want is
/// no error.
fn write_input(pipe: Option<ChildStdin>, text: Vec<u8>) -> io::Result<()> {
    if let Some(mut pipe) = pipe {
        thread::spawn(move || pipe.write_all(&text))?;
    }
    Ok(())
}

/// Waits for what another thread sends, until the deadline or a caught signal that no code has read.
fn receive<T>(receiver: &Receiver<T>, deadline: Instant) -> io::Result<T> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left.min(SIGNAL_INTERVAL)) {
            Ok(received) => return Ok(received),
            Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("git cannot be heard")),
            Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "git took too long"));
            }
            Err(RecvTimeoutError::Timeout) if signals::is_pending() => {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "a signal came"));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Starts git without the descriptors that this process inherited open from its own parent.
fn spawn(command: &mut Command, max_memory: Option<u64>) -> io::Result<Child> {
    let prepare = move || {
        // A kernel before 5.11 does not know the flag: then git inherits what this process did.
        // SAFETY: close_range(2) with this flag only marks descriptors; it closes none of this process's.
        unsafe {
            nix::libc::syscall(nix::libc::SYS_close_range, 3u32, u32::MAX, nix::libc::CLOSE_RANGE_CLOEXEC);
        }
        if let Some(bytes) = max_memory {
            let (_, hard) = getrlimit(Resource::RLIMIT_DATA)?;
            setrlimit(Resource::RLIMIT_DATA, bytes.min(hard), bytes.min(hard))?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only close_range(2), getrlimit(2) and setrlimit(2) are called, which are async-signal-safe.
    unsafe {
        command.pre_exec(prepare);
    }
    command.spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// git that runs this shell script as an alias.
    fn script(folder: &Path, text: &str) -> Git {
        Git::isolated(folder).args(["-c", &format!("alias.script=!{text}"), "script"])
    }

    #[test]
    fn output_and_time_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let printed = |git: Git| git.run(Vec::new()).map(|output| output.stdout.len());
        assert_eq!(printed(script(folder.path(), "printf abc").max_output(3)).unwrap(), 3);
        let error = printed(script(folder.path(), "printf abcd").max_output(3)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        for stuck in ["sleep 5", "exec >/dev/null 2>&1; sleep 5"] {
            let error = printed(script(folder.path(), stuck).timeout(Duration::from_millis(200))).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{stuck}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let hashed = |git: Git| git.args(["hash-object", "--stdin"]).run(vec![0; 96 << 20]).unwrap();
        assert!(hashed(Git::isolated(folder.path())).is_success());
        let failed = hashed(Git::isolated(folder.path()).keep_stderr().max_memory(64 << 20));
        assert!(!failed.is_success() && failed.stderr.to_lowercase().contains("out of memory"), "{}", failed.stderr);
    }

    #[test]
    fn input_goes_in_and_errors_come_out() {
        let folder = tempfile::tempdir().unwrap();
        let large = vec![b'x'; 1 << 20];
        assert_eq!(script(folder.path(), "cat").run(large.clone()).unwrap().stdout, large);
        let mut copied = Vec::new();
        assert!(script(folder.path(), "cat").copy_output(large.clone(), &mut copied).unwrap().success());
        assert_eq!(copied, large);
        let failed = Git::new(folder.path()).args(["rev-parse"]).run(large).unwrap();
        assert!(!failed.is_success() && failed.stderr.starts_with("fatal: "), "{}", failed.stderr);
    }

    #[test]
    fn it_inherits_no_descriptor() {
        let folder = tempfile::tempdir().unwrap();
        // It has a number that no other descriptor takes, and no close-on-exec flag.
        let number = nix::fcntl::fcntl(File::open("/dev/null").unwrap(), nix::fcntl::FcntlArg::F_DUPFD(500)).unwrap();
        let listed = script(folder.path(), "ls /proc/self/fd").run(Vec::new()).unwrap();
        assert!(!listed.lines().contains(&number.to_string()), "{:?}", listed.lines());
    }

    #[test]
    fn nothing_of_the_caller_is_seen_in_isolation() {
        let folder = tempfile::tempdir().unwrap();
        let seen = script(folder.path(), "printf '%s ' \"$HOME\" \"$GIT_ALLOW_PROTOCOL\" \"$GIT_CONFIG_GLOBAL\"");
        assert_eq!(seen.run(Vec::new()).unwrap().stdout, b"/nonexistent  /dev/null ");
    }
}
