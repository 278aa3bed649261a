//! Totals over all records of one gate, and over those of one route, for `ctl status`.

use crate::audit::events::Events;
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use wire::{Audit, GitAudit, Outcome};

/// Totals since the gate started; `open` and `waiting` are the numbers of now.
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
}

impl Counters {
    /// A connection from the agent begins.
    pub fn opened(&self) {
        self.connections.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
    }

    pub fn closed(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    /// Counts a request that waits for a token, until the guard is dropped.
    pub fn token_wait(&self) -> TokenWait<'_> {
        self.waiting.fetch_add(1, Relaxed);
        TokenWait(&self.waiting)
    }

    /// Adds a record that is complete.
    pub fn add(&self, audit: &Audit) {
        self.count(audit.verdict, audit.sent, audit.received);
    }

    /// Adds a git operation that is complete.
    pub fn add_git(&self, audit: &GitAudit) {
        self.count(audit.verdict, audit.sent, audit.received);
    }

    fn count(&self, verdict: Outcome, sent: u64, received: u64) {
        self.sent.fetch_add(sent, Relaxed);
        self.received.fetch_add(received, Relaxed);
        let verdict = match verdict {
            Outcome::Allow => &self.allowed,
            Outcome::Deny => &self.denied,
            Outcome::Error => &self.failed,
        };
        verdict.fetch_add(1, Relaxed);
    }

    /// As `ctl status` shows them, with the numbers of `events` beside them.
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
            "dropped": events.dropped_total(),
        })
    }
}

/// A request that waits for a token.
pub struct TokenWait<'a>(&'a AtomicU64);

impl Drop for TokenWait<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What one route let through, and what was denied for which it is the nearest route. Survives a reload that keeps the
/// route.
pub struct RouteCounts {
    /// `file:line` of the route.
    pub origin: String,
    hits: AtomicU64,
    denied: AtomicU64,
}

impl RouteCounts {
    pub fn new(origin: &str) -> RouteCounts {
        RouteCounts { origin: origin.to_owned(), hits: AtomicU64::new(0), denied: AtomicU64::new(0) }
    }

    pub fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    pub fn denied(&self) -> u64 {
        self.denied.load(Relaxed)
    }

    pub fn add(&self, verdict: Outcome) {
        let counter = match verdict {
            Outcome::Deny => &self.denied,
            Outcome::Allow | Outcome::Error => &self.hits,
        };
        counter.fetch_add(1, Relaxed);
    }
}
