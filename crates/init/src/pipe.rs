//! `init pipe`: the inner end of `forward`. Connections that were made on the host come in over stdin, and lead to the
//! agent's own servers on loopback; it ends with its stdin.

use super::Failure;
use std::io;
use std::os::fd::AsFd;
use wire::mux::Mux;

pub fn run() -> Result<i32, Failure> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    let mut mux = Mux::inside(input, output)?;
    while !mux.turn(&[])?.over {}
    Ok(0)
}
