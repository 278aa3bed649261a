//! The launch core that `start` and `resume` share: show, prepare while the person reads, ask, fetch values, run.

use crate::cli;
use crate::docker::{self, BuildEnd, Docker};
use crate::exit::{Exit, UserError};
use crate::facts::Terminal;
use crate::plan::{Args, Plan};
use crate::probe;
use crate::render;
use crate::say;
use crate::secrets::{self, Stopped};
use crate::session::Session;
use crate::spec::{Beginning, Mode, Spec};
use crate::state::{Condition, Folder, Home};
use anyhow::Result;
use std::path::{Path, PathBuf};
use sys::signals::{self, Signals};
use sys::timings;
use sys::tty::{self, Answer, Tty};

impl cli::LaunchArgs {
    /// What was asked, as a plan's spec.
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

    /// What the agent will have. A script is piped to a shell that has the terminal, where this process has a pipe.
    pub fn terminal(&self) -> Terminal {
        let terminal = match self.format {
            cli::Format::Sh if self.is_wanted() => Tty::open().is_some(),
            _ => tty::attached(),
        };
        if terminal { Terminal::Tty } else { Terminal::Pipes }
    }
}

/// A plan, and what a person is told beside it.
pub struct Shown<'a> {
    plan: &'a Plan,
    changes: String,
}

impl<'a> Shown<'a> {
    pub fn new(plan: &'a Plan) -> Shown<'a> {
        Shown { plan, changes: String::new() }
    }

    /// With what became different since the session ran by `old`.
    pub fn since(old: &Plan, plan: &'a Plan) -> Shown<'a> {
        Shown { plan, changes: render::changes(old, plan) }
    }

    /// For a person. `gate`: why its program was not found.
    fn text(&self, gate: Option<&UserError>) -> String {
        let unmatched = render::unmatched(&secrets::unmatched(self.plan));
        render::text(self.plan, gate) + &unmatched + &self.changes
    }
}

/// Prints a plan on stdout, in the asked format.
pub fn print(shown: &Shown, gate: Option<&UserError>, format: cli::Format) -> Result<Exit> {
    say::out(&match format {
        cli::Format::Text => shown.text(gate),
        cli::Format::Json => render::json(shown.plan),
        cli::Format::Sh => render::sh(shown.plan)?,
    })?;
    Ok(Exit::OK)
}

/// What consent there is, before anything is made.
pub enum Consent {
    Given,
    Ask(Tty),
}

/// # Errors
/// `UserError` where it must be asked and cannot.
pub fn consent(launch: &cli::LaunchArgs, plan: &Plan) -> Result<Consent, UserError> {
    if launch.yes {
        return match &plan.origin.hides {
            Some(hidden) => Err(UserError::new(format!(
                "`--yes` does not launch agent `{}` of this directory, which hides your own ({hidden})",
                plan.spec.agent
            ))
            .hint("rename one of them, or leave `--yes` away and look at the plan")),
            None => Ok(Consent::Given),
        };
    }
    asking_terminal("launch").map(Consent::Ask)
}

/// The terminal for a question that `--yes` would have answered.
///
/// # Errors
/// `UserError` without one. `verb`: what is done without the question.
pub fn asking_terminal(verb: &str) -> Result<Tty, UserError> {
    Tty::open().ok_or_else(|| {
        UserError::new("no terminal to ask on, and no `--yes`")
            .hint(format!("add `--yes` to {verb} without the question"))
    })
}

/// Shows the plan and launches. `claim` makes the session, once it may leave a trace.
pub fn launch<'a>(
    docker: &'a Docker,
    shown: &Shown,
    consent: Consent,
    claim: impl FnOnce() -> Result<Session<'a>>,
) -> Result<Exit> {
    let plan = shown.plan;
    secrets::check(plan)?;
    let signals = signals::catch()?;
    // Who is asked is shown what for.
    if matches!(consent, Consent::Ask(_)) || !say::is_quiet() {
        say::plan(&shown.text(None));
    }
    match consent {
        Consent::Given => go(docker, plan, signals, claim),
        Consent::Ask(tty) if plan.images.builds.is_empty() => {
            let mut session = claim()?;
            session.prepare(&signals)?;
            match ask(tty, &signals) {
                None => run(session, signals),
                Some(exit) => {
                    session.abandon()?;
                    Ok(exit)
                }
            }
        }
        // What is not built cannot be prepared: the question comes first.
        Consent::Ask(tty) => match ask(tty, &signals) {
            None => go(docker, plan, signals, claim),
            Some(exit) => Ok(exit),
        },
    }
}

/// Builds what is missing, then everything else.
fn go<'a>(
    docker: &'a Docker,
    plan: &Plan,
    signals: Signals,
    claim: impl FnOnce() -> Result<Session<'a>>,
) -> Result<Exit> {
    if let Some(exit) = build(docker, plan, &signals)? {
        return Ok(exit);
    }
    let mut session = claim()?;
    session.prepare(&signals)?;
    run(session, signals)
}

/// Builds the plan's missing images; an exit code where a signal ended it.
pub fn build(docker: &Docker, plan: &Plan, signals: &Signals) -> Result<Option<Exit>> {
    for build in &plan.images.builds {
        timings::phase("build");
        say::note(&format!("building image `{}`", build.tag));
        if let BuildEnd::Signal(number) = docker::build(docker, build, signals)? {
            return Ok(Some(Exit::signal(number)));
        }
    }
    Ok(None)
}

fn run(session: Session, signals: Signals) -> Result<Exit> {
    timings::phase("until the agent's start");
    let values = secrets::collect(session.plan(), &signals);
    // A signal that came while all this was prepared: the agent need not start.
    match signals.try_recv().map_or(values, |number| Err(Stopped::Signal(number))) {
        Ok(values) => session.run(values, signals),
        Err(Stopped::Refused(refused)) => {
            session.abandon()?;
            Err(refused.into())
        }
        Err(Stopped::Signal(number)) => {
            session.abandon()?;
            Ok(Exit::signal(number))
        }
    }
}

/// `None`: yes.
fn ask(mut tty: Tty, signals: &Signals) -> Option<Exit> {
    timings::phase("question");
    match tty.ask("launch this agent? [y/N] ", signals) {
        answer if answer.is_yes() => None,
        Answer::Signal(number) => Some(Exit::signal(number)),
        _ => Some(Exit::OK),
    }
}

/// The session's engine and home, for verbs on one that exists.
pub fn recorded(home: &Home, identity: &str) -> Result<(Folder, Plan)> {
    let folder = home.known(identity)?;
    let plan = folder.plan()?;
    Ok((folder, plan))
}

/// Why nothing can be done inside a kept session.
pub fn kept(identity: &str, why: &str) -> UserError {
    UserError::new(format!("`{identity}` does not run: {why}")).hint(format!("claude-bottle resume {identity}"))
}

/// A bottle that runs, for what is done inside it.
pub struct Inside {
    pub docker: Docker,
    pub folder: Folder,
    plan: Plan,
}

/// # Errors
/// `UserError` for a session that does not run.
pub fn inside(identity: &str) -> Result<Inside> {
    let (folder, plan) = recorded(&Home::locate()?, identity)?;
    let docker = Docker::new(&plan.engine)?;
    match folder.condition() {
        Condition::Live => {}
        Condition::Kept(rest) if !rest.unsettled => return Err(kept(identity, &rest.why).into()),
        // Nobody would have said so if it ended meanwhile, and the client's own code for that is a command's, too.
        Condition::Detached | Condition::Lost | Condition::Kept(_) => still_runs(&docker, &plan)?,
    }
    Ok(Inside { docker, folder, plan })
}

impl Inside {
    /// # Errors
    /// `UserError` where it has ended since.
    pub fn still_runs(&self) -> Result<()> {
        still_runs(&self.docker, &self.plan)
    }

    /// The arguments that run `init` inside, with these words; `flags` are those of the engine's `exec`.
    pub fn exec(&self, flags: &str, words: &[&str]) -> Args {
        self.plan.exec(flags, words)
    }

    /// The arguments that run a verb of `init` on one file inside.
    ///
    /// # Errors
    /// `UserError` for a path that is not UTF-8.
    pub fn words(&self, verb: &str, path: &Path) -> Result<Args, UserError> {
        let text = path.to_str().ok_or_else(|| UserError::new(format!("`{}` is not UTF-8", path.display())))?;
        Ok(self.exec("-i", &[verb, text]))
    }
}

/// # Errors
/// `UserError` where the agent of a recorded session does not run any more.
pub fn still_runs(docker: &Docker, plan: &Plan) -> Result<()> {
    match docker.is_running(&plan.agent_container())? {
        true => Ok(()),
        false => Err(UserError::new(format!("`{}` does not run any more", plan.identity))
            .hint(format!("claude-bottle resume {}", plan.identity))
            .into()),
    }
}
