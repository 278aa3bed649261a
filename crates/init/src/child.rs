//! The agent's command as a child of PID 1: started, sent signals, waited for; then every process that it left behind is
//! ended.
//!
//! The command is started through this same program (`init enter`), which takes the terminal and restores limits before
//! it executes the command: a new process may do so safely, a forked one may not.

use crate::enter;
use crate::failure::Failure;
use crate::go::AgentCommand;
use crate::signals::{CLIENT_COMES, Signals, is_ending};
use crate::terminal::Terminal;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long the processes that the command left behind have to end after SIGTERM, before they are killed.
const TERM_GRACE: Duration = Duration::from_millis(200);

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Code(i32),
    Signal(Signal),
}

impl End {
    /// The exit code that a shell would give.
    pub fn code(self) -> i32 {
        match self {
            End::Code(code) => code,
            End::Signal(signal) => 128 + signal as i32,
        }
    }
}

/// How the command ended, and at whose request.
pub struct Ended {
    pub end: End,
    pub by: EndedBy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    Itself,
    /// PID 1 received a signal that asks for an end.
    Signal,
}

/// The agent's command. While it is not reaped, its process id is not reused.
pub struct Child {
    pid: Pid,
    /// It leads a session of its own, on the terminal.
    leads_session: bool,
}

impl Child {
    /// Starts the command, on this terminal if there is one. It gets `soft_limit` as its soft limit of descriptors.
    ///
    /// # Errors
    /// This program cannot be started again.
    pub fn start(agent: &AgentCommand, soft_limit: u64, terminal: Option<OwnedFd>) -> Result<Child, Failure> {
        let leads_session = terminal.is_some();
        let place = if leads_session { enter::FOREGROUND } else { enter::BACKGROUND };
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["init", enter::VERB, &soft_limit.to_string(), place])
            .args(&agent.command)
            .env_clear()
            .envs(&agent.environment)
            .current_dir(&agent.directory);
        if let Some(terminal) = terminal {
            command.stdin(terminal.try_clone()?).stdout(terminal.try_clone()?).stderr(Stdio::from(terminal));
        }
        let child = command.spawn().map_err(|e| Failure(format!("cannot start the command: {e}")))?;
        let pid = i32::try_from(child.id()).map_err(|_| Failure("the command has no process id".into()))?;
        Ok(Child { pid: Pid::from_raw(pid), leads_session })
    }

    /// Forwards signals to the command and reaps processes until the command has ended.
    pub async fn supervise(&self, signals: &mut Signals, terminal: Option<&Terminal>) -> Ended {
        let mut by = EndedBy::Itself;
        loop {
            match signals.recv().await {
                Signal::SIGCHLD => {
                    if let Some(end) = self.reap() {
                        return Ended { end, by };
                    }
                }
                Signal::SIGWINCH => terminal.into_iter().for_each(Terminal::resize),
                CLIENT_COMES => terminal.into_iter().for_each(Terminal::await_client),
                signal => {
                    if is_ending(signal) {
                        by = EndedBy::Signal;
                    }
                    self.send(signal);
                }
            }
        }
    }

    /// Sends it to the command's process group, or to the command where it has none of its own, or not yet.
    fn send(&self, signal: Signal) {
        let group = Pid::from_raw(-self.pid.as_raw());
        if !self.leads_session || kill(group, signal).is_err() {
            let _ = kill(self.pid, signal);
        }
    }

    /// Reaps every dead process. Returns how the command ended, if it was among them.
    fn reap(&self) -> Option<End> {
        let mut end = None;
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.pid => end = Some(End::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.pid => end = Some(End::Signal(signal)),
                Ok(WaitStatus::Stopped(pid, _)) if pid == self.pid && self.leads_session => self.resume(),
                Err(Errno::EINTR) | Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..) | WaitStatus::Stopped(..)) => {
                }
                _ => return end,
            }
        }
    }

    /// Continues a command that stopped itself (Ctrl-Z). No shell above it could do so, and the terminal would stay dead.
    fn resume(&self) {
        self.send(Signal::SIGCONT);
    }
}

/// Ends every process left in the container: sends SIGTERM, and SIGKILL to those that live on after [`TERM_GRACE`].
pub async fn end_remaining_processes(signals: &mut Signals) {
    // Outside a container of its own, process id -1 would mean every process of the machine.
    if getpid() != Pid::from_raw(1) {
        return;
    }
    let all = Pid::from_raw(-1);
    if kill(all, Signal::SIGTERM).is_err() {
        return;
    }
    let _ = kill(all, Signal::SIGCONT);
    let _ = tokio::time::timeout(TERM_GRACE, async {
        while kill(all, None).is_ok() {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => while signals.recv().await != Signal::SIGCHLD {},
                Err(_) => return,
                Ok(_) => {}
            }
        }
    })
    .await;
    // The rest would only keep the terminal open, and change files that are compared.
    let _ = kill(all, Signal::SIGKILL);
}
