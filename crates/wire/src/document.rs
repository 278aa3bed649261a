//! The document: everything the gate is told, once, on its stdin.

use crate::{Blob, GitService, Go, Supervise};
use policy::{NoProxy, Policy};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Version of the [`Document`] format. A gate accepts exactly its own.
pub const DOCUMENT_VERSION: u32 = 1;

/// The text that the gate's program prints as its version and contains verbatim, so that the CLI can recognise the
/// program from its bytes without running it.
pub const GATE_VERSION: &str = concat!("claude-bottle-gate ", env!("CARGO_PKG_VERSION"));

/// Secret values by name.
pub type Values = BTreeMap<String, Blob>;

/// Everything the gate is told, once. All other fields only name the values; `values` comes last, so that a writer can
/// stream it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// [`DOCUMENT_VERSION`] of the writer.
    pub version: u32,
    pub identity: String,
    pub bottle: String,
    pub policy: Policy,
    pub go: Go,
    /// The remotes of the bottle's manifest; `None`: the gate serves no git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitService>,
    /// What the gate serves at [`crate::SUPERVISE_HOST`]; `None`: the agent cannot propose anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervise: Option<Supervise>,
    /// Name of the value that holds the PEM bundle of the roots trusted for upstreams.
    pub roots: String,
    /// Name of the value that holds the address of the upstream proxy, as [`crate::ProxyUrl`] reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_proxy: Option<String>,
    /// Upstreams that are reached past that proxy.
    #[serde(default, skip_serializing_if = "NoProxy::is_empty")]
    pub no_proxy: NoProxy,
    /// Names of values that a `token_cmd` printed. They are read as [`crate::Token`]s, and the gate may request them
    /// again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub printed: BTreeSet<String>,
    pub values: Values,
}
