//! The launch that `start` and `resume` share: show the plan, prepare while the user reads it, ask, fetch values, run.

use super::consent::Consent;
use super::images;
use crate::cli;
use crate::docker::Docker;
use crate::exit::{Exit, UserError};
use crate::facts::Terminal;
use crate::plan::{LeftOutRoute, Plan};
use crate::probe;
use crate::render;
use crate::say;
use crate::secrets::{self, NotCollected};
use crate::session::Session;
use crate::spec::{Beginning, Mode, Spec};
use anyhow::Result;
use std::path::PathBuf;
use sys::signals::{self, Signals};
use sys::timings;
use sys::tty::{self, Answer, Tty};

impl cli::LaunchArgs {
    /// The spec of a plan for these arguments.
    pub fn spec(&self, agent: &str, cwd: PathBuf, beginning: Beginning) -> Spec {
        Spec {
            agent: agent.to_owned(),
            cwd,
            mode: if self.headless { Mode::Headless } else { Mode::Interactive },
            prompt: self.prompt.clone(),
            remote_control: self.remote_control,
            args: self.args.clone(),
            beginning,
            copy: None,
        }
    }
}

impl cli::PreviewArgs {
    /// Is this a dry run? `CLAUDE_BOTTLE_DRY_RUN=1` equals `--dry-run`.
    pub fn is_wanted(&self) -> bool {
        self.dry_run || probe::variable("CLAUDE_BOTTLE_DRY_RUN").is_some_and(|value| value != "0")
    }

    /// What the agent's terminal will be. A script is piped to a shell, which has the terminal where this process has a
    /// pipe.
    pub fn terminal(&self) -> Terminal {
        let terminal = match self.format {
            cli::Format::Sh if self.is_wanted() => Tty::open().is_some(),
            _ => tty::attached(),
        };
        if terminal { Terminal::Tty } else { Terminal::Pipes }
    }
}

/// A plan with what is shown beside it.
pub struct PlanView<'a> {
    plan: &'a Plan,
    /// How it differs from the session's last plan.
    changes: String,
}

impl<'a> PlanView<'a> {
    pub fn new(plan: &'a Plan) -> PlanView<'a> {
        PlanView { plan, changes: String::new() }
    }

    /// This view with the session's routes that the plan cannot have.
    pub fn with_left_out(self, left_out: &[LeftOutRoute]) -> PlanView<'a> {
        PlanView { changes: self.changes + &render::left_out(left_out), ..self }
    }

    /// A view that shows how the plan differs from `old`, by which the session ran before.
    pub fn since(old: &Plan, plan: &'a Plan) -> PlanView<'a> {
        PlanView { plan, changes: render::changes(old, plan) }
    }

    /// `problems`: what keeps the plan from being started.
    fn text(&self, problems: &[UserError]) -> String {
        let unmatched = render::unmatched(&secrets::unmatched(self.plan));
        render::text(self.plan, problems) + &unmatched + &self.changes
    }
}

/// Prints a plan on stdout. `problems`: what keeps it from being started.
pub fn print(view: &PlanView, problems: &[UserError], format: cli::Format) -> Result<Exit> {
    say::out(&match format {
        cli::Format::Text => view.text(problems),
        cli::Format::Json => render::json(view.plan),
        cli::Format::Sh => render::sh(view.plan)?,
    })?;
    Ok(Exit::OK)
}

/// Shows the plan and launches. `claim` makes the session; it is called only when the session may leave something behind.
pub fn launch<'a>(
    docker: &'a Docker,
    view: &PlanView,
    consent: Consent,
    claim: impl FnOnce() -> Result<Session<'a>>,
) -> Result<Exit> {
    let plan = view.plan;
    secrets::check(plan)?;
    let signals = signals::catch()?;
    // A question is never asked without its plan, even with `--quiet`.
    if matches!(consent, Consent::Ask(_)) || !say::is_quiet() {
        say::plan(&view.text(&[]));
    }
    match consent {
        Consent::Given => build_and_run(docker, plan, signals, claim),
        Consent::Ask(tty) if plan.images.builds.is_empty() => {
            let mut session = claim()?;
            session.prepare(&signals)?;
            match ask_to_launch(tty, &signals) {
                None => run(session, signals),
                Some(exit) => {
                    session.abandon()?;
                    Ok(exit)
                }
            }
        }
        // Containers cannot be prepared without their images: the question comes first.
        Consent::Ask(tty) => match ask_to_launch(tty, &signals) {
            None => build_and_run(docker, plan, signals, claim),
            Some(exit) => Ok(exit),
        },
    }
}

/// Builds the missing images, makes the session and runs it.
fn build_and_run<'a>(
    docker: &'a Docker,
    plan: &Plan,
    signals: Signals,
    claim: impl FnOnce() -> Result<Session<'a>>,
) -> Result<Exit> {
    if let Some(exit) = images::build(docker, &plan.images.builds, &signals)? {
        return Ok(exit);
    }
    let mut session = claim()?;
    session.prepare(&signals)?;
    run(session, signals)
}

/// Fetches the values of secrets, and runs the prepared session.
fn run(session: Session, signals: Signals) -> Result<Exit> {
    timings::phase("until the agent's start");
    let Plan { values, home, .. } = session.plan();
    let values = secrets::collect(values, home, &signals);
    // After a signal that came during the preparation, the agent need not start.
    match signals.try_recv().map_or(values, |number| Err(NotCollected::Signal(number))) {
        Ok(values) => session.run(values, signals),
        Err(NotCollected::Refused(error)) => {
            session.abandon()?;
            Err(error.into())
        }
        Err(NotCollected::Signal(number)) => {
            session.abandon()?;
            Ok(Exit::signal(number))
        }
    }
}

/// Asks whether to launch. `None` for yes, else the exit code.
fn ask_to_launch(mut tty: Tty, signals: &Signals) -> Option<Exit> {
    timings::phase("question");
    match tty.ask("launch this agent? [y/N] ", signals) {
        answer if answer.is_yes() => None,
        Answer::Signal(number) => Some(Exit::signal(number)),
        _ => Some(Exit::OK),
    }
}
