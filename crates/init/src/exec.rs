//! `init exec`: a second program in a running bottle, with the environment and the directory of the first.
//!
//! With `--input` its input comes in frames (`wire::InputFrame`), on its own terminal or through a pipe, and it is ended as
//! soon as the client on the host is gone: the engine itself leaves it running then, where nobody can reach it.

use crate::enter::{self, exec};
use crate::failure::{EXIT_FAILED, Failure};
use crate::options::Options;
use crate::terminal::{non_blocking, read, write_all};
use crate::{descriptors, go, terminal, terminfo, work};
use nix::errno::Errno;
use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use sys::tty::{self, Size};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::timeout;
use wire::InputFrame;

/// Bytes that wait for a command that does not read its input. Beyond them the end of the client is seen only once it reads.
const MAX_WAITING_BYTES: usize = 1 << 20;
const BUFFER_BYTES: usize = 16 * 1024;
/// How long what the terminal still has of an ended command is waited for, and how many bytes of it are passed on.
const LAST_OUTPUT_TIMEOUT: Duration = Duration::from_millis(200);
const MAX_LAST_BYTES: usize = 1 << 20;
/// How long the command may take to end once its client is gone.
const TERM_GRACE: Duration = Duration::from_secs(3);

/// `[--socket PATH] [--input terminal|pipe] [-- CMD…]`. Without a command it runs a shell. Without `--input` this process
/// becomes the command.
///
/// # Errors
/// Unknown arguments, or no go.
pub fn run(args: &[String]) -> Result<i32, Failure> {
    let (options, rest) = Options::parse(args)?;
    let (input, rest) = match rest {
        [flag, input, rest @ ..] if flag == "--input" => (Some(input.as_str()), rest),
        rest => (None, rest),
    };
    let command = match rest {
        [] => shell(),
        [dashes, command @ ..] if dashes == "--" && !command.is_empty() => command.to_vec(),
        [dashes] if dashes == "--" => shell(),
        [word, ..] => return Err(Failure(format!("init exec does not know `{word}`: a command stands behind `--`"))),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let message = runtime.block_on(go::fetch(&options.socket))?;
    let go::AgentCommand { mut environment, directory, .. } = go::AgentCommand::new(&message, &options.home)?;
    drop(message);
    std::env::set_current_dir(&directory)?;
    work::await_record(&options.home);
    match input {
        None => {
            runtime.block_on(terminal::await_size());
            drop(runtime);
            Ok(exec(&command, Some(&environment)))
        }
        Some("terminal") => {
            environment.entry("TERM".into()).or_insert_with(|| terminfo::DEFAULT_TERM.into());
            runtime.block_on(on_terminal(&command, &environment))
        }
        Some("pipe") => runtime.block_on(with_pipe(&command, &environment)),
        Some(other) => Err(Failure(format!("init exec does not know `--input {other}`"))),
    }
}

/// A login shell.
fn shell() -> Vec<String> {
    let words: &[&str] = if Path::new("/bin/bash").exists() { &["/bin/bash", "-l"] } else { &["/bin/sh"] };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Runs the command on a terminal of its own, whose output goes to stdout.
async fn on_terminal(command: &[String], environment: &BTreeMap<OsString, OsString>) -> Result<i32, Failure> {
    let mut frames = Frames::open()?;
    let OpenptyResult { master, slave } =
        openpty(None, None).map_err(|e| Failure(format!("no terminal for the command can be made: {e}")))?;
    // The client sends it first: a program that draws before would draw for a size of zero.
    if let Some(InputFrame::Size(size)) = frames.first().await {
        tty::set_size(&slave, Size::of_numbers(size))?;
    }
    let mut process = entering(command, environment, enter::FOREGROUND)?;
    process.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(Stdio::from(slave));
    let mut child = Running::start(&mut process)?;
    // It holds the program's end of the terminal open.
    drop(process);
    let (typed, master) = (non_blocking(master.try_clone()?)?, non_blocking(master)?);
    let output = non_blocking(io::stdout().as_fd().try_clone_to_owned()?)?;
    let status = tokio::select! {
        () = frames.feed(typed) => None,
        (status, ()) = async {
            let ended = Notify::new();
            let status = async {
                let status = child.ended().await;
                ended.notify_one();
                status
            };
            tokio::join!(status, relay_output(&master, &output, &ended))
        } => Some(status?),
    };
    // The kernel hangs up what is in the terminal's foreground.
    drop(master);
    match status {
        Some(status) => Ok(status),
        None => child.end(Signal::SIGHUP).await,
    }
}

/// Passes on what the program writes, until no process has its end of the terminal any more; and once it has ended, what is in
/// the terminal. A job that it left in the background may hold that open for ever.
async fn relay_output(master: &AsyncFd<File>, output: &AsyncFd<File>, ended: &Notify) {
    let mut buffer = vec![0; BUFFER_BYTES];
    // Bytes that may still come; `None` while the program runs.
    let mut left: Option<usize> = None;
    loop {
        let count = match left {
            None => tokio::select! {
                count = read(master, &mut buffer) => count,
                () = ended.notified() => {
                    left = Some(MAX_LAST_BYTES);
                    continue;
                }
            },
            Some(0) => return,
            Some(_) => match timeout(LAST_OUTPUT_TIMEOUT, read(master, &mut buffer)).await {
                Ok(count) => count,
                Err(_) => return,
            },
        };
        let Ok(count @ 1..) = count else { return };
        left = left.map(|left| left.saturating_sub(count));
        write_all(output, &buffer[..count]).await;
    }
}

/// Runs the command with a pipe as its stdin; stdout and stderr are this process's.
async fn with_pipe(command: &[String], environment: &BTreeMap<OsString, OsString>) -> Result<i32, Failure> {
    let mut frames = Frames::open()?;
    let mut process = entering(command, environment, enter::BACKGROUND)?;
    process.stdin(Stdio::piped()).process_group(0);
    let mut child = Running::start(&mut process)?;
    let stdin = child.process.stdin.take().ok_or_else(|| Failure("the command has no stdin".into()))?;
    let stdin = non_blocking(OwnedFd::from(stdin))?;
    let status = tokio::select! {
        () = frames.feed(stdin) => None,
        status = child.ended() => Some(status?),
    };
    match status {
        Some(status) => Ok(status),
        None => child.end(Signal::SIGTERM).await,
    }
}

/// This program as the verb that becomes the command.
fn entering(command: &[String], environment: &BTreeMap<OsString, OsString>, place: &str) -> Result<Command, Failure> {
    let mut process = Command::new(std::env::current_exe()?);
    process.args(["init", enter::VERB, &descriptors::soft_limit().to_string(), place]).args(command);
    process.env_clear().envs(environment);
    Ok(process)
}

/// The command. While it is not reaped, its process id is not reused.
struct Running {
    process: Child,
    child_ends: tokio::signal::unix::Signal,
}

impl Running {
    fn start(command: &mut Command) -> Result<Running, Failure> {
        let child_ends = signal(SignalKind::child())?;
        let process = command.spawn().map_err(|e| Failure(format!("cannot start the command: {e}")))?;
        Ok(Running { process, child_ends })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process.id()).unwrap_or_default())
    }

    /// Waits for the command's end; gives its exit code. It is not reaped.
    async fn ended(&mut self) -> Result<i32, Failure> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        loop {
            match waitid(Id::Pid(self.pid()), flags) {
                Ok(WaitStatus::Exited(_, code)) => return Ok(code),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(128 + signal as i32),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(Failure(format!("the command cannot be waited for: {error}"))),
            }
            self.child_ends.recv().await;
        }
    }

    /// The client is gone: ends the command and its process group, and does not wait for long. Nobody reads the exit code.
    async fn end(mut self, signal: Signal) -> Result<i32, Failure> {
        let group = Pid::from_raw(-self.pid().as_raw());
        for signal in [signal, Signal::SIGCONT] {
            let _ = kill(group, signal);
        }
        let _ = tokio::time::timeout(TERM_GRACE, self.ended()).await;
        let _ = kill(group, Signal::SIGKILL);
        Ok(EXIT_FAILED)
    }
}

/// The frames on stdin.
struct Frames {
    stdin: AsyncFd<File>,
    stream: Vec<u8>,
}

impl Frames {
    fn open() -> Result<Frames, Failure> {
        let stdin = non_blocking(io::stdin().as_fd().try_clone_to_owned()?)?;
        Ok(Frames { stdin, stream: Vec::new() })
    }

    /// Reads what has come of the stream. False at its end.
    async fn read(&mut self) -> bool {
        let mut buffer = [0; BUFFER_BYTES];
        let count = read(&self.stdin, &mut buffer).await.unwrap_or(0);
        self.stream.extend_from_slice(&buffer[..count]);
        count > 0
    }

    /// The first frame; `None` where the client is gone already, or is not one of ours.
    async fn first(&mut self) -> Option<InputFrame> {
        loop {
            match InputFrame::take(&mut self.stream) {
                Ok(None) if self.read().await => {}
                frame => return frame.ok().flatten(),
            }
        }
    }

    /// Feeds a command, through a pipe or a terminal, until the client is gone.
    async fn feed(&mut self, sink: AsyncFd<File>) {
        let (mut sink, mut waiting, mut has_ended) = (Some(sink), Vec::new(), false);
        loop {
            while let Ok(Some(frame)) = InputFrame::take(&mut self.stream) {
                match (frame, &sink) {
                    (InputFrame::Data(data), Some(_)) => waiting.extend(data),
                    (InputFrame::Size(size), Some(sink)) => drop(tty::set_size(sink, Size::of_numbers(size))),
                    (InputFrame::End, _) => has_ended = true,
                    (_, None) => {}
                }
            }
            if has_ended && waiting.is_empty() {
                sink = None;
            }
            let taker = sink.as_ref().filter(|_| !waiting.is_empty());
            let is_full = taker.is_some() && waiting.len() >= MAX_WAITING_BYTES;
            let write = async {
                match taker {
                    Some(sink) => sink.async_io(Interest::WRITABLE, |mut file| file.write(&waiting)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                is_there = self.read(), if !is_full => {
                    if !is_there {
                        return;
                    }
                }
                written = write => match written {
                    Ok(count) => drop(waiting.drain(..count)),
                    // The command does not read any more.
                    Err(_) => (sink, waiting) = (None, Vec::new()),
                },
            }
        }
    }
}
