//! The container's terminal: its size, and the process group in its foreground.

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, tcsetpgrp};
use std::time::Duration;
use sys::tty;

/// Interval between two checks of the terminal's size.
const SIZE_POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Checks before the command starts without a size: half a second in all.
const MAX_SIZE_POLLS: usize = 100;

/// Waits until the terminal has a size. The engine's client sets it only once the container runs, and a program that
/// draws before that would draw for a size of zero. Returns at once without a terminal, and after half a second at most.
pub async fn await_size() {
    for _ in 0..MAX_SIZE_POLLS {
        if !tty::stdin_has_no_size() {
            return;
        }
        tokio::time::sleep(SIZE_POLL_INTERVAL).await;
    }
}

/// Makes `group` the foreground process group of the terminal, even if the caller is in the background.
pub fn set_foreground(group: Pid) {
    // The kernel sends SIGTTOU to a background process that does this, which would stop it.
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGTTOU);
    let _ = blocked.thread_block();
    let _ = tcsetpgrp(std::io::stdin(), group);
    let _ = blocked.thread_unblock();
}
