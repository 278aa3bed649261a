//! Tries the filter of system calls in throw-away containers: an engine may say that it filters, and not do it.

use super::{Diagnosis, Surroundings};
use crate::cmd::planning::{self, EngineAccess};
use crate::docker::{Docker, EngineDetails};
use crate::exit::{EngineError, EngineErrorKind};
use crate::manifest::Chosen;
use crate::plan::{ImageRole, Plan, Profile};
use crate::state;
use anyhow::{Context, Result};
use sys::random;

const CHECK: &str = "seccomp";
/// The error number that the filter answers with.
const EPERM: &str = "1";
const SUCCESS: &str = "0";

/// `None` where a diagnosis of another check says what is missing.
pub fn check(around: &Surroundings, docker: &Docker, about: &EngineDetails) -> Option<Diagnosis> {
    let access = EngineAccess::Known(docker, &about.facts);
    let plan = planning::plan_images(&around.home, &Chosen::plain(), docker.engine(), access).ok()?;
    if let Some(what) = plan.seccomp.unfit_engine() {
        return Some(
            Diagnosis::problem(CHECK, format!("this is {what}: `--yes` launches nothing here"))
                .hint("use another engine, or `\"seccomp\": \"engine\"` in each bottle"),
        );
    }
    let is_built = !plan.images.builds.iter().any(|build| build.role == Some(ImageRole::Gate));
    let (true, Some(home_id)) = (is_built, around.home.id()) else {
        return Some(Diagnosis::ok(CHECK, "claude-bottle's filter of system calls is tried after the first start"));
    };
    Some(match try_profiles(docker, Plan { home_id, ..plan }) {
        Ok(diagnosis) => diagnosis,
        Err(error) => match error.downcast::<EngineError>() {
            Ok(error) if error.kind == EngineErrorKind::Unreachable => {
                Diagnosis::note(CHECK, format!("claude-bottle's filter of system calls was not tried: {}", error.what))
            }
            Ok(error) => Diagnosis::engine_error(CHECK, error),
            Err(error) => {
                Diagnosis::note(CHECK, format!("claude-bottle's filter of system calls was not tried: {error}"))
            }
        },
    })
}

/// # Errors
/// The disk's; `EngineError` where the engine makes or runs no container with a profile.
fn try_profiles(docker: &Docker, plan: Plan) -> Result<Diagnosis> {
    let folder = tempfile::Builder::new().prefix("claude-bottle-doctor-").tempdir()?;
    state::write_profiles(folder.path())?;
    let plan = Plan { identity: format!("doctor-{}", random::word(5)?), profiles: folder.path().to_owned(), ..plan };
    let calls = Profile::ALL.map(|profile| (profile, docker.begin(&plan.try_filter(profile))));
    // Every call is waited for before an error is told, so that no container is left.
    let answers = calls.map(|(profile, call)| {
        call.and_then(|call| call.finish()).inspect_err(|_| {
            let _ = docker.remove([&plan.remove_trial(profile)]);
        })
    });
    for answer in answers {
        let answer = answer?;
        let (vsock, netlink) = answer.split_once(' ').context("the trial's answer is not understood")?;
        if vsock == SUCCESS || netlink != EPERM {
            let text = "the engine takes claude-bottle's filter of system calls, and does not hold containers to it";
            return Ok(Diagnosis::problem(CHECK, text).hint("use another engine"));
        }
    }
    Ok(Diagnosis::ok(CHECK, "claude-bottle's filter of system calls holds"))
}
