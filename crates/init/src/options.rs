//! The options in front of a verb of init. They exist so that tests can run without a container.

use crate::failure::Failure;
use std::path::PathBuf;

pub struct Options {
    /// The gate's socket.
    pub socket: PathBuf,
    /// The agent's home.
    pub home: PathBuf,
}

impl Options {
    /// Parses `[--socket PATH] [--home DIR]` and returns the arguments after them.
    ///
    /// # Errors
    /// An option without its value.
    pub fn parse(args: &[String]) -> Result<(Options, &[String]), Failure> {
        let mut options = Options { socket: wire::GATE_SOCKET.into(), home: wire::HOME.into() };
        let mut rest = args;
        while let [option, tail @ ..] = rest {
            let target = match option.as_str() {
                "--socket" => &mut options.socket,
                "--home" => &mut options.home,
                _ => break,
            };
            let [value, tail @ ..] = tail else {
                return Err(Failure(format!("`{option}` needs a value")));
            };
            *target = value.into();
            rest = tail;
        }
        Ok((options, rest))
    }
}
