//! `work fetch`: makes refs of their own in a repository here equal to a bottle's branches, stashes and detached heads, and to
//! what it has pushed to a local remote; nothing else changes.

use super::{SessionWork, choose_repository, note_nothing};
use crate::cli::WorkFetchArgs;
use crate::cmd::home_reader::HomeReader;
use crate::exit::{Exit, UserError};
use crate::git::{self, CleanRepository, RefChange, RefSpace};
use crate::hint;
use crate::say;
use crate::text;
use anyhow::Result;
use tempfile::NamedTempFile;
use wire::Elsewhere;

/// The folder of the refs of all bottles.
const BOTTLES: &str = "refs/bottles/";
/// Folder of what was pushed to a local remote, in that of a session.
const REMOTES: &str = "remotes/";
/// Folder of commits that the bottle has no ref for any more, in that of a session.
const FORMER: &str = "former/";
/// In place of a local remote's name where the manifest has none any more.
const FORMER_REMOTE: &str = "pushed";

pub fn run(asked: &WorkFetchArgs) -> Result<Exit> {
    let session = SessionWork::open(asked.identity.as_deref())?;
    let reader = session.reader()?;
    let ended = bring(&session, &reader, asked.repository.as_deref()).map(|_| Exit::OK);
    session.end(&reader, ended)
}

/// Fetches what there is of this repository, or of the one that has something; the name of the bottle's repository.
pub fn bring(session: &SessionWork, reader: &HomeReader, named: Option<&str>) -> Result<Option<String>> {
    let found = reader.work(&Elsewhere::default())?;
    let of_home = choose_repository(&found, named, |repository| repository.commits + repository.stashes > 0)?;
    let has_commits = of_home.is_some();
    // Without commits of its own it can have branches on known ones.
    let of_home = of_home.or_else(|| session.copied_repository(None).ok().filter(|_| session.plan.workspace.is_some()));
    let of_pushes = if found.pushed > 0 { reader.of_pushes()? } else { None };
    if of_home.is_none() && of_pushes.is_none() {
        note_nothing("commits", &found);
        return Ok(None);
    }
    let folder = format!("{BOTTLES}{}/", session.plan.identity);
    let former = format!("{folder}{FORMER}");
    if let Some(name) = &of_home {
        let target = session.local_repository(name)?;
        let bundle = reader.answer_in_file(&["work", "bundle", name], target.tips()?, session.folder.path())?;
        let space = RefSpace { folder: &folder, replaced: "", beside: &[REMOTES, FORMER], former: &former };
        let is_new = take(&target, bundle, &space)?;
        session.note_fetch(name, &target)?;
        match has_commits {
            _ if is_new => {}
            true => note_known(&target, &format!("`{}`", text::one_line(name))),
            false if of_pushes.is_none() => note_nothing("commits", &found),
            false => {}
        }
    }
    if let Some(reader) = of_pushes {
        let remote = session.plan.local_remote().unwrap_or(FORMER_REMOTE);
        let name = session.copied_repository(named)?;
        let target = session.local_repository(&name)?;
        let bundle = reader.answer_in_file(&["pushed", "bundle", remote], target.tips()?, session.folder.path())?;
        let pushed = format!("{REMOTES}{}/", git::plain_ref(remote.as_bytes()));
        let space = RefSpace { folder: &folder, replaced: &pushed, beside: &[], former: &former };
        if !take(&target, bundle, &space)? {
            note_known(&target, &format!("the remote `{}`", text::one_line(remote)));
        }
        session.note_fetch(&name, &target)?;
    }
    Ok(of_home)
}

fn note_known(target: &CleanRepository, of: &str) {
    say::note(&format!("`{}` has all commits of {of} already", text::path(&target.repository.top)));
}

/// Takes a bundle into a repository, and says what changed there; false for nothing.
fn take(target: &CleanRepository, bundle: Option<NamedTempFile>, space: &RefSpace) -> Result<bool> {
    let changes = bundle.map(|bundle| git::fetch(target, bundle.path(), space)).transpose()?.unwrap_or_default();
    if changes.is_empty() {
        return Ok(false);
    }
    say::note(&format!("into `{}`:", text::path(&target.repository.top)));
    for change in &changes {
        say::out(&format!("{}  {}\n", text::one_line(&change.name), describe(target, change)?))?;
    }
    if let Some(first) = changes.iter().find(|change| change.new.is_some()) {
        say::suggest(hint!("git log {}", first.name));
    }
    Ok(true)
}

/// What became of a ref, as `git fetch` says it: the commit of a new one, `old..new`, `+old...new (forced)`.
fn describe(target: &CleanRepository, change: &RefChange) -> Result<String, UserError> {
    let shown = |id: &str, format: &str| -> Result<String, UserError> {
        let said = target.query(&["log", "-1", "--no-show-signature", "--no-color", format, id, "--"])?;
        Ok(text::flattened(said.lines().first().map_or("", String::as_str)))
    };
    let short = |id: &str| shown(id, "--format=%h");
    Ok(match (&change.old, &change.new) {
        (None, Some(new)) => shown(new, "--format=%h %s")?,
        (Some(old), None) => format!("removed (was {})", short(old)?),
        (Some(old), Some(new)) => {
            let subject = shown(new, "--format=%s")?;
            match target.is_ancestor(old, new)? {
                true => format!("{}..{} {subject}", short(old)?, short(new)?),
                false => format!("+{}...{} (forced) {subject}", short(old)?, short(new)?),
            }
        }
        (None, None) => String::new(),
    })
}
