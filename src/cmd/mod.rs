//! The verbs: one file each, each a recipe. What several verbs need has a module of its own beside them; no verb uses
//! another one.

mod age;
mod approve;
mod approve_packages;
mod attach;
mod bounded_copy;
mod build;
mod check;
mod choice;
mod cleanup;
mod consent;
mod dashboard;
mod detach;
mod doctor;
mod edit;
mod editor;
mod exec;
mod forward;
mod get;
mod git;
mod help;
mod home_reader;
mod images;
mod info;
mod init;
mod launch;
mod list;
mod live;
mod logs;
mod names;
mod planning;
mod progress_reader;
mod proposals;
mod put;
mod reject;
mod resume;
mod routes;
mod save_route;
mod shell;
mod start;
mod stop;
mod strays;
mod suggest;
mod text_editor;
mod usage;
mod work;

use crate::cli::{Cli, Verb};
use crate::exit::Exit;
use crate::say::{self, ErrorFormat, Manner};
use anyhow::Result;
use clap::Parser;
use std::ffi::OsString;
use sys::timings;

/// Runs what was typed, the program's own name first.
pub fn run(args: Vec<OsString>) -> Result<Exit> {
    let errors = if usage::asks_for_json(&args) { ErrorFormat::Json } else { ErrorFormat::Text };
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => {
            say::set_manner(Manner { quiet: false, verbose: false, colour: usage::colour(&args), errors });
            return usage::answer(&error);
        }
    };
    let asked = cli.global;
    say::set_manner(Manner { quiet: asked.quiet, verbose: asked.verbose, colour: asked.color, errors });
    if asked.timings {
        timings::enable();
        timings::phase("plan");
    }
    match cli.verb {
        Verb::Start(asked) => start::run(asked),
        Verb::Resume(asked) => resume::run(asked),
        Verb::Attach(asked) => attach::run(&asked),
        Verb::Detach(asked) => detach::run(&asked),
        Verb::Stop(asked) => stop::run(&asked),
        Verb::List(asked) => list::run(&asked),
        Verb::Exec(asked) => exec::run(asked),
        Verb::Info(asked) => info::run(&asked),
        Verb::Work(asked) => work::run(&asked),
        Verb::Put(asked) => put::run(&asked),
        Verb::Get(asked) => get::run(&asked),
        Verb::Git(asked) => git::run(asked),
        Verb::Proposals(asked) => proposals::run(&asked),
        Verb::Approve(asked) => approve::run(&asked),
        Verb::Reject(asked) => reject::run(&asked),
        Verb::Routes(asked) => routes::run(asked),
        Verb::Cleanup(asked) => cleanup::run(&asked),
        Verb::Check(asked) => check::run(&asked),
        Verb::Logs(asked) => logs::run(&asked),
        Verb::Dashboard(asked) => dashboard::run(&asked),
        Verb::Suggest(asked) => suggest::run(&asked),
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
