//! A session that exists, and a bottle that runs: what every verb on one of them begins with.

use crate::docker::Docker;
use crate::exit::UserError;
use crate::hint;
use crate::plan::{Args, Plan};
use crate::state::{Condition, Folder, Home};
use crate::supervise::{self, GateRefusal};
use anyhow::Result;
use std::path::Path;

/// The folder and the plan of the session that was typed; without one, of the newest of this directory.
///
/// # Errors
/// `UserError` for an unknown session, and for a plan that cannot be read.
pub fn recorded<'a>(home: &Home, typed: impl Into<Option<&'a str>>) -> Result<(Folder, Plan)> {
    let folder = home.find(typed.into())?;
    let plan = folder.plan()?;
    Ok((folder, plan))
}

/// As [`recorded`], but without a name the newest of this directory that runs, if one does.
///
/// # Errors
/// Those of [`recorded`].
pub fn running<'a>(home: &Home, typed: impl Into<Option<&'a str>>) -> Result<(Folder, Plan)> {
    recorded_ranked(home, typed.into(), |condition| match condition {
        Condition::Live | Condition::Detached => 2,
        // These may still run.
        Condition::Lost => 1,
        Condition::Kept(kept) => u8::from(kept.unsettled),
    })
}

/// As [`recorded`], but without a name the newest of this directory among those whose condition has the highest rank.
///
/// # Errors
/// Those of [`recorded`].
pub fn recorded_ranked(home: &Home, typed: Option<&str>, rank: fn(&Condition) -> u8) -> Result<(Folder, Plan)> {
    let folder = home.find_ranked(typed, rank)?;
    let plan = folder.plan()?;
    Ok((folder, plan))
}

/// The error for a kept session, in which nothing can be done.
pub fn not_running(identity: &str, why: &str) -> UserError {
    UserError::new(format!("`{identity}` does not run: {why}")).hint(hint!("claude-bottle resume {}", identity))
}

/// A bottle that runs.
pub struct LiveBottle {
    pub docker: Docker,
    pub folder: Folder,
    plan: Plan,
}

impl LiveBottle {
    /// # Errors
    /// `UserError` for a session that does not run.
    pub fn open<'a>(typed: impl Into<Option<&'a str>>) -> Result<LiveBottle> {
        let (folder, plan) = running(&Home::locate()?, typed)?;
        let docker = Docker::new(&plan.engine)?;
        match folder.condition() {
            Condition::Live => {}
            Condition::Kept(rest) if !rest.unsettled => return Err(not_running(&plan.identity, &rest.why).into()),
            // No owner would have recorded its end, and the exit code with which the engine's program reports that could
            // be a command's own.
            Condition::Detached | Condition::Lost | Condition::Kept(_) => check_running(&docker, &plan)?,
        }
        Ok(LiveBottle { docker, folder, plan })
    }

    /// # Errors
    /// `UserError` where it has ended since.
    pub fn check_running(&self) -> Result<()> {
        check_running(&self.docker, &self.plan)
    }

    /// The arguments that run `init` inside, with these words; `flags` are those of the engine's `exec`.
    pub fn exec(&self, flags: &str, words: &[&str]) -> Args {
        self.plan.exec(flags, words)
    }

    /// Runs a verb of the gate's `ctl` with this input.
    ///
    /// # Errors
    /// Those of [`supervise::ask`].
    pub fn ask_gate(&self, words: &[&str], input: Vec<u8>) -> Result<(), GateRefusal> {
        supervise::ask(&self.docker, &self.plan, words, input)
    }

    /// Does git of the bottle reach anything?
    pub fn has_remotes(&self) -> bool {
        self.plan.has_remotes()
    }

    /// The arguments that run a verb of `init` on one file inside.
    ///
    /// # Errors
    /// `UserError` for a path that is not UTF-8.
    pub fn exec_on_file(&self, verb: &str, path: &Path) -> Result<Args, UserError> {
        let text = path.to_str().ok_or_else(|| UserError::new(format!("`{}` is not UTF-8", path.display())))?;
        Ok(self.exec("-i", &[verb, text]))
    }
}

/// # Errors
/// `UserError` where the session's agent does not run any more.
pub fn check_running(docker: &Docker, plan: &Plan) -> Result<()> {
    match docker.is_running(&plan.agent_container())? {
        true => Ok(()),
        false => Err(UserError::new(format!("`{}` does not run any more", plan.identity))
            .hint(hint!("claude-bottle resume {}", plan.identity))
            .into()),
    }
}
