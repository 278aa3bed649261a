//! Headers on their way through: those of one hop are rebuilt, the agent's own credentials stay behind, ours go on.

use super::table::Injection;
use claude_bottle::policy::Route;
use hyper::HeaderMap;
use hyper::header::{
    ALT_SVC, AUTHORIZATION, CONNECTION, COOKIE, EXPECT, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, SEC_WEBSOCKET_EXTENSIONS, TE, TRANSFER_ENCODING, UPGRADE,
};

/// Credentials of the agent's own: with them it could carry things to an account of its own on an allowed host.
static CREDENTIALS: [HeaderName; 11] = [
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

/// Only a proxy in front of a server may say for whom it asks and for which host; servers believe it.
const CLAIMS: [&str; 11] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
    "x-original-host",
    "x-host",
    "true-client-ip",
];

/// Set on every answer of the gate's own, and on no other.
pub const MARK: HeaderName = HeaderName::from_static("x-claude-bottle");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

pub fn overriding(headers: &HeaderMap) -> Option<&'static str> {
    headers.keys().find_map(|name| OVERRIDES.into_iter().find(|one| same(name, one)))
}

/// Many servers hand headers on as variables, where `-` and `_` are one.
fn same(name: &HeaderName, dashed: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.as_str().len() == dashed.len() && name.as_str().bytes().zip(dashed.bytes()).all(|(a, b)| plain(a) == plain(b))
}

/// Removes every spelling of these names.
fn remove<'a>(headers: &mut HeaderMap, names: impl Iterator<Item = &'a str> + Clone) {
    let theirs: Vec<HeaderName> =
        headers.keys().filter(|name| names.clone().any(|one| same(name, one))).cloned().collect();
    for name in theirs {
        headers.remove(name);
    }
}

fn credentials(own: &[HeaderName]) -> impl Iterator<Item = &str> + Clone {
    CREDENTIALS.iter().chain(own).map(HeaderName::as_str)
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

/// From the agent's headers to the upstream's. `own`: the headers that routes inject, on whichever route.
pub fn outgoing(headers: &mut HeaderMap, route: &Route, own: &[HeaderName], injection: Option<&Injection>) {
    strip_hop(headers);
    // The gate has told the agent to go on as soon as it reads the body.
    headers.remove(EXPECT);
    headers.remove(PROXY_AUTHORIZATION);
    remove(headers, CLAIMS.into_iter());
    if !route.agent_auth {
        remove(headers, credentials(own));
    }
    if let Some(Injection { name, value }) = injection {
        headers.insert(name.clone(), value.clone());
    }
}

/// What may follow a body. Some servers add it to the headers; credentials have no place there on any route (RFC 9110,
/// section 6.5.1).
pub fn trailing(trailers: &mut HeaderMap, own: &[HeaderName]) {
    remove(trailers, credentials(own).chain(OVERRIDES).chain(CLAIMS));
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

/// A WebSocket without extensions: a compressed one could not be read.
pub fn upgrade(headers: &mut HeaderMap) {
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
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
