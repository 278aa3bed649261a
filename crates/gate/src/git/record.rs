//! One record for each git operation. It is written when it is dropped, so that none is missing however the operation ends.

use crate::audit::AuditTrail;
use crate::audit::record::cut;
use crate::audit::redaction::{WITHHELD, holds_secret, redact};
use crate::egress::live::snapshot::PolicySnapshot;
use crate::git::failure::Failure;
use std::sync::Arc;
use std::time::Instant;
use wire::{Event, GitAudit, GitOperation, GitUpdate, Outcome};

/// Refs of one push that are named.
const MAX_NAMED_REFS: usize = 16;
/// Bytes of what the agent asked for in place of a remote.
const MAX_NAME_BYTES: usize = 64;
/// Bytes of a reason that the agent and the audit trail get. As the name, it is cut only once it was looked through: no cut
/// hides a secret.
const MAX_REASON_BYTES: usize = 1024;

pub struct GitRecord {
    trail: Arc<AuditTrail>,
    snapshot: Arc<PolicySnapshot>,
    started: Instant,
    pub audit: GitAudit,
}

impl GitRecord {
    pub fn new(trail: &Arc<AuditTrail>, snapshot: Arc<PolicySnapshot>, operation: GitOperation) -> GitRecord {
        let audit = GitAudit { operation, verdict: Outcome::Error, ..GitAudit::default() };
        GitRecord { trail: trail.clone(), snapshot, started: Instant::now(), audit }
    }

    pub fn set_remote(&mut self, name: &str) {
        self.audit.remote = cut(redact(self.snapshot.knowledge(), name.to_owned()), MAX_NAME_BYTES);
    }

    pub fn set_updates(&mut self, updates: &[GitUpdate]) {
        let knowledge = self.snapshot.knowledge();
        let named = updates.iter().take(MAX_NAMED_REFS).cloned();
        self.audit.refs =
            named.map(|update| GitUpdate { name: redact(knowledge, update.name.clone()), ..update }).collect();
        self.audit.more_refs = updates.len().saturating_sub(MAX_NAMED_REFS) as u64;
    }

    pub fn allowed(&mut self) {
        self.audit.verdict = Outcome::Allow;
    }

    /// Lines for the agent, without those that hold a secret; without any, where one is spread over several.
    pub fn redacted(&self, lines: Vec<String>) -> Vec<String> {
        let lines: Vec<String> = lines.into_iter().map(|line| redact(self.snapshot.knowledge(), line)).collect();
        match holds_secret(self.snapshot.knowledge(), &lines.concat()) {
            true => vec![WITHHELD.to_owned()],
            false => lines,
        }
    }

    /// The operation is not done. Returns what the agent is told.
    pub fn failed(&mut self, failure: Failure) -> Failure {
        let knowledge = self.snapshot.knowledge();
        let failure = Failure {
            text: cut(redact(knowledge, failure.text), MAX_REASON_BYTES),
            details: self.redacted(failure.details),
            finding: failure.finding.map(|finding| cut(redact(knowledge, finding), MAX_REASON_BYTES)),
            ..failure
        };
        self.audit.verdict = failure.verdict;
        self.audit.reason = Some(failure.text.clone());
        self.audit.finding = failure.finding.clone();
        self.audit.found_commits = failure.found_commits.clone();
        if failure.verdict == Outcome::Deny {
            let what = match self.audit.operation {
                GitOperation::Fetch => format!("git fetch {}", self.audit.remote),
                GitOperation::Push => format!("git push {}", self.audit.remote),
                GitOperation::Sign => "signature".to_owned(),
            };
            self.trail.recent_denials.push(format!("{what}: {}", failure.text));
        }
        failure
    }
}

impl Drop for GitRecord {
    fn drop(&mut self) {
        let mut audit = std::mem::take(&mut self.audit);
        audit.ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if audit.verdict == Outcome::Error {
            audit.reason.get_or_insert_with(|| "the connection ended before it was done".to_owned());
        }
        self.trail.counters.add_git(&audit);
        self.trail.events.push(Event::Git(audit));
    }
}
