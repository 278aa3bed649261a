//! `work fetch`: commits and stashes of a bottle become refs of their own in a repository here, and nothing else does.

use super::{Subject, choose, nothing};
use crate::cli::WorkFetchArgs;
use crate::exit::{Exit, UserError};
use crate::git::{self, Git};
use crate::say;
use crate::text;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::Path;

pub fn run(asked: &WorkFetchArgs) -> Result<Exit> {
    let subject = Subject::of(&asked.identity)?;
    let reader = subject.reader()?;
    let found = reader.work()?;
    let Some(name) = choose(&found, asked.repository.as_deref(), |one| one.commits + one.stashes > 0)? else {
        nothing("commits", &found);
        return Ok(Exit::OK);
    };
    let place = subject.place(&name)?;
    let bundle = reader.file(&["work", "bundle", &name], git::tips(&place)?, subject.folder.path())?;
    let Some(bundle) = bundle else {
        say::note(&format!("`{}` has all commits of `{}` already", place.display(), text::one_line(&name)));
        return Ok(Exit::OK);
    };
    let identity = &subject.plan.identity;
    let before = refs(&place, identity)?;
    git::fetch(&place, bundle.path(), identity)?;
    let after = refs(&place, identity)?;
    let new: Vec<_> = after.iter().filter(|(name, told)| before.get(*name) != Some(told)).collect();
    say::note(&format!("into `{}`:", place.display()));
    for (name, told) in &new {
        say::out(&format!("{}  {}\n", text::visible(name), text::visible(told)))?;
    }
    if let Some((name, _)) = new.first() {
        say::suggest(&format!("git log {}", text::visible(name)));
    }
    Ok(Exit::OK)
}

/// Refs of this session: name → commit and its subject.
fn refs(place: &Path, identity: &str) -> Result<BTreeMap<String, String>, UserError> {
    let format = "--format=%(refname) %(objectname:short) %(subject)";
    let said = Git::new(place).args(["for-each-ref", format, &format!("refs/bottles/{identity}/")]).run(Vec::new())?;
    let pair = |line: &String| line.split_once(' ').map(|(name, told)| (name.to_owned(), told.to_owned()));
    Ok(said.lines().iter().filter_map(pair).collect())
}
