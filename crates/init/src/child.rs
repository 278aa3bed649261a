//! The agent's command as a child of PID 1: started, sent signals, waited for; then every process that it left behind is
//! ended.
//!
//! The command is started through this same program (`init enter`), which takes the terminal and restores limits before
//! it executes the command: a new process may do so safely, a forked one may not.

use crate::enter;
use crate::failure::Failure;
use crate::go::AgentCommand;
use crate::signals::{Signals, is_ending};
use crate::terminal;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, tcgetpgrp};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// How long the processes that the command left behind have to end after SIGTERM. The kernel kills the rest when PID 1
/// ends.
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
    /// It leads a process group of its own, in the foreground of the terminal.
    leads_group: bool,
}

impl Child {
    /// Starts the command. It gets `soft_limit` as its soft limit of descriptors.
    ///
    /// # Errors
    /// This program cannot be started again.
    pub fn start(agent: &AgentCommand, soft_limit: u64) -> Result<Child, Failure> {
        let leads_group = tcgetpgrp(std::io::stdin()).is_ok();
        let terminal = if leads_group { enter::FOREGROUND } else { enter::BACKGROUND };
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["init", enter::VERB, &soft_limit.to_string(), terminal])
            .args(&agent.command)
            .env_clear()
            .envs(&agent.environment)
            .current_dir(&agent.directory);
        if leads_group {
            command.process_group(0);
        }
        let child = command.spawn().map_err(|e| Failure(format!("cannot start the command: {e}")))?;
        let pid = i32::try_from(child.id()).map_err(|_| Failure("the command has no process id".into()))?;
        Ok(Child { pid: Pid::from_raw(pid), leads_group })
    }

    /// Forwards signals to the command and reaps processes until the command has ended.
    pub async fn supervise(&self, signals: &mut Signals) -> Ended {
        let mut by = EndedBy::Itself;
        loop {
            match signals.recv().await {
                Signal::SIGCHLD => {
                    if let Some(end) = self.reap() {
                        return Ended { end, by };
                    }
                }
                signal => {
                    if is_ending(signal) {
                        by = EndedBy::Signal;
                    }
                    self.send(signal);
                }
            }
        }
    }

    fn send(&self, signal: Signal) {
        let target = if self.leads_group { Pid::from_raw(-self.pid.as_raw()) } else { self.pid };
        let _ = kill(target, signal);
    }

    /// Reaps every dead process. Returns how the command ended, if it was among them.
    fn reap(&self) -> Option<End> {
        let mut end = None;
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.pid => end = Some(End::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.pid => end = Some(End::Signal(signal)),
                Ok(WaitStatus::Stopped(pid, _)) if pid == self.pid && self.leads_group => self.resume(),
                Err(Errno::EINTR) | Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..) | WaitStatus::Stopped(..)) => {
                }
                _ => return end,
            }
        }
    }

    /// Continues a command that stopped itself (Ctrl-Z). No shell above it could do so, and the terminal would stay dead.
    fn resume(&self) {
        terminal::set_foreground(self.pid);
        self.send(Signal::SIGCONT);
    }
}

/// Sends SIGTERM to every process left in the container and waits up to [`TERM_GRACE`] for them to end.
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
}
