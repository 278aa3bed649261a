//! What a verb prints, and the exit code that goes with it. A closed stdout or stderr never makes the program panic.

use std::io::Write;

/// Exit code of a usage error.
const USAGE: i32 = 2;

/// Prints a verb's result on stdout and returns the exit code for success. A closed pipe is no failure.
pub fn print(text: &str) -> i32 {
    let _ = writeln!(std::io::stdout(), "{text}");
    0
}

/// Prints a usage error on stderr and returns its exit code.
pub fn complain(text: &str) -> i32 {
    let _ = writeln!(std::io::stderr(), "claude-bottle-gate: {text}");
    USAGE
}
