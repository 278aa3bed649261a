//! `work`: what an agent made, shown and brought home. It is read in a container of its own, whatever state the session
//! is in, and changes nothing of it.

mod apply;
mod diff;
mod fetch;
mod runs;

use super::launch::recorded;
use super::reader::Reader;
use crate::cli::{WorkArgs, WorkVerb};
use crate::docker::Docker;
use crate::exit::{Exit, UserError};
use crate::git;
use crate::plan::Plan;
use crate::render;
use crate::say;
use crate::state::{Folder, Home};
use crate::text;
use anyhow::{Context as _, Result};
use std::path::PathBuf;
use wire::{Repository, Work as Found};

pub fn run(asked: &WorkArgs) -> Result<Exit> {
    match &asked.verb {
        WorkVerb::Diff(asked) => diff::run(asked),
        WorkVerb::Fetch(asked) => fetch::run(asked),
        WorkVerb::Apply(asked) => apply::run(asked),
    }
}

/// A session, and who reads its home.
struct Subject {
    home: Home,
    folder: Folder,
    plan: Plan,
    docker: Docker,
}

impl Subject {
    fn of(identity: &str) -> Result<Subject> {
        let home = Home::locate()?;
        let (folder, plan) = recorded(&home, identity)?;
        let docker = Docker::new(&plan.engine)?;
        Ok(Subject { home, folder, plan, docker })
    }

    fn reader(&self) -> Result<Reader<'_>> {
        let gone = || UserError::new(format!("the home of `{}` is gone", self.plan.identity));
        Ok(Reader::open(&self.docker, &self.home, &self.plan)?.ok_or_else(gone)?)
    }

    /// Where a repository of the bottle's belongs on this machine: where it was copied from, else here.
    fn place(&self, repository: &str) -> Result<PathBuf> {
        let known = self.plan.workspace.as_ref();
        let known = known.filter(|workspace| workspace.repositories.iter().any(|path| path == repository));
        let (folder, hint) = match known {
            Some(workspace) => (workspace.from.join(repository), "it was copied from there"),
            None => (here()?, "go to the repository that it belongs to, and type this again"),
        };
        git::top(&folder)?
            .ok_or_else(|| UserError::new(format!("`{}` is in no git repository", folder.display())).hint(hint).into())
    }
}

fn here() -> Result<PathBuf> {
    std::env::current_dir().context("the current directory is gone")
}

/// The repository that was named, else the one that has what is wanted.
///
/// # Errors
/// `UserError` where there are several, or where it is not known.
fn choose(found: &Found, named: Option<&str>, wanted: fn(&Repository) -> bool) -> Result<Option<String>> {
    if let Some(named) = named {
        return Ok(Some(named.trim_end_matches('/').to_owned()));
    }
    let have: Vec<&str> = found.repositories.iter().filter(|r| wanted(r)).map(|r| r.path.as_str()).collect();
    match have[..] {
        [] if found.complete => Ok(None),
        [] => Err(UserError::new("what is in the workspace could not be compared").hint("name a repository").into()),
        [one] => Ok(Some(one.to_owned())),
        _ if have.contains(&".") => Ok(Some(".".to_owned())),
        _ => {
            let names: Vec<String> = have.iter().map(|name| format!("`{}`", text::one_line(name))).collect();
            Err(UserError::new(format!("several repositories: {}", names.join(", "))).hint("name one of them").into())
        }
    }
}

/// Told where there was nothing to do.
fn nothing(what: &str, found: &Found) {
    say::note(&match found.is_none() {
        true => format!("no {what}: nothing is there that is nowhere else"),
        false => format!("no {what}; there is: {}", render::work(found)),
    });
}
