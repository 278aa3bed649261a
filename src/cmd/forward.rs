//! `forward`.

use crate::cli::Forward;
use crate::exit::{Exit, Refused};
use anyhow::Result;

pub fn run(_: &Forward) -> Result<Exit> {
    Err(Refused::new("not there yet").into())
}
