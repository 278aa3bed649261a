//! `edit`.

use crate::cli::Edit;
use crate::exit::{Exit, Refused};
use anyhow::Result;

pub fn run(_: &Edit) -> Result<Exit> {
    Err(Refused::new("not there yet").into())
}
