//! Tokens of a running session, fetched anew when its gate asks for them: which, it is asked; the command runs on this
//! host, once at a time for each; what it prints goes into the gate's `ctl` by stdin, never into an argument.
//!
//! Nothing here waits: the session looks in now and then, from the main thread, as long as something is under way.

use crate::docker::{Call, Docker};
use crate::facts::Terminal;
use crate::plan::Plan;
use crate::say;
use crate::secrets::Fetching;
use crate::text;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wire::{Blob, DueTokens, FreshToken};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// For a call of the engine's.
const BOUND: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Refresh {
    /// The gate is to be asked what is due.
    wanted: bool,
    asking: Option<(Call, Instant)>,
    /// By the name of the value.
    fetching: BTreeMap<String, Fetching>,
    handing: BTreeMap<String, (Call, Instant)>,
    /// When the last run for a name was over: an older word of the gate's does not count.
    over: BTreeMap<String, Instant>,
    /// What went wrong last, of those that are not right since.
    failed: BTreeMap<String, String>,
}

impl Refresh {
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// When to look in again; none: when the gate has asked.
    pub fn pause(&self) -> Option<Duration> {
        let idle = self.asking.is_none() && self.fetching.is_empty() && self.handing.is_empty();
        match (self.wanted, idle) {
            (true, true) => Some(Duration::ZERO),
            (false, true) => None,
            _ => Some(PAUSE),
        }
    }

    /// As far as it goes without waiting.
    pub fn go_on(&mut self, docker: &Docker, plan: &Plan) {
        let asked = self.asking.as_ref().map(|(_, began)| *began);
        if let Some(due) = take_ended(&mut self.asking) {
            // A gate that goes down just now has nothing due; an older one never has.
            let due = due.and_then(|(text, _)| serde_json::from_str::<DueTokens>(&text).ok()).unwrap_or_default();
            for name in due.due {
                if self.over.get(&name).copied() < asked {
                    self.fetch(plan, name);
                }
            }
        }
        let names: Vec<String> = self.fetching.keys().cloned().collect();
        for name in names {
            let Some(finished) = self.fetching.get_mut(&name).and_then(Fetching::finished) else { continue };
            self.fetching.remove(&name);
            match finished {
                Ok(value) => self.hand_in(docker, plan, name, value),
                Err(refused) => self.fail(plan, name, refused.to_string()),
            }
        }
        let names: Vec<String> = self.handing.keys().cloned().collect();
        for name in names {
            let mut call = self.handing.remove(&name);
            match take_ended(&mut call) {
                None => drop(call.map(|call| self.handing.insert(name, call))),
                Some(Some((_, None))) => {
                    self.failed.remove(&name);
                    self.over.insert(name, Instant::now());
                }
                Some(told) => {
                    let why = told.map_or_else(
                        || "the engine did not answer".to_owned(),
                        |(text, error)| said(&text).or(error.map(|error| error.what)).unwrap_or_default(),
                    );
                    self.fail(plan, name, why);
                }
            }
        }
        if self.wanted && self.asking.is_none() {
            self.wanted = false;
            // No command, nothing to ask for.
            if plan.printed().next().is_some() {
                self.asking = docker.start(&plan.ctl(&["due"])).ok().map(|call| (call, Instant::now()));
            }
        }
    }

    fn fetch(&mut self, plan: &Plan, name: String) {
        let Some((_, argv)) = plan.printed().find(|(printed, _)| *printed == name) else { return };
        if self.fetching.contains_key(&name) || self.handing.contains_key(&name) {
            return;
        }
        match Fetching::begin(argv, &plan.spec.cwd) {
            Ok(fetching) => drop(self.fetching.insert(name, fetching)),
            Err(refused) => self.fail(plan, name, refused.to_string()),
        }
    }

    fn hand_in(&mut self, docker: &Docker, plan: &Plan, name: String, value: Vec<u8>) {
        let told = serde_json::to_vec(&FreshToken { value: Blob(value) }).unwrap_or_default();
        match docker.tell(&plan.ctl(&["token", &name]), told) {
            Ok(call) => drop(self.handing.insert(name, (call, Instant::now()))),
            Err(error) => self.fail(plan, name, error.to_string()),
        }
    }

    /// Said at once where that spoils nothing: a full-screen program's terminal hears of it at the end.
    fn fail(&mut self, plan: &Plan, name: String, why: String) {
        self.over.insert(name.clone(), Instant::now());
        let before = self.failed.insert(name, why.clone());
        if plan.terminal == Terminal::Pipes && before.as_ref() != Some(&why) {
            tell(&why);
        }
    }

    /// Nothing is fetched any more; what went wrong, and was not said, is.
    pub fn end(&mut self, plan: &Plan) {
        self.fetching.clear();
        for (call, _) in self.asking.take().into_iter().chain(std::mem::take(&mut self.handing).into_values()) {
            call.give_up();
        }
        let failed = std::mem::take(&mut self.failed);
        if plan.terminal == Terminal::Tty {
            failed.values().for_each(|why| tell(why));
        }
    }
}

fn tell(why: &str) {
    say::line(&format!("a token was not fetched anew: {}", text::visible(why)));
}

type Told = (String, Option<crate::exit::EngineError>);

/// A call that has ended, with what it told; or that never will, with nothing.
fn take_ended(slot: &mut Option<(Call, Instant)>) -> Option<Option<Told>> {
    let (call, began) = slot.as_mut()?;
    if call.ended() {
        return slot.take().map(|(call, _)| call.found().ok());
    }
    if began.elapsed() < BOUND {
        return None;
    }
    slot.take().map(|(call, _)| {
        call.give_up();
        None
    })
}

/// The gate's own reason.
fn said(text: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(answer.get("error")?.as_str()?.to_owned())
}
