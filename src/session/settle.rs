//! Settles a session: asks how it ended, brings transcript and audit trail home, removes what need not stay, marks.
//!
//! The home is deleted only after an end with 0 and a comparison that found nothing in it that is nowhere else.

use super::{Phase, Session, audit, snapshot};
use crate::docker::{Call, ContainerState};
use crate::exit::{EngineError, EngineErrorKind, Exit};
use crate::hint;
use crate::plan::Plan;
use crate::render;
use crate::say;
use crate::state::{EndRequest, KEPT_FOR_WORK, Kept, Mark};
use crate::text;
use anyhow::Result;
use sys::{signals, timings};
use wire::Work;

/// The status of a container that does not exist; no engine uses the word.
const GONE_STATUS: &str = "gone";

/// Why the session ended, as far as this process knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// The client came back by itself.
    Ended,
    Signal(i32),
    /// Why, in the gate's own words.
    GateDied(String),
    /// The terminal was closed, and the session outlives it.
    HungUp,
    /// Its owner died; another process settles it.
    Lost,
}

/// What became of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing of it is left.
    Gone,
    Kept(Kept),
    /// It runs on without a terminal.
    Detached,
}

impl Session<'_> {
    /// Settles after the terminal's child has ended, and tells the user what became of the session.
    pub(super) fn finish(mut self, cause: &Cause) -> Result<Exit> {
        timings::phase("end");
        self.refresh.finish(&self.plan);
        let (outcome, exit) = self.settle(cause)?;
        self.report(&outcome);
        Ok(exit)
    }

    /// # Errors
    /// The disk's. An engine that fails is no error: the session is kept, and says so.
    pub(super) fn settle(&mut self, cause: &Cause) -> Result<(Outcome, Exit)> {
        self.phase = Phase::Settled;
        let down = self.plan.down();
        let inspect = self.docker.begin(&down.inspect);
        let mut snapshot = snapshot::begin(self.docker, &down.snapshot, &self.folder);
        let state = match inspect.and_then(Call::finish).and_then(|text| read_state(&text)) {
            Ok(state) => state,
            Err(error) if error.kind == EngineErrorKind::Gone => {
                ContainerState { status: GONE_STATUS.to_owned(), ..ContainerState::default() }
            }
            Err(error) => {
                let _ = snapshot.map(snapshot::Snapshot::finish);
                return self.keep_unsettled(cause, &error);
            }
        };
        let cause = &self.late_signal(cause).map_or_else(|| cause.clone(), |number| self.cause_of(number));
        if state.running {
            let _ = snapshot.and_then(snapshot::Snapshot::finish);
            // Nothing asked the agent to end: it runs on, whatever became of the client.
            if matches!(cause, Cause::Ended | Cause::HungUp) {
                self.folder.set_mark(&Mark::Detached)?;
                let exit = if self.client_failed && *cause == Cause::Ended { Exit::ENGINE } else { Exit::OK };
                return Ok((Outcome::Detached, exit));
            }
            // The agent was to end, and no request has reached it. What it writes last belongs into the copy as well.
            let _ = self.docker.run(&self.plan.stop());
            snapshot = snapshot::begin(self.docker, &down.snapshot, &self.folder);
        }
        let (mut failure, exit) = verdict(&state, cause);
        if state.lacks_ipv6() && self.folder.home().remember_no_ipv6(&self.plan.engine).is_ok() {
            failure =
                Some("could not start: the engine's kernel has no IPv6, and from now on is asked for none".to_owned());
        }
        let work = match &mut self.gate {
            Some(gate) if failure.is_none() => gate.await_work(),
            Some(gate) => gate.take_work(),
            None => audit::catch_up(self.docker, &self.plan, &self.folder),
        };
        let work = if failure.is_none() { work.map(|work| self.without_brought(work)) } else { work };
        self.reflog = work.as_ref().map_or_else(Vec::new, |work| work.reflog.clone());
        let asked = self.folder.end_request().filter(|_| !matches!(cause, Cause::Signal(_) | Cause::GateDied(_)));
        let (failure, exit) = match asked {
            Some(why @ EndRequest::Rebuild) => (Some(why.reason().to_owned()), Exit::REBUILD),
            Some(why @ EndRequest::Stop) => (Some(why.reason().to_owned()), Exit::signal(signals::SIGTERM)),
            None => (failure, exit),
        };
        let why = failure.or_else(|| reason_to_keep(work.as_ref())).or_else(|| former_pushes(&self.plan));
        // The sidecars go while the transcript still comes; the agent, once the transcript is here.
        let sidecars = self.docker.begin_removal(&down.sidecars);
        let copied = snapshot.and_then(snapshot::Snapshot::finish);
        let agent = copied.is_ok().then(|| self.docker.begin_removal([&down.agent]));
        let removed = sidecars.finish();
        let mut removed = agent.map_or(Ok(()), |agent| agent.finish()).and(removed);
        let why = match copied {
            Err(error) => Some(format!("the transcript could not be copied: {error:#}")),
            Ok(()) => why,
        };
        if why.is_none() && removed.is_ok() {
            removed = self.docker.remove_home(&self.plan);
        }
        match why.or(removed.err().map(|error| format!("not everything could be removed: {error}"))) {
            Some(why) => {
                if let Some(gate) = &self.gate {
                    gate.await_last_lines();
                }
                let kept = Kept { work: work.filter(|work| work.complete), ..Kept::new(why) };
                self.folder.set_mark(&Mark::Kept(kept.clone()))?;
                self.folder.forget_end_requests();
                Ok((Outcome::Kept(kept), exit))
            }
            None => {
                self.folder.clear()?;
                Ok((Outcome::Gone, exit))
            }
        }
    }

    /// This work, without what was brought to this machine meanwhile and is still there.
    fn without_brought(&self, work: Work) -> Work {
        let Some(work_left) = self.work_left.filter(|_| !work.is_none() && self.folder.has_brought()) else {
            return work;
        };
        match work_left(self.docker, &self.plan, &self.folder) {
            Ok(left) if left.complete => left,
            _ => work,
        }
    }

    /// A signal that reached this process and the client together, and whose client came back first: a client without a
    /// terminal passes the signal on and ends with 0, as if it had been detached.
    fn late_signal(&mut self, cause: &Cause) -> Option<i32> {
        self.gate.as_mut().filter(|_| *cause == Cause::Ended)?.pending_signal()
    }

    /// Keeps everything, because the engine does not answer: the volume and the stopped container are the only copy.
    fn keep_unsettled(&self, cause: &Cause, error: &EngineError) -> Result<(Outcome, Exit)> {
        let why = format!("the engine could not be asked: {error}");
        let kept = Kept { unsettled: true, ..Kept::new(why) };
        self.folder.set_mark(&Mark::Kept(kept.clone()))?;
        let exit = match cause {
            Cause::Signal(number) => Exit::signal(*number),
            _ => Exit::ENGINE,
        };
        Ok((Outcome::Kept(kept), exit))
    }

    /// Tells the user what became of a session that is not simply gone.
    pub(super) fn report(&self, outcome: &Outcome) {
        let identity = &self.plan.identity;
        if !self.reflog.is_empty() && !matches!(outcome, Outcome::Detached) {
            say::line("taken back by the agent, or left without a branch: only a reflog has these commits");
            for commit in self.reflog.iter().take(wire::MAX_REFLOG_COMMITS) {
                say::line(&format!("  {}", text::truncate(&text::one_line(commit), wire::MAX_REFLOG_CHARS)));
            }
        }
        match outcome {
            Outcome::Gone => {}
            Outcome::Kept(kept) => {
                say::line(&format!("kept `{identity}`: {}", text::one_line(&kept.why)));
                if kept.work.as_ref().is_some_and(|work| !Work { pushed: 0, ..work.clone() }.is_none()) {
                    say::hint(hint!("claude-bottle work diff {}", identity));
                }
                if kept.work.as_ref().is_some_and(|work| work.pushed > 0) {
                    say::hint(hint!("claude-bottle work fetch {}", identity));
                }
                say::hint(hint!("claude-bottle resume {}", identity));
            }
            Outcome::Detached => {
                say::note(&format!("detached from `{identity}`, which runs on"));
                say::suggest(hint!("claude-bottle attach {}", identity));
            }
        }
    }
}

fn read_state(text: &str) -> Result<ContainerState, EngineError> {
    serde_json::from_str(text).map_err(|e| EngineError::new(format!("`inspect` is not understood: {e}")))
}

/// Why the session is kept, and its exit code. `None`: as far as its end goes, it need not be kept.
fn verdict(state: &ContainerState, cause: &Cause) -> (Option<String>, Exit) {
    let code = Exit(u8::try_from(state.exit_code).unwrap_or(u8::MAX));
    match cause {
        Cause::Signal(number) => (Some(format!("ended by {}", signals::name(*number))), Exit::signal(*number)),
        Cause::GateDied(words) => (Some(format!("the gate died: {words}")), Exit::ENGINE),
        Cause::Lost => (Some("the claude-bottle process that ran it ended".to_owned()), Exit::ENGINE),
        // The terminal was closed, and the agent ended with it or before it: the agent's own end counts.
        Cause::HungUp => verdict(state, &Cause::Ended),
        Cause::Ended if !state.error.is_empty() => (Some(format!("could not start: {}", state.error)), Exit::ENGINE),
        Cause::Ended if ["created", "initialized"].contains(&&*state.status) => {
            (Some("the agent did not start".to_owned()), Exit::ENGINE)
        }
        Cause::Ended if state.status == GONE_STATUS => (Some("the agent's container is gone".to_owned()), Exit::ENGINE),
        Cause::Ended if state.exit_code == 137 && state.oom_killed => (Some("out of memory (137)".to_owned()), code),
        Cause::Ended if state.exit_code == 137 => (Some("killed (137)".to_owned()), code),
        Cause::Ended if state.exit_code != 0 => (Some(format!("the agent ended with {}", state.exit_code)), code),
        Cause::Ended => (None, Exit::OK),
    }
}

/// Why a session that ended well is kept all the same.
fn reason_to_keep(work: Option<&Work>) -> Option<String> {
    match work {
        Some(work) if work.is_none() => None,
        Some(work) if work.complete => Some(format!("{KEPT_FOR_WORK}: {}", render::work(work))),
        _ => Some("what is in it could not be compared".to_owned()),
    }
}

/// Why a session is kept though its gate counts no pushes: what an earlier run has pushed, this run's gate does not know.
fn former_pushes(plan: &Plan) -> Option<String> {
    let is_unknown = plan.keeps_pushes && plan.local_remote().is_none();
    is_unknown.then(|| "what was pushed to a former local remote may be nowhere else".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inspect_decides() {
        let state = |json: &str| read_state(json).unwrap();
        let ended = |json: &str| verdict(&state(json), &Cause::Ended);
        assert_eq!(ended(r#"{"Status":"exited","ExitCode":0,"OOMKilled":true}"#), (None, Exit::OK));
        assert_eq!(ended(r#"{"ExitCode":7}"#), (Some("the agent ended with 7".into()), Exit(7)));
        assert_eq!(ended(r#"{"ExitCode":137,"OOMKilled":true}"#), (Some("out of memory (137)".into()), Exit(137)));
        assert_eq!(ended(r#"{"ExitCode":137}"#), (Some("killed (137)".into()), Exit(137)));
        assert_eq!(ended(r#"{"ExitCode":127,"Error":"no such runtime"}"#).1, Exit::ENGINE);
        assert_eq!(verdict(&state("{}"), &Cause::Signal(15)), (Some("ended by SIGTERM".into()), Exit(143)));
        assert_eq!(verdict(&state("{}"), &Cause::GateDied("boom".into())).1, Exit::ENGINE);
    }
}
