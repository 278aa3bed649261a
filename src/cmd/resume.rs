//! `resume`: makes new containers on the session's home, and the conversation continues. Where the home is gone, it
//! continues from the transcript on a new one.

use super::consent::consent;
use super::home_reader::work_left;
use super::launch::{self, PlanView, launch};
use super::live::recorded;
use super::planning::{self, EngineAccess, KeptOfSession, PlanRequest};
use crate::cli::ResumeArgs;
use crate::docker::{Containers, Docker};
use crate::exit::{EngineError, Exit, UserError};
use crate::facts::Engine;
use crate::hint;
use crate::manifest;
use crate::plan::Plan;
use crate::probe;
use crate::say;
use crate::session::{Outcome, Session};
use crate::spec::Beginning;
use crate::state::{Condition, Folder, Home};
use anyhow::Result;
use sys::lock::Lock;

pub fn run(asked: ResumeArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let (folder, old) = recorded(&home, asked.identity.as_deref())?;
    let chosen = manifest::load(home.path(), &old.spec.cwd)?.choose(&old.spec.agent)?;
    let old_docker = Docker::new(&old.engine)?;
    let here = if asked.here { probe::engine()? } else { old.engine.clone() };
    let old_home = match asked.preview.is_wanted() {
        // A dry run asks no engine: a home on another engine counts as gone.
        true if !here.is_same(&old.engine) => HomeState::Gone,
        true => HomeState::Present,
        false => find_home(&old_docker, &old, &here)?,
    };
    let beginning = match old_home {
        HomeState::Present => Beginning::Resume,
        HomeState::Gone | HomeState::Unreachable => Beginning::Transcript,
    };
    if beginning == Beginning::Transcript && !folder.has_transcript() {
        return Err(UserError::new(format!(
            "the home of `{}` is gone, and there is no transcript of it",
            old.identity
        ))
        .hint(hint!("claude-bottle start {}", old.spec.agent))
        .into());
    }
    let mut spec = asked.launch.spec(&old.spec.agent, old.spec.cwd.clone(), beginning);
    spec.copy = old.spec.copy;
    spec.remote_control |= old.spec.remote_control;
    if spec.args.is_empty() {
        spec.args.clone_from(&old.spec.args);
    }
    let docker = Docker::new(&here)?;
    let (added, dockerfile) = (folder.session_routes()?, folder.dockerfile()?);
    let request = PlanRequest {
        home: &home,
        home_id: old.home_id.clone(),
        identity: old.identity.clone(),
        engine: here,
        terminal: asked.preview.terminal(),
        kept: KeptOfSession {
            agent_uid: (beginning == Beginning::Resume).then_some(old.agent_uid),
            workspace: old.workspace.clone(),
            tips: old.tips(),
            keeps_pushes: old.keeps_pushes,
            added: added.clone(),
        },
    };
    if asked.preview.is_wanted() {
        let planned = planning::plan(request, &chosen, &spec, EngineAccess::None)?;
        let view = PlanView::since(&old, &planned.plan).with_left_out(&planned.left_out);
        return launch::print(&view, &planned.problems(), asked.preview.format);
    }
    let planned = planning::plan(request, &chosen, &spec, EngineAccess::Ask(&docker))?;
    let left_out = planned.left_out.clone();
    let plan = planned.complete()?;
    let consent = consent(&asked.launch, &plan)?;
    let lock = match old_home {
        HomeState::Unreachable => lock_session(&folder)?,
        HomeState::Present | HomeState::Gone => bring_to_rest(&old_docker, &folder, &old)?,
    };
    if let HomeState::Unreachable = old_home {
        let (engine, identity) = (old.engine.location(), &old.identity);
        say::line(&format!("left behind on `{engine}`, which does not answer: the home of `{identity}`"));
    }
    let view = PlanView::since(&old, &plan).with_left_out(&left_out);
    launch(&docker, &view, consent, || {
        if folder.session_routes()? != added || folder.dockerfile()? != dockerfile {
            let what = format!("the routes or packages of `{}` were changed while its plan was shown", old.identity);
            return Err(UserError::new(what).hint(hint!("claude-bottle resume {}", old.identity)).into());
        }
        Ok(Session::reopen(&docker, folder, plan.clone(), lock)?.with_work_left(work_left))
    })
}

/// The home of a session that is resumed.
#[derive(Clone, Copy)]
enum HomeState {
    Present,
    /// The session's engine answers, and does not have the home.
    Gone,
    /// The session's engine does not answer, and the session is to continue on another one.
    Unreachable,
}

/// Looks for the session's home on its engine.
///
/// # Errors
/// `UserError` for `--here` while the home is present on another engine; `EngineError` where the session's engine does not
/// answer and there is no `--here`.
fn find_home(old_docker: &Docker, old: &Plan, here: &Engine) -> Result<HomeState> {
    let moves = !here.is_same(&old.engine);
    match old_docker.has_volume(&old.volume()) {
        Ok(true) if moves => {
            Err(UserError::new(format!("the home of `{}` is on `{}`", old.identity, old.engine.location()))
                .hint("that engine answers: resume it without `--here`")
                .into())
        }
        Ok(true) => Ok(HomeState::Present),
        Ok(false) => Ok(HomeState::Gone),
        Err(_) if moves => Ok(HomeState::Unreachable),
        Err(error) if !probe::engine()?.is_same(&old.engine) => Err(EngineError::new(error.what)
            .hint(hint!(
                "start that engine (`{}`); or go on without its home, from the transcript, on this environment's: \
                 `claude-bottle resume --here {}`",
                old.engine.location(),
                old.identity
            ))
            .into()),
        Err(error) => Err(error.into()),
    }
}

/// Takes the session's lock.
///
/// # Errors
/// `UserError` where another process holds it.
fn lock_session(folder: &Folder) -> Result<Lock> {
    let busy = || UserError::new(format!("`{}` is live: another process has it", folder.identity));
    Ok(folder.lock()?.ok_or_else(busy)?)
}

/// Brings the session to rest: locked by this process, and without anything on its engine but its home. A lost or an
/// unsettled session is settled first.
///
/// # Errors
/// `UserError` where another process holds the session or its agent still runs, and where nothing of it is left.
fn bring_to_rest(docker: &Docker, folder: &Folder, old: &Plan) -> Result<Lock> {
    let identity = &folder.identity;
    let condition = folder.condition();
    let lock = lock_session(folder)?;
    let containers = docker.containers_of(old)?;
    match (condition, containers) {
        (Condition::Kept(_), Containers::None) => return Ok(lock),
        (_, Containers::Running) => {
            return Err(UserError::new(format!("`{identity}` still runs"))
                .hint(hint!("claude-bottle attach {}", identity))
                .into());
        }
        _ => {}
    }
    if Session::rescue(docker, folder.clone(), old.clone(), lock)? == Outcome::Gone {
        return Err(UserError::new(format!("nothing of `{identity}` is left to resume")).into());
    }
    let lock = lock_session(folder)?;
    // Whatever could not be copied out is in the home, which stays.
    docker.remove(old.down().containers())?;
    Ok(lock)
}
