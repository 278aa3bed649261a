//! Images, built where they are missing.

use super::planning;
use crate::docker::{self, BuildEnd, Docker};
use crate::exit::{Exit, UserError};
use crate::plan::{BASE_ARGUMENT, Build};
use crate::say;
use crate::state::Home;
use anyhow::Result;
use sys::signals::{self, Signals};
use sys::timings;

/// Builds these images, in this order; an exit code where a signal ended it.
pub fn build(docker: &Docker, builds: &[Build], signals: &Signals) -> Result<Option<Exit>> {
    for build in builds {
        timings::phase("build");
        say::note(&format!("building image `{}`", build.tag));
        if let BuildEnd::Signal(number) = docker::build(docker, &pinned(docker, build), signals)? {
            return Ok(Some(Exit::signal(number)));
        }
    }
    Ok(None)
}

/// The build with its base image by digest, where the engine has that image of a registry: a tag may move between two
/// builds. The first build of a machine pulls it by tag, and those behind it are made of the same one.
fn pinned(docker: &Docker, build: &Build) -> Build {
    let mut build = build.clone();
    if let Some(base) = build.args.get_mut(BASE_ARGUMENT)
        && let Some(digest) = docker.image_digest(base)
    {
        *base = digest;
    }
    build
}

/// The tag of this version's image with git, in which readers run; the image is built where it is missing.
pub fn git_image(docker: &Docker, home: &Home) -> Result<String> {
    let images = planning::reader_images(home, docker)?;
    let builds = std::slice::from_ref(&images.git);
    if images.is_missing(&images.git) && build(docker, builds, &signals::catch()?)?.is_some() {
        return Err(UserError::new("the image with git was not built").into());
    }
    Ok(images.git.tag)
}

/// The tag of this version's image with git, or of the gate's where only that is there.
///
/// # Errors
/// `UserError` where neither is built.
pub fn existing_image(docker: &Docker, home: &Home) -> Result<String> {
    let images = planning::reader_images(home, docker)?;
    let built = [&images.git, &images.gate].into_iter().find(|image| !images.is_missing(image));
    match built {
        Some(image) => Ok(image.tag.clone()),
        None => Err(UserError::new("the image of the gate is not built").hint("claude-bottle build").into()),
    }
}
