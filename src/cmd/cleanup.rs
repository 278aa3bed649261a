//! `cleanup`: settles what is not at rest, then removes kept sessions and what else of this home is left on the engine.
//!
//! A session with changes not copied back yet is removed only by an answer about it alone, or by its name. Live and detached
//! sessions are never touched, nor anything without this home's label.

use super::age;
use super::consent::terminal_to_ask_on;
use super::home_reader::HomeReader;
use super::live::check_running;
use super::strays::strays;
use crate::cli::{CleanupArgs, ListFormat};
use crate::docker::{Docker, Stray, StrayKind};
use crate::exit::{EngineError, Exit, UserError};
use crate::hint;
use crate::plan::{Plan, remove_container, remove_volume};
use crate::probe;
use crate::render;
use crate::say;
use crate::session::{Outcome, Session};
use crate::state::{Condition, Folder, Home, KEPT_FOR_WORK, Kept, Mark, Overview};
use crate::text;
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::SystemTime;
use sys::signals::{self, Signals};
use sys::tty::{Answer, Tty};
use wire::Work;

/// Something that may be removed.
struct Candidate {
    target: Target,
    /// Its description.
    shown: String,
    /// Why an answer about all does not remove it: the work that it has, or could have.
    work: Option<String>,
    /// Its work could not be read.
    unread: bool,
    /// It could not be settled, because this disk takes nothing any more.
    unsettled: bool,
    row: CandidateRow,
}

/// A candidate in JSON. What is not known is null.
#[derive(Serialize)]
struct CandidateRow {
    /// session, container, volume
    kind: &'static str,
    name: String,
    /// kept, lost, detached; null for an object of the engine.
    state: Option<&'static str>,
    since: Option<u64>,
    why: Option<String>,
    /// The session is not at rest yet: it would be settled first.
    settled_first: bool,
    work: Option<Work>,
    /// Removed only by its name, or by an answer about it alone.
    by_name_only: bool,
}

enum Target {
    Session(Folder, Box<Plan>),
    Stray(Stray),
}

/// How the next candidate is decided.
enum RemovalConsent {
    Ask(Tty, Signals),
    /// All without work are removed.
    WithoutWork,
    /// All without work are removed, and these sessions in any case.
    Named(BTreeSet<String>),
}

pub fn run(asked: &CleanupArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let sessions = select_sessions(&home, asked)?;
    let mut failed = false;
    let mut candidates = Vec::new();
    for folder in sessions {
        match candidate(&home, folder, asked) {
            Ok(found) => candidates.extend(found),
            Err(error) => {
                say::error(&error);
                failed = true;
            }
        }
    }
    if asked.identities.is_empty() && home.id().is_some() {
        let docker = Docker::new(&probe::engine()?)?;
        match stray_candidates(&docker, &home) {
            Ok(found) => candidates.extend(found),
            Err(error) => {
                say::error(&error.into());
                failed = true;
            }
        }
    }
    let exit = |failed| if failed { Exit::ENGINE } else { Exit::OK };
    if asked.dry_run {
        match asked.format {
            ListFormat::Json => say::json(&candidates.iter().map(|candidate| &candidate.row).collect::<Vec<_>>())?,
            ListFormat::Text => {
                say::out(&candidates.iter().map(|candidate| format!("{}\n", candidate.shown)).collect::<String>())?
            }
        }
        return Ok(exit(failed));
    }
    if candidates.is_empty() {
        if !failed {
            say::note("nothing to remove");
        }
        return Ok(exit(failed));
    }
    let mut consent = match asked.yes {
        true => RemovalConsent::Named(asked.identities.iter().cloned().collect()),
        false => {
            RemovalConsent::Ask(terminal_to_ask_on("add `--yes` to remove without the question")?, signals::catch()?)
        }
    };
    for candidate in candidates {
        match consent {
            RemovalConsent::Ask(..) => say::line(&candidate.shown),
            _ => say::note(&candidate.shown),
        }
        let removed = match consent.decide(&candidate) {
            Decision::Remove => remove(&candidate),
            Decision::Leave => {
                failed |= candidate.unread;
                Ok(())
            }
            Decision::End(exit) => return Ok(exit),
        };
        if let Err(error) = removed {
            say::error(&error);
            failed = true;
        }
    }
    Ok(exit(failed))
}

/// The sessions that were asked for.
///
/// # Errors
/// `UserError` for an unknown session, and for one that runs; before anything is done.
fn select_sessions(home: &Home, asked: &CleanupArgs) -> Result<Vec<Folder>> {
    let mut picked = match asked.identities.is_empty() {
        true => home.folders(),
        false => asked.identities.iter().map(|name| home.known(name)).collect::<Result<_, _>>()?,
    };
    if let Some(age) = &asked.older_than {
        let before = SystemTime::now() - age::parse_age(age)?;
        picked.retain(|folder| folder.since().is_none_or(|since| since <= before));
    }
    if !asked.identities.is_empty()
        && let Some((folder, what)) = picked.iter().find_map(|folder| Some((folder, running_state(folder)?)))
    {
        let error = UserError::new(format!("`{}` still runs ({what}): stop it first", folder.identity));
        return Err(error.hint(hint!("claude-bottle stop {}", folder.identity)).into());
    }
    Ok(picked)
}

/// The state of a session that runs, with or without a terminal; `None` for one at rest.
fn running_state(folder: &Folder) -> Option<&'static str> {
    match folder.condition() {
        Condition::Live => Some("live"),
        Condition::Detached if !has_ended(folder) => Some("detached"),
        _ => None,
    }
}

/// Does the engine say that this detached session has ended? Where it does not answer, the session counts as running.
fn has_ended(folder: &Folder) -> bool {
    let running = || -> Result<()> {
        let plan = folder.plan()?;
        check_running(&Docker::new(&plan.engine)?, &plan)
    };
    running().is_err_and(|error| error.is::<UserError>())
}

/// The session as a candidate, settled first unless this is a dry run. `None` where it runs, and where nothing of it is
/// left.
fn candidate(home: &Home, folder: Folder, asked: &CleanupArgs) -> Result<Option<Candidate>> {
    if running_state(&folder).is_some() {
        return Ok(None);
    }
    let plan = match folder.plan() {
        Ok(plan) => plan,
        // Its start was killed before the plan was written, and so before the first call of the engine.
        Err(_) if folder.condition() == Condition::Lost && folder.is_unused() => {
            return if asked.dry_run { Ok(None) } else { folder.remove().map(|()| None) };
        }
        Err(error) => return Err(error),
    };
    if asked.identities.is_empty() && home.id().as_ref() != Some(&plan.home_id) {
        say::line(&format!("`{}` is left: this home was copied or moved since", folder.identity));
        say::hint(hint!("claude-bottle cleanup {}", folder.identity));
        return Ok(None);
    }
    let docker = Docker::new(&plan.engine)?;
    let row = Overview::read(&folder);
    let mut settled_first = "";
    let mut unsettled = None;
    let kept = match folder.condition() {
        Condition::Kept(kept) if !kept.unsettled => kept,
        _ if asked.dry_run => {
            settled_first = ", would be settled first";
            Kept::default()
        }
        _ => match settle(&docker, &folder, &plan) {
            Ok(Some(kept)) => kept,
            Ok(None) => return Ok(None),
            // Removing is what makes room on a full disk.
            Err(error) if is_of_disk(&error) => {
                unsettled = Some(format!("it cannot be settled, and its transcript may not be here: {error:#}"));
                Kept::default()
            }
            Err(error) => return Err(error),
        },
    };
    let brought = folder.brought();
    let is_known = |work: &Work| work.complete && (work.is_none() || brought.is_empty());
    let found = match kept.work.filter(is_known) {
        Some(work) => Ok(Some(work)),
        None if unsettled.is_some() => Ok(None),
        None => {
            let reader = match asked.dry_run {
                true => HomeReader::open_without_build(&docker, home, &plan),
                false => HomeReader::open(&docker, home, &plan),
            };
            reader.and_then(|reader| reader.map(|reader| reader.work(&brought.elsewhere())).transpose())
        }
    };
    let unread = found.is_err();
    let (work, found) = match found {
        Ok(found) => (found.as_ref().and_then(work_warning), found),
        Err(error) => (Some(format!("it could have changes not copied back yet: {error:#}")), None),
    };
    let (is_unsettled, work) = (unsettled.is_some(), unsettled.or(work));
    let why = match kept.why.as_str() {
        "" => row.why(),
        why => text::flattened(why),
    };
    let mut shown = format!(
        "`{}` ({} for {}{settled_first}",
        row.identity,
        row.state,
        row.age().map_or_else(String::new, render::age)
    );
    // Work as the reason is shown below, in full.
    if !why.is_empty() && !why.starts_with(KEPT_FOR_WORK) {
        shown.push_str(&format!(": {why}"));
    }
    shown.push_str("): its transcript, its audit trail, its home volume");
    if plan.keeps_pushes {
        shown.push_str(", what it pushed to a local remote");
    }
    if let Some(work) = &work {
        shown.push_str(&format!("\n  {work}"));
    }
    let row = CandidateRow {
        kind: "session",
        name: row.identity,
        state: Some(row.state),
        since: row.since,
        why: Some(why).filter(|why| !why.is_empty()),
        settled_first: !settled_first.is_empty(),
        work: found,
        by_name_only: work.is_some(),
    };
    let target = Target::Session(folder, Box::new(plan));
    Ok(Some(Candidate { target, shown, work, unread: unread || is_unsettled, unsettled: is_unsettled, row }))
}

/// Is this an error of this disk, and none of the engine or the user?
fn is_of_disk(error: &anyhow::Error) -> bool {
    !error.is::<EngineError>() && !error.is::<UserError>()
}

/// The warning about work that would be lost.
fn work_warning(work: &Work) -> Option<String> {
    (!work.is_none()).then(|| format!("WORK that is nowhere else: {}", render::work(work)))
}

/// Settles a session that is lost, unsettled, or ended while it was detached. `None` where nothing of it is left.
///
/// # Errors
/// `EngineError` where it stays unsettled.
fn settle(docker: &Docker, folder: &Folder, plan: &Plan) -> Result<Option<Kept>> {
    let Some(lock) = folder.lock()? else { return Ok(None) };
    let Outcome::Kept(now) = Session::rescue(docker, folder.clone(), plan.clone(), lock)? else { return Ok(None) };
    if now.unsettled {
        let identity = &folder.identity;
        return Err(EngineError::new(format!("`{identity}` stays as it is: {}", now.why))
            .hint(hint!("what is on this disk of it goes by `rm -r {}`", folder.path().display()))
            .into());
    }
    Ok(Some(now))
}

enum Decision {
    Remove,
    Leave,
    End(Exit),
}

impl RemovalConsent {
    /// Decides about one candidate; an answer may decide about those that follow.
    fn decide(&mut self, candidate: &Candidate) -> Decision {
        if let RemovalConsent::Ask(tty, signals) = self {
            let words = match tty.ask("remove it? [y/N/a (all without work)/q] ", signals) {
                Answer::Line(words) => words,
                Answer::Nothing => return Decision::End(Exit::OK),
                Answer::Signal(number) => return Decision::End(Exit::signal(number)),
            };
            match words.trim() {
                "y" | "Y" | "yes" | "YES" => return Decision::Remove,
                "q" => return Decision::End(Exit::OK),
                "a" => *self = RemovalConsent::WithoutWork,
                _ => return Decision::Leave,
            }
        }
        let Target::Session(folder, _) = &candidate.target else { return Decision::Remove };
        let named = matches!(self, RemovalConsent::Named(names) if names.contains(&folder.identity));
        if candidate.work.is_none() || named {
            return Decision::Remove;
        }
        say::line("  left: only by its name, or by a `y`");
        say::hint(hint!("claude-bottle cleanup {}", folder.identity));
        Decision::Leave
    }
}

fn remove(candidate: &Candidate) -> Result<()> {
    match &candidate.target {
        Target::Session(folder, plan) => candidate.remove_session(folder, plan),
        Target::Stray(Stray { kind, name }) => {
            let removal = match kind {
                StrayKind::Container => remove_container(name),
                StrayKind::Volume => remove_volume(name),
            };
            Ok(Docker::new(&probe::engine()?)?.remove([&removal])?)
        }
    }
}

impl Candidate {
    /// Removes a kept session, or one that could not be settled: what its plan made on the engine, then its folder.
    fn remove_session(&self, folder: &Folder, plan: &Plan) -> Result<()> {
        let Some(_lock) = folder.lock()? else { return Ok(()) };
        // The session may have been resumed while the question was open: its owner had the lock, or left it detached.
        let is_at_rest = match folder.mark() {
            Some(Mark::Kept(_)) => true,
            Some(Mark::Detached) => self.unsettled && has_ended(folder),
            _ => self.unsettled,
        };
        if !is_at_rest {
            return Ok(());
        }
        let docker = Docker::new(&plan.engine)?;
        // A container that could not be removed may use the volume, which podman would then remove together with it.
        docker.remove(plan.down().containers())?;
        docker.remove_home(plan)?;
        folder.remove()
    }
}

/// What is on the engine and belongs to no session of this home, as candidates.
fn stray_candidates(docker: &Docker, home: &Home) -> Result<Vec<Candidate>, EngineError> {
    let candidate = |stray: Stray| {
        let row = CandidateRow {
            kind: match stray.kind {
                StrayKind::Container => "container",
                StrayKind::Volume => "volume",
            },
            name: stray.name.clone(),
            state: None,
            since: None,
            why: None,
            settled_first: false,
            work: None,
            by_name_only: false,
        };
        let (shown, target) = (stray.to_string(), Target::Stray(stray));
        Candidate { shown, target, work: None, unread: false, unsettled: false, row }
    };
    Ok(strays(docker, home)?.into_iter().map(candidate).collect())
}
