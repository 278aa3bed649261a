//! Waiting, always within a bound: a test that waits in vain fails and says what it waited for.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::Instant;
pub use testing::process::end_before;
pub use testing::wait::{WAIT_TIMEOUT, until, until_some};

/// Waits for a program that leads a process group of its own. `story` is told of it if it does not end.
#[track_caller]
pub fn wait(mut child: Child, story: impl Fn() -> String) -> ExitStatus {
    match end_before(&mut child, Instant::now() + WAIT_TIMEOUT) {
        Some(status) => status,
        None => {
            let _ = killpg(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL);
            panic!("has not ended in {WAIT_TIMEOUT:?}: {}", story());
        }
    }
}

/// The exit code; 128 + the number of the signal that killed it.
pub fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
}
