//! Egress: every request and connection of the agent to an upstream takes this one path. Input that is not understood is
//! denied, and each end of a request or connection is one audit record.

pub mod as_judged;
pub mod connect;
pub mod control_verbs;
mod delegate;
pub mod http1;
pub mod inflight;
pub mod inspect;
mod held_tail;
mod last_bytes;
pub mod limits;
pub mod live;
pub mod passthrough;
pub mod peer;
pub mod permit;
pub mod request;
pub mod serve_error;
mod turns;
pub mod unpacker;
pub mod upstream;
pub mod websocket;

pub use live::ca::Authority;

use crate::audit::AuditTrail;
use crate::proposals::{ProposalState, Proposals};
use inflight::AllRequests;
use live::reload::Live;
use live::snapshot::PolicySnapshot;
use request::askable::passes;
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;
use upstream::connection::Connector;
use wire::{Decision, Document, GitRemote, Reload, Verdict};

/// What all connections share.
pub struct Egress {
    pub(crate) authority: Authority,
    pub(crate) live: Live,
    pub(crate) connector: Arc<Connector>,
    pub(crate) requests: Arc<AllRequests>,
    pub(crate) trail: Arc<AuditTrail>,
    pub(crate) proposals: Proposals,
    /// The remotes of the git service, for the page that lists what is allowed.
    pub(crate) remotes: Vec<GitRemote>,
    started: Instant,
}

impl Egress {
    /// Checks the whole document. The error is for the operator.
    pub fn new(document: Document, authority: Authority, trail: Arc<AuditTrail>) -> Result<Egress, String> {
        let remotes = document.git.as_ref().map(|git| git.remotes.clone()).unwrap_or_default();
        let proposals = Proposals::new(document.supervise, trail.clone());
        let live = Live::new(document, trail.clone())?;
        let (connector, requests) = (Arc::new(Connector::new(trail.clone())?), Arc::default());
        Ok(Egress { authority, live, connector, requests, trail, proposals, remotes, started: Instant::now() })
    }

    /// Replaces the policy. The error is for the operator, and stands in the audit trail as well.
    pub fn reload(&self, reload: Reload) -> Result<Value, String> {
        let before = self.live.snapshot();
        let answer = self.live.reload(reload)?;
        self.settle_proposals(&before);
        Ok(answer)
    }

    /// Approves all requests that are proposed and pass now, but not by the policy `before`.
    pub fn settle_proposals(&self, before: &PolicySnapshot) {
        let now = self.live.snapshot();
        for (change, _) in self.proposals.list().into_iter().filter(|(_, state)| *state == ProposalState::Pending) {
            if passes(&now.policy, &change) && !passes(&before.policy, &change) {
                self.proposals.decide(Decision { change, verdict: Verdict::Approved, reason: None });
            }
        }
    }
}
