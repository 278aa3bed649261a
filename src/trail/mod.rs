//! What an audit trail adds up to: what was refused and could be allowed, what was proposed and is not decided, how much
//! passed. Pure, in bounded memory whatever the trail holds. The trail is the only record: nothing else says what is pending.

mod candidates;
mod ids;
mod pending;
mod registry;
mod replay;
mod suggest;
mod totals;

pub use candidates::{Candidate, Candidates};
pub use pending::{Pending, PendingProposal};
pub use replay::{After, Replay, Replayed, Replayer};
pub use suggest::{Suggestion, Suggestions, Unanswered, suggest};
pub use totals::Totals;

use ids::Ids;
use wire::{Change, Event, Line, rfc3339};

/// The lines of one session so far, those of all its gates.
///
/// An id belongs to a change and not to a gate: what a gate left undecided is pending still when the next one has begun.
#[derive(Debug, Default)]
pub struct Trail {
    pub totals: Totals,
    pub pending: Pending,
    candidates: Candidates,
    ids: Ids,
    /// Refusals of before are left out. Unix time in seconds.
    since: Option<f64>,
}

impl Trail {
    /// A trail that leaves out what was refused before `since`, Unix time in seconds.
    pub fn since(since: f64) -> Trail {
        Trail { since: Some(since), ..Trail::default() }
    }

    /// Takes the next line, without or with its newline. What is no line of a gate is counted and has no other effect.
    pub fn add(&mut self, line: &[u8]) {
        match serde_json::from_slice::<Line>(line) {
            Ok(line) => self.add_line(line),
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(_) => self.totals.unreadable += 1,
        }
    }

    fn add_line(&mut self, line: Line) {
        self.totals.add(&line);
        match line.event {
            Event::Ready { .. } => self.pending.begin_gate(),
            // No gate writes it: a pattern is made here alone, of several refusals.
            Event::Proposal(proposal) if !is_plain(&proposal.change) => self.totals.unreadable += 1,
            Event::Proposal(proposal) => {
                self.ids.note(&proposal.change);
                self.pending.propose(proposal, line.time);
            }
            Event::Decided(decision) => {
                self.pending.settle(&decision.change);
                self.candidates.decide(&decision);
            }
            _ if self.since.is_some_and(|since| rfc3339(&line.time).is_none_or(|time| time < since)) => {}
            _ => self.candidates.add(line).iter().for_each(|change| self.ids.note(change)),
        }
    }

    /// What was refused and is not proposed, the last refused first.
    pub fn candidates(&self) -> Vec<Candidate> {
        let mut all = self.candidates.list();
        all.retain(|candidate| self.pending.get(&candidate.change).is_none());
        all
    }

    /// Had this id two changes at any time of the trail? What a person saw under it may then be another one than is found
    /// under it now: an agent can look for two changes of one id, and take one of them away.
    pub fn is_ambiguous(&self, id: &str) -> bool {
        self.ids.twice.contains(id)
    }

    /// Everything that could be decided now and has this id: a proposal stands before a candidate of the same change. More
    /// than one is possible, because two changes can have one id.
    pub fn with_id(&self, id: &str) -> Vec<Change> {
        let proposed = self.pending.list().into_iter().map(|proposal| proposal.change.clone());
        let refused = self.candidates().into_iter().map(|candidate| candidate.change);
        proposed.chain(refused).filter(|change| change.id() == id).collect()
    }
}

/// Whether a change of egress names one host and one path, as a route can name them.
fn is_plain(change: &Change) -> bool {
    match change {
        Change::Egress { host, path, .. } => candidates::is_plain_host(host) && candidates::is_plain_path(path),
        Change::Packages(_) | Change::Git { .. } => true,
    }
}

/// How many events a line stands for.
fn count(line: &Line) -> u64 {
    line.repeated.max(1)
}

#[cfg(test)]
mod tests;
