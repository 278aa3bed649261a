//! `init pipe`: the inner end of `forward`. Connections accepted on the host arrive over stdin and lead to the agent's own
//! servers on loopback. It ends when stdin ends.

use crate::failure::Failure;
use std::io;
use std::os::fd::AsFd;
use wire::mux::Mux;

/// # Errors
/// The other end breaks the protocol.
pub fn run() -> Result<i32, Failure> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    let mut mux = Mux::in_bottle(input, output)?;
    while !mux.run_once(&[])?.is_over {}
    Ok(0)
}
