//! Request headers by name: those that are refused, or that the gate takes off or writes itself; and what `connection` and
//! `upgrade` say.

use super::Route;
use super::credential_headers::is_credential_header;
use super::proxy_headers::{HeaderEffect, effect_of};
use std::borrow::Cow;

/// Headers of one connection, which every hop writes itself. In lower case, with dashes.
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

/// Headers of a request that the gate reads under exactly this name, beside those of one connection. In lower case.
const READ_HEADERS: [&str; 4] = ["accept-encoding", "anthropic-beta", "content-encoding", "content-type"];

/// Headers of a request that stand there once. HTTP/2 lets several equal lengths pass.
const SINGLE_HEADERS: [&str; 2] = ["content-length", "content-type"];

/// Checksums that clients send in trailers, because they know them only behind the body; some servers merge trailers into
/// the headers (RFC 9110, section 6.5.1). In lower case.
const TRAILERS: [&str; 5] = ["content-digest", "content-md5", "digest", "repr-digest", "upload-checksum"];

/// Beginning of the names of the checksums of S3.
const S3_CHECKSUM: &str = "x-amz-checksum-";

/// A request's headers, name and value, as they came.
pub type HeaderFields<'a> = &'a [(&'a str, &'a [u8])];

/// Whether these are two spellings of one name: case does not count, and many servers hand headers on as variables, where
/// all that is no letter or digit is `_`.
pub fn same_header(a: &str, b: &str) -> bool {
    let folded = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| folded(a) == folded(b))
}

/// Whether the gate writes this header or takes it off, whatever the agent sends, or refuses the request for it.
pub fn is_gate_controlled(name: &str) -> bool {
    let mut connection = CONNECTION_HEADERS.into_iter();
    is_credential_header(name) || effect_of(name).is_some() || connection.any(|listed| same_header(name, listed))
}

/// The first of the headers that is an override.
pub(super) fn overriding<'a>(headers: HeaderFields<'a>) -> Option<&'a str> {
    headers.iter().map(|(name, _)| *name).find(|name| effect_of(name) == Some(HeaderEffect::Override))
}

/// Why the gate could read these headers otherwise than a server: a name that the gate reads is in another spelling, a
/// length is, or there are several content types or lengths.
pub(super) fn misread(headers: HeaderFields) -> Option<String> {
    let listed = || READ_HEADERS.into_iter().chain(CONNECTION_HEADERS);
    let is_other = |given: &str| listed().any(|name| same_header(given, name) && !given.eq_ignore_ascii_case(name));
    let other = headers.iter().map(|(name, _)| name).find(|name| is_other(name));
    if let Some(name) = other {
        return Some(format!("header `{name}`: some servers read it as the one with dashes; write it so"));
    }
    let is_padded = |(name, value): &(&str, &[u8])| {
        name.eq_ignore_ascii_case("content-length")
            && value.trim_ascii().len() > 1
            && value.trim_ascii().starts_with(b"0")
    };
    if headers.iter().any(is_padded) {
        return Some("the content-length begins with a zero: some servers read it as an octal number".to_owned());
    }
    let count = |single: &str| headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(single)).count();
    let single = SINGLE_HEADERS.into_iter().find(|single| count(single) > 1)?;
    Some(format!("the request has several {single} headers; send one"))
}

/// Whether this passes in a request's trailers, which no rule of a route sees: a checksum in its own spelling, and no header
/// of `own`, those that the gate injects on any route.
pub fn passes_as_trailer<'a>(name: &str, own: impl IntoIterator<Item = &'a str>) -> bool {
    let name = name.to_ascii_lowercase();
    let is_checksum = TRAILERS.contains(&name.as_str()) || name.starts_with(S3_CHECKSUM);
    is_checksum && !own.into_iter().any(|own| same_header(&name, own))
}

/// Whether this is a header that passes only on routes with `agent_auth`. `own`: the headers that the gate injects on any
/// route.
pub fn is_credential<'a>(name: &str, own: impl IntoIterator<Item = &'a str>) -> bool {
    is_credential_header(name) || own.into_iter().any(|own| same_header(name, own))
}

impl Route {
    /// Whether the gate takes this header of a request off, on this route. `own`: the headers that it injects on any route.
    pub fn takes_off<'a>(&self, name: &str, own: impl IntoIterator<Item = &'a str>) -> bool {
        effect_of(name) == Some(HeaderEffect::Claim)
            || (!self.agent_auth && is_credential(name, own))
            || (self.wants_whole_answers() && asks_for_range(name))
    }
}

/// Whether an HTTP/1 head with these headers says that a body follows. A chunked one may turn out to be empty; it is one.
pub fn announces_body(headers: HeaderFields) -> bool {
    let says = |(name, value): &(&str, &[u8])| {
        name.eq_ignore_ascii_case("transfer-encoding")
            || (name.eq_ignore_ascii_case("content-length") && !value.trim_ascii().iter().all(|digit| *digit == b'0'))
    };
    headers.iter().any(says)
}

/// Whether this asks for a part of an answer: `range`, `if-range`, a store's own (`x-ms-range`), and the name before
/// HTTP/1.1, which Apache still takes (`request-range`). `content-range` is said of the request's own body.
fn asks_for_range(name: &str) -> bool {
    let mut words = name.split(|character: char| !character.is_ascii_alphanumeric());
    words.clone().any(|word| word.eq_ignore_ascii_case("range"))
        && !words.any(|word| word.eq_ignore_ascii_case("content"))
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
    use super::super::decide::tests::policy;
    use super::*;

    #[test]
    fn what_the_gate_writes_has_no_rule() {
        assert!(is_gate_controlled("Authorization") && is_gate_controlled("x_http_method"));
        assert!(is_gate_controlled("x-vault-token") && !is_gate_controlled("idempotency-key"));
        assert!(is_gate_controlled("x-real-ip") && is_gate_controlled("Host") && is_gate_controlled("te"));
        assert!(!is_gate_controlled("accept") && !is_gate_controlled("anthropic-version"));
    }

    #[test]
    fn only_a_checksum_passes_as_a_trailer() {
        for name in ["Content-MD5", "content-digest", "repr-digest", "x-amz-checksum-crc64nvme", "upload-checksum"] {
            assert!(passes_as_trailer(name, []), "{name}");
            assert!(!passes_as_trailer(name, [name]), "{name}");
        }
        for name in "x-mode anthropic-beta content_md5 content-type x-sum authorization range x-amz-checksum \
            x-amz-copy-source"
            .split_whitespace()
        {
            assert!(!passes_as_trailer(name, []), "{name}");
        }
    }

    #[test]
    fn no_range_is_asked_for_where_a_credential_could_come_back() {
        let policy = policy(
            r#"[{"host":"a.org","auth":{"scheme":"bearer","token":"t"}},
                {"host":"a.org","auth":{"scheme":"bearer","token":"t"},"ranges":true},
                {"host":"a.org"}]"#,
        );
        for (route, off) in policy.routes.iter().zip([true, false, false]) {
            for name in ["range", "Range", "if-range", "If_Range", "request-range", "x-ms-range"] {
                assert_eq!(route.takes_off(name, []), off, "{name}");
            }
            assert!(!route.takes_off("content-range", []) && !route.takes_off("x-arrange", []));
        }
    }

    #[test]
    fn a_second_path_overrides() {
        assert_eq!(overriding(&[("accept", b"*/*"), ("Destination", b"/x.git/refs/heads/main")]), Some("Destination"));
        assert_eq!(overriding(&[("X_Original-URL", b"/")]), Some("X_Original-URL"));
        assert_eq!(overriding(&[("accept", b"*/*")]), None);
    }

    #[test]
    fn what_the_gate_reads_has_one_spelling() {
        for name in ["anthropic_beta", "Content_Type", "content.encoding", "transfer_encoding", "Accept_Encoding"] {
            assert!(misread(&[("accept", b"*/*"), (name, b"x")]).is_some_and(|why| why.contains(name)), "{name}");
        }
        assert!(misread(&[("content-type", b"a/b"), ("Content-Type", b"a/b")]).is_some());
        assert_eq!(misread(&[("Content-Type", b"a/b"), ("anthropic-beta", b"a"), ("anthropic-beta", b"b")]), None);
        assert_eq!(misread(&[("x_kept", b"a"), ("x_kept", b"b")]), None);
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
