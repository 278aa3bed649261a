//! What was proposed, what was decided, and whether an operator is there to decide. Nothing is judged here.
//!
//! A proposal is one change, however often it is proposed. It is pending until the operator decides, and lives as long as
//! the gate; the audit trail has it, too.

use crate::audit::AuditTrail;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use wire::{Change, Decision, Event, Proposal, Supervise, Verdict};

/// Proposals that are pending at once.
pub const MAX_PENDING: usize = 64;
/// Held requests propose nothing while as many are pending: the rest is for what the agent proposes itself.
const MAX_PENDING_WITH_HELD: usize = MAX_PENDING / 2;
/// Decisions that are remembered; the oldest goes first.
const MAX_DECIDED: usize = 64;
/// Requests that are held at once.
const MAX_HELD: usize = 64;
/// What stands as the reason of a request that is held: its program gave none.
const HELD_REASON: &str = "held request";

/// The proposals of one gate.
pub struct Proposals {
    /// `None`: the agent cannot propose anything.
    supervise: Option<Supervise>,
    known: Mutex<Known>,
    decided: Notify,
    /// How many are pending. Each receiver is an operator who is there.
    pending: watch::Sender<usize>,
    held: Semaphore,
    trail: Arc<AuditTrail>,
}

/// In both, the oldest is first, and no change is twice.
#[derive(Default)]
struct Known {
    pending: Vec<Proposal>,
    decided: VecDeque<Decision>,
}

impl Known {
    fn decision(&self, change: &Change) -> Option<&Decision> {
        self.decided.iter().find(|decision| decision.change == *change)
    }
}

/// What became of a change that was proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalState {
    Pending,
    Decided(Decision),
}

/// As many proposals are pending as may be.
#[derive(Debug, PartialEq, Eq)]
pub struct TooMany;

impl Proposals {
    pub fn new(supervise: Option<Supervise>, trail: Arc<AuditTrail>) -> Proposals {
        let (known, decided) = Default::default();
        Proposals { supervise, known, decided, pending: watch::Sender::new(0), held: Semaphore::new(MAX_HELD), trail }
    }

    /// Whether the agent can propose anything.
    pub fn is_enabled(&self) -> bool {
        self.supervise.is_some()
    }

    /// Makes a proposal, if it is not pending already. `proposal`: holds no secret, because it stands in the audit trail.
    pub fn propose(&self, proposal: Proposal) -> Result<(), TooMany> {
        self.propose_among(proposal, MAX_PENDING)
    }

    fn propose_among(&self, proposal: Proposal, max_pending: usize) -> Result<(), TooMany> {
        let mut known = self.known();
        if known.pending.iter().any(|pending| pending.change == proposal.change) {
            return Ok(());
        }
        if known.pending.len() >= max_pending {
            return Err(TooMany);
        }
        known.decided.retain(|decision| decision.change != proposal.change);
        self.trail.events.push(Event::Proposal(proposal.clone()));
        known.pending.push(proposal);
        self.pending.send_replace(known.pending.len());
        Ok(())
    }

    /// Takes a decision that is in force now. It may be about something that was never proposed.
    pub fn decide(&self, decision: Decision) {
        let mut known = self.known();
        known.pending.retain(|pending| pending.change != decision.change);
        known.decided.retain(|earlier| earlier.change != decision.change);
        if known.decided.len() >= MAX_DECIDED {
            known.decided.pop_front();
        }
        self.trail.events.push(Event::Decided(decision.clone()));
        known.decided.push_back(decision);
        self.pending.send_replace(known.pending.len());
        self.decided.notify_waiters();
    }

    /// What is pending, and then what was decided.
    pub fn list(&self) -> Vec<(Change, ProposalState)> {
        let known = self.known();
        let pending = known.pending.iter().map(|proposal| (proposal.change.clone(), ProposalState::Pending));
        let decided = known.decided.iter().map(|decision| {
            let decision = decision.clone();
            (decision.change.clone(), ProposalState::Decided(decision))
        });
        pending.chain(decided).collect()
    }

    /// `None`: it was never proposed, or the decision is forgotten.
    pub fn state_of(&self, change: &Change) -> Option<ProposalState> {
        let known = self.known();
        match known.pending.iter().any(|pending| pending.change == *change) {
            true => Some(ProposalState::Pending),
            false => known.decision(change).cloned().map(ProposalState::Decided),
        }
    }

    /// The operator's words, if what was decided last about this change is that it is rejected.
    pub fn rejection(&self, change: &Change) -> Option<String> {
        let known = self.known();
        let decision = known.decision(change)?;
        (decision.verdict == Verdict::Rejected).then(|| decision.reason.clone().unwrap_or_default())
    }

    /// Ends at the next decision. One counts from when this is called, not from when it is awaited.
    pub fn decided(&self) -> Notified<'_> {
        self.decided.notified()
    }

    /// An operator is there for as long as the receiver is, which shows how many proposals are pending.
    pub fn watch(&self) -> watch::Receiver<usize> {
        self.pending.subscribe()
    }

    /// Ends when no operator is there any more.
    pub async fn left_alone(&self) {
        self.pending.closed().await;
    }

    /// Whether requests are held at all now: an operator is there.
    pub fn may_hold(&self) -> bool {
        self.hold_seconds().is_some()
    }

    fn hold_seconds(&self) -> Option<u32> {
        let hold = self.supervise?.hold;
        (hold > 0 && !self.pending.is_closed()).then_some(hold)
    }

    /// Proposes what a request is, and says how long it may wait for a decision. `None`: it may not.
    pub fn hold(&self, change: &Change) -> Option<Hold<'_>> {
        let hold = self.hold_seconds()?;
        let permit = self.held.try_acquire().ok()?;
        let proposal = Proposal { change: change.clone(), reason: HELD_REASON.to_owned() };
        self.propose_among(proposal, MAX_PENDING_WITH_HELD).ok()?;
        Some(Hold { timeout: Duration::from_secs(hold.into()), _permit: permit })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that waits for a decision.
pub struct Hold<'a> {
    pub timeout: Duration,
    _permit: SemaphorePermit<'a>,
}
