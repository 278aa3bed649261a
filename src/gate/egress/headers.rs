//! Headers on their way through: those of one hop are rebuilt, the agent's own credentials stay behind, ours go on.

use super::table::Injection;
use claude_bottle::policy::Route;
use hyper::HeaderMap;
use hyper::header::{
    ALT_SVC, AUTHORIZATION, CONNECTION, COOKIE, EXPECT, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};

/// Credentials of the agent's own: with them it could carry things to an account of its own on an allowed host.
const CREDENTIALS: [HeaderName; 11] = [
    AUTHORIZATION,
    PROXY_AUTHORIZATION,
    COOKIE,
    HeaderName::from_static("cookie2"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("private-token"),
    HeaderName::from_static("job-token"),
    HeaderName::from_static("x-auth-token"),
    HeaderName::from_static("x-amz-security-token"),
];

/// Headers by which some servers take another method or path than the request line's.
const OVERRIDES: [&str; 6] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-original-method",
];

/// Set on every answer of the gate's own, and on no other.
pub const MARK: HeaderName = HeaderName::from_static("x-claude-bottle");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

pub fn overriding(headers: &HeaderMap) -> Option<&'static str> {
    OVERRIDES.into_iter().find(|name| headers.contains_key(*name))
}

/// Does the agent ask for a WebSocket? No other upgrade passes: h2c would carry requests past the policy.
pub fn websocket(headers: &HeaderMap) -> bool {
    let mut upgrades = headers.get_all(UPGRADE).iter();
    listed(headers, "upgrade")
        && upgrades.next().is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && upgrades.next().is_none()
}

/// What belongs to one hop only, by name or because `connection` lists it.
pub fn strip_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    // Trailers are passed on, and the next hop sends them only to who says so.
    let trailers = headers.get_all(TE).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"));
    for name in named {
        headers.remove(name);
    }
    for name in [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// From the agent's headers to the upstream's.
pub fn outgoing(headers: &mut HeaderMap, route: &Route, injection: Option<&Injection>) {
    strip_hop(headers);
    // The gate has told the agent to go on as soon as it reads the body.
    headers.remove(EXPECT);
    headers.remove(PROXY_AUTHORIZATION);
    if !route.agent_auth {
        for name in CREDENTIALS {
            headers.remove(name);
        }
    }
    if let Some(Injection { name, value }) = injection {
        headers.insert(name.clone(), value.clone());
    }
}

/// From the upstream's headers to the agent's.
pub fn incoming(headers: &mut HeaderMap) {
    strip_hop(headers);
    headers.remove(TE);
    headers.remove(PROXY_AUTHENTICATE);
    headers.remove(MARK);
    // It would send the agent to ports and protocols that the door does not have.
    headers.remove(ALT_SVC);
}

pub fn upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

fn listed(headers: &HeaderMap, token: &str) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| one.trim().eq_ignore_ascii_case(token))
}
