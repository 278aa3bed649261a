//! How much happened in a session, in numbers.

use super::count;
use serde::Serialize;
use wire::{Audit, Event, GitAudit, Line, Outcome, TokenUsage, Work};

/// Counts over all lines of a trail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Requests, connections and git operations, whatever became of them.
    pub requests: u64,
    /// Those that the policy refused.
    pub refused: u64,
    /// Those that an upstream failed.
    pub failed: u64,
    /// Alarms: something was found that must not pass.
    pub findings: u64,
    /// Body bytes from the agent.
    pub sent: u64,
    /// Body bytes to the agent.
    pub received: u64,
    /// What the model's answers say they used.
    pub tokens: TokenUsage,
    /// Lines that the gate or the trail had no room for.
    pub dropped: u64,
    /// Lines that are no gate's.
    pub unreadable: u64,
    /// The time of the last line, UTC, RFC 3339.
    pub last: Option<String>,
    /// What the workspace held when the agent's program ended last.
    pub work: Option<Work>,
}

impl Totals {
    pub(super) fn add(&mut self, line: &Line) {
        if let Event::Request(Audit { tokens: Some(tokens), .. }) = &line.event {
            self.tokens = self.tokens.plus(*tokens);
        }
        match &line.event {
            Event::Request(Audit { verdict, sent, received, .. })
            | Event::Connection(Audit { verdict, sent, received, .. })
            | Event::Git(GitAudit { verdict, sent, received, .. }) => {
                let by_verdict = match verdict {
                    Outcome::Allow => None,
                    Outcome::Deny => Some(&mut self.refused),
                    Outcome::Error => Some(&mut self.failed),
                };
                for counter in by_verdict.into_iter().chain([&mut self.requests]) {
                    *counter = counter.saturating_add(count(line));
                }
                self.sent = self.sent.saturating_add(*sent);
                self.received = self.received.saturating_add(*received);
            }
            Event::Alarm(_) => self.findings = self.findings.saturating_add(count(line)),
            Event::Dropped { count, .. } => self.dropped = self.dropped.saturating_add(*count),
            Event::Work(work) => self.work = Some(work.clone()),
            _ => {}
        }
        self.last = Some(line.time.clone());
    }
}
