//! `work`: what an agent made: shown, fetched, applied.

use crate::cli::Work;
use crate::exit::Exit;
use anyhow::{Result, bail};

pub fn run(_asked: &Work) -> Result<Exit> {
    bail!("`work` is not written yet")
}
