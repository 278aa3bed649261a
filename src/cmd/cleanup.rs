//! `cleanup`: settles what is not at rest, then removes kept sessions and what else of this home is left on the engine.
//!
//! A session with work that is nowhere else goes only where a person says so to it alone: by a `y`, or by its name. Live
//! and detached sessions are never touched, nor anything without this home's label.

use super::home_reader::HomeReader;
use super::launch::{asking_terminal, still_runs};
use super::world;
use crate::cli::{CleanupArgs, ListFormat};
use crate::docker::{Docker, Stray, StrayKind};
use crate::exit::{EngineError, Exit, UserError};
use crate::plan::{Plan, remove_container, remove_volume};
use crate::probe;
use crate::render;
use crate::say;
use crate::session::Session;
use crate::state::{Condition, Folder, Home, Kept, Mark, Overview};
use crate::text;
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};
use sys::signals::{self, Signals};
use sys::tty::{Answer, Tty};
use wire::Work;

/// What may be removed, and what a person is told of it.
struct Item {
    what: What,
    shown: String,
    /// In the words of the reason why it is not simply removed.
    work: Option<String>,
    /// Nobody could look whether there is work.
    unread: bool,
    row: Listed,
}

/// The same for a program. What is not known is null.
#[derive(Serialize)]
struct Listed {
    /// session, container, volume
    kind: &'static str,
    name: String,
    /// kept, lost, detached; null on the engine.
    state: Option<&'static str>,
    since: Option<u64>,
    why: Option<String>,
    /// It is not at rest yet.
    settled_first: bool,
    work: Option<Work>,
    /// Removed only where it is named, or by a `y`.
    by_name_only: bool,
}

enum What {
    Session(Folder, Box<Plan>),
    Stray(Stray),
}

/// Who decides about the next item.
enum Consent {
    Ask(Tty, Signals),
    /// All but those with work.
    Harmless,
    /// The same, and these sessions in any case.
    Named(BTreeSet<String>),
}

pub fn run(asked: &CleanupArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let picked = picked(&home, asked)?;
    let mut failed = false;
    let mut items = Vec::new();
    for folder in picked {
        match settled(&home, folder, asked) {
            Ok(item) => items.extend(item),
            Err(error) => {
                say::error(&error);
                failed = true;
            }
        }
    }
    if asked.identities.is_empty() && home.id().is_some() {
        let docker = Docker::new(&probe::engine()?)?;
        match orphans(&docker, &home) {
            Ok(found) => items.extend(found),
            Err(error) => {
                say::error(&error.into());
                failed = true;
            }
        }
    }
    let exit = |failed| if failed { Exit::ENGINE } else { Exit::OK };
    if asked.dry_run {
        match asked.format {
            ListFormat::Json => say::json(&items.iter().map(|item| &item.row).collect::<Vec<_>>())?,
            ListFormat::Text => say::out(&items.iter().map(|item| format!("{}\n", item.shown)).collect::<String>())?,
        }
        return Ok(exit(failed));
    }
    if items.is_empty() {
        if !failed {
            say::note("nothing to remove");
        }
        return Ok(exit(failed));
    }
    let mut consent = match asked.yes {
        true => Consent::Named(asked.identities.iter().cloned().collect()),
        false => Consent::Ask(asking_terminal("remove")?, signals::catch()?),
    };
    for item in items {
        match consent {
            Consent::Ask(..) => say::line(&item.shown),
            _ => say::note(&item.shown),
        }
        let removed = match consent.to(&item) {
            Verdict::Remove => remove(&item),
            Verdict::Leave => {
                failed |= item.unread;
                Ok(())
            }
            Verdict::End(exit) => return Ok(exit),
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
/// `UserError` for a name that is none, or of a session that runs; before anything is done.
fn picked(home: &Home, asked: &CleanupArgs) -> Result<Vec<Folder>> {
    let mut picked = match asked.identities.is_empty() {
        true => home.folders(),
        false => asked.identities.iter().map(|name| home.known(name)).collect::<Result<_, _>>()?,
    };
    if let Some(age) = &asked.older_than {
        let before = SystemTime::now() - seconds(age)?;
        picked.retain(|folder| folder.since().is_none_or(|since| since <= before));
    }
    if !asked.identities.is_empty()
        && let Some((folder, what)) = picked.iter().find_map(|folder| Some((folder, busy(folder)?)))
    {
        let refused = UserError::new(format!("`{}` is {what}, and nothing of it is removed", folder.identity));
        return Err(refused.hint(format!("claude-bottle info {}", folder.identity)).into());
    }
    Ok(picked)
}

/// `90m`, `12h`, `30d`
fn seconds(age: &str) -> Result<Duration, UserError> {
    let wrong =
        || UserError::new(format!("`{age}` is no age")).hint("a number and one of `s`, `m`, `h`, `d`, as in `30d`");
    let unit = match age.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86400,
        _ => return Err(wrong()),
    };
    let number: u64 = age[..age.len() - 1].parse().map_err(|_| wrong())?;
    // No session is older than the clock.
    Ok(Duration::from_secs(number.saturating_mul(unit).min(u64::from(u32::MAX) / 4)))
}

/// Does somebody have it, or does it run without a terminal?
fn busy(folder: &Folder) -> Option<&'static str> {
    match folder.condition() {
        Condition::Live => Some("live"),
        Condition::Detached if !ended(folder) => Some("detached"),
        _ => None,
    }
}

/// A detached one whose engine says that it ended; one that cannot be asked runs on for all we know.
fn ended(folder: &Folder) -> bool {
    let ask = || -> Result<()> {
        let plan = folder.plan()?;
        still_runs(&Docker::new(&plan.engine)?, &plan)
    };
    ask().is_err_and(|error| error.is::<UserError>())
}

/// The session at rest, to be offered; nothing where it runs, or where there was nothing of it.
fn settled(home: &Home, folder: Folder, asked: &CleanupArgs) -> Result<Option<Item>> {
    if busy(&folder).is_some() {
        return Ok(None);
    }
    let Ok(plan) = folder.plan() else {
        // Its start died before the plan was written: before the first engine call.
        return match (folder.condition(), asked.dry_run) {
            (Condition::Lost, false) => folder.remove().map(|()| None),
            (Condition::Lost, true) => Ok(None),
            _ => folder.plan().map(|_| None),
        };
    };
    let docker = Docker::new(&plan.engine)?;
    let row = Overview::read(&folder);
    let mut first = "";
    let kept = match folder.condition() {
        Condition::Kept(kept) if !kept.unsettled => kept,
        _ if asked.dry_run => {
            first = ", would be settled first";
            Kept::default()
        }
        before => match settle(&docker, &folder, &plan, before)? {
            Some(kept) => kept,
            None => return Ok(None),
        },
    };
    let found = match kept.work.filter(|work| work.complete) {
        Some(work) => Ok(Some(work)),
        None => {
            let reader = match asked.dry_run {
                true => HomeReader::open_without_build(&docker, home, &plan),
                false => HomeReader::open(&docker, home, &plan),
            };
            reader.and_then(|reader| reader.map(|reader| reader.work()).transpose())
        }
    };
    let unread = found.is_err();
    let (work, found) = match found {
        Ok(found) => (found.as_ref().and_then(told), found),
        Err(error) => (Some(format!("it could have work that is nowhere else: {error:#}")), None),
    };
    let why = match kept.why.as_str() {
        "" => row.why(),
        why => text::visible(why).replace('\n', " "),
    };
    let mut shown =
        format!("`{}` ({} for {}{first}", row.identity, row.state, row.age().map_or_else(String::new, render::age));
    // What kept it may be its work, which is told below.
    if !why.is_empty() && !why.starts_with("work that is nowhere else") {
        shown.push_str(&format!(": {why}"));
    }
    shown.push_str("): its transcript, its audit trail, its home volume");
    if let Some(work) = &work {
        shown.push_str(&format!("\n  {work}"));
    }
    let row = Listed {
        kind: "session",
        name: row.identity,
        state: Some(row.state),
        since: row.since,
        why: Some(why).filter(|why| !why.is_empty()),
        settled_first: !first.is_empty(),
        work: found,
        by_name_only: work.is_some(),
    };
    Ok(Some(Item { what: What::Session(folder, Box::new(plan)), shown, work, unread, row }))
}

fn told(work: &Work) -> Option<String> {
    (!work.is_none()).then(|| format!("WORK that is nowhere else: {}", render::work(work)))
}

/// A lost session, one that ended while it was detached, or one whose end its engine did not answer, comes to rest.
fn settle(docker: &Docker, folder: &Folder, plan: &Plan, before: Condition) -> Result<Option<Kept>> {
    let Some(lock) = folder.lock()? else { return Ok(None) };
    Session::rescue(docker, folder.clone(), plan.clone(), lock)?;
    let Condition::Kept(mut now) = folder.condition() else { return Ok(None) };
    if now.unsettled {
        let identity = &folder.identity;
        return Err(EngineError::new(format!("`{identity}` stays as it is: {}", now.why))
            .hint(format!("what is on this disk of it goes by `rm -r {}`", folder.path().display()))
            .into());
    }
    if let Condition::Kept(before) = before {
        now.why = before.why;
        folder.set_mark(&Mark::Kept(now.clone()))?;
    }
    Ok(Some(now))
}

enum Verdict {
    Remove,
    Leave,
    End(Exit),
}

impl Consent {
    /// Decides about one item; an answer may decide about those that follow.
    fn to(&mut self, item: &Item) -> Verdict {
        if let Consent::Ask(tty, signals) = self {
            let words = match tty.ask("remove it? [y/N/a (all without work)/q] ", signals) {
                Answer::Line(words) => words,
                Answer::Nothing => return Verdict::End(Exit::OK),
                Answer::Signal(number) => return Verdict::End(Exit::signal(number)),
            };
            match words.trim() {
                "y" | "Y" | "yes" | "YES" => return Verdict::Remove,
                "q" => return Verdict::End(Exit::OK),
                "a" => *self = Consent::Harmless,
                _ => return Verdict::Leave,
            }
        }
        let What::Session(folder, _) = &item.what else { return Verdict::Remove };
        let named = matches!(self, Consent::Named(names) if names.contains(&folder.identity));
        if item.work.is_none() || named {
            return Verdict::Remove;
        }
        say::line("  left: only by its name, or by a `y`");
        say::hint(&format!("claude-bottle cleanup {}", folder.identity));
        Verdict::Leave
    }
}

fn remove(item: &Item) -> Result<()> {
    match &item.what {
        What::Session(folder, plan) => remove_session(folder, plan),
        What::Stray(Stray { kind, name }) => {
            let removal = match kind {
                StrayKind::Container => remove_container(name),
                StrayKind::Volume => remove_volume(name),
            };
            Ok(Docker::new(&probe::engine()?)?.remove([&removal])?)
        }
    }
}

/// One kept session: what its plan made, then its folder.
fn remove_session(folder: &Folder, plan: &Plan) -> Result<()> {
    let Some(_lock) = folder.lock()? else { return Ok(()) };
    // It may have been resumed while the person read.
    if !matches!(folder.condition(), Condition::Kept(_)) {
        return Ok(());
    }
    let docker = Docker::new(&plan.engine)?;
    docker.remove(plan.down().everything())?;
    folder.remove()
}

/// What is on the engine and belongs to no session of this home, to be offered.
fn orphans(docker: &Docker, home: &Home) -> Result<Vec<Item>, EngineError> {
    let item = |stray: Stray| {
        let row = Listed {
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
        Item { shown: stray.to_string(), what: What::Stray(stray), work: None, unread: false, row }
    };
    Ok(world::strays(docker, home)?.into_iter().map(item).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (age, wanted) in [("0s", 0), ("90m", 5400), ("12h", 43200), ("30d", 2_592_000)] {
            assert_eq!(seconds(age).unwrap().as_secs(), wanted, "{age}");
        }
        assert!(seconds("99999999999999d").unwrap() < Duration::from_secs(1 << 31));
        for wrong in ["", "d", "30", "30 d", "-1d", "1w", "1é"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
