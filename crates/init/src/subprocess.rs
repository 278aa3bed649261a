//! Verbs of init that PID 1 runs as a process of their own, because they may take long, or run programs of the agent's.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// Longest answer that is read, in bytes. What follows is ignored.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// Runs `init --home HOME` with `args` in a process group of its own and returns its stdout. `None` if it cannot be
/// started, or has not closed its stdout within `timeout`. In every case the whole group is killed afterwards.
pub async fn run_init(home: &Path, args: &[&str], timeout: Duration) -> Option<Vec<u8>> {
    let mut command = Command::new(std::env::current_exe().ok()?);
    command.args(["init", "--home"]).arg(home).args(args).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let group = Pid::from_raw(-i32::try_from(child.id()).ok()?);
    let mut answer = Vec::new();
    let read = async {
        let stdout = OwnedFd::from(child.stdout.take()?);
        let pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(stdout).ok()?;
        pipe.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await.ok()
    };
    let complete = tokio::time::timeout(timeout, read).await.ok().flatten();
    // The child is not reaped yet, so its number still means this group.
    let _ = kill(group, Signal::SIGKILL);
    let _ = child.wait();
    complete.map(|_| answer)
}
