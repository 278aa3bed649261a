//! The verbs: one file each, each a recipe.

mod attach;
mod build;
mod check;
mod choice;
mod cleanup;
mod doctor;
mod edit;
mod exec;
mod forward;
mod get;
mod help;
mod info;
mod init;
mod launch;
mod list;
mod logs;
mod names;
mod put;
mod reader;
mod resume;
mod shell;
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
        Verb::Names(asked) => names::run(&asked),
        Verb::Help(asked) => help::run(&asked),
        Verb::Shell(asked) => shell::run(&asked),
        Verb::Doctor(asked) => doctor::run(&asked),
        Verb::Edit(asked) => edit::run(&asked),
        Verb::Init(asked) => init::run(&asked),
        Verb::Forward(asked) => forward::run(&asked),
    }
}
