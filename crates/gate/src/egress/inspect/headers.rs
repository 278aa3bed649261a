//! Headers on their way through: those of one hop are rebuilt, the agent's own credentials stay behind, ours go on.

use crate::egress::live::snapshot::Injection;
use hyper::HeaderMap;
use hyper::header::{
    ACCEPT_ENCODING, ALT_SVC, CONNECTION, CONTENT_ENCODING, EXPECT, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, RANGE, SEC_WEBSOCKET_EXTENSIONS, TE, TRANSFER_ENCODING, UPGRADE,
};
use policy::{CLAIMS, CREDENTIALS, Inspect, OVERRIDES, Route, same_header};
use scan::codec::Decoder;

/// Set on every answer of the gate's own, and on no other.
pub const MARK: HeaderName = HeaderName::from_static("x-claude-bottle");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

pub fn overriding(headers: &HeaderMap) -> Option<&'static str> {
    headers.keys().find_map(|name| OVERRIDES.into_iter().find(|one| same_header(name.as_str(), one)))
}

/// Removes every spelling of these names.
fn remove<'a>(headers: &mut HeaderMap, names: impl Iterator<Item = &'a str> + Clone) {
    let theirs: Vec<HeaderName> =
        headers.keys().filter(|name| names.clone().any(|one| same_header(name.as_str(), one))).cloned().collect();
    for name in theirs {
        headers.remove(name);
    }
}

fn credentials(own: &[HeaderName]) -> impl Iterator<Item = &str> + Clone {
    CREDENTIALS.into_iter().chain(own.iter().map(HeaderName::as_str))
}

/// One that stays behind but on routes with `agent_auth`.
pub fn is_credential(name: &HeaderName, own: &[HeaderName]) -> bool {
    credentials(own).any(|one| same_header(name.as_str(), one))
}

/// Does the agent ask for a WebSocket? No other upgrade passes: h2c would carry requests past the policy.
pub fn websocket(headers: &HeaderMap) -> bool {
    let mut upgrades = headers.get_all(UPGRADE).iter();
    listed(headers, "upgrade")
        && upgrades.next().is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && upgrades.next().is_none()
}

/// What a route's rules see: names and values that are not taken off because `connection` lists them.
pub fn going_on(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    let left = headers.iter().filter(|(name, _)| !listed(headers, name.as_str()));
    left.map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
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
    if let Some(Injection { name, value, .. }) = injection {
        headers.insert(name.clone(), value.clone());
    }
    if injection.is_some() || route.inspect_responses == Inspect::Block {
        readable(headers);
    }
}

/// What comes back has to be read: only encodings that can be undone are asked for, and none for a part of a whole.
fn readable(headers: &mut HeaderMap) {
    let asked: Vec<String> = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|coding| Decoder::new(coding.split(';').next().unwrap_or_default()).is_some())
        .map(|coding| coding.trim().to_owned())
        .collect();
    let asked = if headers.contains_key(RANGE) || asked.is_empty() { "identity".to_owned() } else { asked.join(", ") };
    if let Ok(value) = HeaderValue::try_from(asked) {
        headers.insert(ACCEPT_ENCODING, value);
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

/// All of a message's encodings, the outermost last, as `content-encoding` has them.
pub fn encodings(headers: &HeaderMap) -> String {
    let encodings: Result<Vec<_>, _> = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::to_str).collect();
    encodings.map_or_else(|_| "unknown".to_owned(), |encodings| encodings.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::is_ours;

    #[test]
    fn what_is_taken_off_has_no_rule() {
        let names = credentials(&[]).chain(OVERRIDES).chain(CLAIMS);
        for name in names.chain(["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"])
        {
            assert!(is_ours(name), "{name}");
        }
    }

    #[test]
    fn what_connection_lists_does_not_go_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("connection", "close, X-A"), ("x-a", "1"), ("x-b", "2")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        assert_eq!(going_on(&headers), [("connection", &b"close, X-A"[..]), ("x-b", b"2")]);
    }
}
