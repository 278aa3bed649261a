//! `start`: a new bottle for a named agent.

use super::launch::{self, Shown, launch};
use super::world::{self, Asking, Subject};
use crate::cli::Start;
use crate::docker::Docker;
use crate::exit::Exit;
use crate::facts::Engine;
use crate::manifest;
use crate::session::Session;
use crate::spec::Beginning;
use crate::state::Home;
use crate::sys::random;
use anyhow::{Context as _, Result};

pub fn run(asked: Start) -> Result<Exit> {
    let home = Home::locate()?;
    let cwd = std::env::current_dir().context("the current directory is gone")?;
    let chosen = manifest::load(home.path(), &cwd)?.choose(&asked.agent)?;
    let spec = asked.launch.spec(&asked.agent, cwd, Beginning::New);
    let identity = format!("{}-{}", asked.agent, random::word(5)?);
    let engine = Engine::of_environment()?;
    let docker = Docker::new(&engine)?;
    let terminal = asked.preview.terminal();
    let subject = |home_id| Subject { home: &home, home_id, identity, engine, terminal };
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
    launch(&docker, &Shown::new(&plan), consent, || Session::claim(&docker, &home, plan.clone()))
}
