//! The verbs: one file each, each a recipe.

mod attach;
mod build;
mod check;
mod cleanup;
mod exec;
mod get;
mod info;
mod launch;
mod list;
mod logs;
mod put;
mod reader;
mod resume;
mod start;
mod work;
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
        Verb::Info(asked) => info::run(&asked),
        Verb::Work(asked) => work::run(&asked),
        Verb::Put(asked) => put::run(&asked),
        Verb::Get(asked) => get::run(&asked),
        Verb::Cleanup(asked) => cleanup::run(&asked),
        Verb::Check(asked) => check::run(&asked),
        Verb::Logs(asked) => logs::run(&asked),
        Verb::Build(asked) => build::run(&asked),
    }
}
