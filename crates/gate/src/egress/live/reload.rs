//! The policy in force, and how it is replaced while the gate runs. A change is made as a whole or not at all; a request
//! under way keeps the snapshot with which it began.

use crate::audit::AuditTrail;
use crate::egress::live::diff::changes;
use crate::egress::live::once::OncePolicies;
use crate::egress::live::secrets::SecretStore;
use crate::egress::live::snapshot::PolicySnapshot;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use wire::{Change, Document, Event, Reload};

/// The policy and the secrets in force, shared by all services of the gate.
pub struct Live {
    /// Current snapshot. Clone the `Arc` once per request; a reload may swap it at any time.
    current: RwLock<Arc<PolicySnapshot>>,
    /// What snapshots are made of. The lock is never held across an `await`.
    secrets: Mutex<SecretStore>,
    /// Notified of every change to either, and of every acknowledged refresh.
    pub(super) changed: Notify,
    /// What the operator allowed for one request each.
    pub once: OncePolicies,
    pub(super) trail: Arc<AuditTrail>,
}

impl Live {
    /// Checks the whole document. The error is for the operator.
    pub fn new(document: Document, trail: Arc<AuditTrail>) -> Result<Live, String> {
        let (secrets, policy) = SecretStore::new(document)?;
        let current = RwLock::new(Arc::new(PolicySnapshot::new(&secrets, policy)?));
        let (changed, once) = Default::default();
        Ok(Live { current, secrets: Mutex::new(secrets), changed, once, trail })
    }

    /// The current snapshot. A later call may return another one.
    pub fn snapshot(&self) -> Arc<PolicySnapshot> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the policy. The error is for the operator, and stands in the audit trail as well.
    pub fn reload(&self, reload: Reload) -> Result<Value, String> {
        let Reload { policy, printed, values } = reload;
        let mut held = self.secrets();
        let mut secrets = held.clone();
        let before = self.snapshot();
        let after = secrets.add(&policy, values, &printed).and_then(|()| before.reloaded(&secrets, policy));
        let after = after.map_err(|reason| self.unchanged(reason))?;
        let event = changes(&before.policy.routes, &after.policy.routes);
        let answer = serde_json::to_value(&event).unwrap_or_default();
        *held = secrets;
        self.replace(after);
        self.trail.events.push(event);
        Ok(answer)
    }

    /// Judges one request by another policy, if the one in force denies it and `change` is it. The error is for the operator,
    /// and stands in the audit trail as well.
    pub fn allow_once(&self, change: &Change, reload: Reload) -> Result<(), String> {
        let Reload { policy, printed, values } = reload;
        let mut secrets = self.secrets().clone();
        let generation = self.once.next_generation();
        let added = secrets.add(&policy, values, &printed);
        let snapshot = added.and_then(|()| self.snapshot().for_once(&secrets, policy, generation));
        let added = snapshot.and_then(|snapshot| self.once.add(change, Arc::new(snapshot)));
        added.map_err(|reason| self.unchanged(reason))
    }

    /// Ends at the next change of policy or tokens. A change counts from when this is called, not from when it is awaited.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Replaces the token `name` by what its command printed now.
    pub fn renew(&self, name: &str, printed: &[u8]) -> Result<Value, String> {
        let mut held = self.secrets();
        let mut secrets = held.clone();
        let after = secrets.renew(name, printed).and_then(|()| self.snapshot().renewed(&secrets));
        let after = after.map_err(|reason| self.unchanged(reason))?;
        *held = secrets;
        self.replace(after);
        self.trail.events.push(Event::Refreshed { value: name.to_owned() });
        Ok(json!({ "refreshed": name }))
    }

    /// Writes to the audit trail that the input of a verb was invalid, and hands the reason back.
    pub fn unchanged(&self, reason: String) -> String {
        self.trail.events.push(Event::Unchanged { reason: reason.clone() });
        reason
    }

    pub(super) fn secrets(&self) -> MutexGuard<'_, SecretStore> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, snapshot: PolicySnapshot) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
        self.changed.notify_waiters();
    }
}
