//! argv in, exit code out: the only place where the process ends.

use clap::Parser;
use claude_bottle::{cli::Cli, cmd, exit, say};

fn main() {
    let exit = cmd::run(Cli::parse()).unwrap_or_else(|error| {
        say::error(&error);
        exit::code(&error)
    });
    std::process::exit(i32::from(exit.0));
}
