//! `work`: shows what an agent made, and brings it home. It is read in a container of its own, whatever state the session
//! is in; the session itself is not changed.

mod apply;
mod classes;
mod diff;
mod fetch;
mod file_consent;
mod git_folders;
mod lfs;
mod place;
mod pull;
mod refs;
mod autorun;

use super::home_reader::HomeReader;
use super::live::recorded;
use crate::cli::{WorkArgs, WorkVerb};
use crate::docker::Docker;
use crate::exit::{Exit, UserError};
use crate::git::CleanRepository;
use crate::plan::Plan;
use crate::render;
use crate::say;
use crate::state::budget::MAX_PLACED_BYTES;
use crate::state::{Condition, Folder, Home, KEPT_FOR_WORK, WorkLeft};
use crate::text;
use anyhow::Result;
use refs::BottleRefs;
use std::ops::ControlFlow;
use wire::{Repository, Work};

pub fn run(asked: &WorkArgs) -> Result<Exit> {
    match &asked.verb {
        WorkVerb::Diff(asked) => diff::run(asked),
        WorkVerb::Fetch(asked) => fetch::run(asked),
        WorkVerb::Apply(asked) => apply::run(asked),
        WorkVerb::Pull(asked) => pull::run(asked),
    }
}

/// `done`: what was to be done with files of `bytes` together.
///
/// # Errors
/// `UserError` where they are more than is written at once.
fn expect_placeable(bytes: u64, done: &str) -> Result<(), UserError> {
    if bytes <= MAX_PLACED_BYTES {
        return Ok(());
    }
    let (size, most) = (render::size(bytes), render::size(MAX_PLACED_BYTES));
    Err(UserError::new(format!("nothing was {done}: its files are {size}, and at most {most} are written at once"))
        .hint("`claude-bottle get` copies single files"))
}

/// A session whose work is asked for.
struct SessionWork {
    home: Home,
    folder: Folder,
    plan: Plan,
    docker: Docker,
}

impl SessionWork {
    fn open(typed: Option<&str>) -> Result<SessionWork> {
        let home = Home::locate()?;
        let (folder, plan) = recorded(&home, typed)?;
        let docker = Docker::new(&plan.engine)?;
        Ok(SessionWork { home, folder, plan, docker })
    }

    /// # Errors
    /// `UserError` where the session's home is gone.
    fn reader(&self) -> Result<HomeReader<'_>> {
        let gone = || UserError::new(format!("the home of `{}` is gone", self.plan.identity));
        Ok(HomeReader::open(&self.docker, &self.home, &self.plan)?.ok_or_else(gone)?)
    }

    /// Notes that all refs of a bottle's repository were fetched.
    fn note_fetch(&self, name: &str, target: &CleanRepository) -> Result<()> {
        let folder = BottleRefs::folder_of(&self.plan.identity);
        let tips = target.query(&["for-each-ref", "--format=%(objectname)", &folder])?.lines();
        let mut brought = self.folder.brought();
        brought.note_fetch(name, &target.repository.top, tips);
        self.folder.set_brought(&brought)
    }

    /// The end of a verb that may have brought something here, however it ended. Its own error is told before one of the note.
    fn end(&self, reader: &HomeReader, ended: Result<Exit>) -> Result<Exit> {
        let noted = self.note_left(reader);
        ended.and_then(|exit| noted.map(|()| exit))
    }

    /// Notes what is left of a kept session's work after something was brought here.
    fn note_left(&self, reader: &HomeReader) -> Result<()> {
        let mut brought = self.folder.brought();
        if brought.is_empty() || !matches!(self.folder.condition(), Condition::Kept(_)) {
            return Ok(());
        }
        let work = reader.work(&brought.elsewhere())?;
        let why = match work.is_none() {
            true => "all of its work is here".to_owned(),
            false => format!("{KEPT_FOR_WORK}: {}", render::work(&work)),
        };
        brought.left = work.complete.then_some(WorkLeft { work, why });
        self.folder.set_brought(&brought)
    }

    /// The repository of the bottle that was named, else the one that was copied: the directory itself, or the only one in
    /// it.
    ///
    /// # Errors
    /// `UserError` where several were copied.
    fn copied_repository(&self, named: Option<&str>) -> Result<String, UserError> {
        let copied = self.plan.workspace.as_ref().map_or(&[][..], |workspace| &workspace.repositories);
        match (named, copied) {
            (Some(named), _) => Ok(named.trim_end_matches('/').to_owned()),
            (None, [only]) => Ok(only.clone()),
            (None, copied) if copied.is_empty() || copied.iter().any(|name| name == ".") => Ok(".".to_owned()),
            (None, copied) => Err(several(copied.iter().map(String::as_str))),
        }
    }
}

/// The repository that was named, else all that have what is `wanted`.
///
/// # Errors
/// `UserError` where there is none, and the workspace could not be compared.
fn choose_repositories(found: &Work, named: Option<&str>, wanted: fn(&Repository) -> bool) -> Result<Vec<String>> {
    if let Some(named) = named {
        return Ok(vec![named.trim_end_matches('/').to_owned()]);
    }
    let have: Vec<String> = found.repositories.iter().filter(|r| wanted(r)).map(|r| r.path.clone()).collect();
    match have.is_empty() && !found.complete {
        true => Err(UserError::new("what is in the workspace could not be compared").hint("name a repository").into()),
        false => Ok(have),
    }
}

/// Does this for each repository, whatever becomes of the others; stops where it breaks with an exit code.
///
/// # Errors
/// The last one; those before it are printed.
fn for_each(names: &[String], mut run: impl FnMut(&str) -> Result<ControlFlow<Exit>>) -> Result<ControlFlow<Exit>> {
    let mut failed = None;
    for name in names {
        match run(name) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(exit)) => return Ok(ControlFlow::Break(exit)),
            Err(error) => drop(failed.replace(error).inspect(say::error)),
        }
    }
    failed.map_or(Ok(ControlFlow::Continue(())), Err)
}

fn several<'a>(names: impl Iterator<Item = &'a str>) -> UserError {
    let names: Vec<String> = names.map(|name| format!("`{}`", text::one_line(name))).collect();
    UserError::new(format!("several repositories: {}", names.join(", "))).hint("name one of them")
}

/// Says that there was nothing to do, and what else there is.
fn note_nothing(what: &str, found: &Work) {
    say::note(&match found.is_none() {
        true => format!("no {what}: no changes to copy back"),
        false => format!("no {what}; there is: {}", render::work(found)),
    });
}
