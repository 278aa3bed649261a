//! May this request leave, and why: the one answer, shared by the gate and by `check`. Pure: no file, clock, net or env.
//!
//! A policy is an ordered list of routes. The first route that a request fits in all it asks for decides;
//! none = refused.

mod address;
mod decide;
mod explain;
mod fields;
mod git;
mod headers;
mod host;
mod label;
mod lookalike;
mod normalise;
mod pattern;
mod query;
mod risk;
mod url;
mod value;
pub mod worth;

pub use address::{local_name, nowhere, private_name, special};
pub use decide::{Ask, Denial, Pass, Reason, rule_of};
pub use fields::{Fields, HeaderRules, is_ours};
pub use headers::{CLAIMS, CREDENTIALS, HOPS, OVERRIDES, same_header};
pub use host::plain_name;
pub use normalise::{Readings, normalise};
pub use pattern::{ConnectTo, HostPattern, PathPattern};
pub use query::{NO_OTHER, QueryRules};
pub use risk::risks;
use serde::{Deserialize, Serialize};
pub use url::{Fault, Speech, Target};
pub use value::ValuePattern;

/// Variables that tell programs of a proxy, in lower case; there are other spellings. None is ever set in a bottle: what
/// may leave needs none.
pub const PROXY_VARIABLES: [&str; 5] = ["all_proxy", "ftp_proxy", "http_proxy", "https_proxy", "no_proxy"];

/// All that may leave a bottle, in the order of the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub routes: Vec<Route>,
}

/// One line of the allowlist, complete: defaults are filled in when the manifest is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub host: HostPattern,
    /// TCP port the agent dials. On port 80 the agent speaks plain HTTP, on every other port TLS.
    pub port: u16,
    /// Upper-case HTTP methods.
    pub methods: Vec<String>,
    pub paths: Vec<PathPattern>,
    /// `file:line` in the manifest: for the operator, never shown to the agent.
    pub origin: String,
    /// A request that matches is refused.
    #[serde(default)]
    pub deny: bool,
    /// The upstream's address may be private, loopback or link-local.
    #[serde(default)]
    pub private: bool,
    #[serde(default)]
    pub connect_to: Option<ConnectTo>,
    /// Name (in the gate's document) of PEM certificates trusted for this upstream beside the bundle.
    #[serde(default)]
    pub upstream_ca: Option<String>,
    /// Credential the gate adds.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// The agent's own credentials may pass.
    #[serde(default)]
    pub agent_auth: bool,
    /// False: TLS passes untouched, only names are checked.
    #[serde(default = "yes")]
    pub intercept: bool,
    #[serde(default)]
    pub protocol: Protocol,
    /// `fetch`: GET …/info/refs?service=git-upload-pack and POST …/git-upload-pack beneath the route's paths.
    #[serde(default)]
    pub git: Option<GitAccess>,
    #[serde(default)]
    pub role: Option<Role>,
    /// What is done about patterns of credentials, and about values that the agent was given, in a request.
    #[serde(default)]
    pub dlp: Dlp,
    /// Tools that the model's own servers may run, by the beginning of their type, as in `web_fetch`.
    #[serde(default)]
    pub server_tools: Vec<String>,
    /// Of the query: each named parameter is there once and fits.
    #[serde(default, skip_serializing_if = "QueryRules::is_empty")]
    pub query: QueryRules,
    /// Of the headers, the same.
    #[serde(default, skip_serializing_if = "HeaderRules::is_empty")]
    pub headers: HeaderRules,
    /// What is done about hidden instructions in an answer.
    #[serde(default)]
    pub inspect_responses: Inspect,
}

impl Route {
    /// Can something be sent there that stays? Raw and unread bytes can.
    pub fn writes(&self) -> bool {
        let reading = |method: &String| ["GET", "HEAD", "OPTIONS"].contains(&method.as_str());
        !self.deny
            && (self.role.is_some()
                || !self.intercept
                || self.protocol == Protocol::Tcp
                || !self.methods.iter().all(reading))
    }

    /// A WebSocket begins with a GET and then sends what no method shows: only where the plan says that the agent writes,
    /// and never past a role's own rule.
    pub fn takes_websockets(&self) -> bool {
        self.writes() && self.role.is_none()
    }
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[default]
    Http,
    /// Raw bytes, passed as they are.
    Tcp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GitAccess {
    Fetch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The model's host: carries a built-in rule of methods and paths.
    Claude,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dlp {
    /// The request is refused.
    #[default]
    Block,
    /// What was found is overwritten, at the same length.
    Redact,
    /// It passes, and stands in the audit trail.
    Warn,
    Off,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inspect {
    /// It passes, and stands in the audit trail.
    #[default]
    Warn,
    /// The answer ends where it is found.
    Block,
    Off,
}

/// How the gate adds a credential, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub scheme: Scheme,
    /// Name of the token in the gate's document.
    pub token: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// `authorization: Bearer TOKEN`
    Bearer,
    /// `authorization: token TOKEN`
    Token,
    /// `authorization: Basic base64(user:TOKEN)`
    Basic { user: String },
    /// `HEADER: TOKEN`
    Header { header: String },
}
