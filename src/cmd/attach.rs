//! `attach`: connects this terminal to a session that runs without one.

use super::home_reader::work_left;
use super::live::{check_running, not_running, recorded_ranked};
use crate::cli::AttachArgs;
use crate::docker::Docker;
use crate::exit::{Exit, UserError};
use crate::session::Session;
use crate::state::{Condition, Home};
use anyhow::Result;
use sys::signals;

pub fn run(asked: &AttachArgs) -> Result<Exit> {
    // What has no terminal comes before what another one is attached to.
    let (folder, plan) = recorded_ranked(&Home::locate()?, asked.identity.as_deref(), |condition| match condition {
        Condition::Detached => 3,
        Condition::Live => 2,
        Condition::Lost => 1,
        Condition::Kept(kept) => u8::from(kept.unsettled),
    })?;
    let identity = &plan.identity;
    // An unsettled session may still run: its engine did not answer at its end.
    if let Condition::Kept(rest) = folder.condition()
        && !rest.unsettled
    {
        return Err(not_running(identity, &rest.why).into());
    }
    let lock = folder.lock()?.ok_or_else(|| UserError::new(format!("`{identity}` is attached to another terminal")))?;
    let docker = Docker::new(&plan.engine)?;
    check_running(&docker, &plan)?;
    Session::adopt(&docker, folder, plan, lock).with_work_left(work_left).attach(signals::catch()?)
}
