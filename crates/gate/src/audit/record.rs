//! Counting: each request and connection is one audit line, written when it ends, however it ends; and the sums of
//! them for `ctl status`.

use crate::egress::Egress;
use crate::egress::inspect::leaks;
use crate::egress::live::snapshot::PolicySnapshot;
use crate::events::Events;
use policy::{Denial, Reason};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};
use wire::{Alarm, Audit, Done, Event, Outcome};

/// Refusals that `gate.bottle` shows.
const REMEMBERED: usize = 20;
/// Bytes of a path in an audit line.
const LONGEST: usize = 1024;

#[derive(Default)]
pub struct Counters {
    connections: AtomicU64,
    open: AtomicU64,
    waiting: AtomicU64,
    allowed: AtomicU64,
    denied: AtomicU64,
    failed: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    refusals: Mutex<VecDeque<(SystemTime, String)>>,
}

impl Counters {
    pub fn opened(&self) {
        self.connections.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
    }

    pub fn closed(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    /// For a token, as long as this lives.
    pub fn waits(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Relaxed);
        Waiting(&self.waiting)
    }

    pub fn to_json(&self, events: &Events) -> serde_json::Value {
        json!({
            "connections": self.connections.load(Relaxed),
            "open": self.open.load(Relaxed),
            "waiting": self.waiting.load(Relaxed),
            "allowed": self.allowed.load(Relaxed),
            "denied": self.denied.load(Relaxed),
            "failed": self.failed.load(Relaxed),
            "sent": self.sent.load(Relaxed),
            "received": self.received.load(Relaxed),
            "findings": events.alarms(),
            "dropped": events.lost(),
        })
    }

    /// The latest refusals, oldest first: what the agent itself was told.
    pub fn refusals(&self) -> Vec<(SystemTime, String)> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

pub struct Waiting<'a>(&'a AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What came by one route, or was refused next to it.
#[derive(Default)]
pub struct Counts {
    hits: AtomicU64,
    denied: AtomicU64,
}

impl Counts {
    pub fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    pub fn denied(&self) -> u64 {
        self.denied.load(Relaxed)
    }

    fn add(&self, verdict: Outcome) {
        match verdict {
            Outcome::Deny => &self.denied,
            Outcome::Allow | Outcome::Error => &self.hits,
        }
        .fetch_add(1, Relaxed);
    }
}

/// One request or connection under way. Dropping it writes the line.
pub struct AuditRecord {
    egress: Arc<Egress>,
    /// By which it is judged, from its beginning to its end.
    pub snapshot: Arc<PolicySnapshot>,
    started: Instant,
    kind: fn(Audit) -> Event,
    pub audit: Audit,
    pub sent: Arc<AtomicU64>,
    pub received: u64,
    route: Option<usize>,
    /// What a alarms told first.
    finding: Arc<OnceLock<String>>,
}

/// Tells of findings in the name of a request whose record is elsewhere.
#[derive(Clone)]
pub struct AlarmSender {
    egress: Arc<Egress>,
    alarm: Alarm,
    finding: Arc<OnceLock<String>>,
}

impl AlarmSender {
    /// `finding` never holds what was found; `value` is its name, where it has one.
    pub fn alarm(&self, finding: &str, value: Option<&str>, done: Done) {
        let _ = self.finding.set(finding.to_owned());
        let (finding, value) = (finding.to_owned(), value.map(str::to_owned));
        self.egress.events.push(Event::Alarm(Alarm { finding, value, done, ..self.alarm.clone() }));
    }
}

impl AuditRecord {
    pub fn request(egress: &Arc<Egress>, host: &str, port: u16) -> AuditRecord {
        AuditRecord::new(egress, host, port, Event::Request)
    }

    pub fn connection(egress: &Arc<Egress>, host: &str, port: u16) -> AuditRecord {
        AuditRecord::new(egress, host, port, Event::Connection)
    }

    fn new(egress: &Arc<Egress>, host: &str, port: u16, kind: fn(Audit) -> Event) -> AuditRecord {
        let audit = Audit { host: host.to_owned(), port, ..Audit::default() };
        let sent = Arc::default();
        let (egress, snapshot, started) = (egress.clone(), egress.snapshot(), Instant::now());
        AuditRecord { egress, snapshot, started, kind, audit, sent, received: 0, route: None, finding: Arc::default() }
    }

    pub fn set_request(&mut self, method: &str, path: &str) {
        self.audit.method = begin(method, 32).to_owned();
        self.set_path(path);
    }

    pub fn set_path(&mut self, path: &str) {
        let path = begin(path, LONGEST);
        if self.audit.path != path {
            self.audit.path = path.to_owned();
        }
    }

    pub fn allowed(&mut self, route: usize) {
        self.audit.verdict = Outcome::Allow;
        self.point(route);
    }

    pub fn denied(&mut self, denial: &Denial) {
        self.audit.verdict = Outcome::Deny;
        self.audit.reason = Some(match leaks::shows(&self.snapshot.knowledge, &denial.text) {
            true => format!("{} {}", denial.reason, leaks::WITHHELD),
            false => denial.text.clone(),
        });
        // The trail outlives the bottle: what was refused may be a secret on its way.
        self.audit.host = self.fit(self.audit.host.clone());
        self.audit.path = self.fit(self.audit.path.clone());
        if let Some(route) = denial.route {
            self.point(route);
        }
        let what = match (self.audit.method.as_str(), denial.reason) {
            ("", Reason::Malformed) | ("", _) => format!("{}:{}", self.audit.host, self.audit.port),
            (method, _) => format!("{method} {}:{}{}", self.audit.host, self.audit.port, self.audit.path),
        };
        let mut refusals = self.egress.counters.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() >= REMEMBERED {
            refusals.pop_front();
        }
        let reason = self.audit.reason.as_deref().unwrap_or_default();
        refusals.push_back((SystemTime::now(), format!("{what}: {reason}")));
    }

    /// For the trail: what holds a secret is not shown.
    fn fit(&self, text: String) -> String {
        if leaks::shows(&self.snapshot.knowledge, &text) { leaks::WITHHELD.to_owned() } else { text }
    }

    /// Allowed, but it came to nothing.
    pub fn failed(&mut self, why: impl Into<String>) {
        self.audit.verdict = Outcome::Error;
        self.audit.reason = Some(why.into());
    }

    /// Something was found; `finding` never holds it.
    pub fn alarm(&mut self, finding: &str, done: Done) {
        self.audit.finding.get_or_insert_with(|| finding.to_owned());
        self.egress.events.push(Event::Alarm(Alarm { finding: finding.to_owned(), done, ..self.alarm_template() }));
    }

    /// An alarm of this request, before it says what.
    fn alarm_template(&self) -> Alarm {
        let Audit { host, port, method, path, .. } = &self.audit;
        Alarm { host: host.clone(), port: *port, method: method.clone(), path: path.clone(), ..Alarm::default() }
    }

    /// For who looks at a part of it.
    pub fn alarm_sender(&self) -> AlarmSender {
        AlarmSender { egress: self.egress.clone(), alarm: self.alarm_template(), finding: self.finding.clone() }
    }

    fn point(&mut self, route: usize) {
        self.route = Some(route);
        self.audit.rule = Some(self.snapshot.route(route).origin.clone());
    }
}

/// At most so many bytes of it.
fn begin(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

impl Drop for AuditRecord {
    fn drop(&mut self) {
        let counters = &self.egress.counters;
        let mut audit = std::mem::take(&mut self.audit);
        audit.finding = audit.finding.or_else(|| self.finding.get().cloned());
        audit.sent = self.sent.load(Relaxed);
        audit.received = self.received;
        audit.ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        counters.sent.fetch_add(audit.sent, Relaxed);
        counters.received.fetch_add(audit.received, Relaxed);
        match audit.verdict {
            Outcome::Allow => &counters.allowed,
            Outcome::Deny => &counters.denied,
            Outcome::Error => &counters.failed,
        }
        .fetch_add(1, Relaxed);
        if let Some(route) = self.route {
            self.snapshot.counts(route).add(audit.verdict);
        }
        self.egress.events.push((self.kind)(audit));
    }
}
