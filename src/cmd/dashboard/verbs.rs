//! Other verbs of this program, for a key of the dashboard: each runs as it does when it is typed.

use crate::docker::Docker;
use crate::session::{Session, ask_to_detach};
use crate::state::Home;
use crate::text::shell_command;
use anyhow::Result;
use std::time::{Duration, Instant};
use sys::child;
use sys::signals::Signals;
use sys::tty::Tty;

/// For the engine to stop an agent, its own three seconds included.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a verb of this program on the terminal; gives what is to be said of it.
pub fn run(words: &[&str], signals: &Signals) -> String {
    let typed = shell_command(["claude-bottle"].iter().chain(words).copied());
    crate::say::line(&format!("$ {typed}"));
    let status = std::env::current_exe().and_then(|program| {
        let program = program.display().to_string();
        child::foreground(&[&[program], &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()[..]].concat())
    });
    let told = match status {
        Ok(status) => match status.code() {
            Some(0) => format!("`{typed}` ended"),
            Some(code) => format!("`{typed}` ended with {code}"),
            None => format!("`{typed}` was killed"),
        },
        Err(error) => format!("`{typed}` cannot be run: {error}"),
    };
    // What it said stays until it was read. Its own signals, as Ctrl-C at a log that is followed, are over.
    while signals.try_recv().is_some() {}
    if let Some(mut tty) = Tty::open() {
        tty.ask("[enter] goes back to the dashboard ", signals);
    }
    told
}

/// Ends a session as `stop` does, which keeps it; gives what is to be said of it.
pub fn stop(home: &Home, identity: &str) -> String {
    let stop = || -> Result<()> {
        let folder = home.known(identity)?;
        let plan = folder.plan()?;
        let docker = Docker::new(&plan.engine)?.with_deadline(Instant::now() + STOP_TIMEOUT);
        Session::stop(&docker, &folder, plan)
    };
    match stop() {
        Ok(()) => format!("`{identity}` is stopped"),
        Err(error) => format!("`{identity}` is not stopped: {error:#}"),
    }
}

/// Has the process that is at this session's agent leave it running; gives what is to be said of it.
pub fn detach(home: &Home, identity: &str) -> String {
    match home.known(identity).map_err(Into::into).and_then(|folder| ask_to_detach(&folder)) {
        Ok(true) => format!("`{identity}` is detached from its terminal"),
        Ok(false) => format!("`{identity}` is attached to no terminal"),
        Err(error) => format!("`{identity}` is not detached: {error:#}"),
    }
}
