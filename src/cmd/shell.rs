//! `shell`.

use crate::cli::Shell;
use crate::exit::{Exit, Refused};
use anyhow::Result;

pub fn run(_: &Shell) -> Result<Exit> {
    Err(Refused::new("not there yet").into())
}
