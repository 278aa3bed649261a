//! What the policy matched or allows, together with the snapshot that says so: a reload does not change what a connection or
//! request under way may do.

use crate::egress::live::injection::Injection;
use crate::egress::live::snapshot::PolicySnapshot;
use policy::{Pass, Route};
use std::ops::Deref;
use std::sync::Arc;

/// The route for the host and port of a connection.
pub struct MatchedRoute {
    pub snapshot: Arc<PolicySnapshot>,
    /// In the policy of the snapshot.
    pub index: usize,
}

/// A request that the policy allows.
#[derive(Clone)]
pub struct AllowedRequest {
    pub snapshot: Arc<PolicySnapshot>,
    pass: Pass,
}

impl AllowedRequest {
    /// `pass`: the verdict of `snapshot`.
    pub fn new(snapshot: Arc<PolicySnapshot>, pass: Pass) -> AllowedRequest {
        AllowedRequest { snapshot, pass }
    }

    /// This request by a later snapshot of the same policy, which may hold another token.
    pub fn with_snapshot(&self, snapshot: Arc<PolicySnapshot>) -> AllowedRequest {
        AllowedRequest { snapshot, pass: self.pass.clone() }
    }

    pub fn rule(&self) -> &Route {
        self.snapshot.route(self.pass.route)
    }

    pub fn injection(&self) -> Option<&Injection> {
        self.snapshot.injection(self.pass.route)
    }

    /// What `current` would inject into this request. `None` if it is a snapshot of another policy, whose routes have
    /// other indices.
    pub fn injection_in<'a>(&self, current: &'a PolicySnapshot) -> Option<&'a Injection> {
        (current.generation == self.snapshot.generation).then(|| current.injection(self.pass.route)).flatten()
    }
}

impl Deref for AllowedRequest {
    type Target = Pass;

    fn deref(&self) -> &Pass {
        &self.pass
    }
}
