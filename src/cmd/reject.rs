//! `reject`: the agent is told that it does not get what it asks for, and why.

use crate::cli::RejectArgs;
use crate::exit::{Exit, UserError};
use crate::render;
use crate::say;
use crate::state::Home;
use crate::supervise::Decidable;
use anyhow::Result;
use wire::MAX_SUPERVISE_REASON_BYTES;

pub fn run(asked: &RejectArgs) -> Result<Exit> {
    if asked.reason.as_ref().is_some_and(|reason| reason.len() > MAX_SUPERVISE_REASON_BYTES) {
        return Err(UserError::new(format!("the reason is longer than {MAX_SUPERVISE_REASON_BYTES} bytes")).into());
    }
    let mut wanted = Decidable::find(&Home::locate()?, &asked.id)?;
    wanted.session.reject(&wanted.change, asked.reason.as_deref())?;
    say::note(&format!("rejected: {}", render::change_text(&wanted.change)));
    Ok(Exit::OK)
}
