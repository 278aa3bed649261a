//! `resume`: new containers on the same home, and the conversation goes on.

use super::launch::{self, launch, recorded};
use super::world::{self, Asking, Subject};
use crate::cli::{Format, Resume};
use crate::docker::Docker;
use crate::exit::{Exit, Refused};
use crate::facts::Terminal;
use crate::manifest;
use crate::plan::Plan;
use crate::session::{Cause, Outcome, Session};
use crate::spec::Beginning;
use crate::state::{Condition, Folder, Home, Mark};
use crate::sys::lock::Lock;
use crate::sys::tty;
use anyhow::{Context as _, Result};

pub fn run(asked: Resume) -> Result<Exit> {
    let home = Home::locate()?;
    let (folder, old) = recorded(&home, &asked.identity)?;
    let chosen = manifest::load(home.path(), &old.spec.cwd)?.choose(&old.spec.agent)?;
    let mut spec = asked.launch.spec(&old.spec.agent, old.spec.cwd.clone(), Beginning::Resume);
    spec.remote_control |= old.spec.remote_control;
    if spec.args.is_empty() {
        spec.args.clone_from(&old.spec.args);
    }
    let docker = Docker::new(&old.engine)?;
    let dry = asked.dry_run || super::start::dry();
    let terminal = match asked.format {
        Format::Sh if tty::Tty::open().is_some() => Terminal::Tty,
        _ => world::terminal(),
    };
    let subject = Subject {
        home: &home,
        home_id: old.home_id.clone(),
        identity: old.identity.clone(),
        engine: old.engine.clone(),
        terminal,
    };
    if dry {
        let (plan, gate) = world::plan(subject, &chosen, &spec, Asking::Nobody)?;
        return launch::print(&plan, gate.as_ref(), asked.format);
    }
    let (plan, gate) = world::plan(subject, &chosen, &spec, Asking::Engine(&docker))?;
    if let Some(missing) = gate {
        return Err(missing.into());
    }
    let consent = launch::consent(&asked.launch, &plan)?;
    let (folder, held) = rest(&docker, folder, &old)?;
    launch(&docker, &plan, consent, || {
        let session = Session::reopen(&docker, folder.clone(), plan.clone(), held)?;
        folder.set_plan(&plan)?;
        Ok(session)
    })
}

/// The session at rest, ours: a lost one is settled first, a running one is refused.
fn rest(docker: &Docker, folder: Folder, old: &Plan) -> Result<(Folder, (Lock, Mark))> {
    let identity = &folder.identity;
    let condition = folder.condition();
    let busy = || Refused::new(format!("`{identity}` is live: another process has it"));
    let lock = folder.lock()?.ok_or_else(busy)?;
    if let Condition::Kept { why } = condition {
        return Ok((folder, (lock, Mark::Kept { why })));
    }
    let running = ["container", "inspect", "--format", "{{.State.Running}}", &old.agent_container()].map(str::to_owned);
    if docker.brief(&running).is_ok_and(|running| running == "true") {
        return Err(Refused::new(format!("`{identity}` still runs"))
            .hint(format!("claude-bottle attach {identity}"))
            .into());
    }
    let mut session = Session::found(docker, folder.clone(), old.clone(), lock);
    let (outcome, _) = session.settle(&Cause::Lost, None)?;
    drop(session);
    let Outcome::Kept { why } = outcome else {
        return Err(Refused::new(format!("nothing of `{identity}` is left to resume")).into());
    };
    let lock = folder.lock()?.with_context(|| format!("`{identity}` was taken by another process"))?;
    Ok((folder, (lock, Mark::Kept { why })))
}
