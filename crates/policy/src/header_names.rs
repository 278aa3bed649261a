//! Request headers by name: those that change what a request means, or belong to one connection; and what `connection` and
//! `upgrade` say. Names in the lists are in lower case, with dashes.

use super::credential_headers::is_credential_header;
use std::borrow::Cow;

/// Headers by which some servers take another method or path than the request line's, or a second path (`destination`,
/// of WebDAV's COPY and MOVE).
pub const OVERRIDE_HEADERS: [&str; 7] = [
    "destination",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-original-method",
];

/// Headers in which a proxy in front of a server says for which client and host it asks. Servers believe them.
pub const FORWARDING_HEADERS: [&str; 11] = [
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

/// Headers of one connection, which every hop writes itself.
pub const CONNECTION_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A request's headers, name and value, as they came.
pub type HeaderFields<'a> = &'a [(&'a str, &'a [u8])];

/// Whether these are two spellings of one name: case does not count, and many servers hand headers on as variables, where
/// `-` and `_` are the same.
pub fn same_header(a: &str, b: &str) -> bool {
    let folded = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| folded(a) == folded(b))
}

/// Whether the gate writes this header or takes it off, whatever the agent sends.
pub fn is_gate_controlled(name: &str) -> bool {
    let mut lists = CONNECTION_HEADERS.into_iter().chain(OVERRIDE_HEADERS).chain(FORWARDING_HEADERS);
    is_credential_header(name) || lists.any(|controlled| same_header(name, controlled))
}

/// The first of the headers that is one of [`OVERRIDE_HEADERS`], by its name in that list.
pub(super) fn overriding(headers: HeaderFields) -> Option<&'static str> {
    headers.iter().find_map(|(name, _)| OVERRIDE_HEADERS.into_iter().find(|override_| same_header(name, override_)))
}

/// Whether `connection` lists this token: an option, or the name of a header that ends with this hop.
fn is_listed(headers: HeaderFields, token: &str) -> bool {
    headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .filter_map(|(_, value)| visible_text(value))
        .flat_map(|value| value.split(','))
        .any(|listed| listed.trim().eq_ignore_ascii_case(token))
}

/// Whether these headers ask for a WebSocket: `connection` lists `upgrade`, and the only `upgrade` is `websocket`. No
/// other upgrade passes: HTTP/2 in plain text would carry requests past the policy.
pub fn is_websocket_upgrade(headers: HeaderFields) -> bool {
    let mut upgrades = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("upgrade"));
    is_listed(headers, "upgrade")
        && upgrades.next().is_some_and(|(_, value)| value.eq_ignore_ascii_case(b"websocket"))
        && upgrades.next().is_none()
}

/// The headers that go on to the upstream as far as `connection` has a say: those that it does not list.
pub(super) fn going_on<'a>(headers: HeaderFields<'a>) -> Cow<'a, [(&'a str, &'a [u8])]> {
    let listed = |name: &str| is_listed(headers, name);
    let has_list = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection"));
    if !has_list || !headers.iter().any(|(name, _)| listed(name)) {
        return Cow::Borrowed(headers);
    }
    headers.iter().filter(|(name, _)| !listed(name)).copied().collect()
}

/// The value as text, where it has visible ASCII, spaces and tabs alone.
pub(super) fn visible_text(value: &[u8]) -> Option<&str> {
    let visible = value.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    std::str::from_utf8(value).ok().filter(|_| visible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gate_writes_has_no_rule() {
        assert!(is_gate_controlled("Authorization") && is_gate_controlled("x_http_method"));
        assert!(is_gate_controlled("x-vault-token") && !is_gate_controlled("idempotency-key"));
        assert!(!is_gate_controlled("accept") && !is_gate_controlled("anthropic-version"));
    }

    #[test]
    fn a_second_path_overrides() {
        assert_eq!(overriding(&[("accept", b"*/*"), ("Destination", b"/x.git/refs/heads/main")]), Some("destination"));
        assert_eq!(overriding(&[("X_Original-URL", b"/")]), Some("x-original-url"));
        assert_eq!(overriding(&[("accept", b"*/*")]), None);
    }

    #[test]
    fn what_connection_lists_does_not_go_on() {
        let headers: HeaderFields = &[("connection", b"close, X-A"), ("x-a", b"1"), ("x-b", b"2")];
        assert_eq!(*going_on(headers), [("connection", &b"close, X-A"[..]), ("x-b", b"2")]);
        let headers: HeaderFields = &[("connection", b"x-a\xff"), ("x-a", b"1")];
        assert_eq!(*going_on(headers), *headers);
    }

    #[test]
    fn a_websocket_is_asked_for_by_both_headers() {
        let asks = is_websocket_upgrade;
        assert!(asks(&[("connection", b"keep-alive, Upgrade"), ("upgrade", b"WebSocket")]));
        assert!(!asks(&[("upgrade", b"websocket")]));
        assert!(!asks(&[("connection", b"upgrade"), ("upgrade", b"h2c")]));
        assert!(!asks(&[("connection", b"upgrade"), ("upgrade", b"websocket"), ("upgrade", b"websocket")]));
    }
}
