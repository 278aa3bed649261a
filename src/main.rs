//! argv in, exit code out: the only place where the process ends.

use claude_bottle::{cmd, exit, say};
use sys::timings;

fn main() {
    let exit = cmd::run(std::env::args_os().collect()).unwrap_or_else(|error| {
        say::error(&error);
        exit::code(&error)
    });
    if let Some(table) = timings::table() {
        say::text(&table);
    }
    std::process::exit(i32::from(exit.0));
}
