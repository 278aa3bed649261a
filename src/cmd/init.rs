//! `init`.

use crate::cli::Init;
use crate::exit::{Exit, Refused};
use anyhow::Result;

pub fn run(_: &Init) -> Result<Exit> {
    Err(Refused::new("not there yet").into())
}
