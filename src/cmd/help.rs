//! `help`.

use crate::cli::Help;
use crate::exit::{Exit, Refused};
use anyhow::Result;

pub fn run(_: &Help) -> Result<Exit> {
    Err(Refused::new("not there yet").into())
}
