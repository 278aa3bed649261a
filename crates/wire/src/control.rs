//! Requests and answers of the gate's `ctl` and `scan`.

use crate::{Blob, Done, Values};
use policy::Policy;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// `ctl reload`: a new policy for a running gate. Values that the gate received before stay known.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    pub policy: Policy,
    /// As in [`crate::Document::printed`], for the new values.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub printed: BTreeSet<String>,
    /// Only the values that the gate does not have yet.
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub values: Values,
}

/// `ctl token NAME`: what the `token_cmd` of this value printed now.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshToken {
    pub value: Blob,
}

/// The answer to `ctl due`: the names of the values that must be fetched again.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct DueTokens {
    pub due: Vec<String>,
}

/// `scan`: the head of a request that is judged but never sent. On stdin it is the line after a [`crate::Document`],
/// whose tokens and certificates may be missing; the request's body follows it, up to the end of stdin.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Lower case, no trailing dot.
    pub host: String,
    pub port: u16,
    pub method: String,
    /// Path and query, not normalised.
    pub target: String,
    pub headers: Vec<(String, String)>,
}

/// The answer to a [`Trial`]: what the gate would do. It never quotes the text of a finding.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct TrialResult {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied: Option<TrialDenial>,
    pub findings: Vec<TrialFinding>,
    /// Bytes of the body that were read.
    pub read: u64,
    /// Names of the values that are not searched for, each with the reason.
    pub unmatched: BTreeMap<String, String>,
}

/// Why a [`Trial`] would be denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialDenial {
    /// One word, for programs.
    pub reason: String,
    /// The text that the agent would get.
    pub text: String,
}

/// One finding in a [`Trial`]; its fields are those of an [`crate::Alarm`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialFinding {
    pub finding: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub done: Done,
}
