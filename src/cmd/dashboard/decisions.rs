//! Decisions from the dashboard: what one would do, and doing it, by the code of `approve` and `reject`. What is done is
//! what was shown: the value of the preview, and nothing made anew.
//!
//! An engine may take its time, or never answer: everything that asks one runs on a thread of its own, which wakes the loop.

use super::verbs;
use crate::dashboard::{AskAction, AskKey, BottleRow, Preview, PreviewKey};
use crate::docker::Docker;
use crate::plan::Approval;
use crate::render;
use crate::session::presence::Presence;
use crate::state::Home;
use crate::supervise::{ApprovalScope, Decidable, Deed};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use wire::{Change, Packages, Values};

/// Between two attempts to tell a gate that an operator is there.
const WATCH_RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// Threads that wait for engines at once. No more are begun: an engine may never answer.
const MAX_RUNNING: usize = 16;

pub struct Decisions {
    home: Home,
    shown: Option<Shown>,
    running: usize,
    sender: Sender<TaskResult>,
    outcomes: Receiver<TaskResult>,
    /// Written to when a thread has come to its end.
    wake: UnixStream,
    /// By identity.
    watchers: BTreeMap<String, Watcher>,
}

/// What has come of a thread.
pub enum TaskResult {
    Preview(Box<Shown>),
    /// What is to be said of a decision.
    Decided {
        ask: AskKey,
        told: String,
    },
    /// What is to be said of a bottle that was to be stopped or detached.
    Told(String),
}

/// What a preview shows.
pub struct Shown {
    pub of: PreviewKey,
    pub preview: Preview,
    /// What approving it does; `None` where that is not possible.
    deed: Option<ShownDeed>,
}

struct ShownDeed {
    wanted: Decidable,
    effect: Effect,
}

enum Effect {
    Approval(Box<Approval>),
    /// The session's Dockerfile, with the packages.
    Rebuild(String),
}

/// Tells one gate that an operator is there.
struct Watcher {
    /// `None` for a bottle that holds no requests, and where the engine's program does not run.
    presence: Option<Presence>,
    began: Instant,
}

impl Decisions {
    pub fn new(home: Home, wake: UnixStream) -> Decisions {
        let (sender, outcomes) = channel();
        Decisions { home, shown: None, running: 0, sender, outcomes, wake, watchers: BTreeMap::new() }
    }

    /// Begins to find out what approving would do.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn preview(&mut self, of: PreviewKey) -> Result<()> {
        self.shown = None;
        self.run(move |home| TaskResult::Preview(Box::new(preview(home, of))))
    }

    /// Keeps what is on the screen now, to be approved.
    pub fn keep(&mut self, shown: Shown) {
        self.shown = Some(shown);
    }

    /// Begins to do what was shown.
    ///
    /// # Errors
    /// It was not shown, or no thread can be started.
    pub fn approve(&mut self, of: PreviewKey) -> Result<()> {
        let shown = self.shown.take().filter(|shown| shown.of == of).and_then(|shown| shown.deed);
        let Some(shown) = shown else { bail!("what approving would do was not shown") };
        self.run(move |_| decided(of.ask.clone(), approve(&of, shown)))
    }

    /// Begins to reject.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn reject(&mut self, ask: AskKey, reason: Option<String>) -> Result<()> {
        self.run(move |home| decided(ask.clone(), reject(home, &ask, reason.as_deref())))
    }

    /// Begins to stop a bottle.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn stop(&mut self, identity: String) -> Result<()> {
        self.run(move |home| TaskResult::Told(verbs::stop(home, &identity)))
    }

    /// Begins to detach a bottle from its terminal.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn detach(&mut self, identity: String) -> Result<()> {
        self.run(move |home| TaskResult::Told(verbs::detach(home, &identity)))
    }

    fn run(&mut self, task: impl FnOnce(&Home) -> TaskResult + Send + 'static) -> Result<()> {
        if self.running >= MAX_RUNNING {
            bail!("{MAX_RUNNING} calls of an engine have no answer yet");
        }
        let (home, sender, mut wake) = (self.home.clone(), self.sender.clone(), self.wake.try_clone()?);
        // The engine's clients die with the thread that started them, which waits for each.
        sys::thread::spawn(move || {
            let _ = sender.send(task(&home));
            let _ = wake.write(&[0]);
        })?;
        self.running += 1;
        Ok(())
    }

    /// What has come since.
    pub fn outcome(&mut self) -> Option<TaskResult> {
        let outcome = self.outcomes.try_recv().ok()?;
        self.running = self.running.saturating_sub(1);
        Some(outcome)
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

fn decided(ask: AskKey, told: Result<String>) -> TaskResult {
    TaskResult::Decided { ask, told: told.unwrap_or_else(|error| format!("nothing was decided: {error:#}")) }
}

/// Says what approving would do. A rejection does nothing but what its name says.
fn preview(home: &Home, of: PreviewKey) -> Shown {
    let made = match &of.ask.change {
        Change::Packages(packages) => rebuild_preview(home, &of, packages),
        Change::Egress { .. } | Change::Git { .. } => approval_preview(home, &of),
    };
    let (preview, deed) = match made {
        Ok((preview, deed)) => (preview, Some(deed)),
        Err(error) => {
            let mut lines = vec![format!("it cannot be approved so: {error:#}")];
            if let Change::Egress { .. } = of.ask.change {
                lines.push("e: a route of your own".to_owned());
            }
            (Preview { lines, question: None }, None)
        }
    };
    Shown { of, preview, deed }
}

fn approval_preview(home: &Home, of: &PreviewKey) -> Result<(Preview, ShownDeed)> {
    let wanted = find(home, &of.ask)?;
    let mut approval = wanted.approval()?;
    if let Some(step) = of.wider.checked_sub(1).and_then(|last| approval.wider.get(last)).map(|(step, _)| *step) {
        approval = approval.widened(&wanted.session.plan, step, wanted.request())?;
    } else if of.wider > 0 {
        bail!("there is no wider change than the one before");
    }
    let text = render::approval(&approval, &wanted.session.plan, None, 0);
    let question = match of.step {
        AskAction::Once => "approve this once",
        AskAction::Approve => "approve this for the session",
    };
    let effect = Effect::Approval(Box::new(approval));
    Ok((preview_of(&text, question), ShownDeed { wanted, effect }))
}

fn rebuild_preview(home: &Home, of: &PreviewKey, packages: &Packages) -> Result<(Preview, ShownDeed)> {
    if of.step == AskAction::Once || of.wider > 0 {
        bail!("packages are approved for the session, and for nothing else: a does that");
    }
    let wanted = find(home, &of.ask)?;
    let after = wanted.dockerfile_with(packages)?;
    let mut text = render::packages(&wanted.change, None, wanted.session.dockerfile.as_deref(), &after);
    let question = match wanted.session.runs()? {
        true => {
            text.push_str("note     approving ends the bottle, which is kept; its resume builds the image\n");
            "approve this, and end the bottle for it"
        }
        false => "approve this for the next resume",
    };
    Ok((preview_of(&text, question), ShownDeed { wanted, effect: Effect::Rebuild(after) }))
}

/// The screen says above what was asked for.
fn preview_of(text: &str, question: &str) -> Preview {
    let lines = text.lines().filter(|line| !line.starts_with("asked ")).map(str::to_owned).collect();
    Preview { lines, question: Some(question.to_owned()) }
}

fn find(home: &Home, ask: &AskKey) -> Result<Decidable> {
    let wanted = Decidable::find(home, &format!("{}/{}", ask.identity, ask.change.id()))?;
    if wanted.change != ask.change {
        bail!("it is not what the dashboard shows any more");
    }
    Ok(wanted)
}

fn approve(of: &PreviewKey, shown: ShownDeed) -> Result<String> {
    let (mut session, what) = (shown.wanted.session, render::change_text(&of.ask.change));
    let approval = match shown.effect {
        Effect::Approval(approval) => approval,
        Effect::Rebuild(dockerfile) => {
            return Ok(match session.rebuild(&of.ask.change, &dockerfile)? {
                Deed::InForce => format!("approved, and `{}` has ended: its resume builds the image", of.ask.identity),
                Deed::AtResume => format!("approved: the resume of `{}` builds the image", of.ask.identity),
            });
        }
    };
    let scope = match of.step {
        AskAction::Once => ApprovalScope::Once,
        AskAction::Approve => ApprovalScope::Session,
    };
    Ok(match (scope, session.approve(&approval, scope, Values::new())?) {
        (ApprovalScope::Once, _) => format!("approved once, within a minute: {what}"),
        (_, Deed::InForce) => format!("approved: {what}"),
        (_, Deed::AtResume) => format!("approved, from the next resume on: {what}"),
    })
}

fn reject(home: &Home, ask: &AskKey, reason: Option<&str>) -> Result<String> {
    let mut wanted = find(home, ask)?;
    wanted.session.reject(&wanted.change, reason)?;
    Ok(format!("rejected: {}", render::change_text(&ask.change)))
}

fn is_running(row: &BottleRow) -> bool {
    ["live", "detached"].contains(&row.state)
}

fn presence_at(home: &Home, identity: &str) -> Option<Presence> {
    let plan = home.known(identity).ok()?.plan().ok()?;
    Presence::begin(&Docker::new(&plan.engine).ok()?, &plan)
}
