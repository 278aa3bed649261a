//! What the agent is told of a request that was denied or failed. Never a file, a line, an address behind a route, or
//! anything about a token but that there is one.

use crate::egress::Egress;
use crate::egress::peer::Peer;
use crate::egress::request::body::Body;
use crate::egress::request::own_response::{JSON, PLAIN, marked, page};
use hyper::{Response, StatusCode};
use policy::{Denial, Reason, Role};
use serde_json::json;
use wire::MCP_URL;

/// What the client of a connection can read, and make use of.
pub struct Audience {
    format: ErrorFormat,
    /// What may be asked of the same host, a line each.
    allowed: Vec<String>,
    /// Whether it can ask the operator for what is refused.
    may_propose: bool,
}

/// The format in which a client expects errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorFormat {
    Text,
    /// The Messages API's, on the model's host. There, 401 and 403 look like a lost login.
    Anthropic,
}

impl Audience {
    /// The clients of this peer.
    pub fn of(egress: &Egress, peer: &Peer) -> Audience {
        let (Peer { host, port }, snapshot) = (peer, egress.live.snapshot());
        let is_model =
            snapshot.policy.routes.iter().any(|route| route.role == Some(Role::Claude) && route.host.matches(host));
        let format = if is_model { ErrorFormat::Anthropic } else { ErrorFormat::Text };
        let allowed = snapshot.policy.allowed_requests(host, *port);
        Audience { format, allowed, may_propose: egress.proposals.is_enabled() }
    }

    /// What to do about a denial.
    fn hint(&self, denial: &Denial) -> String {
        match self.may_propose && denial.reason.has_remedy() {
            true => format!("to ask the operator for it: MCP tool `egress_block` at {MCP_URL}; {HINT}"),
            false => HINT.to_owned(),
        }
    }
}

const HINT: &str = "what is allowed in this bottle, and how to ask for more: http://gate.bottle/";

/// The answer to a request that the policy denied.
pub fn refusal(denial: &Denial, audience: Audience) -> Response<Body> {
    let (text, hint) = (format!("claude-bottle: refused: {}", denial.text), audience.hint(denial));
    let response = match audience.format {
        ErrorFormat::Text => {
            let mut text = text + "\n";
            // Where the request was denied for what it carries, the list would be no help.
            if matches!(denial.reason, Reason::Port | Reason::Git | Reason::Method | Reason::Path) {
                text.extend(audience.allowed.iter().map(|line| format!("allowed there: {line}\n")));
            }
            page(StatusCode::FORBIDDEN, PLAIN, text + &hint + "\n")
        }
        ErrorFormat::Anthropic => {
            api_error(StatusCode::BAD_REQUEST, "invalid_request_error", &format!("{text} ({hint})"))
        }
    };
    marked(response, &format!("denied; reason={}", denial.reason))
}

/// The answer to a request that was allowed and could not be served. `word`: why, for programs; `text`: for people.
pub fn failure(word: &str, text: &str, audience: Audience) -> Response<Body> {
    let text = format!("claude-bottle: failed: {text}");
    let response = match audience.format {
        ErrorFormat::Text => page(StatusCode::BAD_GATEWAY, PLAIN, format!("{text}\n")),
        ErrorFormat::Anthropic => api_error(StatusCode::BAD_GATEWAY, "api_error", &text),
    };
    marked(response, &format!("failed; reason={word}"))
}

/// An error in the format of the Messages API.
fn api_error(status: StatusCode, kind: &str, message: &str) -> Response<Body> {
    let body = json!({ "type": "error", "error": { "type": kind, "message": message } });
    page(status, JSON, body.to_string())
}
