//! `attach`: this terminal to a session that runs without one.

use super::launch::{recorded, still_runs};
use crate::cli::Attach;
use crate::docker::Docker;
use crate::exit::{Exit, Refused};
use crate::session::Session;
use crate::state::{Condition, Home};
use crate::sys::{signals, tty};
use anyhow::Result;

pub fn run(asked: &Attach) -> Result<Exit> {
    let (folder, plan) = recorded(&Home::locate()?, &asked.identity)?;
    let identity = &asked.identity;
    if let Condition::Kept { why } = folder.condition() {
        return Err(Refused::new(format!("`{identity}` does not run: {why}"))
            .hint(format!("claude-bottle resume {identity}"))
            .into());
    }
    let lock = folder.lock()?.ok_or_else(|| Refused::new(format!("`{identity}` is attached to another terminal")))?;
    let docker = Docker::new(&plan.engine)?;
    still_runs(&docker, &plan)?;
    let restore = tty::remember();
    let exit = Session::found(&docker, folder, plan, lock).attach(signals::catch()?);
    drop(restore);
    exit
}
