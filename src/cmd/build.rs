//! `build`: builds the images that are missing; with an agent's name, that of its bottle too.

use super::launch;
use super::world::{self, Asking};
use crate::cli::BuildArgs;
use crate::docker::Docker;
use crate::exit::Exit;
use crate::manifest::{self, Chosen};
use crate::probe;
use crate::say;
use crate::state::Home;
use anyhow::{Context as _, Result};
use sys::signals;

pub fn run(asked: &BuildArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let cwd = std::env::current_dir().context("the current directory is gone")?;
    let chosen = match &asked.agent {
        Some(agent) => manifest::load(home.path(), &cwd)?.choose(agent)?,
        None => Chosen::plain(),
    };
    let docker = Docker::new(&probe::engine()?)?;
    world::look(&docker, &home)?;
    let asking = if asked.force { Asking::Nobody } else { Asking::Engine(&docker) };
    let plan = world::of_images((&docker, asking), &home, &chosen)?;
    if plan.images.builds.is_empty() {
        say::note("all images are there");
    }
    Ok(launch::build(&docker, &plan, &signals::catch()?)?.unwrap_or(Exit::OK))
}
