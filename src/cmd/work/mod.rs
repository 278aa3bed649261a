//! `work`: shows what an agent made, and brings it home. It is read in a container of its own, whatever state the session
//! is in; the session itself is not changed.

mod apply;
mod classes;
mod diff;
mod fetch;
mod git_folders;
mod pull;
mod autorun;

use super::home_reader::HomeReader;
use super::live::recorded;
use crate::cli::{WorkArgs, WorkVerb};
use crate::docker::Docker;
use crate::exit::{Exit, UserError};
use crate::git::{CleanRepository, Repository as LocalRepository};
use crate::plan::Plan;
use crate::probe;
use crate::render;
use crate::say;
use crate::state::{Condition, Folder, Home, KEPT_FOR_WORK, WorkLeft};
use crate::text;
use anyhow::Result;
use wire::{Repository, Work};

pub fn run(asked: &WorkArgs) -> Result<Exit> {
    match &asked.verb {
        WorkVerb::Diff(asked) => diff::run(asked),
        WorkVerb::Fetch(asked) => fetch::run(asked),
        WorkVerb::Apply(asked) => apply::run(asked),
        WorkVerb::Pull(asked) => pull::run(asked),
    }
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
        let folder = format!("refs/bottles/{}/", self.plan.identity);
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

    /// The repository on this machine to which one of the bottle belongs: the one it was copied from, else the one here.
    fn local_repository(&self, repository: &str) -> Result<CleanRepository> {
        let known = self.plan.workspace.as_ref();
        let known = known.filter(|workspace| workspace.repositories.iter().any(|path| path == repository));
        let (folder, hint) = match known {
            Some(workspace) => (workspace.from.join(repository), "it was copied from there"),
            None => (probe::current_dir()?, "go to the repository that it belongs to, and type this again"),
        };
        let none = || UserError::new(format!("`{}` is in no git repository", folder.display())).hint(hint);
        Ok(CleanRepository::new(LocalRepository::find(&folder)?.ok_or_else(none)?)?)
    }
}

/// The repository that was named, else the only one that has what is `wanted`; `None` where none has it.
///
/// # Errors
/// `UserError` where several have it, and where the workspace could not be compared.
fn choose_repository(found: &Work, named: Option<&str>, wanted: fn(&Repository) -> bool) -> Result<Option<String>> {
    if let Some(named) = named {
        return Ok(Some(named.trim_end_matches('/').to_owned()));
    }
    let have: Vec<&str> = found.repositories.iter().filter(|r| wanted(r)).map(|r| r.path.as_str()).collect();
    match have[..] {
        [] if found.complete => Ok(None),
        [] => Err(UserError::new("what is in the workspace could not be compared").hint("name a repository").into()),
        [name] => Ok(Some(name.to_owned())),
        _ if have.contains(&".") => Ok(Some(".".to_owned())),
        _ => Err(several(have.into_iter()).into()),
    }
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
