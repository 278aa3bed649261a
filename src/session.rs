//! One session from its claim to its settlement: claim, prepare, run. Its home is kept unless the session has earned its
//! deletion.
//!
//! There is one way down: the end of a session, `cleanup` and the rescue of a lost one run the same [`Session::settle`]
//! from the recorded plan. An error or a panic on the way settles the session as well, by [`Drop`].

pub mod audit;
mod detach_keys;
mod fill;
mod keyboard;
pub mod notify;
pub mod presence;
mod refresh;
mod settle;
mod snapshot;
mod terminal_socket;
mod watch;

pub use settle::Outcome;
pub use terminal_socket::ask_to_detach;

use crate::docker::{self, Docker};
use crate::exit::{EngineError, EngineErrorKind, Exit};
use crate::plan::{Plan, Step, StepKind};
use crate::say;
use crate::spec::Beginning;
use crate::state::{Condition, EndRequest, Folder, Home, Kept, Mark, Saved};
use crate::workspace::Survey;
use anyhow::{Context as _, Result};
use refresh::Refresh;
use settle::Cause;
use std::io::Write;
use sys::lock::Lock;
use sys::signals::Signals;
use sys::timings;
use watch::GateClient;
use wire::{Values, Work};

pub struct Session<'a> {
    docker: &'a Docker,
    folder: Folder,
    plan: Plan,
    before: Before,
    gate: Option<GateClient>,
    /// What was made on the engine so far, by the steps that made it.
    created: Vec<StepKind>,
    /// What is to be copied into the workspace.
    survey: Option<Survey>,
    refresh: Refresh,
    work_left: Option<AskWorkLeft>,
    /// Commits of the agent's that only a reflog leads to, as the comparison at the end names them.
    reflog: Vec<String>,
    /// The engine's client ended neither with the agent nor by the detach keys.
    client_failed: bool,
    phase: Phase,
    _lock: Lock,
}

/// Asks for the work in a stopped session's home that is nowhere else.
pub type AskWorkLeft = fn(&Docker, &Plan, &Folder) -> Result<Work>;

/// What there was of the session before this start.
enum Before {
    Nothing,
    Kept(Saved),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The agent's program has not run: leaving means leaving nothing.
    Preparing,
    Running,
    Settled,
}

impl<'a> Session<'a> {
    /// Makes a new session: its folder, lock, mark and plan are on disk before the first engine call.
    ///
    /// # Errors
    /// The disk's.
    pub fn claim(docker: &'a Docker, home: &Home, plan: Plan) -> Result<Session<'a>> {
        let folder = home.claim(&plan.identity)?;
        let lock = folder.lock()?.context("a new session's lock is held")?;
        folder.set_mark(&Mark::Live)?;
        folder.set_plan(&plan)?;
        folder.set_profiles()?;
        Ok(Session::new(docker, folder, plan, lock))
    }

    /// Goes on with a kept session by a new plan; the caller holds its lock. Mark and plan are put back if the agent does
    /// not start.
    ///
    /// # Errors
    /// The disk's.
    pub fn reopen(docker: &'a Docker, folder: Folder, plan: Plan, lock: Lock) -> Result<Session<'a>> {
        let saved = folder.save()?;
        folder.forget_end_requests();
        folder.set_mark(&Mark::Live)?;
        folder.set_plan(&plan)?;
        folder.set_profiles()?;
        let mut session = Session::new(docker, folder, plan, lock);
        session.before = Before::Kept(saved);
        Ok(session)
    }

    /// Settles a session that lost its claude-bottle process; what still runs of it is stopped first. One that was kept
    /// before stays kept for its first reason.
    ///
    /// # Errors
    /// The engine's, where it does not answer; the disk's.
    pub fn rescue(docker: &'a Docker, folder: Folder, plan: Plan, lock: Lock) -> Result<Outcome> {
        match docker.run(&plan.stop()) {
            Err(error) if error.kind != EngineErrorKind::Gone => return Err(error.into()),
            _ => {}
        }
        let before = folder.condition();
        // Its owner died before anything was made: there is nothing to keep.
        let is_empty = folder.is_bare() && !docker.has_volume(&plan.volume())?;
        let mut session = Session::adopt(docker, folder, plan, lock);
        let (mut outcome, _) = session.settle(&Cause::Lost)?;
        if is_empty {
            session.folder.clear()?;
            return Ok(Outcome::Gone);
        }
        if let (Condition::Kept(before), Outcome::Kept(now)) = (before, &mut outcome)
            // Where the engine did not answer at either end, the later error is the reason.
            && !(before.unsettled && now.unsettled)
        {
            now.why = before.why;
            session.folder.set_mark(&Mark::Kept(now.clone()))?;
        }
        Ok(outcome)
    }

    /// Ends a session whose folder says already why. Its owner, where it has one, settles it; else this does.
    ///
    /// # Errors
    /// The engine's, where it does not answer; the disk's.
    pub fn end_as_requested(docker: &'a Docker, folder: Folder, plan: Plan) -> Result<()> {
        match folder.lock()? {
            Some(lock) => Session::rescue(docker, folder, plan, lock).map(drop),
            None => match docker.run(&plan.stop()) {
                Err(error) if error.kind != EngineErrorKind::Gone => Err(error.into()),
                _ => Ok(()),
            },
        }
    }

    /// Ends a session because the user stops it: it is kept.
    ///
    /// # Errors
    /// Those of [`Session::end_as_requested`]; then nothing asks for its end.
    pub fn stop(docker: &'a Docker, folder: &Folder, plan: Plan) -> Result<()> {
        folder.request_end(EndRequest::Stop)?;
        Session::end_as_requested(docker, folder.clone(), plan).inspect_err(|_| folder.withdraw_end(EndRequest::Stop))
    }

    /// Takes over a session whose containers exist; the caller holds its lock.
    pub fn adopt(docker: &'a Docker, folder: Folder, plan: Plan, lock: Lock) -> Session<'a> {
        let mut session = Session::new(docker, folder, plan, lock);
        session.phase = Phase::Running;
        session
    }

    fn new(docker: &'a Docker, folder: Folder, plan: Plan, lock: Lock) -> Session<'a> {
        Session {
            docker,
            folder,
            plan,
            before: Before::Nothing,
            gate: None,
            created: Vec::new(),
            survey: None,
            refresh: Refresh::default(),
            work_left: None,
            reflog: Vec::new(),
            client_failed: false,
            phase: Phase::Preparing,
            _lock: lock,
        }
    }

    /// Sets how to ask what is nowhere else of work that was brought to this machine in part. Without it, all counts.
    pub fn with_work_left(mut self, work_left: AskWorkLeft) -> Session<'a> {
        self.work_left = Some(work_left);
        self
    }

    /// Sets what is copied into the workspace.
    pub fn with_survey(mut self, survey: Option<Survey>) -> Session<'a> {
        self.survey = survey;
        self
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Makes both containers and starts the gate, without any secret: this happens while the user reads the plan.
    ///
    /// A signal that comes while the home is filled ends the copy, and stays in `signals` for the next reader.
    ///
    /// # Errors
    /// The engine's; the disk's where the workspace or the transcript cannot be read.
    pub fn prepare(&mut self, signals: &Signals) -> Result<()> {
        timings::phase("prepare");
        for step in self.plan.up() {
            match step.kind {
                StepKind::StartGate => self.follow_gate(self.docker.stream_with_input(&step.args)?)?,
                StepKind::FillHome => {
                    let home = fill::HomeFill { content: self.home_content()?, owner: self.plan.agent_uid };
                    let loose = fill::fill(self.docker, &step.args, home, signals)?;
                    if !loose.is_empty() {
                        self.folder.set_went_in(&loose)?;
                    }
                }
                StepKind::StartAgent => {}
                _ => self.create(&step)?,
            }
        }
        Ok(())
    }

    /// What the home is filled with.
    fn home_content(&self) -> Result<fill::HomeContent<'_>> {
        match self.plan.spec.beginning {
            Beginning::Transcript => Ok(fill::HomeContent::Transcript(self.folder.transcript())),
            _ => {
                let survey = self.survey.as_ref().context("what is to be copied was not looked at")?;
                Ok(fill::HomeContent::Workspace(survey))
            }
        }
    }

    fn create(&mut self, step: &Step) -> Result<()> {
        let made = self.docker.run(&step.args);
        let was_there = made.as_ref().is_err_and(|error| error.kind == EngineErrorKind::Taken);
        // A call whose answer was lost may have made the object all the same. An object that had the name before is not ours.
        if !was_there {
            self.created.push(step.kind);
        } else if step.kind == StepKind::CreatePushesVolume {
            return Ok(());
        }
        made.map(drop).map_err(Into::into)
    }

    /// Hands the gate its document, runs the agent in this terminal until it ends, and settles.
    ///
    /// # Errors
    /// The gate did not come up, or the engine's program cannot be run.
    pub fn run(mut self, values: Values, signals: Signals) -> Result<Exit> {
        self.send_document(values)?;
        self.phase = Phase::Running;
        let cause = self.watch(&self.plan.start_agent(), signals)?;
        if let Cause::GateDied(why) = &cause
            && !self.gate.as_ref().is_some_and(GateClient::is_ready)
        {
            self.phase = Phase::Preparing;
            let error = EngineError::new(format!("the gate did not come up: {why}"));
            return Err(match docker::seccomp_hint(why) {
                Some(hint) => error.hint(hint),
                None => error,
            }
            .into());
        }
        self.finish(&cause)
    }

    /// Attaches this terminal to a running agent, and settles when the agent ends.
    ///
    /// # Errors
    /// The engine's program cannot be run; the disk's.
    pub fn attach(mut self, signals: Signals) -> Result<Exit> {
        self.folder.set_mark(&Mark::Live)?;
        self.follow_gate(self.docker.stream(&self.plan.follow_gate())?)?;
        if let Some(gate) = &mut self.gate {
            gate.set_ready();
        }
        // Tokens may have expired while no terminal was attached.
        self.refresh.request();
        self.announce_client();
        let cause = self.watch(&self.plan.attach(), signals)?;
        self.finish(&cause)
    }

    /// Writes the document from a thread: the pipe holds less than the host's bundle of roots.
    fn send_document(&mut self, values: Values) -> Result<()> {
        let gate = self.gate.as_mut().context("the gate was not started")?;
        let mut stdin = gate.take_stdin().context("the gate's stdin is gone")?;
        let text = serde_json::to_vec(&self.plan.document(values))?;
        // A gate that has ended says why itself; a broken pipe here adds nothing.
        sys::thread::spawn(move || drop(stdin.write_all(&text)))?;
        Ok(())
    }

    /// Takes back what was prepared; the agent's program has not run. A kept session is as it was before.
    ///
    /// # Errors
    /// Not everything could be removed.
    pub fn abandon(mut self) -> Result<()> {
        timings::phase("take back");
        self.take_back()
    }

    fn take_back(&mut self) -> Result<()> {
        self.phase = Phase::Settled;
        match (&self.before, self.remove_created()) {
            (Before::Kept(saved), removed) => {
                self.folder.put_back(saved)?;
                removed.map_err(Into::into)
            }
            (Before::Nothing, Ok(())) => self.folder.remove(),
            (Before::Nothing, Err(error)) => {
                self.folder.set_mark(&Mark::Kept(Kept::new(format!("not everything could be removed: {error}"))))?;
                Err(error.into())
            }
        }
    }

    /// Removes what this start has made.
    fn remove_created(&self) -> Result<(), EngineError> {
        let created = |kind| self.created.contains(&kind);
        let is_new_home = matches!(self.before, Before::Nothing) || self.plan.spec.beginning == Beginning::Transcript;
        // Making the agent makes the volume, where nothing made it before.
        let made_volume = is_new_home && (created(StepKind::CreateVolume) || created(StepKind::CreateAgent));
        let down = self.plan.down();
        // What an earlier run of the session has pushed is nowhere else.
        let is_first = matches!(self.before, Before::Nothing);
        let pushes = down.pushes.as_ref().filter(|_| is_first && created(StepKind::CreateGate));
        let sidecars = down.sidecars.iter().filter(|_| created(StepKind::CreateGate));
        let agent = created(StepKind::CreateAgent).then_some(&down.agent);
        self.docker.remove(sidecars.chain(agent).chain(made_volume.then_some(&down.volume)).chain(pushes))
    }
}

impl Drop for Session<'_> {
    /// An error or a panic on the way leaves the session unsettled; then this settles it.
    fn drop(&mut self) {
        let done = match self.phase {
            Phase::Settled => return,
            Phase::Preparing => self.take_back(),
            Phase::Running => {
                let _ = self.docker.run(&self.plan.stop());
                self.settle(&Cause::Lost).map(|(outcome, _)| self.report(&outcome))
            }
        };
        if let Err(error) = done {
            say::error(&error);
        }
    }
}
