//! A decision, in the order that lets it be cut off anywhere: the record says that it begins, the routes go to disk, the gate
//! takes them, the record says how it ended. Cut off before the disk, nothing was done; after it, the next decision, or the
//! same one again, hands the gate what is on disk.

use super::{GateRefusal, SupervisedSession, ask, operator};
use crate::docker::Docker;
use crate::exit::{EngineError, UserError};
use crate::hint;
use crate::plan::{Approval, LeftOutRoute, Plan, SessionRoute, SessionRoutes, Source};
use crate::session::Session;
use crate::state::{Condition, DecisionRecord, DecisionStage, EndRequest};
use anyhow::Result;
use policy::Route;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use sys::clock;
use wire::{Change, Decide, Decision, Reload, Values, Verdict};

/// For one call of the engine.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// For how long something is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalScope {
    /// One request, or a minute.
    Once,
    /// Until the session is removed.
    Session,
    /// The session; the manifest is a matter of its own.
    Save,
}

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// The gate of the running bottle has it.
    InForce,
    /// The session does not run: the next gate has it.
    AtResume,
}

impl ApprovalScope {
    fn word(self) -> &'static str {
        match self {
            ApprovalScope::Once => "once",
            ApprovalScope::Session => "session",
            ApprovalScope::Save => "save",
        }
    }
}

impl SupervisedSession {
    /// Lets pass what the approval shows. `values`: those that its route brings along.
    ///
    /// # Errors
    /// `UserError` where the gate refuses it, somebody else has decided meanwhile, or it needs a running bottle; the
    /// engine's. Then everything is as before.
    pub fn approve(&mut self, approval: &Approval, scope: ApprovalScope, values: Values) -> Result<Deed> {
        let mut routes = self.routes.clone();
        let route = approval.route.as_ref().map(|route| signed(route.clone()));
        let after = match &route {
            Some(route) => {
                if self.routes.find(&route.id).is_some_and(|known| known.change != route.change) {
                    return Err(UserError::new(format!("another route of this session has the id `{}`", route.id))
                        .hint("`claude-bottle routes add` takes a route by hand")
                        .into());
                }
                routes.add(route.clone());
                let (after, left_out) = self.plan.with_session_routes(&routes);
                if let Some(left_out) = left_out.into_iter().find(|left_out| left_out.id == route.id) {
                    return Err(UserError::new(left_out.why).into());
                }
                Some(after)
            }
            None => None,
        };
        let is_once = scope == ApprovalScope::Once;
        let verdict = if is_once { Verdict::Once } else { Verdict::Approved };
        self.take(Step {
            scope: Some(scope),
            // One request is let pass by the gate alone.
            routes: route.is_some().then_some(routes).filter(|_| !is_once),
            plan: after,
            values,
            ..Step::about(&approval.change, verdict)
        })
    }

    /// Tells the gate, and by it the agent, that a change is rejected.
    ///
    /// # Errors
    /// As [`SupervisedSession::approve`].
    pub fn reject(&mut self, change: &Change, reason: Option<&str>) -> Result<Deed> {
        // The route of an approval that was cut off would count from the next decision on.
        let mut routes = self.routes.clone();
        routes.routes.retain(|route| route.change.as_ref() != Some(change));
        if routes != self.routes {
            if !self.runs()? {
                return Err(self.at_rest().into());
            }
            self.set_routes("remove", routes, Values::new())?;
        }
        let step = Step::about(change, Verdict::Rejected);
        self.take(Step { reason: reason.map(str::to_owned), ..step })
    }

    /// Replaces the routes that were added to the session. `action`: what is done with them, for the record.
    ///
    /// # Errors
    /// As [`SupervisedSession::approve`].
    pub fn set_routes(&mut self, action: &'static str, routes: SessionRoutes, values: Values) -> Result<Deed> {
        let (plan, left_out) = self.plan.with_session_routes(&routes);
        let is_new = |route: &&LeftOutRoute| self.left_out.iter().all(|known| known.id != route.id);
        if let Some(left_out) = left_out.iter().find(is_new) {
            return Err(UserError::new(left_out.why.clone()).into());
        }
        self.take(Step { action, routes: Some(routes), plan: Some(plan), values, ..Step::default() })
    }

    /// Gives the session this Dockerfile because of these packages, and ends a bottle that runs, so that its resume can build
    /// the image.
    ///
    /// # Errors
    /// As [`SupervisedSession::approve`].
    pub fn rebuild(&mut self, change: &Change, dockerfile: &str) -> Result<Deed> {
        let deed = self.take(Step {
            scope: Some(ApprovalScope::Session),
            dockerfile: Some(dockerfile.to_owned()),
            ..Step::about(change, Verdict::Approved)
        })?;
        if deed == Deed::InForce {
            let docker = Docker::new(&self.plan.engine)?;
            Session::end_as_requested(&docker, self.folder.clone(), self.folder.plan()?)?;
        }
        Ok(deed)
    }

    /// Does the bottle run? Of a session at rest no engine is asked.
    pub fn runs(&self) -> Result<bool, EngineError> {
        match self.folder.condition() {
            Condition::Live => Ok(true),
            Condition::Kept(rest) if !rest.unsettled => Ok(false),
            _ => self.docker()?.is_running(&self.plan.agent_container()),
        }
    }

    fn at_rest(&self) -> UserError {
        let identity = &self.folder.identity;
        UserError::new(format!("`{identity}` does not run, and only a running bottle can be told"))
            .hint(hint!("claude-bottle resume {}", identity))
    }

    fn docker(&self) -> Result<Docker, EngineError> {
        Ok(Docker::new(&self.plan.engine)?.with_deadline(Instant::now() + CALL_TIMEOUT))
    }

    fn take(&mut self, step: Step) -> Result<Deed> {
        let _lock = self.folder.lock_decisions()?;
        self.check_unchanged(&step)?;
        let deed = if self.runs()? { Deed::InForce } else { Deed::AtResume };
        if deed == Deed::AtResume && step.is_for_gate_alone() {
            return Err(self.at_rest().into());
        }
        let before = &self.plan.policy.routes;
        let after = step.plan.as_ref().map_or(before, |plan| &plan.policy.routes);
        let missing_in = |routes: &[Route], others: &[Route]| -> Vec<Route> {
            routes.iter().filter(|route| !others.contains(route)).cloned().collect()
        };
        let record = DecisionRecord {
            time: clock::now_utc(),
            identity: self.folder.identity.clone(),
            stage: DecisionStage::Begun,
            by: operator(),
            action: step.action.to_owned(),
            scope: step.scope.map(|scope| scope.word().to_owned()),
            change: step.decided.as_ref().map(|(change, _)| change.clone()),
            added: missing_in(after, before),
            removed: missing_in(before, after),
            reason: step.reason.clone(),
        };
        self.folder.record_decision(&record)?;
        let told = self.apply(&step, deed);
        let (stage, reason) = match &told {
            Ok(()) => (DecisionStage::Applied, record.reason.clone()),
            Err(error) => (DecisionStage::Failed, Some(format!("{error:#}"))),
        };
        self.folder.record_decision(&DecisionRecord { time: clock::now_utc(), stage, reason, ..record })?;
        told?;
        if let Some((change, _)) = &step.decided {
            self.folder.forget_ask(change);
        }
        if let (Some(routes), Some(plan)) = (step.routes, step.plan) {
            (self.routes, self.plan) = (routes, plan);
        }
        Ok(deed)
    }

    /// The caller holds the lock of the session's decisions.
    ///
    /// # Errors
    /// `UserError` where the session is another one than that for which this decision was made: somebody else decided, or it
    /// was resumed by another manifest.
    fn check_unchanged(&self, step: &Step) -> Result<()> {
        let has_changed = self.folder.session_routes()? != self.routes
            || self.folder.plan()?.policy != self.recorded
            || (step.dockerfile.is_some() && self.folder.dockerfile()? != self.dockerfile);
        match has_changed {
            false => Ok(()),
            true => Err(UserError::new(format!(
                "`{}` was changed by somebody else meanwhile; nothing was done",
                self.folder.identity
            ))
            .hint("look again, and decide again")
            .into()),
        }
    }

    /// Disk first, then the gate. Where the gate does not take it, the disk is put back.
    fn apply(&self, step: &Step, deed: Deed) -> Result<()> {
        if let Some(dockerfile) = &step.dockerfile {
            self.folder.set_dockerfile(Some(dockerfile))?;
            if deed == Deed::InForce {
                // Cut off from here on, the bottle is kept whenever it ends.
                self.folder.request_end(EndRequest::Rebuild)?;
            }
        }
        if let Some(routes) = &step.routes {
            self.folder.set_session_routes(routes)?;
        }
        if deed == Deed::AtResume {
            return Ok(());
        }
        match self.tell_gate(step) {
            Ok(()) => Ok(()),
            Err(refusal) => {
                if step.routes.is_some() {
                    self.folder.set_session_routes(&self.routes)?;
                }
                if step.dockerfile.is_some() {
                    self.folder.set_dockerfile(self.dockerfile.as_deref())?;
                    self.folder.forget_end_requests();
                }
                // A gate whose answer was lost may have the new policy: it gets the one that is on disk.
                if matches!(refusal, GateRefusal::NoAnswer(_)) && step.plan.is_some() {
                    let _ = self.reload(&self.plan, &Values::new());
                }
                Err(refusal.into())
            }
        }
    }

    fn tell_gate(&self, step: &Step) -> Result<(), GateRefusal> {
        let Some((change, verdict)) = &step.decided else {
            return step.plan.as_ref().map_or(Ok(()), |plan| self.reload(plan, &step.values));
        };
        let reload = step.plan.as_ref().map(|plan| reload(plan, &step.values));
        let decision = Decision { change: change.clone(), verdict: *verdict, reason: step.reason.clone() };
        self.ask(&["decide"], &Decide { decision, reload })
    }

    fn reload(&self, plan: &Plan, values: &Values) -> Result<(), GateRefusal> {
        self.ask(&["reload"], &reload(plan, values))
    }

    fn ask(&self, words: &[&str], body: &impl serde::Serialize) -> Result<(), GateRefusal> {
        let input = serde_json::to_vec(body).map_err(|error| GateRefusal::Refused(error.to_string()))?;
        let docker = self.docker().map_err(GateRefusal::NoAnswer)?;
        ask(&docker, &self.plan, words, input)
    }
}

/// One decision, whatever it is about.
#[derive(Default)]
struct Step {
    action: &'static str,
    scope: Option<ApprovalScope>,
    /// `None`: only the policy changes.
    decided: Option<(Change, Verdict)>,
    reason: Option<String>,
    /// What goes to disk.
    routes: Option<SessionRoutes>,
    /// As well, of an approval of packages.
    dockerfile: Option<String>,
    /// What the gate is to enforce.
    plan: Option<Plan>,
    values: Values,
}

impl Step {
    fn about(change: &Change, verdict: Verdict) -> Step {
        let action = if verdict == Verdict::Rejected { "reject" } else { "approve" };
        Step { action, decided: Some((change.clone(), verdict)), ..Step::default() }
    }

    /// Nothing of it is left for a resume.
    fn is_for_gate_alone(&self) -> bool {
        self.routes.is_none() && self.dockerfile.is_none()
    }
}

/// The route with this person and this moment.
pub fn signed(route: SessionRoute) -> SessionRoute {
    let operator = operator();
    let by = [Some(operator.uid.to_string()), operator.name].into_iter().flatten().collect::<Vec<_>>().join(" ");
    SessionRoute { by, at: clock::now_utc(), ..route }
}

fn reload(plan: &Plan, values: &Values) -> Reload {
    let is_printed = |name: &&String| matches!(plan.values.get(*name), Some(Source::Command(_)));
    let printed: BTreeSet<String> = values.keys().filter(is_printed).cloned().collect();
    let values = values.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    Reload { policy: plan.policy.clone(), printed, values }
}
