//! `resume`: new containers on the same home, and the conversation goes on.

use super::launch::{self, launch, recorded};
use super::world::{self, Asking, Subject};
use crate::cli::Resume;
use crate::docker::{Call, Docker, gone, is_gone};
use crate::exit::{EngineError, Exit, Refused};
use crate::manifest;
use crate::plan::{Fate, Plan};
use crate::session::{Outcome, Session};
use crate::spec::Beginning;
use crate::state::{Condition, Folder, Home, Mark};
use crate::sys::lock::Lock;
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
    let subject = Subject {
        home: &home,
        home_id: old.home_id.clone(),
        identity: old.identity.clone(),
        engine: old.engine.clone(),
        terminal: asked.preview.terminal(),
    };
    if asked.preview.is_wanted() {
        let (plan, gate) = world::plan(subject, &chosen, &spec, Asking::Nobody)?;
        return launch::print(&plan, gate.as_ref(), asked.preview.format);
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

/// The session at rest, ours, and nothing of it on the engine but its home. A lost one is settled first, and so is a kept
/// one whose end the engine did not answer; one that runs on without an owner is refused.
fn rest(docker: &Docker, folder: Folder, old: &Plan) -> Result<(Folder, (Lock, Mark))> {
    let identity = &folder.identity;
    let condition = folder.condition();
    let busy = || Refused::new(format!("`{identity}` is live: another process has it"));
    let lock = folder.lock()?.ok_or_else(busy)?;
    let left = left(docker, old)?;
    let kept = match condition {
        Condition::Kept(kept) => Some(kept),
        _ => None,
    };
    let before = match (kept, left) {
        (Some(kept), Left::Nothing) => return Ok((folder, (lock, Mark::Kept(kept)))),
        (None, Left::Running) => {
            return Err(Refused::new(format!("`{identity}` still runs"))
                .hint(format!("claude-bottle attach {identity}"))
                .into());
        }
        (kept, _) => kept,
    };
    let Outcome::Kept(now) = Session::rescue(docker, folder.clone(), old.clone(), lock)? else {
        return Err(Refused::new(format!("nothing of `{identity}` is left to resume")).into());
    };
    let lock = folder.lock()?.with_context(|| format!("`{identity}` was taken by another process"))?;
    // What could not be copied is in the home, which stays.
    for step in old.down(Fate::Keep).iter().filter(|step| step.what.removes()) {
        docker.brief(&step.args).or_else(gone)?;
    }
    Ok((folder, (lock, Mark::Kept(before.unwrap_or(now)))))
}

/// What the engine still has of a session, beside its home.
enum Left {
    Nothing,
    Stopped,
    Running,
}

fn left(docker: &Docker, old: &Plan) -> Result<Left, EngineError> {
    let (agent, gate) = (old.agent_container(), old.gate_container());
    let args = ["container", "inspect", "--format", "{{.Name}} {{.State.Running}}", &agent, &gate].map(str::to_owned);
    let (found, error) = docker.start(&args).and_then(Call::found)?;
    if let Some(error) = error.filter(|error| !is_gone(error)) {
        return Err(error);
    }
    Ok(match found.lines().any(|line| line.ends_with("-agent true")) {
        true => Left::Running,
        false if found.trim().is_empty() => Left::Nothing,
        false => Left::Stopped,
    })
}
