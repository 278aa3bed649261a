//! `exec`: runs a command inside a live bottle, under the same confinement and with the agent's environment.

use super::live::LiveBottle;
use crate::cli::ExecArgs;
use crate::exit::Exit;
use anyhow::Result;
use std::os::unix::process::ExitStatusExt;
use sys::{timings, tty};

pub fn run(asked: ExecArgs) -> Result<Exit> {
    let bottle = LiveBottle::open(asked.identity.as_deref())?;
    let mut args = bottle.exec(if tty::attached() { "-it" } else { "-i" }, &["exec"]);
    if !asked.command.is_empty() {
        args.push("--".to_owned());
        args.extend(asked.command);
    }
    timings::phase("run");
    let status = bottle.docker.attach(&args)?.wait()?;
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => Exit(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, Some(number)) => Exit::signal(number),
        (None, None) => Exit::ENGINE,
    })
}
