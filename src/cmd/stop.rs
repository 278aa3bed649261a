//! `stop`: ends sessions that run, attached or not. Each is settled as at any end, and kept: nothing of it is lost.

use super::consent::Confirmation;
use super::live::{check_running, not_running, recorded};
use crate::cli::StopArgs;
use crate::docker::Docker;
use crate::exit::{EngineError, Exit, UserError};
use crate::hint;
use crate::plan::Plan;
use crate::say;
use crate::session::Session;
use crate::state::{Condition, Folder, Home};
use crate::text;
use anyhow::Result;
use std::time::{Duration, Instant};
use sys::signals::{self, Signals};

/// How long the owner of a session may take to settle it: it copies the transcript.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(600);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

pub fn run(asked: &StopArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let signals = signals::catch()?;
    let (sessions, mut has_failed) = match asked.all {
        true => running_sessions(&home),
        false => (named_sessions(&home, &asked.identities)?, false),
    };
    if sessions.is_empty() && !has_failed {
        say::note("no session runs");
        return Ok(Exit::OK);
    }
    if asked.all {
        for (folder, plan) in &sessions {
            say::line(&format!("`{}` ({})", folder.identity, text::one_line(&plan.spec.cwd.to_string_lossy())));
        }
        if let Some(exit) = (Confirmation { yes: asked.yes, signals: &signals }).ask("stop them? [y/N] ")? {
            return Ok(exit);
        }
    }
    for (folder, plan) in sessions {
        match stop(folder, plan, &signals) {
            Ok(None) => {}
            Ok(Some(exit)) => return Ok(exit),
            Err(error) => {
                say::error(&error);
                has_failed = true;
            }
        }
    }
    Ok(if has_failed { Exit::ENGINE } else { Exit::OK })
}

/// All sessions whose agent runs; true where one could not be asked, which was told.
fn running_sessions(home: &Home) -> (Vec<(Folder, Plan)>, bool) {
    let (mut running, mut has_failed) = (Vec::new(), false);
    let is_settled = |folder: &Folder| matches!(folder.condition(), Condition::Kept(kept) if !kept.unsettled);
    for folder in home.folders().into_iter().filter(|folder| !is_settled(folder) && !folder.is_unused()) {
        let plan = || -> Result<Option<Plan>> {
            let plan = folder.plan()?;
            let is_running = Docker::new(&plan.engine)?.is_running(&plan.agent_container())?;
            Ok(is_running.then_some(plan))
        };
        match plan() {
            Ok(Some(plan)) => running.push((folder, plan)),
            Ok(None) => {}
            Err(error) => {
                say::error(&error.context(format!("`{}` is not stopped", folder.identity)));
                has_failed = true;
            }
        }
    }
    (running, has_failed)
}

/// # Errors
/// `UserError` where one of them is unknown, or does not run; before anything is done.
fn named_sessions(home: &Home, identities: &[String]) -> Result<Vec<(Folder, Plan)>> {
    let mut named: Vec<(Folder, Plan)> = Vec::new();
    for identity in identities {
        let (folder, plan) = recorded(home, identity.as_str())?;
        if named.iter().any(|(known, _)| known.identity == folder.identity) {
            continue;
        }
        match folder.condition() {
            Condition::Kept(kept) if !kept.unsettled => return Err(not_running(&folder.identity, &kept.why).into()),
            Condition::Live if !Docker::new(&plan.engine)?.is_running(&plan.agent_container())? => {
                return Err(UserError::new(format!("`{}` has not started its agent yet", folder.identity))
                    .hint("answer the question in its terminal")
                    .into());
            }
            Condition::Live => {}
            _ => check_running(&Docker::new(&plan.engine)?, &plan)?,
        }
        named.push((folder, plan));
    }
    Ok(named)
}

/// Stops a session, and waits until it is settled. `Some`: a signal came meanwhile.
fn stop(folder: Folder, plan: Plan, signals: &Signals) -> Result<Option<Exit>> {
    let docker = Docker::new(&plan.engine)?;
    let identity = &folder.identity;
    Session::stop(&docker, &folder, plan)?;
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    // Its owner settles it.
    while folder.condition() == Condition::Live {
        if let Some(number) = signals.recv_timeout(POLL_INTERVAL) {
            return Ok(Some(Exit::signal(number)));
        }
        if Instant::now() > deadline {
            let what = format!("`{identity}` was stopped, and the process that has it does not settle it");
            return Err(EngineError::new(what).hint(hint!("claude-bottle info {}", identity)).into());
        }
    }
    match folder.condition() {
        Condition::Kept(kept) if kept.unsettled => {
            Err(EngineError::new(format!("`{identity}` could not be settled: {}", text::one_line(&kept.why)))
                .hint(hint!("claude-bottle cleanup {}", identity))
                .into())
        }
        _ => {
            say::note(&format!("stopped `{identity}`; its home and its transcript are kept"));
            say::suggest(hint!("claude-bottle resume {}", identity));
            Ok(None)
        }
    }
}
