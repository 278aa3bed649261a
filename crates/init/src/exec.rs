//! `init exec`: a second program in a running bottle, with the environment and the directory of the first.

use super::child::{exec, terminal_size};
use super::{Failure, PATIENCE, go, place};
use std::path::Path;

/// `[--socket PATH] [-- CMD…]`. On success this process becomes the command.
pub fn run(args: &[String]) -> Result<i32, Failure> {
    let (place, rest) = place(args)?;
    let command = match rest {
        [] => shell(),
        [dashes, command @ ..] if dashes == "--" && !command.is_empty() => command.to_vec(),
        [dashes] if dashes == "--" => shell(),
        [word, ..] => return Err(Failure(format!("init exec does not know `{word}`: a command stands behind `--`"))),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let message = runtime.block_on(go::fetch(&place.socket, PATIENCE))?;
    let start = go::Start::new(&message, &place.home)?;
    runtime.block_on(terminal_size());
    drop((runtime, message));
    std::env::set_current_dir(&start.directory)?;
    Ok(exec(&command, Some(&start.environment)))
}

fn shell() -> Vec<String> {
    let words: &[&str] = if Path::new("/bin/bash").exists() { &["/bin/bash", "-l"] } else { &["/bin/sh"] };
    words.iter().map(|word| (*word).to_owned()).collect()
}
