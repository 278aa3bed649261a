//! Images, built where they are missing.

use super::planning::{self, EngineAccess};
use crate::docker::{self, BuildEnd, Docker};
use crate::exit::{Exit, UserError};
use crate::manifest::Chosen;
use crate::plan::{Build, ImageRole};
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
        if let BuildEnd::Signal(number) = docker::build(docker, build, signals)? {
            return Ok(Some(Exit::signal(number)));
        }
    }
    Ok(None)
}

/// The tag of this version's image with git, in which readers run; the image is built where it is missing.
pub fn git_image(docker: &Docker, home: &Home) -> Result<String> {
    let (image, is_missing) = planning::plan_git_image(home, docker)?;
    if is_missing && build(docker, std::slice::from_ref(&image), &signals::catch()?)?.is_some() {
        return Err(UserError::new("the image with git was not built").into());
    }
    Ok(image.tag)
}

/// The tag of this version's image with git, or of the gate's where only that is there.
///
/// # Errors
/// `UserError` where neither is built.
pub fn existing_image(docker: &Docker, home: &Home) -> Result<String> {
    let (image, is_missing) = planning::plan_git_image(home, docker)?;
    if !is_missing {
        return Ok(image.tag);
    }
    let plan = planning::plan_images(home, &Chosen::plain(), docker.engine(), EngineAccess::Ask(docker))?;
    match plan.images.builds.iter().any(|build| build.role == Some(ImageRole::Gate)) {
        false => Ok(plan.images.gate),
        true => Err(UserError::new("the image of the gate is not built").hint("claude-bottle build").into()),
    }
}
