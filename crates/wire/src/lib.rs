//! What travels between the CLI, the gate and the agent's init. Plain serde types, no behaviour beyond base64.
//!
//! CLI → gate: one [`Document`] on stdin. Gate → CLI: [`Line`]s on stdout. Init → gate: a first line on [`SOCKET`],
//! `GO` (answered by one [`GoMessage`], then EOF), `CONNECT name:port` (then the connection's own bytes, both ways), or
//! `WORK` and a [`Work`] as JSON (answered by one byte once it is in the gate's queue of events).

pub mod mux;
mod nearest;
mod token;

pub use nearest::nearest;
pub use token::{LONGEST_TOKEN, Token, rfc3339};

use policy::Policy;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// The gate's shared volume: writable for the gate, read-only for the agent.
pub const SHARED: &str = "/run/claude-bottle";
/// The one way out of the agent's container.
pub const SOCKET: &str = "/run/claude-bottle/gate.sock";
/// The static gate binary as the agent sees it.
pub const GATE_BINARY: &str = "/run/claude-bottle/claude-bottle-gate";
/// The bottle's CA certificate, PEM.
pub const CA: &str = "/run/claude-bottle/ca.pem";
/// The roots of the host's choice and the bottle's CA, PEM.
pub const CA_BUNDLE: &str = "/run/claude-bottle/ca-bundle.pem";
/// The same in Java's own format, password `changeit`.
pub const CA_JAVA: &str = "/run/claude-bottle/cacerts";
/// The gate's private tmpfs; the control socket lives here, never in the shared volume.
pub const PRIVATE: &str = "/run/gate";
pub const CTL_SOCKET: &str = "/run/gate/ctl.sock";

pub const HOME: &str = "/home/agent";
pub const WORKSPACE: &str = "/home/agent/workspace";
pub const AGENT_UID: u32 = 1000;
pub const GATE_UID: u32 = 65532;

/// Names that the gate answers itself.
pub const GATE_HOST: &str = "gate.bottle";

pub const VERSION: u32 = 1;

/// What the gate's program says of itself, and holds word for word: whose file it is can be seen without running it.
pub const GATE_VERSION: &str = concat!("claude-bottle-gate ", env!("CARGO_PKG_VERSION"));

/// All that the gate is told, once. `values` comes last, so that a writer can stream it: everything else only names them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    pub version: u32,
    pub identity: String,
    pub bottle: String,
    pub policy: Policy,
    pub go: Go,
    /// Value: PEM bundle of the roots trusted for upstreams.
    pub roots: String,
    /// Value: `http://[user:password@]host:port` of the proxy that all upstream traffic takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_proxy: Option<String>,
    /// Values that a command printed, read as [`Token`]s; what they are can be asked for again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub printed: BTreeSet<String>,
    pub values: Values,
}

/// `ctl reload`: another policy for a running gate. What was handed in before stays known.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    pub policy: Policy,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub printed: BTreeSet<String>,
    /// Those that are new.
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub values: Values,
}

/// `ctl token NAME`: what its command printed now.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fresh {
    pub value: Blob,
}

/// The answer to `ctl due`: the names of values that are to be fetched anew.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Due {
    pub due: Vec<String>,
}

/// `scan`: the head of a request that nobody sends. On stdin it stands on the line after a [`Document`], whose tokens and
/// certificates may be missing, and its body follows, to the end.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Lower case, no trailing dot.
    pub host: String,
    pub port: u16,
    pub method: String,
    /// Path and query, as they stand.
    pub target: String,
    pub headers: Vec<(String, String)>,
}

/// The answer to a [`Trial`]: what the gate would do. Nothing in it is what was found.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tried {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied: Option<Refusal>,
    pub findings: Vec<Sighting>,
    /// Bytes of the body that were read.
    pub read: u64,
    /// Names of values that are not looked for, and why.
    pub unmatched: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The machine's word.
    pub reason: String,
    /// What the agent would be told.
    pub text: String,
}

/// What [`Alarm`] says of one finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    pub finding: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub done: Done,
}

pub type Values = BTreeMap<String, Blob>;

/// What the agent's init does once the gate lets it go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Go {
    pub env: BTreeMap<String, Source>,
    pub files: Vec<File>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Absolute path inside; made if missing.
    pub cwd: String,
    /// TCP ports the door listens on for every name, beside 80 and 443.
    #[serde(default)]
    pub ports: Vec<u16>,
}

/// The answer to `GO`: the go and exactly the values it names.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoMessage {
    pub go: Go,
    pub values: Values,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Text(String),
    /// Name of a value.
    Value(String),
}

impl Source {
    /// The name of the value, where it is one.
    pub fn value(&self) -> Option<&str> {
        match self {
            Source::Text(_) => None,
            Source::Value(name) => Some(name),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Relative to [`HOME`]; never climbs.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    pub how: How,
    pub source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Written whole, over what is there.
    Put,
    /// Both are JSON objects: our keys are merged, deeply, into the agent's own file.
    Merge,
}

/// Bytes, base64 in JSON. `Debug` never shows them: they may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode_base64(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        decode_base64(&text).map(Blob).ok_or_else(|| serde::de::Error::custom("a value is not base64"))
    }
}

/// One line of the gate's stdout, which is the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Counts from 1 without a gap; what is missing was dropped.
    pub seq: u64,
    /// UTC, RFC 3339 with milliseconds.
    pub time: String,
    #[serde(flatten)]
    pub event: Event,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// The socket is bound; `fingerprint` is the CA's SHA-256 in hex.
    Ready {
        version: String,
        fingerprint: String,
    },
    /// The gate could not come up and ends.
    Failed {
        reason: String,
    },
    Request(Audit),
    /// A connection that never became a request: refused, or passed untouched.
    Connection(Audit),
    /// Something was carried, or was about to be, that should not.
    Alarm(Alarm),
    /// What init found when the agent's program had ended.
    Work(Work),
    /// Another policy decides from here on. The routes that went and came, without what they would say by default.
    Reloaded {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        added: Vec<Rule>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        removed: Vec<Rule>,
        /// Those that stayed stand in another order, and the first that fits decides.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        reordered: bool,
    },
    /// What was handed in by `ctl` was found wrong: everything is as it was.
    Unchanged {
        reason: String,
    },
    /// A token ends soon, has ended, or was not taken by its upstream: whoever has the session fetches it anew.
    Refresh {
        /// Its name.
        value: String,
    },
    /// A token was taken in place of the one before.
    Refreshed {
        value: String,
    },
    /// The reader was too slow: this many lines are missing here.
    Dropped {
        count: u64,
    },
}

/// A route as it stands in [`Event::Reloaded`]; of its token, no more than the scheme.
pub type Rule = serde_json::Map<String, serde_json::Value>;

/// Bytes of a `WORK` line.
pub const LONGEST_WORK: usize = 64 << 10;

/// Work in the workspace that is nowhere else, as init found it by its baseline. It comes from inside the bottle: a claim,
/// good enough to keep what would otherwise go, and to be shown with what hides made visible.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// False: the comparison did not finish, and nothing follows from what is not named here.
    pub complete: bool,
    /// Those that have any, by path.
    #[serde(default)]
    pub repositories: Vec<Repository>,
    /// New or changed files outside any repository.
    #[serde(default)]
    pub files: u64,
}

/// A repository below the workspace, with what is in it alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Relative to [`WORKSPACE`], `.` for itself.
    pub path: String,
    /// On no remote-tracking or baseline ref.
    #[serde(default)]
    pub commits: u64,
    #[serde(default)]
    pub stashes: u64,
    /// Changed or untracked, not ignored.
    #[serde(default)]
    pub files: u64,
}

impl Work {
    /// Whether everything was compared and nothing was found.
    pub fn is_none(&self) -> bool {
        self.complete && self.repositories.is_empty() && self.files == 0
    }
}

/// One decision of the gate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    pub host: String,
    pub port: u16,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// Normalised where it could be; without the query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    pub verdict: Outcome,
    /// `file:line` of the deciding route, or of the nearest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Why, where it was refused or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was found in it or in its answer, without what was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// HTTP status the agent saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Body bytes from the agent.
    pub sent: u64,
    /// Body bytes to the agent.
    pub received: u64,
    pub ms: u64,
}

/// A finding in a request or an answer, never with what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    pub host: String,
    pub port: u16,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// In words: what kind of thing, in which part, in what encoding.
    pub finding: String,
    /// The name of the value that was found, where it was one of the bottle's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub done: Done,
}

/// What the gate did about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Done {
    #[default]
    Blocked,
    /// Overwritten.
    Masked,
    Passed,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Allow,
    #[default]
    Deny,
    /// Allowed, but the upstream failed.
    Error,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Standard alphabet, padded (RFC 4648, section 4). The lean binary has no crate for it.
pub fn encode_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit)) & 63;
            text.push(if digit <= chunk.len() { ALPHABET[index as usize] as char } else { '=' });
        }
    }
    text
}

/// The reverse; `None` for anything but padded standard base64.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|b| **b == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in text[..text.len() - padding].chunks(4) {
        let mut word = 0u32;
        for byte in chunk {
            word = word << 6 | digit(*byte)?;
        }
        let have = chunk.len();
        word <<= 6 * (4 - have);
        bytes.extend_from_slice(&word.to_be_bytes()[1..have]);
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_rfc() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")]
        {
            assert_eq!(encode_base64(plain.as_bytes()), coded);
            assert_eq!(decode_base64(coded).unwrap(), plain.as_bytes());
        }
        for bad in ["Z", "Zg=", "Z===", "Zm9v\n", "Zm 9", "=Zm9"] {
            assert!(decode_base64(bad).is_none(), "{bad}");
        }
    }
}
