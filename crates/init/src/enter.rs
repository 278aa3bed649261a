//! `init enter`: what a new process does before it becomes the agent's command.

use crate::descriptors;
use crate::failure::{EXIT_FAILED, print_error};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::Command;
use sys::tty;

/// The hidden verb: `enter SOFT-LIMIT foreground|background CMD…`.
pub const VERB: &str = "enter";
pub const FOREGROUND: &str = "foreground";
pub const BACKGROUND: &str = "background";

const EXIT_NOT_FOUND: i32 = 127;
const EXIT_NOT_EXECUTABLE: i32 = 126;

/// Restores the limit of descriptors, takes the terminal, and executes the command. Returns only if that failed.
pub fn run(args: &[String]) -> i32 {
    let [soft_limit, terminal, command @ ..] = args else {
        return EXIT_FAILED;
    };
    if let Ok(soft) = soft_limit.parse() {
        descriptors::restore_limit(soft);
    }
    if terminal == FOREGROUND
        && let Err(error) = tty::take_stdin_as_controlling_terminal()
    {
        print_error(&format!("the command gets no terminal: {error}"));
        return EXIT_FAILED;
    }
    exec(command, None)
}

/// Replaces this process by the command, which is searched in the PATH of the environment that it gets. `None` keeps this
/// process's environment. Returns only if that failed, with the exit code that a shell would give.
pub fn exec(command: &[String], environment: Option<&BTreeMap<OsString, OsString>>) -> i32 {
    let Some((program, args)) = command.split_first() else {
        return EXIT_FAILED;
    };
    let mut process = Command::new(program);
    process.args(args);
    if let Some(environment) = environment {
        process.env_clear().envs(environment);
    }
    let error = process.exec();
    if error.kind() == ErrorKind::NotFound {
        print_error(&format!("`{program}`: command not found"));
        return EXIT_NOT_FOUND;
    }
    print_error(&format!("`{program}`: cannot be executed: {error}"));
    EXIT_NOT_EXECUTABLE
}
