//! What changes while the gate runs: its policy, and its tokens. A change is whole or not at all, and whoever is under way
//! keeps what it began with.

use crate::egress::AllowedRequest;
use crate::egress::Egress;
use crate::egress::live::diff::changes;
use crate::egress::live::lease::Lease;
use crate::egress::live::secrets::SecretStore;
use crate::egress::live::snapshot::PolicySnapshot;

use policy::{Denial, Reason};
use serde_json::{Value, json};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use wire::{Event, Reload};

/// The clock is looked at that often, whatever was planned: a machine that slept has another one than it thinks.
const NAP: Duration = Duration::from_secs(30);

impl Egress {
    /// Takes another policy. What is wrong with it is for the operator, and for the audit trail.
    pub fn reload(&self, reload: Reload) -> Result<Value, String> {
        let Reload { policy, printed, values } = reload;
        let mut held = self.stock();
        let mut stock = held.clone();
        let before = self.snapshot();
        let snapshot = stock.add(&policy, values, &printed).and_then(|()| before.reloaded(&stock, policy));
        let snapshot = snapshot.map_err(|reason| self.unchanged(reason))?;
        let event = changes(&before.policy.routes, &snapshot.policy.routes);
        let answer = serde_json::to_value(&event).unwrap_or_default();
        *held = stock;
        self.replace(snapshot);
        self.events.push(event);
        Ok(answer)
    }

    /// Takes what the command of a token printed now.
    pub fn renew(&self, name: &str, printed: &[u8]) -> Result<Value, String> {
        let mut held = self.stock();
        let mut stock = held.clone();
        let snapshot = stock.renew(name, printed).and_then(|()| self.snapshot().renewed(&stock));
        let snapshot = snapshot.map_err(|reason| self.unchanged(reason))?;
        *held = stock;
        self.replace(snapshot);
        self.events.push(Event::Refreshed { value: name.to_owned() });
        Ok(json!({ "refreshed": name }))
    }

    /// What was handed in is wrong: said in the audit trail as well.
    pub fn unchanged(&self, reason: String) -> String {
        self.events.push(Event::Unchanged { reason: reason.clone() });
        reason
    }

    /// The tokens whose next value is wanted; who asks is taken to fetch them.
    pub fn due(&self) -> Vec<String> {
        let now = SystemTime::now();
        let mut stock = self.stock();
        let due = stock.leases().iter_mut().filter(|(_, lease)| lease.is_due(now));
        let names = due.map(|(name, lease)| {
            lease.hear(now);
            name.clone()
        });
        let names = names.collect();
        self.news.notify_waiters();
        names
    }

    /// For `ctl status`.
    pub fn tokens(&self) -> Vec<Value> {
        let now = SystemTime::now();
        let mut stock = self.stock();
        let told = stock.leases().iter().map(|(name, lease)| {
            json!({
                "value": name,
                "ends": lease.ends().map(crate::events::rfc3339),
                "ended": lease.has_ended(now),
                "due": lease.is_due(now),
            })
        });
        told.collect()
    }

    /// Asks for the next values some time before the ends, as long as it is polled.
    pub async fn watch_tokens(self: Arc<Self>) {
        loop {
            let news = self.news.notified();
            let now = SystemTime::now();
            let next = self.stock().leases().values().filter_map(Lease::alarm).min();
            let wait = next.map_or(NAP, |next| next.duration_since(now).unwrap_or_default());
            if !wait.is_zero() {
                let _ = timeout(wait.min(NAP), news).await;
            }
            let now = SystemTime::now();
            for (name, lease) in self.stock().leases() {
                if lease.alarm().is_some_and(|alarm| alarm <= now) {
                    self.ask(name, lease, now);
                }
            }
        }
    }

    /// The allowed with a token that is good: the next one, where it has ended and somebody fetches that.
    pub async fn in_time(&self, allowed: AllowedRequest) -> Result<AllowedRequest, Denial> {
        let has_ended = |allowed: &AllowedRequest| {
            allowed.injection().and_then(|injection| injection.ends).is_some_and(|ends| ends <= SystemTime::now())
        };
        if !has_ended(&allowed) {
            return Ok(allowed);
        }
        self.want(&allowed, |lease, now| lease.may_ask(now));
        self.next(&allowed).await.filter(|allowed| !has_ended(allowed)).ok_or_else(|| {
            let token = allowed.injection().map_or("", |injection| &injection.token);
            let text = match self.stock().lease(token).is_some_and(Lease::was_heard) {
                true => "token expired: its operator's command gave no other yet; ask again in a while",
                false => "token expired, attach: only while the operator is attached can another be had",
            };
            Denial::new(Reason::Token, text).near(allowed.route)
        })
    }

    /// An upstream did not take the token.
    pub fn reject(&self, allowed: &AllowedRequest) {
        self.want(allowed, Lease::reject);
    }

    fn want(&self, allowed: &AllowedRequest, asks: impl FnOnce(&mut Lease, SystemTime) -> bool) {
        let Some(injection) = allowed.injection() else { return };
        let (now, snapshot, mut stock) = (SystemTime::now(), self.snapshot(), self.stock());
        // There may be another since the request left.
        if let Some(lease) = stock.leases().get_mut(&injection.token)
            && snapshot.injection_of(allowed).is_some_and(|now| now.is(injection))
            && asks(lease, now)
        {
            self.ask(&injection.token, lease, now);
        }
    }

    /// The allowed with the next value of its token; waits for it as long as there is hope.
    pub async fn next(&self, allowed: &AllowedRequest) -> Option<AllowedRequest> {
        let injection = allowed.injection()?;
        loop {
            let news = self.news.notified();
            let snapshot = self.snapshot();
            // Under another policy nothing is said about this allowed: its request fails, and the next one is judged.
            if !snapshot.injection_of(allowed)?.is(injection) {
                return Some(AllowedRequest { snapshot, pass: allowed.pass.clone() });
            }
            let patience = self.stock().lease(&injection.token)?.patience(SystemTime::now())?;
            let _waiting = self.counters.waits();
            let _ = timeout(patience, news).await;
        }
    }

    fn ask(&self, name: &str, lease: &mut Lease, now: SystemTime) {
        lease.ask(now);
        self.events.push(Event::Refresh { value: name.to_owned() });
    }

    fn replace(&self, snapshot: PolicySnapshot) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
        self.news.notify_waiters();
    }

    fn stock(&self) -> MutexGuard<'_, SecretStore> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
