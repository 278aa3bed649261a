//! `cleanup`: settles what is lost, then removes kept sessions and what else of this home is left on the engine.
//!
//! Live and detached sessions are never touched, nor anything without this home's label.

use super::launch::asking_terminal;
use crate::cli::Cleanup;
use crate::docker::{Docker, gone};
use crate::exit::Exit;
use crate::facts::Engine;
use crate::plan::{Fate, volume};
use crate::say;
use crate::session::Session;
use crate::state::{Condition, Folder, Home};
use crate::sys::signals;
use anyhow::Result;
use std::collections::BTreeSet;

/// Objects on the engine whose session is not on this disk.
#[derive(Default)]
struct Orphans {
    containers: Vec<String>,
    volumes: Vec<String>,
}

pub fn run(asked: &Cleanup) -> Result<Exit> {
    let home = Home::locate()?;
    let mut exit = Exit::OK;
    for folder in home.folders() {
        if folder.condition() == Condition::Lost && !settled(&folder) {
            exit = Exit::ENGINE;
        }
    }
    let kept: Vec<Folder> =
        home.folders().into_iter().filter(|folder| matches!(folder.condition(), Condition::Kept(_))).collect();
    let docker = Docker::new(&Engine::of_environment()?)?;
    let orphans = match home.id() {
        Some(id) => orphans(&docker, &home, &id)?,
        None => Orphans::default(),
    };
    if kept.is_empty() && orphans.containers.is_empty() && orphans.volumes.is_empty() {
        say::line("nothing to remove");
        return Ok(exit);
    }
    for folder in &kept {
        say::line(&format!("remove `{}`: its transcript, its audit trail, its home volume", folder.identity));
    }
    for name in orphans.containers.iter().chain(&orphans.volumes) {
        say::line(&format!("remove `{name}`: left on the engine by this home"));
    }
    if !asked.yes && !confirmed()? {
        return Ok(exit);
    }
    for folder in &kept {
        if let Err(error) = remove(folder) {
            say::error(&error);
            exit = Exit::ENGINE;
        }
    }
    for name in &orphans.containers {
        docker.brief(&["rm", "-f", "-v", name].map(str::to_owned))?;
    }
    for name in &orphans.volumes {
        docker.brief(&["volume", "rm", name].map(str::to_owned))?;
    }
    Ok(exit)
}

/// A lost session becomes a kept one; false where the engine that has it does not answer.
fn settled(folder: &Folder) -> bool {
    let settle = || -> Result<()> {
        let Some(lock) = folder.lock()? else { return Ok(()) };
        let Ok(plan) = folder.plan() else {
            // Its start died before the plan was written: before the first engine call.
            return folder.remove();
        };
        let docker = Docker::new(&plan.engine)?;
        Session::rescue(&docker, folder.clone(), plan, lock).map(drop)
    };
    settle().map_err(|error| say::error(&error)).is_ok()
}

fn confirmed() -> Result<bool> {
    let mut tty = asking_terminal("remove")?;
    Ok(tty.ask("remove all this? [y/N] ", &signals::catch()?).is_yes())
}

/// One kept session: what its plan made, then its folder.
fn remove(folder: &Folder) -> Result<()> {
    let Some(_lock) = folder.lock()? else { return Ok(()) };
    if !matches!(folder.condition(), Condition::Kept(_)) {
        return Ok(());
    }
    let plan = folder.plan()?;
    let docker = Docker::new(&plan.engine)?;
    for step in plan.down(Fate::Drop).iter().filter(|step| step.what.removes()) {
        docker.brief(&step.args).or_else(gone)?;
    }
    folder.remove()
}

/// What has this home's label and no session on this disk.
fn orphans(docker: &Docker, home: &Home, id: &str) -> Result<Orphans> {
    let known: BTreeSet<String> = home.folders().into_iter().map(|folder| folder.identity).collect();
    let filter = format!("label=claude-bottle.home={id}");
    let list = |args: &[&str]| -> Result<Vec<String>> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let text = docker.brief(&args)?;
        let stray = |line: &&str| line.split_once(' ').is_some_and(|(_, identity)| !known.contains(identity));
        Ok(text.lines().filter(stray).filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect())
    };
    let format = r#"{{.Names}} {{.Label "claude-bottle.identity"}}"#;
    let volumes = r#"{{.Name}} {{.Label "claude-bottle.identity"}}"#;
    let mut orphans = Orphans {
        containers: list(&["ps", "-a", "--filter", &filter, "--format", format])?,
        volumes: list(&["volume", "ls", "--filter", &filter, "--format", volumes])?,
    };
    // An anonymous volume goes with its container.
    orphans.volumes.retain(|name| name.starts_with(&volume("")));
    Ok(orphans)
}
