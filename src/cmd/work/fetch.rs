//! `work fetch`: fetches a bottle's commits and stashes, and what it has pushed to a local remote, into refs of their own in
//! a repository here; nothing else changes.

use super::{SessionWork, choose_repository, note_nothing};
use crate::cli::WorkFetchArgs;
use crate::exit::{Exit, UserError};
use crate::git::{self, CleanRepository};
use crate::hint;
use crate::say;
use crate::text;
use anyhow::Result;
use std::collections::BTreeMap;
use tempfile::NamedTempFile;

/// The folder of the refs of all bottles.
const BOTTLES: &str = "refs/bottles/";
/// In place of a local remote's name where the manifest has none any more.
const FORMER_REMOTE: &str = "pushed";

pub fn run(asked: &WorkFetchArgs) -> Result<Exit> {
    let session = SessionWork::open(&asked.identity)?;
    let reader = session.reader()?;
    let found = reader.work()?;
    let named = asked.repository.as_deref();
    let of_home = choose_repository(&found, named, |repository| repository.commits + repository.stashes > 0)?;
    let of_pushes = if found.pushed > 0 { reader.of_pushes()? } else { None };
    if of_home.is_none() && of_pushes.is_none() {
        note_nothing("commits", &found);
        return Ok(Exit::OK);
    }
    if let Some(name) = of_home {
        let target = session.local_repository(&name)?;
        let bundle = reader.answer_in_file(&["work", "bundle", &name], target.tips()?, session.folder.path())?;
        take(&session, &target, bundle, &format!("`{}`", text::one_line(&name)))?;
    }
    if let Some(reader) = of_pushes {
        let remote = session.plan.local_remote().unwrap_or(FORMER_REMOTE);
        let target = session.local_repository(&session.copied_repository(named)?)?;
        // A branch that was pushed gets its ref although its commits came with one of the home.
        let have = target.tips_beside(BOTTLES)?;
        let bundle = reader.answer_in_file(&["pushed", "bundle", remote], have, session.folder.path())?;
        take(&session, &target, bundle, &format!("the remote `{}`", text::one_line(remote)))?;
    }
    Ok(Exit::OK)
}

/// Takes a bundle into a repository. `of`: what it is of, in words.
fn take(session: &SessionWork, target: &CleanRepository, bundle: Option<NamedTempFile>, of: &str) -> Result<()> {
    let identity = &session.plan.identity;
    let before = bottle_refs(target, identity)?;
    if let Some(bundle) = bundle {
        git::fetch(target, bundle.path(), identity)?;
    }
    let after = bottle_refs(target, identity)?;
    let new: Vec<_> = after.iter().filter(|(name, commit)| before.get(*name) != Some(commit)).collect();
    let here = text::path(&target.repository.top);
    let Some((first, _)) = new.first() else {
        say::note(&format!("`{here}` has all commits of {of} already"));
        return Ok(());
    };
    say::note(&format!("into `{here}`:"));
    for (name, commit) in &new {
        say::out(&format!("{}  {}\n", text::one_line(name), text::flattened(commit)))?;
    }
    say::suggest(hint!("git log {}", first));
    Ok(())
}

/// The refs of this session in a repository: name → commit and its subject line.
fn bottle_refs(repository: &CleanRepository, identity: &str) -> Result<BTreeMap<String, String>, UserError> {
    let format = "--format=%(refname) %(objectname:short) %(subject)";
    let said = repository.query(&["for-each-ref", format, &format!("{BOTTLES}{identity}/")])?;
    let pair = |line: &String| line.split_once(' ').map(|(name, commit)| (name.to_owned(), commit.to_owned()));
    Ok(said.lines().iter().filter_map(pair).collect())
}
