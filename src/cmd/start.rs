//! `start`: a new bottle for a named agent.

use super::launch::{self, launch};
use super::world::{self, Asking, Subject};
use crate::cli::{Format, Start};
use crate::docker::Docker;
use crate::exit::Exit;
use crate::facts::{self, Engine, Terminal};
use crate::manifest;
use crate::session::Session;
use crate::spec::Beginning;
use crate::state::Home;
use crate::sys::{random, tty};
use anyhow::{Context as _, Result};

pub fn run(asked: Start) -> Result<Exit> {
    let home = Home::locate()?;
    let cwd = std::env::current_dir().context("the current directory is gone")?;
    let chosen = manifest::load(home.path(), &cwd)?.choose(&asked.agent)?;
    let spec = asked.launch.spec(&asked.agent, cwd, Beginning::New);
    let dry = asked.dry_run || dry();
    let identity = format!("{}-{}", asked.agent, random::word(5)?);
    let subject = |home_id, terminal| -> Result<Subject> {
        let engine = Engine::of_environment()?;
        Ok(Subject { home: &home, home_id, identity, engine, terminal })
    };
    if dry {
        let home_id = home.id().map_or_else(|| random::word(16), Ok)?;
        // A script is piped to a shell that has the terminal, where this process has a pipe.
        let terminal = match asked.format {
            Format::Sh if tty::Tty::open().is_some() => Terminal::Tty,
            Format::Sh => Terminal::Pipes,
            _ => world::terminal(),
        };
        let (plan, gate) = world::plan(subject(home_id, terminal)?, &chosen, &spec, Asking::Nobody)?;
        return launch::print(&plan, gate.as_ref(), asked.format);
    }
    let docker = Docker::new(&Engine::of_environment()?)?;
    let subject = subject(home.make_id()?, world::terminal())?;
    let (plan, gate) = world::plan(subject, &chosen, &spec, Asking::Engine(&docker))?;
    if let Some(missing) = gate {
        return Err(missing.into());
    }
    let consent = launch::consent(&asked.launch, &plan)?;
    launch(&docker, &plan, consent, || Session::claim(&docker, &home, plan.clone()))
}

/// `CLAUDE_BOTTLE_DRY_RUN=1` equals `--dry-run`.
pub fn dry() -> bool {
    facts::variable("CLAUDE_BOTTLE_DRY_RUN").is_some_and(|value| value != "0")
}
