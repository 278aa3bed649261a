//! `detach`: has the process that is at a session's agent leave it running, as its detach keys do.

use super::live::{not_running, recorded_ranked};
use crate::cli::DetachArgs;
use crate::exit::{Exit, UserError};
use crate::hint;
use crate::say;
use crate::session::ask_to_detach;
use crate::state::{Condition, Home};
use anyhow::Result;

pub fn run(asked: &DetachArgs) -> Result<Exit> {
    // What is attached comes before what runs without a terminal.
    let (folder, _) = recorded_ranked(&Home::locate()?, asked.identity.as_deref(), |condition| match condition {
        Condition::Live => 3,
        Condition::Detached => 2,
        Condition::Lost => 1,
        Condition::Kept(_) => 0,
    })?;
    let identity = &folder.identity;
    let not_attached = |what: &str| UserError::new(format!("`{identity}` is not attached to a terminal: {what}"));
    match folder.condition() {
        Condition::Live => {}
        Condition::Detached => {
            return Err(not_attached("it is detached already").hint(hint!("claude-bottle attach {}", identity)).into());
        }
        Condition::Lost => {
            let what = not_attached("the process that ran it has ended");
            return Err(what.hint(hint!("claude-bottle resume {}", identity)).into());
        }
        Condition::Kept(kept) => return Err(not_running(identity, &kept.why).into()),
    }
    if !ask_to_detach(&folder)? {
        let what = not_attached("its agent has not started yet, or has pipes instead");
        return Err(what.hint(hint!("claude-bottle stop {}", identity)).into());
    }
    match folder.condition() {
        // Live: another terminal has attached it since.
        Condition::Detached | Condition::Live => {
            say::note(&format!("detached `{identity}`, which runs on"));
            say::suggest(hint!("claude-bottle attach {}", identity));
            Ok(Exit::OK)
        }
        Condition::Kept(kept) => Err(not_running(identity, &kept.why).into()),
        Condition::Lost => Err(UserError::new(format!("`{identity}` has ended meanwhile")).into()),
    }
}
