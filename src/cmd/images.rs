//! Images, built where they are missing.

use super::planning::{self, EngineAccess};
use crate::docker::{self, BuildEnd, Docker};
use crate::exit::{Exit, UserError};
use crate::manifest::Chosen;
use crate::plan::{ImageRole, Plan};
use crate::say;
use crate::state::Home;
use anyhow::Result;
use sys::signals::{self, Signals};
use sys::timings;

/// Builds the plan's missing images; an exit code where a signal ended it.
pub fn build(docker: &Docker, plan: &Plan, signals: &Signals) -> Result<Option<Exit>> {
    for build in &plan.images.builds {
        timings::phase("build");
        say::note(&format!("building image `{}`", build.tag));
        if let BuildEnd::Signal(number) = docker::build(docker, build, signals)? {
            return Ok(Some(Exit::signal(number)));
        }
    }
    Ok(None)
}

/// The tag of this version's gate image, in which readers run; the image is built where it is missing.
pub fn gate_image(docker: &Docker, home: &Home) -> Result<String> {
    let plan = plan_gate_image(docker, home)?;
    if !plan.images.builds.is_empty() && build(docker, &plan, &signals::catch()?)?.is_some() {
        return Err(UserError::new("the image of the gate was not built").into());
    }
    Ok(plan.images.gate)
}

/// The tag of this version's gate image.
///
/// # Errors
/// `UserError` where the image is not built.
pub fn existing_gate_image(docker: &Docker, home: &Home) -> Result<String> {
    let plan = plan_gate_image(docker, home)?;
    match plan.images.builds.is_empty() {
        true => Ok(plan.images.gate),
        false => Err(UserError::new("the image of the gate is not built").hint("claude-bottle build").into()),
    }
}

/// A plan that builds the gate's image where it is missing, and nothing else.
fn plan_gate_image(docker: &Docker, home: &Home) -> Result<Plan> {
    let mut plan = planning::plan_images(home, &Chosen::plain(), docker.engine(), EngineAccess::Ask(docker))?;
    plan.images.builds.retain(|build| build.role == Some(ImageRole::Gate));
    Ok(plan)
}
