//! Waiting, always within a bound: a test that waits in vain fails and says what it waited for.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longer than any run takes on a busy machine: who reaches it hangs.
pub const BOUND: Duration = Duration::from_secs(60);

/// Waits, within the bound.
#[track_caller]
pub fn wait(mut child: Child, story: impl Fn() -> String) -> ExitStatus {
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait()));
    let began = Instant::now();
    match end.recv_timeout(BOUND) {
        Ok(status) => status.unwrap(),
        Err(_) => {
            let _ = killpg(group, Signal::SIGKILL);
            panic!("hangs since {:?}: {}", began.elapsed(), story());
        }
    }
}

pub fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
}
