//! `start`: a new bottle for an agent.

mod which;

use super::launch::{self, Shown, launch};
use super::world::{self, Asking, Subject};
use crate::cli::{Cwd, StartArgs};
use crate::docker::Docker;
use crate::exit::{Exit, UserError};
use crate::manifest;
use crate::probe;
use crate::session::Session;
use crate::spec::{Beginning, CopyScope};
use crate::state::Home;
use crate::workspace::{Survey, survey};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use sys::random;
use which::which;

pub fn run(asked: StartArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let cwd = std::env::current_dir().context("the current directory is gone")?;
    let manifest = manifest::load(home.path(), &cwd)?;
    let agent = match asked.agent.map_or_else(|| which(&manifest), |agent| Ok(Ok(agent)))? {
        Ok(agent) => agent,
        Err(exit) => return Ok(exit),
    };
    let chosen = manifest.choose(&agent).map_err(|refused| of_session(&home, &agent).unwrap_or(refused))?;
    let survey = asked.cwd.map(|what| look(&home, &cwd, what)).transpose()?;
    let mut spec = asked.launch.spec(&agent, cwd, Beginning::New);
    spec.copy = asked.cwd.map(copied);
    let identity = format!("{agent}-{}", random::word(5)?);
    let engine = probe::engine()?;
    let docker = Docker::new(&engine)?;
    let terminal = asked.preview.terminal();
    let workspace = survey.as_ref().map(|survey| survey.found.clone());
    let subject = |home_id| Subject { home: &home, home_id, identity, engine, terminal, workspace };
    if asked.preview.is_wanted() {
        let home_id = home.id().map_or_else(|| random::word(16), Ok)?;
        let (plan, gate) = world::plan(subject(home_id), &chosen, &spec, Asking::Nobody)?;
        return launch::print(&Shown::new(&plan), gate.as_ref(), asked.preview.format);
    }
    let subject = subject(home.make_id()?);
    let (plan, gate) = world::plan(subject, &chosen, &spec, Asking::Engine(&docker))?;
    if let Some(missing) = gate {
        return Err(missing.into());
    }
    let consent = launch::consent(&asked.launch, &plan)?;
    launch(&docker, &Shown::new(&plan), consent, || {
        Session::claim(&docker, &home, plan.clone()).map(|session| session.with_survey(survey))
    })
}

/// Where a session was named instead of an agent.
fn of_session(home: &Home, name: &str) -> Option<UserError> {
    let session = home.known(name).ok()?;
    let refused = UserError::new(format!("`{}` is a session, not an agent", session.identity));
    Some(refused.hint(format!("claude-bottle resume {}", session.identity)))
}

fn copied(what: Cwd) -> CopyScope {
    match what {
        Cwd::Unignored => CopyScope::Unignored,
        Cwd::All => CopyScope::All,
    }
}

/// What of the current directory goes in. A person's home, and ours, never do: they hold keys.
fn look(home: &Home, cwd: &Path, what: Cwd) -> Result<Survey, UserError> {
    let private: Vec<PathBuf> = dirs::home_dir().into_iter().chain([home.path().to_owned()]).collect();
    let private: Vec<PathBuf> = private.iter().map(|path| path.canonicalize().unwrap_or(path.clone())).collect();
    survey(cwd, copied(what), &private)
}
