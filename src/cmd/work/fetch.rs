//! `work fetch`: fetches a bottle's commits and stashes into refs of their own in a repository here; nothing else changes.

use super::{SessionWork, choose_repository, note_nothing};
use crate::cli::WorkFetchArgs;
use crate::exit::{Exit, UserError};
use crate::git::{self, CleanRepository};
use crate::hint;
use crate::say;
use crate::text;
use anyhow::Result;
use std::collections::BTreeMap;

pub fn run(asked: &WorkFetchArgs) -> Result<Exit> {
    let session = SessionWork::open(&asked.identity)?;
    let reader = session.reader()?;
    let found = reader.work()?;
    let Some(name) = choose_repository(&found, asked.repository.as_deref(), |repository| {
        repository.commits + repository.stashes > 0
    })?
    else {
        note_nothing("commits", &found);
        return Ok(Exit::OK);
    };
    let target = session.local_repository(&name)?;
    let bundle = reader.answer_in_file(&["work", "bundle", &name], target.tips()?, session.folder.path())?;
    let Some(bundle) = bundle else {
        say::note(&format!(
            "`{}` has all commits of `{}` already",
            text::path(&target.repository.top),
            text::one_line(&name)
        ));
        return Ok(Exit::OK);
    };
    let identity = &session.plan.identity;
    let before = bottle_refs(&target, identity)?;
    git::fetch(&target, bundle.path(), identity)?;
    let after = bottle_refs(&target, identity)?;
    let new: Vec<_> = after.iter().filter(|(name, commit)| before.get(*name) != Some(commit)).collect();
    say::note(&format!("into `{}`:", text::path(&target.repository.top)));
    for (name, commit) in &new {
        say::out(&format!("{}  {}\n", text::one_line(name), text::flattened(commit)))?;
    }
    if let Some((name, _)) = new.first() {
        say::suggest(hint!("git log {}", name));
    }
    Ok(Exit::OK)
}

/// The refs of this session in a repository: name → commit and its subject line.
fn bottle_refs(repository: &CleanRepository, identity: &str) -> Result<BTreeMap<String, String>, UserError> {
    let format = "--format=%(refname) %(objectname:short) %(subject)";
    let said = repository.query(&["for-each-ref", format, &format!("refs/bottles/{identity}/")])?;
    let pair = |line: &String| line.split_once(' ').map(|(name, commit)| (name.to_owned(), commit.to_owned()));
    Ok(said.lines().iter().filter_map(pair).collect())
}
