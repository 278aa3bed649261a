//! The control socket: how the operator queries a running gate and changes it. It lies in the gate's private tmpfs, out of
//! the agent's reach. Requests and answers are JSON objects, one a line.

pub mod client;
pub mod server;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes of a request line: enough for a policy with its certificates.
const MAX_REQUEST_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Request {
    verb: String,
    /// What the verb is about, as the token of `token NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What the client read on its stdin.
    #[serde(default)]
    body: Value,
}
