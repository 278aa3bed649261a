//! The audit trail: the events that the gate writes to its stdout, one JSON object on each line.

use crate::{Decision, Proposal, Work};
use serde::{Deserialize, Serialize};

/// One line of the gate's stdout, which is the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Counts from 1. A gap means that lines were dropped.
    pub seq: u64,
    /// UTC, RFC 3339 with milliseconds.
    pub time: String,
    /// The line stands for so many like events, of which this is the last, with the bytes of all. 0 for a line of one event.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeated: u64,
    /// The time of the first of them, as [`Line::time`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(flatten)]
    pub event: Event,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What happened in the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// The socket is bound; `fingerprint` is the SHA-256 of the CA certificate in hex.
    Ready {
        version: String,
        fingerprint: String,
    },
    /// The gate could not start, and ends.
    Failed {
        reason: String,
    },
    Request(Audit),
    /// A connection that never became a request: denied, or passed through uninspected.
    Connection(Audit),
    /// A request or an answer contained something that must not pass.
    Alarm(Alarm),
    /// One operation of the git service.
    Git(GitAudit),
    /// The agent proposed a change of its bottle.
    Proposal(Proposal),
    /// The operator decided about a change, proposed or not, and what was decided is in force.
    Decided(Decision),
    /// What init found after the agent's program had ended.
    Work(Work),
    /// A new policy is in force. Lists the routes that came and went, without the fields that hold their default.
    Reloaded {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        added: Vec<RouteSummary>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        removed: Vec<RouteSummary>,
        /// The routes that stayed are in another order, which matters because the first route that matches decides.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        reordered: bool,
    },
    /// Input of a `ctl` verb was invalid, and nothing changed.
    Unchanged {
        reason: String,
    },
    /// A token expires soon, has expired, or was rejected by its upstream: the owner of the session should fetch it
    /// again.
    Refresh {
        /// Name of the token's value.
        value: String,
    },
    /// A new token replaced the previous one.
    Refreshed {
        value: String,
    },
    /// `count` lines are missing here. The reader was too slow, or the trail has no more room for their kind.
    Dropped {
        count: u64,
        /// The trail is full. Written by the tool; the gate does not know how long the trail is.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        full: bool,
    },
}

/// A route as [`Event::Reloaded`] shows it. Of the route's token it contains only the scheme.
pub type RouteSummary = serde_json::Map<String, serde_json::Value>;

/// One decision of the gate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    pub host: String,
    pub port: u16,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// Normalised if possible, and without the query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    pub verdict: Outcome,
    /// `file:line` of the deciding route, or of the nearest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What a denial is about, as one word for programs: `policy::Reason` as text; `trust` where a program of the bottle ended
    /// the connection because it does not trust the bottle's certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<String>,
    /// Why the request was denied or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Kind of the finding in the request or its answer; never the text that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// HTTP status the agent saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Body bytes from the agent.
    pub sent: u64,
    /// Body bytes to the agent.
    pub received: u64,
    /// Duration in milliseconds.
    pub ms: u64,
    /// What an answer of the model's says it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenUsage>,
}

/// The model's tokens that were used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Read by the model, without those from its cache; what was written to the cache is among them.
    pub input: u64,
    /// Read from the model's cache.
    pub cached: u64,
    /// Written by the model.
    pub output: u64,
}

impl TokenUsage {
    pub fn plus(self, other: TokenUsage) -> TokenUsage {
        TokenUsage {
            input: self.input.saturating_add(other.input),
            cached: self.cached.saturating_add(other.cached),
            output: self.output.saturating_add(other.output),
        }
    }

    pub fn total(self) -> u64 {
        self.input.saturating_add(self.cached).saturating_add(self.output)
    }
}

/// A finding in a request or an answer; never the text that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    pub host: String,
    pub port: u16,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// In words: the kind of finding, in which part of the message, in what encoding.
    pub finding: String,
    /// Name of the value that was found, if it is one of the bottle's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub done: Done,
}

/// A fetch from a remote, a push to it, or a signature.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitAudit {
    /// The remote's name, or what the agent asked for in place of one. Empty for a signature.
    pub remote: String,
    pub operation: GitOperation,
    pub verdict: Outcome,
    /// `file:line` of the remote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Why the operation was denied or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Kind of what must not pass, and where it was; never the text that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// What a push would change, or has changed: the first of them, where there are many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refs: Vec<GitUpdate>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_refs: u64,
    /// Commits in which something was found: what `git allow` names to let the next push bring them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found_commits: Vec<String>,
    /// Commits whose findings the operator had allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_commits: Vec<String>,
    /// The id that git gives to the commit or tag that was signed, with its signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Bytes from the agent.
    pub sent: u64,
    /// Bytes to the agent.
    pub received: u64,
    /// Duration in milliseconds.
    pub ms: u64,
}

/// What is asked of the git service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GitOperation {
    /// Clone, fetch, pull or `ls-remote`.
    #[default]
    Fetch,
    Push,
    /// The signature of a commit or a tag.
    Sign,
}

/// One ref of a push, with the object ids before and after. All zeros stand for no object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitUpdate {
    pub name: String,
    pub old: String,
    pub new: String,
}

/// What the gate did about a finding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Done {
    #[default]
    Blocked,
    /// Overwritten.
    Masked,
    Passed,
}

/// How a request or a connection ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Allow,
    #[default]
    Deny,
    /// The policy allowed it, but the upstream failed.
    Error,
}
