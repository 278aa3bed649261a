//! What the disk knows of one session, for lists. The engine is never asked.

use super::{Condition, Folder, KEPT_FOR_WORK, Kept};
use crate::text;
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};
use wire::Work;

/// A session in a list. `None` is null in JSON: not known.
#[derive(Serialize)]
pub struct Overview {
    pub identity: String,
    pub agent: Option<String>,
    pub bottle: Option<String>,
    /// live, detached, kept, lost
    pub state: &'static str,
    pub why: Option<String>,
    /// When its mark last changed, Unix time in seconds.
    pub since: Option<u64>,
    pub cwd: Option<String>,
    pub engine: Option<String>,
    pub work: Option<Work>,
    pub unsettled: bool,
    pub rebuilt: bool,
}

impl Overview {
    pub fn read(folder: &Folder) -> Overview {
        let plan = folder.summary();
        Overview {
            agent: plan.as_ref().map(|plan| plan.spec.agent.clone()),
            bottle: plan.as_ref().map(|plan| plan.bottle.clone()),
            cwd: plan.as_ref().map(|plan| plan.spec.cwd.display().to_string()),
            engine: plan.as_ref().map(|plan| plan.engine.location().to_owned()),
            ..Overview::without_plan(folder)
        }
    }

    /// What only the plan says is not known: the plan is not read, which is quicker.
    pub fn without_plan(folder: &Folder) -> Overview {
        let mut row = Overview::of_mark(folder);
        row.leave_out_brought(folder);
        row
    }

    /// Leaves out work that was brought to this machine, if all of that is still there.
    fn leave_out_brought(&mut self, folder: &Folder) {
        if self.work.as_ref().is_none_or(Work::is_none) || !folder.has_brought() {
            return;
        }
        let brought = folder.brought();
        let is_here = brought.is_still_here();
        if let Some(left) = brought.left.filter(|_| is_here) {
            if self.why.as_ref().is_some_and(|why| why.starts_with(KEPT_FOR_WORK)) {
                self.why = Some(left.why);
            }
            self.work = Some(left.work);
        }
    }

    /// What the mark says: without a look at what was brought to this machine.
    pub fn of_mark(folder: &Folder) -> Overview {
        let (state, kept) = match folder.condition() {
            Condition::Live => ("live", None),
            Condition::Detached => ("detached", None),
            Condition::Kept(kept) => ("kept", Some(kept)),
            Condition::Lost => ("lost", None),
        };
        let why = kept.as_ref().map(|kept| kept.why.clone());
        let Kept { work, unsettled, .. } = kept.unwrap_or_default();
        Overview {
            identity: folder.identity.clone(),
            state,
            why,
            work,
            unsettled,
            rebuilt: folder.is_rebuilt(),
            since: folder.since().map(unix_seconds),
            agent: None,
            bottle: None,
            cwd: None,
            engine: None,
        }
    }

    /// How long ago its mark last changed, in seconds.
    pub fn age(&self) -> Option<u64> {
        self.since.map(|since| unix_seconds(SystemTime::now()).saturating_sub(since))
    }

    /// Why it is kept, on one line, with hidden characters made visible; empty where it is not kept.
    pub fn why(&self) -> String {
        text::flattened(self.why.as_deref().unwrap_or_default())
    }
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
