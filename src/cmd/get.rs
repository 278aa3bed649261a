//! `get`: a file out of a live bottle.

use crate::cli::Get;
use crate::exit::Exit;
use anyhow::{Result, bail};

pub fn run(_asked: &Get) -> Result<Exit> {
    bail!("`get` is not written yet")
}
