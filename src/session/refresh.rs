//! Refreshes the tokens of a running session. When its gate wants tokens, the gate is asked which; the command of each runs
//! on this host, at most once at a time; its output goes to the gate's `ctl` on stdin, never in an argument.
//!
//! Nothing here waits: as long as something is under way, the main thread calls [`Refresh::advance`] at an interval.

use crate::docker::{Call, Docker};
use crate::exit::EngineError;
use crate::facts::Terminal;
use crate::plan::Plan;
use crate::say;
use crate::secrets::TokenCommand;
use crate::text;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wire::{Blob, DueTokens, FreshToken};

/// Between two calls of [`Refresh::advance`].
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// After this long, a call of the engine is given up.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The state of all refreshes. The maps are by the name of the value.
#[derive(Default)]
pub struct Refresh {
    /// The gate is to be asked which tokens are due.
    is_requested: bool,
    /// Asks the gate.
    query: Option<TimedCall>,
    commands: BTreeMap<String, TokenCommand>,
    /// Each hands a token to the gate.
    deliveries: BTreeMap<String, TimedCall>,
    /// When the last refresh of a value was over. What the gate said before that does not count.
    finished: BTreeMap<String, Instant>,
    /// Why the last refresh of a value failed; values that were refreshed since are not in it.
    failures: BTreeMap<String, String>,
}

struct TimedCall {
    call: Call,
    began: Instant,
}

/// What came of a call.
enum CallResult {
    /// Its stdout, and its error where it has failed.
    Ended(String, Option<EngineError>),
    /// It did not end in time, or could not be waited for.
    NoAnswer,
}

impl TimedCall {
    fn new(call: Call) -> TimedCall {
        TimedCall { call, began: Instant::now() }
    }

    /// Takes a call out of `slot` that has ended, or whose time is up; `None` while it runs.
    fn take_result(slot: &mut Option<TimedCall>) -> Option<CallResult> {
        let timed = slot.as_mut()?;
        if timed.call.has_ended() {
            let ended = slot.take()?.call.finish_with_output();
            return Some(ended.map_or(CallResult::NoAnswer, |(stdout, error)| CallResult::Ended(stdout, error)));
        }
        if timed.began.elapsed() < CALL_TIMEOUT {
            return None;
        }
        slot.take()?.call.cancel();
        Some(CallResult::NoAnswer)
    }
}

impl Refresh {
    /// Asks for a refresh of every token that is due.
    pub fn request(&mut self) {
        self.is_requested = true;
    }

    /// How long until the next call of [`Refresh::advance`]; `None`: not before the next request.
    pub fn pause(&self) -> Option<Duration> {
        let is_idle = self.query.is_none() && self.commands.is_empty() && self.deliveries.is_empty();
        match (self.is_requested, is_idle) {
            (true, true) => Some(Duration::ZERO),
            (false, true) => None,
            _ => Some(POLL_INTERVAL),
        }
    }

    /// Does what can be done without waiting. Call it from the main thread.
    pub fn advance(&mut self, docker: &Docker, plan: &Plan) {
        self.begin_commands(plan);
        self.deliver(docker, plan);
        self.end_deliveries(plan);
        if self.is_requested && self.query.is_none() {
            self.is_requested = false;
            // Without commands there is nothing to ask for.
            if plan.printed().next().is_some() {
                self.query = docker.begin(&plan.ctl(&["due"])).ok().map(TimedCall::new);
            }
        }
    }

    /// Runs the commands of the tokens that the gate says are due.
    fn begin_commands(&mut self, plan: &Plan) {
        let asked = self.query.as_ref().map(|query| query.began);
        // A gate that goes down at this moment has nothing due, and an older one never has.
        let Some(CallResult::Ended(text, _)) = TimedCall::take_result(&mut self.query) else { return };
        let due = serde_json::from_str::<DueTokens>(&text).unwrap_or_default();
        for name in due.due {
            if self.finished.get(&name).copied() < asked {
                self.begin_command(plan, name);
            }
        }
    }

    fn begin_command(&mut self, plan: &Plan, name: String) {
        let Some((_, argv)) = plan.printed().find(|(printed, _)| *printed == name) else { return };
        if self.commands.contains_key(&name) || self.deliveries.contains_key(&name) {
            return;
        }
        match TokenCommand::begin(argv, &plan.home) {
            Ok(command) => drop(self.commands.insert(name, command)),
            Err(error) => self.fail(plan, name, error.to_string()),
        }
    }

    /// Hands the gate the token of every command that has ended.
    fn deliver(&mut self, docker: &Docker, plan: &Plan) {
        let names: Vec<String> = self.commands.keys().cloned().collect();
        for name in names {
            let Some(token) = self.commands.get_mut(&name).and_then(TokenCommand::finished) else { continue };
            self.commands.remove(&name);
            let input = token.map(|value| serde_json::to_vec(&FreshToken { value: Blob(value) }).unwrap_or_default());
            let call = match input {
                Ok(input) => docker.begin_with_input(&plan.ctl(&["token", &name]), input).map_err(|e| e.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match call {
                Ok(call) => drop(self.deliveries.insert(name, TimedCall::new(call))),
                Err(why) => self.fail(plan, name, why),
            }
        }
    }

    fn end_deliveries(&mut self, plan: &Plan) {
        let names: Vec<String> = self.deliveries.keys().cloned().collect();
        for name in names {
            let mut slot = self.deliveries.remove(&name);
            match TimedCall::take_result(&mut slot) {
                None => drop(slot.map(|call| self.deliveries.insert(name, call))),
                Some(CallResult::Ended(_, None)) => {
                    self.failures.remove(&name);
                    self.finished.insert(name, Instant::now());
                }
                Some(CallResult::Ended(text, Some(error))) => {
                    self.fail(plan, name, gates_reason(&text).unwrap_or(error.what));
                }
                Some(CallResult::NoAnswer) => self.fail(plan, name, "the engine did not answer".to_owned()),
            }
        }
    }

    /// Remembers a failure. It is told at once where the agent has pipes. A full-screen program's terminal would be spoilt,
    /// so it is told at the session's end there.
    fn fail(&mut self, plan: &Plan, name: String, why: String) {
        self.finished.insert(name.clone(), Instant::now());
        let before = self.failures.insert(name, why.clone());
        if plan.terminal == Terminal::Pipes && before.as_ref() != Some(&why) {
            tell_failure(&why);
        }
    }

    /// Ends every refresh under way, and tells the failures that were not told yet.
    pub fn finish(&mut self, plan: &Plan) {
        self.commands.clear();
        for timed in self.query.take().into_iter().chain(std::mem::take(&mut self.deliveries).into_values()) {
            timed.call.cancel();
        }
        let failures = std::mem::take(&mut self.failures);
        if plan.terminal == Terminal::Tty {
            failures.values().for_each(|why| tell_failure(why));
        }
    }
}

fn tell_failure(why: &str) {
    say::line(&format!("a token was not fetched anew: {}", text::one_line(why)));
}

/// The gate's own reason, in what it answered.
fn gates_reason(text: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(answer.get("error")?.as_str()?.to_owned())
}
