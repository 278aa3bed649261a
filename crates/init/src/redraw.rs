//! `init redraw`: the container's terminal is a row smaller for a moment, so that the program on it draws again. For a
//! terminal outside that was away, and whose size did not change.

use super::Failure;
use std::fs::OpenOptions;
use std::time::Duration;
use sys::tty;

/// Two changes at once are one to a program that is busy.
const MOMENT: Duration = Duration::from_millis(50);

pub fn run() -> Result<i32, Failure> {
    // The terminal that PID 1 was given.
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/console")?;
    tty::force_redraw(&terminal, MOMENT)?;
    Ok(0)
}
