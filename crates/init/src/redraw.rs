//! `init redraw`: makes the container's terminal one row smaller for a moment, so that the program on it draws again. It is
//! for a terminal on the host that was detached and whose size did not change.

use crate::failure::Failure;
use std::fs::OpenOptions;
use std::time::Duration;
use sys::tty;

/// How long the terminal is smaller. A busy program would see two immediate changes as none.
const SMALLER_FOR: Duration = Duration::from_millis(50);

/// # Errors
/// There is no terminal.
pub fn run() -> Result<i32, Failure> {
    // The engine attaches the terminal of PID 1 here.
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/console")?;
    tty::force_redraw(&terminal, SMALLER_FOR)?;
    Ok(0)
}
