//! `start`: starts a new bottle for an agent.

mod allow;
mod choose_agent;

use super::consent::consent;
use super::home_reader::work_left;
use super::launch::{self, PlanView, launch};
use super::planning::{self, EngineAccess, KeptOfSession, PlanRequest};
use crate::cli::{Cwd, StartArgs};
use crate::docker::Docker;
use crate::exit::{Exit, UserError};
use crate::hint;
use crate::manifest;
use crate::probe;
use crate::session::Session;
use crate::spec::{Beginning, CopyScope};
use crate::state::Home;
use crate::workspace::{Survey, survey};
use anyhow::Result;
use choose_agent::choose_agent;
use std::path::{Path, PathBuf};
use sys::random;

pub fn run(asked: StartArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let cwd = probe::current_dir()?;
    let manifest = manifest::load(home.path(), &cwd)?;
    let agent = match asked.agent.map_or_else(|| choose_agent(&manifest), |agent| Ok(Ok(agent)))? {
        Ok(agent) => agent,
        Err(exit) => return Ok(exit),
    };
    let chosen = manifest.choose(&agent).map_err(|error| names_session(&home, &agent).unwrap_or(error))?;
    let added = allow::session_routes(&asked.allow, &home, &chosen.bottle)?;
    let survey = asked.cwd.map(|what| survey_cwd(&home, &cwd, what)).transpose()?;
    let mut spec = asked.launch.spec(&agent, cwd, Beginning::New);
    spec.copy = asked.cwd.map(copied);
    let identity = format!("{agent}-{}", random::word(5)?);
    let engine = probe::engine()?;
    let docker = Docker::new(&engine)?;
    let terminal = asked.preview.terminal();
    let (workspace, tips) = survey.as_ref().map(|survey| (survey.found.clone(), survey.tips.clone())).unzip();
    let kept =
        KeptOfSession { workspace, tips: tips.unwrap_or_default(), added: added.clone(), ..KeptOfSession::default() };
    let request = |home_id| PlanRequest { home: &home, home_id, identity, engine, terminal, kept };
    if asked.preview.is_wanted() {
        let home_id = home.id().map_or_else(|| random::word(16), Ok)?;
        let planned = planning::plan(request(home_id), &chosen, &spec, EngineAccess::None)?;
        return launch::print(&PlanView::new(&planned.plan), &planned.problems(), asked.preview.format);
    }
    let request = request(home.make_id()?);
    let plan = planning::plan(request, &chosen, &spec, EngineAccess::Ask(&docker))?.complete()?;
    let consent = consent(&asked.launch, &plan)?;
    launch(&docker, &PlanView::new(&plan), consent, || {
        let session = Session::claim(&docker, &home, plan.clone())?.with_survey(survey).with_work_left(work_left);
        home.folder(&plan.identity).set_session_routes(&added)?;
        Ok(session)
    })
}

/// The error for the name of a session in place of an agent's; `None` for any other name.
fn names_session(home: &Home, name: &str) -> Option<UserError> {
    let session = home.known(name).ok()?;
    let error = UserError::new(format!("`{}` is a session, not an agent", session.identity));
    Some(error.hint(hint!("claude-bottle resume {}", session.identity)))
}

fn copied(what: Cwd) -> CopyScope {
    match what {
        Cwd::Unignored => CopyScope::Unignored,
        Cwd::All => CopyScope::All,
    }
}

/// Which files of the current directory are copied in. The user's home and claude-bottle's own never are: they hold keys.
fn survey_cwd(home: &Home, cwd: &Path, what: Cwd) -> Result<Survey, UserError> {
    let private: Vec<PathBuf> = dirs::home_dir().into_iter().chain([home.path().to_owned()]).collect();
    let private: Vec<PathBuf> = private.iter().map(|path| path.canonicalize().unwrap_or(path.clone())).collect();
    survey(cwd, copied(what), &private)
}
