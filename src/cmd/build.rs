//! `build`: builds the images that are missing, the one with git for readers too; with an agent's name, that of its bottle.

use super::images;
use super::planning::{self, EngineAccess};
use crate::cli::BuildArgs;
use crate::docker::Docker;
use crate::exit::Exit;
use crate::manifest::{self, Chosen};
use crate::probe;
use crate::render;
use crate::say;
use crate::state::Home;
use anyhow::Result;
use sys::signals;

pub fn run(asked: &BuildArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let cwd = probe::current_dir()?;
    let chosen = match &asked.agent {
        Some(agent) => manifest::load(home.path(), &cwd)?.choose(agent)?,
        None => Chosen::plain(),
    };
    // The agent's user id depends on it.
    home.make_id()?;
    let docker = Docker::new(&probe::engine()?)?;
    planning::ask_engine(&docker, &home)?;
    // A plan without access to the engine builds every image.
    let access = if asked.force { EngineAccess::None } else { EngineAccess::Ask(&docker) };
    let plan = planning::plan_images(&home, &chosen, docker.engine(), access)?;
    let readers = planning::reader_images(&home, &docker)?;
    let git = &readers.git;
    let mut builds = plan.images.builds;
    if (readers.is_missing(git) || asked.force) && !builds.iter().any(|build| build.tag == git.tag) {
        builds.push(git.clone());
    }
    if builds.is_empty() {
        say::note("all images are there");
    }
    if let Some(exit) = images::build(&docker, &builds, &signals::catch()?)? {
        return Ok(exit);
    }
    let mut used = vec![("gate's image", &plan.images.gate), ("agent's image", &plan.images.agent)];
    if git.tag != plan.images.gate {
        used.push(("image with git", &git.tag));
    }
    for (what, tag) in used {
        if let Some(bytes) = docker.image_size(tag) {
            say::note(&format!("the {what} `{tag}` has {}", render::size(bytes)));
        }
    }
    Ok(Exit::OK)
}
