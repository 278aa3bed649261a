//! `build`: the images that are missing; with an agent's name, those of its bottle too.

use super::launch;
use super::world::{self, Asking, Subject};
use crate::cli::Build;
use crate::docker::Docker;
use crate::exit::Exit;
use crate::facts::{Engine, Terminal};
use crate::manifest::{self, Chosen};
use crate::say;
use crate::spec::{Beginning, Mode, Spec};
use crate::state::Home;
use crate::sys::signals;
use anyhow::{Context as _, Result};

pub fn run(asked: &Build) -> Result<Exit> {
    let home = Home::locate()?;
    let cwd = std::env::current_dir().context("the current directory is gone")?;
    let chosen = match &asked.agent {
        Some(agent) => manifest::load(home.path(), &cwd)?.choose(agent)?,
        None => Chosen::plain(),
    };
    let engine = Engine::of_environment()?;
    let docker = Docker::new(&engine)?;
    world::look(&docker, &home)?;
    let spec = Spec {
        agent: chosen.agent.name.clone(),
        cwd,
        mode: Mode::Headless,
        prompt: None,
        remote_control: false,
        args: Vec::new(),
        beginning: Beginning::New,
        copy: None,
    };
    let identity = chosen.agent.name.clone();
    let subject =
        Subject { home: &home, home_id: String::new(), identity, engine, terminal: Terminal::Pipes, workspace: None };
    let asking = if asked.force { Asking::Nobody } else { Asking::Engine(&docker) };
    let (plan, gate) = world::plan(subject, &chosen, &spec, asking)?;
    if let Some(missing) = gate {
        return Err(missing.into());
    }
    if plan.images.builds.is_empty() {
        say::line("all images are there");
    }
    Ok(launch::build(&docker, &plan, &signals::catch()?)?.unwrap_or(Exit::OK))
}
