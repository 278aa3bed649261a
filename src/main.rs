//! argv in, exit code out: the only place where the process ends.

use claude_bottle::{cmd, exit, say};
use sys::{signals, timings};

fn main() {
    let exit = cmd::run(std::env::args_os().collect()).unwrap_or_else(|error| {
        say::error(&error);
        // A signal may be the reason.
        signals::take_pending().map_or_else(|| exit::code(&error), exit::Exit::signal)
    });
    if let Some(table) = timings::table() {
        say::text(&table);
    }
    std::process::exit(i32::from(exit.0));
}
