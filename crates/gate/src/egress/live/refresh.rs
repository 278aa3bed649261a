//! Tokens that end: new ones are asked for in time, and a request waits for one as long as an owner may bring it.

use crate::audit::events::format_rfc3339;
use crate::egress::live::allowed::AllowedRequest;
use crate::egress::live::lease::Lease;
use crate::egress::live::reload::Live;
use policy::{Denial, Reason};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use wire::Event;

/// The clock is read at least this often, because it jumps when the machine was asleep.
const MAX_SLEEP: Duration = Duration::from_secs(30);

impl Live {
    /// Names of the tokens that an owner is to fetch. The caller is taken to fetch them now.
    pub fn due(&self) -> Vec<String> {
        let now = SystemTime::now();
        let mut secrets = self.secrets();
        let due = secrets.leases().iter_mut().filter(|(_, lease)| lease.is_due(now));
        let names = due.map(|(name, lease)| {
            lease.acknowledge(now);
            name.clone()
        });
        let names = names.collect();
        self.changed.notify_waiters();
        names
    }

    /// The tokens that a command prints, for `ctl status`.
    pub fn tokens(&self) -> Vec<Value> {
        let now = SystemTime::now();
        let mut secrets = self.secrets();
        let tokens = secrets.leases().iter().map(|(name, lease)| {
            json!({
                "value": name,
                "ends": lease.ends().map(format_rfc3339),
                "ended": lease.has_ended(now),
                "due": lease.is_due(now),
            })
        });
        tokens.collect()
    }

    /// Asks for new tokens some time before the old ones end. Never returns.
    pub async fn watch_tokens(&self) {
        loop {
            let changed = self.changed.notified();
            let now = SystemTime::now();
            let next = self.secrets().leases().values().filter_map(Lease::renew_at).min();
            let wait = next.map_or(MAX_SLEEP, |next| next.duration_since(now).unwrap_or_default());
            if !wait.is_zero() {
                let _ = timeout(wait.min(MAX_SLEEP), changed).await;
            }
            let now = SystemTime::now();
            for (name, lease) in self.secrets().leases() {
                if lease.renew_at().is_some_and(|renew_at| renew_at <= now) {
                    self.ask_for_token(name, lease, now);
                }
            }
        }
    }

    /// The request with a token that has not ended: the next one, if the present one has, and an owner brings it in time.
    pub async fn with_valid_token(&self, allowed: AllowedRequest) -> Result<AllowedRequest, Denial> {
        let has_ended = |allowed: &AllowedRequest| {
            allowed.injection().and_then(|injection| injection.ends).is_some_and(|ends| ends <= SystemTime::now())
        };
        if !has_ended(&allowed) {
            return Ok(allowed);
        }
        self.ask_if(&allowed, |lease, now| lease.may_ask(now));
        self.wait_for_token(&allowed).await.filter(|renewed| !has_ended(renewed)).ok_or_else(|| {
            let token = allowed.injection().map_or("", |injection| &injection.token);
            self.no_other_token(token).with_route(allowed.route)
        })
    }

    /// The denial where a token has ended, and no other came.
    fn no_other_token(&self, name: &str) -> Denial {
        let text = match self.secrets().lease(name).is_some_and(Lease::is_acknowledged) {
            true => "token expired: its operator's command gave no other yet; ask again in a while",
            false => "token expired, attach: only while the operator is attached can another be had",
        };
        Denial::new(Reason::Token, text)
    }

    /// An upstream rejected the request's token: a new one is asked for, once for each value.
    pub fn reject_token(&self, allowed: &AllowedRequest) {
        self.ask_if(allowed, Lease::reject);
    }

    fn ask_if(&self, allowed: &AllowedRequest, wants: impl FnOnce(&mut Lease, SystemTime) -> bool) {
        let Some(injection) = allowed.injection() else { return };
        let (now, current, mut secrets) = (SystemTime::now(), self.snapshot(), self.secrets());
        // The token may have been replaced since the request was sent.
        if let Some(lease) = secrets.leases().get_mut(&injection.token)
            && allowed.injection_in(&current).is_some_and(|now| now.is_same_token(injection))
            && wants(lease, now)
        {
            self.ask_for_token(&injection.token, lease, now);
        }
    }

    /// The request with the next value of its token. Waits as long as an owner may bring it; `None` if none does.
    pub async fn wait_for_token(&self, allowed: &AllowedRequest) -> Option<AllowedRequest> {
        let injection = allowed.injection()?;
        loop {
            let changed = self.changed.notified();
            let current = self.snapshot();
            // Another policy has not judged this request: it fails, and the agent's next one is judged.
            if !allowed.injection_in(&current)?.is_same_token(injection) {
                return Some(allowed.with_snapshot(current));
            }
            let wait = self.secrets().lease(&injection.token)?.remaining_wait(SystemTime::now())?;
            let _waiting = self.trail.counters.token_wait();
            let _ = timeout(wait, changed).await;
        }
    }

    /// The present value of a secret that belongs to no route. Where it has ended, the next one, if an owner brings it in
    /// time.
    pub async fn valid_value(&self, name: &str) -> Result<Vec<u8>, Denial> {
        let ended = {
            let (now, mut secrets) = (SystemTime::now(), self.secrets());
            let value = secrets.value(name).map(<[u8]>::to_vec).unwrap_or_default();
            match secrets.leases().get_mut(name) {
                Some(lease) if lease.has_ended(now) => {
                    if lease.may_ask(now) {
                        self.ask_for_token(name, lease, now);
                    }
                    value
                }
                _ => return Ok(value),
            }
        };
        self.next_value(name, &ended).await.ok_or_else(|| self.no_other_token(name))
    }

    /// An upstream rejected this value of a secret: another is asked for, once for each value, and returned if an owner
    /// brings it in time.
    pub async fn replace_value(&self, name: &str, rejected: &[u8]) -> Option<Vec<u8>> {
        {
            let (now, mut secrets) = (SystemTime::now(), self.secrets());
            let is_current = secrets.value(name) == Ok(rejected);
            let lease = secrets.leases().get_mut(name)?;
            if is_current && lease.reject(now) {
                self.ask_for_token(name, lease, now);
            }
        }
        self.next_value(name, rejected).await
    }

    /// The value after `old`. Waits as long as an owner may bring it.
    async fn next_value(&self, name: &str, old: &[u8]) -> Option<Vec<u8>> {
        loop {
            let changed = self.changed.notified();
            let wait = {
                let secrets = self.secrets();
                match secrets.value(name) {
                    Ok(value) if value != old => return Some(value.to_vec()),
                    _ => secrets.lease(name)?.remaining_wait(SystemTime::now())?,
                }
            };
            let _waiting = self.trail.counters.token_wait();
            let _ = timeout(wait, changed).await;
        }
    }

    fn ask_for_token(&self, name: &str, lease: &mut Lease, now: SystemTime) {
        lease.mark_asked(now);
        self.trail.events.push(Event::Refresh { value: name.to_owned() });
    }
}
