//! The names by which a connection, its TLS and a request in it say which server they mean. All must mean the same one.

use super::header_names::visible_text;
use super::{Denial, Reason, Request, plain_name};

/// Bytes of a foreign name that a denial shows: the longest host name there is.
const MAX_SHOWN_NAME_CHARS: usize = 253;

/// What a request says of its server, beside the host header. The default says nothing, and needs no host header.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names<'a> {
    /// Server name in the TLS hello (SNI). `None`: there is no TLS, or its hello has no name.
    pub server_name: Option<&'a str>,
    /// Scheme of an absolute request target, or HTTP/2's `:scheme`; lower case.
    pub scheme: Option<&'a str>,
    /// Host and port of an absolute request target, or HTTP/2's `:authority`.
    pub authority: Option<Authority<'a>>,
    /// Whether the version of HTTP demands a host header of this request.
    pub needs_host_header: bool,
}

/// Host and port as a request target has them.
#[derive(Debug, Clone, Copy)]
pub struct Authority<'a> {
    pub host: &'a str,
    pub port: Option<u16>,
    /// Whether HTTP/2's `:authority` has a user's name before the host, which RFC 9113 forbids (section 8.3.1).
    pub has_forbidden_userinfo: bool,
}

impl Names<'_> {
    /// Whether these names, and the request's host header, mean the host and port that the connection asked for.
    ///
    /// # Errors
    /// A denial: another name, or names that cannot be read.
    pub fn agree(&self, request: &Request) -> Result<(), Denial> {
        let host = request.host;
        let means = |name: &str, port: Option<u16>| {
            // Programs leave a default port out, and some leave out others, too.
            plain_name(name).as_deref() == Some(host) && port.is_none_or(|port| port == request.port)
        };
        let wrong = |what: &str, name: &str| {
            let name: String = name.chars().take(MAX_SHOWN_NAME_CHARS).filter(|c| !c.is_control()).collect();
            Err(Denial::new(Reason::Name, format!("{what} says `{name}`, the connection is for `{host}`")))
        };
        let malformed = |what: &str| Err(Denial::new(Reason::Malformed, what));
        if let Some(name) = self.server_name
            && !means(name, None)
        {
            return wrong("TLS", name);
        }
        if self.authority.is_some_and(|authority| authority.has_forbidden_userinfo) {
            return malformed("`:authority` has a user's name before the host; send it in a header");
        }
        let encrypted = request.port != 80;
        if let Some(authority) = &self.authority
            && (!means(authority.host, authority.port) || self.scheme != Some(if encrypted { "https" } else { "http" }))
        {
            return wrong("the request line", authority.host);
        }
        if encrypted && self.scheme == Some("http") {
            return malformed("the request says that it is not encrypted");
        }
        let mut values = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("host"));
        let value = match (values.next(), values.next()) {
            (Some((_, value)), None) => visible_text(value).unwrap_or_default(),
            (None, _) if self.needs_host_header => return malformed("the request has no host header"),
            (None, _) => return Ok(()),
            (Some(_), Some(_)) => return malformed("the request has two host headers"),
        };
        let (name, port) = match value.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().unwrap_or(0))),
            None => (value, None),
        };
        if means(name, port) { Ok(()) } else { wrong("the host header", value) }
    }
}

/// Whether the server name in the hello of TLS that passes unopened is the name that the connection asked for.
///
/// # Errors
/// A denial: another name, or none. Nothing after the hello would say which server is meant.
pub(super) fn tls_agrees(host: &str, server_name: Option<&str>) -> Result<(), Denial> {
    let text = match server_name {
        Some(name) if plain_name(name).as_deref() == Some(host) => return Ok(()),
        Some(name) => format!("TLS asks for `{name}`, the connection for `{host}`"),
        None => "TLS names no server, and passes untouched only where it does".to_owned(),
    };
    Err(Denial::new(Reason::Name, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HeaderFields;

    fn agree(port: u16, names: Names, headers: HeaderFields) -> Option<(Reason, String)> {
        let request = Request { host: "a.org", port, method: "GET", path: "/", query: None, has_body: false, headers };
        names.agree(&request).err().map(|denial| (denial.reason, denial.text))
    }

    fn says(what: &str, name: &str) -> Option<(Reason, String)> {
        Some((Reason::Name, format!("{what} says `{name}`, the connection is for `a.org`")))
    }

    fn malformed(text: &str) -> Option<(Reason, String)> {
        Some((Reason::Malformed, text.to_owned()))
    }

    #[test]
    fn the_host_header_means_the_connections_host() {
        let host = |value: &[u8]| agree(443, Names::default(), &[("Host", value)]);
        for value in ["a.org", "A.org.", "a.org:443"] {
            assert_eq!(host(value.as_bytes()), None, "{value}");
        }
        for value in ["b.org", "a.org:80", "a.org:", "a.org:x", "127.0.0.1", "", "a.org@b.org"] {
            assert_eq!(host(value.as_bytes()), says("the host header", value), "{value}");
        }
        assert_eq!(host("\u{e4}.org".as_bytes()), says("the host header", ""));
        assert_eq!(host("b".repeat(300).as_bytes()), says("the host header", &"b".repeat(253)));
        let needs = Names { needs_host_header: true, ..Names::default() };
        assert_eq!(agree(443, Names::default(), &[]), None);
        assert_eq!(agree(443, needs, &[]), malformed("the request has no host header"));
        let twice: HeaderFields = &[("host", b"a.org"), ("host", b"a.org")];
        assert_eq!(agree(443, Names::default(), twice), malformed("the request has two host headers"));
    }

    #[test]
    fn tls_and_the_request_line_mean_it_too() {
        let tls = |name| agree(443, Names { server_name: Some(name), ..Names::default() }, &[]);
        assert_eq!((tls("a.org"), tls("b.org")), (None, says("TLS", "b.org")));
        let line = |port, scheme, host, own| {
            let authority = Some(Authority { host, port: own, has_forbidden_userinfo: false });
            agree(port, Names { scheme, authority, ..Names::default() }, &[])
        };
        assert_eq!(line(443, Some("https"), "a.org", None), None);
        assert_eq!(line(80, Some("http"), "a.org", Some(80)), None);
        assert_eq!(line(443, Some("https"), "b.org", None), says("the request line", "b.org"));
        assert_eq!(line(443, Some("https"), "a.org", Some(8443)), says("the request line", "a.org"));
        assert_eq!(line(443, Some("http"), "a.org", None), says("the request line", "a.org"));
        assert_eq!(line(443, None, "a.org", None), says("the request line", "a.org"));
        let plain = Names { scheme: Some("http"), ..Names::default() };
        assert_eq!(agree(443, plain, &[]), malformed("the request says that it is not encrypted"));
    }

    #[test]
    fn unopened_tls_names_its_server() {
        let text = |name| tls_agrees("a.org", name).err().map(|denial| denial.text);
        assert_eq!(text(Some("a.org")), None);
        assert_eq!(text(Some("b.org")).as_deref(), Some("TLS asks for `b.org`, the connection for `a.org`"));
        assert_eq!(text(None).as_deref(), Some("TLS names no server, and passes untouched only where it does"));
    }
}
