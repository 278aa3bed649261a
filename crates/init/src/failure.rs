//! Why a verb of init failed, and how the user learns it.

use std::io::Write;

/// Exit code of a failure before the command runs, as `docker run` has it.
pub const EXIT_FAILED: i32 = 125;

/// Why a verb failed: one line, for the user.
#[derive(Debug)]
pub struct Failure(pub String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure(error.to_string())
    }
}

/// Writes one line to stderr. It ignores errors, because the terminal may be gone; `eprintln!` would panic then.
pub fn print_error(text: &str) {
    let _ = writeln!(std::io::stderr(), "claude-bottle: {text}");
}
