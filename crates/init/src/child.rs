//! The agent's command as a child of PID 1: started, told of signals, waited for, and what it leaves behind ended.
//!
//! The command is started through this same binary (`init enter`), which takes the terminal and puts limits back
//! before it becomes the command: a fresh process may do so safely, a forked one may not. Signals are caught by
//! handlers (tokio's), never masked: exec resets handlers, while a mask would make the agent deaf.

use super::go::Start;
use super::{FAILED, Failure, complain};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, tcgetpgrp, tcsetpgrp};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use sys::tty;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// The hidden verb: `enter SOFT-LIMIT foreground|background CMD…`.
pub const ENTER: &str = "enter";
const FOREGROUND: &str = "foreground";
/// What the command left running has this long to end by itself; the kernel kills the rest with PID 1.
const LAST_CALL: Duration = Duration::from_millis(200);
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// Of what `init` asks itself, bytes.
const LONGEST_ANSWER: u64 = 1 << 20;

/// Signals that are the command's to act on.
const FORWARDED: [Signal; 8] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGCONT,
];

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Code(i32),
    Signal(Signal),
}

impl End {
    pub fn code(self) -> i32 {
        match self {
            End::Code(code) => code,
            End::Signal(signal) => 128 + signal as i32,
        }
    }
}

/// The command's end, and whether somebody outside asked for it.
pub struct Ended {
    pub end: End,
    pub why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Itself,
    Asked,
}

/// All caught signals in the order they came.
pub struct Signals(mpsc::UnboundedReceiver<Signal>);

impl Signals {
    pub fn catch() -> Result<Signals, Failure> {
        let (sender, receiver) = mpsc::unbounded_channel();
        for number in FORWARDED.into_iter().chain([Signal::SIGCHLD]) {
            let mut caught = signal(SignalKind::from_raw(number as i32))?;
            let sender = sender.clone();
            tokio::task::spawn_local(
                async move { while caught.recv().await.is_some() && sender.send(number).is_ok() {} },
            );
        }
        Ok(Signals(receiver))
    }

    async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            // The senders live as long as the runtime.
            None => std::future::pending().await,
        }
    }

    /// The first signal that asks for an end.
    pub async fn ending(&mut self) -> Signal {
        loop {
            let signal = self.next().await;
            if asks_for_an_end(signal) {
                return signal;
            }
        }
    }
}

fn asks_for_an_end(signal: Signal) -> bool {
    use Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    matches!(signal, SIGTERM | SIGINT | SIGHUP | SIGQUIT)
}

pub struct Descriptors {
    pub soft: u64,
    pub raised: u64,
}

/// The door wants all descriptors it may have; the command gets back what it would have had.
pub fn raise_descriptors() -> Descriptors {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    let raised = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    Descriptors { soft, raised }
}

/// Waits for the terminal's size, which the engine's client tells only once the container runs: a program that draws at
/// once would draw on nothing. A terminal that has none is waited for in vain, and not for long.
pub async fn terminal_size() {
    for _ in 0..100 {
        if !tty::stdin_has_no_size() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub struct Child {
    pid: Pid,
    /// It leads a process group of its own, in the foreground of the terminal.
    leads: bool,
}

impl Child {
    pub fn start(start: &Start, soft_limit: u64) -> Result<Child, Failure> {
        let leads = tcgetpgrp(std::io::stdin()).is_ok();
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["init", ENTER, &soft_limit.to_string(), if leads { FOREGROUND } else { "background" }])
            .args(&start.command)
            .env_clear()
            .envs(&start.environment)
            .current_dir(&start.directory);
        if leads {
            command.process_group(0);
        }
        let child = command.spawn().map_err(|e| Failure(format!("cannot start the command: {e}")))?;
        let pid = i32::try_from(child.id()).map_err(|_| Failure("the command has no process id".into()))?;
        Ok(Child { pid: Pid::from_raw(pid), leads })
    }

    /// Passes signals on and reaps, until the command has ended.
    pub async fn attend(&self, signals: &mut Signals) -> Ended {
        let mut why = Why::Itself;
        loop {
            match signals.next().await {
                Signal::SIGCHLD => {
                    if let Some(end) = self.reap() {
                        return Ended { end, why };
                    }
                }
                signal => {
                    if asks_for_an_end(signal) {
                        why = Why::Asked;
                    }
                    self.send(signal);
                }
            }
        }
    }

    fn send(&self, signal: Signal) {
        let target = if self.leads { Pid::from_raw(-self.pid.as_raw()) } else { self.pid };
        let _ = kill(target, signal);
    }

    /// Takes every dead process, the command's own end among them.
    fn reap(&self) -> Option<End> {
        let mut end = None;
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.pid => end = Some(End::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.pid => end = Some(End::Signal(signal)),
                Ok(WaitStatus::Stopped(pid, _)) if pid == self.pid && self.leads => self.carry_on(),
                Err(Errno::EINTR) | Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..) | WaitStatus::Stopped(..)) => {
                }
                _ => return end,
            }
        }
    }

    /// A command that stops itself (Ctrl-Z) has no shell above it to wake it: the terminal would be dead for good.
    fn carry_on(&self) {
        take_terminal(self.pid);
        self.send(Signal::SIGCONT);
    }
}

/// Makes `group` the foreground of the terminal, from wherever the caller stands.
fn take_terminal(group: Pid) {
    // Unblocked it would stop a caller that is in the background.
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGTTOU);
    let _ = blocked.thread_block();
    let _ = tcsetpgrp(std::io::stdin(), group);
    let _ = blocked.thread_unblock();
}

/// TERM to all that is left in the container, and a moment for it; at once where nothing is left.
pub async fn end_the_rest(signals: &mut Signals) {
    // Anywhere but in a container of its own, "all" would be the whole machine.
    if getpid() != Pid::from_raw(1) {
        return;
    }
    let everyone = Pid::from_raw(-1);
    if kill(everyone, Signal::SIGTERM).is_err() {
        return;
    }
    let _ = kill(everyone, Signal::SIGCONT);
    let _ = tokio::time::timeout(LAST_CALL, async {
        while kill(everyone, None).is_ok() {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => while signals.next().await != Signal::SIGCHLD {},
                Err(_) => return,
                Ok(_) => {}
            }
        }
    })
    .await;
}

/// Runs `init` with these words in a process group of its own, and gives what it printed; `None` where it did not end by
/// itself in time.
pub async fn ask_ourselves(home: &Path, words: &[&str], patience: Duration) -> Option<Vec<u8>> {
    let mut command = Command::new(std::env::current_exe().ok()?);
    command.args(["init", "--home"]).arg(home).args(words).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let group = Pid::from_raw(-i32::try_from(child.id()).ok()?);
    let mut answer = Vec::new();
    let read = async {
        let stdout = OwnedFd::from(child.stdout.take()?);
        let pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(stdout).ok()?;
        pipe.take(LONGEST_ANSWER).read_to_end(&mut answer).await.ok()
    };
    let whole = tokio::time::timeout(patience, read).await.ok().flatten();
    // Until it is reaped its number is nobody else's.
    let _ = kill(group, Signal::SIGKILL);
    let _ = child.wait();
    whole.map(|_| answer)
}

/// `init enter`: what the new process does before it becomes the command.
pub fn enter(args: &[String]) -> i32 {
    let [soft_limit, terminal, command @ ..] = args else {
        return FAILED;
    };
    if let (Ok(soft), Ok((_, hard))) = (soft_limit.parse(), getrlimit(Resource::RLIMIT_NOFILE)) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
    }
    if terminal == FOREGROUND {
        take_terminal(getpid());
    }
    exec(command, None)
}

/// Becomes the command, looked for in the PATH of the environment it gets; returns only where that failed, with the
/// code a shell would give.
pub fn exec(command: &[String], environment: Option<&BTreeMap<OsString, OsString>>) -> i32 {
    let Some((program, args)) = command.split_first() else {
        return FAILED;
    };
    let mut become_it = Command::new(program);
    become_it.args(args);
    if let Some(environment) = environment {
        become_it.env_clear().envs(environment);
    }
    let error = become_it.exec();
    if error.kind() == std::io::ErrorKind::NotFound {
        complain(&format!("`{program}`: command not found"));
        return NOT_FOUND;
    }
    complain(&format!("`{program}`: cannot be executed: {error}"));
    NOT_EXECUTABLE
}
