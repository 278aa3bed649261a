//! `init exec`: a second program in a running bottle, with the environment and the directory of the first.

use crate::enter::exec;
use crate::failure::Failure;
use crate::options::Options;
use crate::{go, terminal};
use std::path::Path;

/// `[--socket PATH] [-- CMD…]`. Without a command it runs a shell. On success this process becomes the command.
///
/// # Errors
/// Unknown arguments, or no go.
pub fn run(args: &[String]) -> Result<i32, Failure> {
    let (options, rest) = Options::parse(args)?;
    let command = match rest {
        [] => shell(),
        [dashes, command @ ..] if dashes == "--" && !command.is_empty() => command.to_vec(),
        [dashes] if dashes == "--" => shell(),
        [word, ..] => return Err(Failure(format!("init exec does not know `{word}`: a command stands behind `--`"))),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let message = runtime.block_on(go::fetch(&options.socket))?;
    let first = go::AgentCommand::new(&message, &options.home)?;
    runtime.block_on(terminal::await_size());
    drop((runtime, message));
    std::env::set_current_dir(&first.directory)?;
    Ok(exec(&command, Some(&first.environment)))
}

/// A login shell.
fn shell() -> Vec<String> {
    let words: &[&str] = if Path::new("/bin/bash").exists() { &["/bin/bash", "-l"] } else { &["/bin/sh"] };
    words.iter().map(|word| (*word).to_owned()).collect()
}
