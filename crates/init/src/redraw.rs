//! `init redraw`: tells PID 1 that another client will be on the container's terminal. PID 1 sets the program's modes and
//! makes the program draw again as soon as that client sets the terminal's size.

use crate::failure::Failure;
use crate::signals::CLIENT_COMES;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::fs::File;
use std::time::{Duration, Instant};
use sys::tty;

/// How long PID 1 may take. It is as slow as the agent's programs leave it.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval between two looks at the size.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Returns once PID 1 is ready, which it shows by another size of the terminal.
///
/// # Errors
/// There is no terminal, or PID 1 does not answer.
pub fn run() -> Result<i32, Failure> {
    // The engine attaches the terminal of PID 1 here.
    let terminal = File::open("/dev/console")?;
    let before = tty::size(&terminal)?;
    kill(Pid::from_raw(1), CLIENT_COMES)?;
    let deadline = Instant::now() + ACK_TIMEOUT;
    while tty::size(&terminal)? == before {
        if Instant::now() > deadline {
            return Err(Failure("process 1 does not answer".to_owned()));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(0)
}
