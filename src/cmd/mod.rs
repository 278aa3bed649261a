//! The verbs: one file each, each a recipe.

mod attach;
mod build;
mod cleanup;
mod exec;
mod launch;
mod list;
mod resume;
mod start;
mod world;

use crate::cli::{Cli, Verb};
use crate::exit::Exit;
use anyhow::Result;

/// Runs what was typed.
pub fn run(cli: Cli) -> Result<Exit> {
    match cli.verb {
        Verb::Start(asked) => start::run(asked),
        Verb::Resume(asked) => resume::run(asked),
        Verb::Attach(asked) => attach::run(&asked),
        Verb::List(asked) => list::run(&asked),
        Verb::Exec(asked) => exec::run(asked),
        Verb::Cleanup(asked) => cleanup::run(&asked),
        Verb::Build(asked) => build::run(&asked),
    }
}
