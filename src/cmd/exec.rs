//! `exec`: a command inside a live bottle, under the same confinement and with the agent's environment.

use super::launch::{kept, recorded, still_runs};
use crate::cli::Exec;
use crate::docker::Docker;
use crate::exit::Exit;
use crate::protocol::GATE_BINARY;
use crate::state::{Condition, Home};
use crate::sys::tty;
use anyhow::Result;
use std::os::unix::process::ExitStatusExt;

pub fn run(asked: Exec) -> Result<Exit> {
    let (folder, plan) = recorded(&Home::locate()?, &asked.identity)?;
    let docker = Docker::new(&plan.engine)?;
    match folder.condition() {
        Condition::Live => {}
        Condition::Kept(rest) => return Err(kept(&asked.identity, &rest.why).into()),
        // Nobody would have said so if it ended meanwhile, and the client's own code for that is a command's, too.
        Condition::Detached | Condition::Lost => still_runs(&docker, &plan)?,
    }
    let flags = if tty::attached() { "-it" } else { "-i" };
    let mut args: Vec<String> =
        ["exec", flags, &plan.agent_container(), GATE_BINARY, "init", "exec"].map(str::to_owned).into();
    if !asked.command.is_empty() {
        args.push("--".to_owned());
        args.extend(asked.command);
    }
    let status = docker.attach(&args)?.wait()?;
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => Exit(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, Some(number)) => Exit::signal(number),
        (None, None) => Exit::ENGINE,
    })
}
