//! `put`: a file into a live bottle.

use crate::cli::Put;
use crate::exit::Exit;
use anyhow::{Result, bail};

pub fn run(_asked: &Put) -> Result<Exit> {
    bail!("`put` is not written yet")
}
