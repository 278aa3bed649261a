//! Headers as they are passed on: those of one hop are rebuilt, the agent's own credentials are removed, and the gate's are
//! added.

use crate::egress::as_judged::fields;
use crate::egress::live::injection::Injection;
use hyper::header::{
    ACCEPT_ENCODING, ALT_SVC, CONNECTION, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, EXPECT, HeaderName,
    HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RANGE, SEC_WEBSOCKET_EXTENSIONS, TE, TRANSFER_ENCODING,
    UPGRADE,
};
use hyper::http::response;
use hyper::{HeaderMap, StatusCode, Version};
use policy::{Inspect, Route, is_websocket_upgrade, passes_as_trailer};
use scan::codec::Decoder;

/// Set on every answer that the gate itself makes, and on no other.
pub const MARK: HeaderName = HeaderName::from_static("x-claude-bottle");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

fn remove(headers: &mut HeaderMap, is_removed: impl Fn(&HeaderName) -> bool) {
    let removed: Vec<HeaderName> = headers.keys().filter(|name| is_removed(name)).cloned().collect();
    for name in removed {
        headers.remove(name);
    }
}

/// Is this a header that passes only on routes with `agent_auth`? `own`: those that the gate injects on any route.
pub fn is_credential(name: &HeaderName, own: &[HeaderName]) -> bool {
    policy::is_credential(name.as_str(), own.iter().map(HeaderName::as_str))
}

/// Whether the agent asks for a WebSocket, the only upgrade that passes.
pub fn is_websocket(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE) && is_websocket_upgrade(&fields(headers))
}

/// Removes the headers of one hop: some by name, others because `connection` lists them.
fn strip_hop(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    // Trailers are passed on, and the upstream sends them only to a client that accepts them.
    let trailers = headers.get_all(TE).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"));
    for name in listed {
        headers.remove(name);
    }
    for name in [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Turns the agent's headers into those for the upstream. `own`: the headers that the gate injects on any route.
pub fn outgoing(headers: &mut HeaderMap, route: &Route, own: &[HeaderName], injection: Option<&Injection>) {
    strip_hop(headers);
    // The gate itself answers `100 Continue`, as soon as it reads the body.
    headers.remove(EXPECT);
    headers.remove(PROXY_AUTHORIZATION);
    remove(headers, |name| route.takes_off(name.as_str(), own.iter().map(HeaderName::as_str)));
    if let Some(Injection { name, value, .. }) = injection {
        headers.insert(name.clone(), value.clone());
    }
    if injection.is_some() || route.inspect_responses == Inspect::Block {
        accept_readable(headers);
    }
}

/// Asks for an answer that can be read: in an encoding that the gate can undo, and in none for a range of the whole.
fn accept_readable(headers: &mut HeaderMap) {
    let accepted: Vec<String> = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|coding| Decoder::new(coding.split(';').next().unwrap_or_default()).is_some())
        .map(|coding| coding.trim().to_owned())
        .collect();
    let accepted = match headers.contains_key(RANGE) || accepted.is_empty() {
        true => "identity".to_owned(),
        false => accepted.join(", "),
    };
    if let Ok(value) = HeaderValue::try_from(accepted) {
        headers.insert(ACCEPT_ENCODING, value);
    }
}

/// Leaves the checksums alone in a request's trailers. `own`: the headers that the gate injects on any route.
pub fn clean_trailers(trailers: &mut HeaderMap, own: &[HeaderName]) {
    remove(trailers, |name| !passes_as_trailer(name.as_str(), own.iter().map(HeaderName::as_str)));
}

/// Turns the head of an upstream's answer into the one for the agent: status and headers. The extensions hold what else the
/// upstream sent, such as a reason phrase, and do not pass.
pub fn incoming(head: &mut response::Parts) {
    head.version = Version::HTTP_11;
    head.extensions.clear();
    let headers = &mut head.headers;
    strip_hop(headers);
    headers.remove(TE);
    headers.remove(PROXY_AUTHENTICATE);
    headers.remove(MARK);
    // `alt-svc` would send the agent to ports and protocols that the door does not offer.
    headers.remove(ALT_SVC);
}

/// Whether an answer to a request of this method, with this status, has neither a body nor trailers (RFC 9110, section 6.4.1).
/// Over HTTP/2, an upstream may send them all the same.
pub fn has_no_body(method: &str, status: StatusCode) -> bool {
    method == "HEAD" || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
}

/// Whether an answer with this head is a part of a whole, or several parts (RFC 9110, section 14; RFC 3229).
pub fn is_partial(status: StatusCode, headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes().trim_ascii_start());
    let parts = b"multipart/byteranges";
    [StatusCode::PARTIAL_CONTENT, StatusCode::IM_USED].contains(&status)
        || headers.contains_key(CONTENT_RANGE) && status != StatusCode::RANGE_NOT_SATISFIABLE
        || kind.get(..parts.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(parts))
}

/// Asks for a WebSocket without extensions: compressed messages could not be read.
pub fn upgrade_to_websocket(headers: &mut HeaderMap) {
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Appends `name: value` and a newline.
pub fn append_line(text: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"] {
        text.extend_from_slice(part);
    }
}

/// All encodings of a message, the outermost last, as `content-encoding` lists them.
pub fn encodings(headers: &HeaderMap) -> String {
    let encodings: Result<Vec<_>, _> = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::to_str).collect();
    encodings.map_or_else(|_| "unknown".to_owned(), |encodings| encodings.join(","))
}
