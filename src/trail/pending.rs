//! Proposals without a decision, in the order in which they came.

use serde::Serialize;
use std::collections::BTreeMap;
use wire::{Change, Proposal};

/// Proposals that are kept. A gate has 64 at a time; a trail may have those of many gates. The oldest give way.
const MAX_PROPOSALS: usize = 1024;

/// A proposal that nobody decided about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PendingProposal {
    pub id: String,
    pub change: Change,
    /// The agent's words: hostile text.
    pub reason: String,
    /// When it was proposed first, UTC, RFC 3339.
    pub since: String,
    #[serde(skip)]
    order: u64,
    /// Counts the gates of the trail.
    #[serde(skip)]
    gate: u64,
}

/// Each change that is pending, once.
#[derive(Debug, Default)]
pub struct Pending {
    all: BTreeMap<Change, PendingProposal>,
    next: u64,
    /// The gates that have begun so far.
    gates: u64,
}

impl Pending {
    /// A change that is proposed again keeps its place, and has the last reason.
    pub(super) fn propose(&mut self, proposal: Proposal, time: String) {
        let Proposal { change, reason } = proposal;
        if let Some(known) = self.all.get_mut(&change) {
            (known.reason, known.gate) = (reason, self.gates);
            return;
        }
        if self.all.len() >= MAX_PROPOSALS
            && let Some(oldest) =
                self.all.values().min_by_key(|proposal| proposal.order).map(|oldest| oldest.change.clone())
        {
            self.all.remove(&oldest);
        }
        let pending =
            PendingProposal { id: change.id(), change, reason, since: time, order: self.next, gate: self.gates };
        self.next += 1;
        self.all.insert(pending.change.clone(), pending);
    }

    pub(super) fn begin_gate(&mut self) {
        self.gates += 1;
    }

    /// Was it proposed to the gate that began last?
    pub fn is_of_last_gate(&self, proposal: &PendingProposal) -> bool {
        proposal.gate == self.gates
    }

    pub(super) fn settle(&mut self, change: &Change) {
        self.all.remove(change);
    }

    pub fn get(&self, change: &Change) -> Option<&PendingProposal> {
        self.all.get(change)
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The oldest first.
    pub fn list(&self) -> Vec<&PendingProposal> {
        let mut all: Vec<&PendingProposal> = self.all.values().collect();
        all.sort_by_key(|proposal| proposal.order);
        all
    }
}
