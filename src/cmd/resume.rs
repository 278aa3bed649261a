//! `resume`: new containers on the same home, and the conversation goes on. Where the home is gone, on a new one, from the
//! transcript.

use super::launch::{self, Shown, launch, recorded};
use super::world::{self, Asking, Subject};
use crate::cli::ResumeArgs;
use crate::docker::{Containers, Docker};
use crate::exit::{EngineError, Exit, UserError};
use crate::facts::Engine;
use crate::manifest;
use crate::plan::Plan;
use crate::probe;
use crate::say;
use crate::session::{Outcome, Session};
use crate::spec::Beginning;
use crate::state::{Condition, Folder, Home, Kept, Mark};
use anyhow::Result;
use sys::lock::Lock;

pub fn run(asked: ResumeArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let (folder, old) = recorded(&home, &asked.identity)?;
    let chosen = manifest::load(home.path(), &old.spec.cwd)?.choose(&old.spec.agent)?;
    let recorded = Docker::new(&old.engine)?;
    let here = if asked.here { probe::engine()? } else { old.engine.clone() };
    let ground = match asked.preview.is_wanted() {
        // Nobody is asked: a home on another engine is believed to be gone.
        true if !here.is_same(&old.engine) => Ground::Nothing,
        true => Ground::Home,
        false => ground(&recorded, &old, &here)?,
    };
    let beginning = match ground {
        Ground::Home => Beginning::Resume,
        Ground::Nothing | Ground::Silence => Beginning::Transcript,
    };
    if beginning == Beginning::Transcript && !folder.has_transcript() {
        return Err(UserError::new(format!(
            "the home of `{}` is gone, and there is no transcript of it",
            old.identity
        ))
        .hint(format!("claude-bottle start {}", old.spec.agent))
        .into());
    }
    let mut spec = asked.launch.spec(&old.spec.agent, old.spec.cwd.clone(), beginning);
    spec.copy = old.spec.copy;
    spec.remote_control |= old.spec.remote_control;
    if spec.args.is_empty() {
        spec.args.clone_from(&old.spec.args);
    }
    let docker = Docker::new(&here)?;
    let subject = Subject {
        home: &home,
        home_id: old.home_id.clone(),
        identity: old.identity.clone(),
        engine: here,
        terminal: asked.preview.terminal(),
        workspace: old.workspace.clone(),
    };
    if asked.preview.is_wanted() {
        let (plan, gate) = world::plan(subject, &chosen, &spec, Asking::Nobody)?;
        return launch::print(&Shown::since(&old, &plan), gate.as_ref(), asked.preview.format);
    }
    let (plan, gate) = world::plan(subject, &chosen, &spec, Asking::Engine(&docker))?;
    if let Some(missing) = gate {
        return Err(missing.into());
    }
    let consent = launch::consent(&asked.launch, &plan)?;
    let lock = match ground {
        Ground::Silence => taken(&folder)?,
        Ground::Home | Ground::Nothing => rest(&recorded, &folder, &old)?,
    };
    if let Ground::Silence = ground {
        let (place, identity) = (old.engine.location(), &old.identity);
        say::line(&format!("left behind on `{place}`, which does not answer: the home of `{identity}`"));
    }
    launch(&docker, &Shown::since(&old, &plan), consent, || Session::reopen(&docker, folder, plan.clone(), lock))
}

/// What a resumed session stands on.
#[derive(Clone, Copy)]
enum Ground {
    Home,
    /// Its engine answers, and has no home of it.
    Nothing,
    /// Its engine does not answer, and it is to go on elsewhere.
    Silence,
}

/// # Errors
/// `UserError` where a session is to leave a home that is there; the engine's where it does not answer and nobody said
/// that it may go on elsewhere.
fn ground(recorded: &Docker, old: &Plan, here: &Engine) -> Result<Ground> {
    let moves = !here.is_same(&old.engine);
    match recorded.has_volume(&old.volume()) {
        Ok(true) if moves => {
            Err(UserError::new(format!("the home of `{}` is on `{}`", old.identity, old.engine.location()))
                .hint("that engine answers: resume it without `--here`")
                .into())
        }
        Ok(true) => Ok(Ground::Home),
        Ok(false) => Ok(Ground::Nothing),
        Err(_) if moves => Ok(Ground::Silence),
        Err(error) if !probe::engine()?.is_same(&old.engine) => Err(EngineError::new(error.what)
            .hint(format!(
                "start that engine (`{}`); or go on without its home, from the transcript, on this environment's: \
                 `claude-bottle resume --here {}`",
                old.engine.location(),
                old.identity
            ))
            .into()),
        Err(error) => Err(error.into()),
    }
}

/// # Errors
/// `UserError` where another process has it.
fn taken(folder: &Folder) -> Result<Lock> {
    let busy = || UserError::new(format!("`{}` is live: another process has it", folder.identity));
    Ok(folder.lock()?.ok_or_else(busy)?)
}

/// The session at rest, ours, and nothing of it on its engine but its home. A lost one is settled first, and so is a kept
/// one whose end the engine did not answer; one that runs on without an owner is refused.
fn rest(docker: &Docker, folder: &Folder, old: &Plan) -> Result<Lock> {
    let identity = &folder.identity;
    let condition = folder.condition();
    let lock = taken(folder)?;
    let containers = docker.containers_of(old)?;
    let kept = match condition {
        Condition::Kept(kept) => Some(kept),
        _ => None,
    };
    let before = match (kept, containers) {
        (Some(_), Containers::None) => return Ok(lock),
        (_, Containers::Running) => {
            return Err(UserError::new(format!("`{identity}` still runs"))
                .hint(format!("claude-bottle attach {identity}"))
                .into());
        }
        (kept, _) => kept,
    };
    let Outcome::Kept(now) = Session::rescue(docker, folder.clone(), old.clone(), lock)? else {
        return Err(UserError::new(format!("nothing of `{identity}` is left to resume")).into());
    };
    let lock = taken(folder)?;
    if let Some(before) = before {
        folder.set_mark(&Mark::Kept(Kept { why: before.why, ..now }))?;
    }
    // What could not be copied is in the home, which stays.
    docker.remove(old.down().containers())?;
    Ok(lock)
}
