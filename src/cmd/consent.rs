//! Consent, before anything is made or removed: `--yes`, or a terminal to ask on.

use crate::cli::LaunchArgs;
use crate::exit::{Exit, UserError};
use crate::plan::{Plan, Source};
use crate::secrets::{self, NotCollected};
use crate::supervise::SupervisedSession;
use std::collections::BTreeMap;
use sys::signals::Signals;
use sys::tty::{Answer, Tty};
use wire::Values;

/// The user's consent to a launch.
pub enum Consent {
    Given,
    /// The question is asked on this terminal.
    Ask(Tty),
}

/// # Errors
/// `UserError` without a terminal to ask on, and where `--yes` does not count.
pub fn consent(launch: &LaunchArgs, plan: &Plan) -> Result<Consent, UserError> {
    if launch.yes {
        if let Some(where_to) = plan.seccomp.unfit_engine() {
            return Err(UserError::new(format!("`--yes` launches nothing on {where_to}")).hint(
                "use another engine, or leave `--yes` away; `\"seccomp\": \"engine\"` in the bottle launches it all the same",
            ));
        }
        return match &plan.origin.hides {
            Some(hidden) => Err(UserError::new(format!(
                "`--yes` does not launch agent `{}` of this directory, which hides your own ({hidden})",
                plan.spec.agent
            ))
            .hint("rename one of them, or leave `--yes` away and look at the plan")),
            None => Ok(Consent::Given),
        };
    }
    terminal_to_ask_on("add `--yes` to launch without the question").map(Consent::Ask)
}

/// The question before a deed, unless `--yes` has answered it.
pub struct Confirmation<'a> {
    pub yes: bool,
    pub signals: &'a Signals,
}

impl Confirmation<'_> {
    /// Asks it. `None` for yes, else the exit code.
    ///
    /// # Errors
    /// `UserError` without a terminal.
    pub fn ask(&self, text: &str) -> Result<Option<Exit>, UserError> {
        if self.yes {
            return Ok(None);
        }
        let mut tty = terminal_to_ask_on("add `--yes` to do it without the question")?;
        Ok(match tty.ask(text, self.signals) {
            answer if answer.is_yes() => None,
            Answer::Signal(number) => Some(Exit::signal(number)),
            _ => Some(Exit::OK),
        })
    }
}

/// The values that a decision brings along; an exit code where a signal came at a question.
///
/// # Errors
/// `UserError` where a value cannot be fetched.
pub fn collect_values(
    sources: &BTreeMap<String, Source>,
    session: &SupervisedSession,
    signals: &Signals,
) -> Result<Result<Values, Exit>, UserError> {
    match secrets::collect(sources, &session.plan.home, signals) {
        Ok(values) => Ok(Ok(values)),
        Err(NotCollected::Refused(error)) => Err(error),
        Err(NotCollected::Signal(number)) => Ok(Err(Exit::signal(number))),
    }
}

/// The terminal for a question that `--yes` would have answered. `hint`: what to type where there is none.
///
/// # Errors
/// `UserError` without a terminal.
pub fn terminal_to_ask_on(hint: &'static str) -> Result<Tty, UserError> {
    Tty::open().ok_or_else(|| UserError::new("no terminal to ask on, and no `--yes`").hint(hint))
}
