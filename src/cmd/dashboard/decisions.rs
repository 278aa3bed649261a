//! Decisions from the dashboard: what one would do, and doing it, by the code of `approve` and `reject`. What is done is
//! what was shown: the value of the preview, and nothing made anew.

use crate::dashboard::{AskAction, AskKey, BottleRow, Preview};
use crate::docker::Docker;
use crate::plan::Approval;
use crate::render;
use crate::session::presence::Presence;
use crate::state::Home;
use crate::supervise::{ApprovalScope, Decidable, Deed};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use wire::{Change, Values};

/// Between two attempts to tell a gate that an operator is there.
const WATCH_RETRY_INTERVAL: Duration = Duration::from_secs(30);

pub struct Decisions {
    home: Home,
    shown: Option<Shown>,
    /// By identity.
    watchers: BTreeMap<String, Watcher>,
}

/// What a preview showed.
struct Shown {
    ask: AskKey,
    wanted: Decidable,
    approval: Approval,
}

/// Tells one gate that an operator is there.
struct Watcher {
    /// `None` for a bottle that holds no requests, and where the engine's program does not run.
    presence: Option<Presence>,
    began: Instant,
}

impl Decisions {
    pub fn new(home: Home) -> Decisions {
        Decisions { home, shown: None, watchers: BTreeMap::new() }
    }

    /// Says what approving would do. A rejection does nothing but what its name says.
    pub fn preview(&mut self, ask: &AskKey, wider: usize) -> Preview {
        self.shown = None;
        match self.approval(ask, wider) {
            Ok(shown) => {
                let text = render::approval(&shown.approval, &shown.wanted.session.plan, None, 0);
                let lines = text.lines().filter(|line| !line.starts_with("asked ")).map(str::to_owned).collect();
                self.shown = Some(shown);
                Preview { lines, is_possible: true }
            }
            Err(error) => {
                let lines = vec![format!("it cannot be approved so: {error:#}"), "e: a route of your own".to_owned()];
                Preview { lines, is_possible: false }
            }
        }
    }

    fn approval(&self, ask: &AskKey, wider: usize) -> Result<Shown> {
        if let Change::Packages(_) = ask.change {
            bail!("packages are approved by `claude-bottle approve {}/{}`", ask.identity, ask.change.id());
        }
        let wanted = self.find(ask)?;
        let mut approval = wanted.approval()?;
        if let Some(step) = wider.checked_sub(1).and_then(|last| approval.wider.get(last)).map(|(step, _)| *step) {
            approval = approval.widened(&wanted.session.plan, step, wanted.request())?;
        } else if wider > 0 {
            bail!("there is no wider change than the one before");
        }
        Ok(Shown { ask: ask.clone(), wanted, approval })
    }

    fn find(&self, ask: &AskKey) -> Result<Decidable> {
        let wanted = Decidable::find(&self.home, &format!("{}/{}", ask.identity, ask.change.id()))?;
        if wanted.change != ask.change {
            bail!("it is not what the dashboard shows any more");
        }
        Ok(wanted)
    }

    /// Decides; gives what is to be said of it.
    pub fn decide(&mut self, ask: &AskKey, step: AskAction, reason: Option<String>) -> String {
        let done = match step {
            AskAction::Reject => self.reject(ask, reason.as_deref()),
            AskAction::Once => self.approve(ask, ApprovalScope::Once),
            AskAction::Approve => self.approve(ask, ApprovalScope::Session),
        };
        done.unwrap_or_else(|error| format!("nothing was decided: {error:#}"))
    }

    fn approve(&mut self, ask: &AskKey, scope: ApprovalScope) -> Result<String> {
        let Some(mut shown) = self.shown.take().filter(|shown| shown.ask == *ask) else {
            bail!("what approving would do was not shown");
        };
        let deed = shown.wanted.session.approve(&shown.approval, scope, Values::new())?;
        let what = render::change_text(&ask.change);
        Ok(match (scope, deed) {
            (ApprovalScope::Once, _) => format!("approved once, within a minute: {what}"),
            (_, Deed::InForce) => format!("approved: {what}"),
            (_, Deed::AtResume) => format!("approved, from the next resume on: {what}"),
        })
    }

    fn reject(&mut self, ask: &AskKey, reason: Option<&str>) -> Result<String> {
        let mut wanted = self.find(ask)?;
        wanted.session.reject(&wanted.change, reason)?;
        Ok(format!("rejected: {}", render::change_text(&ask.change)))
    }

    /// Keeps telling the gates of bottles that hold requests that an operator is there.
    pub fn watch(&mut self, rows: &[Rc<BottleRow>]) {
        let runs = |identity: &String| rows.iter().any(|row| row.identity == *identity && is_running(row));
        self.watchers.retain(|identity, _| runs(identity));
        for row in rows.iter().filter(|row| is_running(row)) {
            let watcher = self.watchers.get_mut(&row.identity);
            let has_ended = |watcher: &mut Watcher| {
                watcher.began.elapsed() >= WATCH_RETRY_INTERVAL
                    && watcher.presence.as_mut().is_some_and(Presence::has_ended)
            };
            if watcher.is_none_or(has_ended) {
                let presence = presence_at(&self.home, &row.identity);
                self.watchers.insert(row.identity.clone(), Watcher { presence, began: Instant::now() });
            }
        }
    }
}

fn is_running(row: &BottleRow) -> bool {
    ["live", "detached"].contains(&row.state)
}

fn presence_at(home: &Home, identity: &str) -> Option<Presence> {
    let plan = home.known(identity).ok()?.plan().ok()?;
    Presence::begin(&Docker::new(&plan.engine).ok()?, &plan)
}
