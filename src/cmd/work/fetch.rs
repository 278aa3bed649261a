//! `work fetch`: makes refs of their own in the repositories here equal to a bottle's branches, stashes and detached heads, and
//! to what it has pushed to a local remote; nothing else changes. A repository that is not here is cloned to its place.

use super::file_consent::FileConsent;
use super::lfs;
use super::place::{AbsentPlace, LocalPlace, NewRepository};
use super::refs::BottleRefs;
use super::{SessionWork, choose_repositories, for_each, note_nothing};
use crate::cli::WorkFetchArgs;
use crate::cmd::home_reader::HomeReader;
use crate::exit::{Exit, UserError};
use crate::git::{self, CleanRepository, RefChange};
use crate::hint;
use crate::say;
use crate::text;
use anyhow::Result;
use std::ops::ControlFlow;
use tempfile::NamedTempFile;
use wire::Elsewhere;

/// In place of a local remote's name where the manifest has none any more.
const FORMER_REMOTE: &str = "pushed";

pub fn run(asked: &WorkFetchArgs) -> Result<Exit> {
    let session = SessionWork::open(asked.identity.as_deref())?;
    let reader = session.reader()?;
    let ended = bring(&session, &reader, asked.repository.as_deref(), &mut FileConsent::new(false));
    let ended = ended.map(|ended| match ended {
        ControlFlow::Continue(_) => Exit::OK,
        ControlFlow::Break(exit) => exit,
    });
    session.end(&reader, ended)
}

/// Fetches what there is of this repository, or of all that have something: the names of the bottle's repositories. Breaks
/// with an exit code after a signal.
pub fn bring(
    session: &SessionWork,
    reader: &HomeReader,
    named: Option<&str>,
    consent: &mut FileConsent,
) -> Result<ControlFlow<Exit, Vec<String>>> {
    let found = reader.work(&Elsewhere::default())?;
    let mut of_home = choose_repositories(&found, named, has_commits)?;
    let has_new = !of_home.is_empty();
    if !has_new {
        // Without commits of its own it can have branches on known ones.
        let copied = session.plan.workspace.as_ref().map_or(&[][..], |workspace| &workspace.repositories);
        of_home.extend(session.copied_repository(None).ok().filter(|name| copied.contains(name)));
    }
    let of_pushes = if found.pushed > 0 { reader.of_pushes()? } else { None };
    if of_home.is_empty() && of_pushes.is_none() {
        note_nothing("commits", &found);
        return Ok(ControlFlow::Continue(of_home));
    }
    let mut absent = Vec::new();
    let here = for_each(&of_home, |name| {
        match session.place_of(name)? {
            LocalPlace::Absent(_) => absent.push(name.to_owned()),
            LocalPlace::Here(target) => {
                let is_new = fetch_into(session, reader, name, &target)?;
                match has_new {
                    _ if is_new => {}
                    true => note_known(&target, &format!("`{}`", text::one_line(name))),
                    false if of_pushes.is_none() => note_nothing("commits", &found),
                    false => {}
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    });
    let mut is_first = absent.len() == of_home.len();
    let cloned = for_each(&absent, |name| match session.place_of(name)? {
        // A worktree that the agent made has its commits in the repository of which it is one, which may have come by now.
        _ if named.is_none() && !std::mem::take(&mut is_first) && !is_left(session, reader, name)? => {
            Ok(ControlFlow::Continue(()))
        }
        LocalPlace::Absent(place) => clone(session, reader, name, CloneTarget { place, consent }),
        LocalPlace::Here(_) => Ok(ControlFlow::Continue(())),
    });
    if let Ok(ControlFlow::Break(exit)) = cloned {
        return Ok(ControlFlow::Break(exit));
    }
    let pushed = of_pushes.map_or(Ok(()), |reader| fetch_pushes(session, &reader, named));
    match (here.and(cloned), pushed) {
        (Ok(_), Ok(())) => Ok(ControlFlow::Continue(of_home)),
        (Ok(_), Err(error)) => Err(error),
        (Err(error), pushed) => {
            if let Err(error) = pushed {
                say::error(&error);
            }
            Err(error)
        }
    }
}

/// Has this repository of the bottle commits that are not here yet? True where it cannot be told.
fn is_left(session: &SessionWork, reader: &HomeReader, name: &str) -> Result<bool> {
    let left = reader.work(&session.folder.brought().elsewhere())?;
    Ok(!left.complete || left.repositories.iter().any(|repository| repository.path == name && has_commits(repository)))
}

fn has_commits(repository: &wire::Repository) -> bool {
    repository.commits + repository.stashes > 0
}

/// Fetches a repository of the bottle into the one here. Is anything new?
fn fetch_into(session: &SessionWork, reader: &HomeReader, name: &str, target: &CleanRepository) -> Result<bool> {
    let bundle = reader.answer_in_file(&["work", "bundle", name], target.tips()?, session.folder.path())?;
    let refs = BottleRefs::of_repository(&session.plan.identity, name);
    let changes = take(target, bundle.as_ref(), &refs)?;
    session.note_fetch(name, target)?;
    Ok(!changes.is_empty())
}

/// Fetches what was pushed to a local remote.
fn fetch_pushes(session: &SessionWork, reader: &HomeReader, named: Option<&str>) -> Result<()> {
    let remote = session.plan.local_remote().unwrap_or(FORMER_REMOTE);
    let name = session.copied_repository(named)?;
    let target = session.local_repository(&name)?;
    let bundle = reader.answer_in_file(&["pushed", "bundle", remote], target.tips()?, session.folder.path())?;
    let refs = BottleRefs::of_remote(&session.plan.identity, remote);
    if take(&target, bundle.as_ref(), &refs)?.is_empty() {
        note_known(&target, &format!("the remote `{}`", text::one_line(remote)));
    }
    session.note_fetch(&name, &target)
}

/// What a clone is made by.
struct CloneTarget<'a> {
    place: AbsentPlace,
    consent: &'a mut FileConsent,
}

/// Clones a repository of the bottle to its place here. Breaks with an exit code after a signal.
fn clone(session: &SessionWork, reader: &HomeReader, name: &str, clone: CloneTarget) -> Result<ControlFlow<Exit>> {
    let CloneTarget { place, consent } = clone;
    let bundle = reader.answer_in_file(&["work", "bundle", name], Vec::new(), session.folder.path())?;
    let format = bundle.as_ref().map_or(Ok("sha1"), |bundle| git::object_format(bundle.path()))?;
    let mut new: NewRepository = place.make(format)?;
    let target = new.open()?;
    let refs = BottleRefs::of_repository(&session.plan.identity, name);
    let changes = take(&target, bundle.as_ref(), &refs)?;
    // The reader names first what is checked out there.
    let Some((first, commit)) = changes.first().and_then(|first| Some((first, first.new.as_deref()?))) else {
        say::note(&format!("no commits in `{}`", text::one_line(name)));
        return Ok(ControlFlow::Continue(()));
    };
    let branch = refs.branch(&first.name);
    if branch.is_some() || refs.is_head(&first.name) {
        // Without its files, all of them would be removed here.
        if let ControlFlow::Break(exit) = new.check_out(commit, branch, consent)? {
            return Ok(ControlFlow::Break(exit));
        }
    }
    new.keep();
    session.note_fetch(name, &target)?;
    Ok(ControlFlow::Continue(()))
}

fn note_known(target: &CleanRepository, of: &str) {
    say::note(&format!("`{}` has all commits of {of} already", text::path(&target.repository.top)));
}

/// Takes a bundle into a repository, and says what changed there.
fn take(target: &CleanRepository, bundle: Option<&NamedTempFile>, refs: &BottleRefs) -> Result<Vec<RefChange>> {
    let changes =
        bundle.map(|bundle| git::fetch(target, bundle.path(), &refs.space())).transpose()?.unwrap_or_default();
    if changes.is_empty() {
        return Ok(changes);
    }
    say::note(&format!("into `{}`:", text::path(&target.repository.top)));
    for change in &changes {
        say::out(&format!("{}  {}\n", text::one_line(&change.name), describe(target, change)?))?;
    }
    // Where objects are missing on purpose, it cannot be told.
    let _ = lfs::name_wrong_commits(target, &changes);
    if let Some(first) = changes.iter().find(|change| change.new.is_some()) {
        say::suggest(hint!("git log {}", first.name));
    }
    Ok(changes)
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
