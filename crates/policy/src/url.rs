//! A URL as a person types it, taken apart as the programs in a bottle do it. What they would read in different ways is an
//! error, never repaired. That it has a user or password is noted; the two are kept nowhere.

use super::host::{ends_in_a_number, plain_name};
use super::{Denial, Reason};

/// A URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestUrl {
    pub scheme: UrlScheme,
    /// Lower case, no trailing dot.
    pub host: String,
    pub port: u16,
    /// As it is typed; `/` where there is none.
    pub path: String,
    pub query: Option<String>,
    /// The URL has a user or a password, which a program sends as a credential.
    pub userinfo: bool,
}

/// The scheme, which says what is spoken on the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlScheme {
    Http,
    Https,
    WebSocket,
    SecureWebSocket,
    /// Bytes of any kind.
    Tcp,
}

/// Why a text is not a URL that can be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlError {
    /// No request can be made of it. First what is wrong, then what to type instead.
    Unclear(String, &'static str),
    /// A request can be made of it, and is always denied.
    Denied(Denial),
}

const SCHEMES: [(&str, UrlScheme); 5] = [
    ("http", UrlScheme::Http),
    ("https", UrlScheme::Https),
    ("ws", UrlScheme::WebSocket),
    ("wss", UrlScheme::SecureWebSocket),
    ("tcp", UrlScheme::Tcp),
];

const EXAMPLE: &str = "write it as in `https://api.example.org/path`";

impl UrlScheme {
    /// What the gate takes a connection to this port for, where nothing else tells.
    pub fn of_port(port: u16) -> UrlScheme {
        if port == 80 { UrlScheme::Http } else { UrlScheme::Https }
    }

    pub fn name(self) -> &'static str {
        SCHEMES.iter().find(|(_, scheme)| *scheme == self).map_or("https", |(name, _)| name)
    }

    /// Whether it is HTTP, or a WebSocket, without TLS.
    pub fn is_plain(self) -> bool {
        matches!(self, UrlScheme::Http | UrlScheme::WebSocket)
    }

    pub fn is_websocket(self) -> bool {
        matches!(self, UrlScheme::WebSocket | UrlScheme::SecureWebSocket)
    }

    fn default_port(self) -> Option<u16> {
        match self {
            UrlScheme::Http | UrlScheme::WebSocket => Some(80),
            UrlScheme::Https | UrlScheme::SecureWebSocket => Some(443),
            UrlScheme::Tcp => None,
        }
    }
}

impl RequestUrl {
    /// # Errors
    /// What [`UrlError`] says. None of its texts has the URL's user or password.
    pub fn parse(url: &str) -> Result<RequestUrl, UrlError> {
        let unclear = |what: &str| UrlError::Unclear(what.to_owned(), EXAMPLE);
        let (typed, rest) = url.split_once("://").ok_or_else(|| unclear("the URL has no scheme"))?;
        let scheme = SCHEMES.iter().find(|(name, _)| typed.eq_ignore_ascii_case(name)).map(|(_, scheme)| *scheme);
        let scheme = scheme.ok_or_else(|| {
            unclear("the URL's scheme is not known: there are `https`, `http`, `wss`, `ws`, and `tcp` with a port")
        })?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('\\') {
            return Err(unclear("the URL has a backslash before its path: programs do not agree whom it asks"));
        }
        let (userinfo, host_and_port) = match authority.rsplit_once('@') {
            Some((_, host_and_port)) => (true, host_and_port),
            None => (false, authority),
        };
        let (name, port) = split_port(host_and_port)
            .ok_or_else(|| unclear("the URL's host and port are not `host` or `host:port`"))?;
        let host = parse_host(name)?;
        let port = match port {
            Some(port) => Some(port.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
                UrlError::Unclear("the URL's port is not a number from 1 to 65535".to_owned(), EXAMPLE)
            })?),
            None => scheme.default_port(),
        };
        let port = port.ok_or_else(|| {
            UrlError::Unclear("the URL has no port".to_owned(), "write it as in `tcp://db.example.org:5432`")
        })?;
        // What follows a `#` is never sent.
        let rest = rest.split('#').next().unwrap_or_default();
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (rest, None),
        };
        let path = if path.is_empty() { "/" } else { path }.to_owned();
        Ok(RequestUrl { scheme, host, port, path, query, userinfo })
    }
}

/// The host, and the port's digits where there is a port. `None`: this is not `host` or `host:port`.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    let end = match text.starts_with('[') {
        true => text.find(']')? + 1,
        false => text.find(':').unwrap_or(text.len()),
    };
    let (name, rest) = text.split_at(end);
    match rest.strip_prefix(':') {
        Some("") => Some((name, None)),
        Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()).then_some((name, Some(port))),
        None => rest.is_empty().then_some((name, None)),
    }
}

fn parse_host(name: &str) -> Result<String, UrlError> {
    if let Some(name) = plain_name(name) {
        return Ok(name);
    }
    let bare = name.strip_suffix('.').unwrap_or(name);
    if name.starts_with('[') || (bare.is_ascii() && !bare.is_empty() && ends_in_a_number(bare)) {
        let text = format!("`{name}` is an address, and addresses have no route: a route names a host");
        return Err(UrlError::Denied(Denial::new(Reason::Host, text)));
    }
    Err(match name {
        "" => UrlError::Unclear("the URL has no host".to_owned(), EXAMPLE),
        _ if !name.is_ascii() => UrlError::Unclear(
            format!("host `{name}` is not in its ASCII form, which is what programs send and routes name"),
            "write the ASCII form: labels that begin with `xn--`",
        ),
        _ => UrlError::Unclear(format!("`{name}` is not a host name"), EXAMPLE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> String {
        match RequestUrl::parse(url) {
            Ok(url) => {
                let RequestUrl { scheme, host, port, path, query, userinfo } = url;
                let query = query.map_or(String::new(), |query| format!("?{query}"));
                let user = if userinfo { " with user" } else { "" };
                format!("{} {host} {port} {path}{query}{user}", scheme.name())
            }
            Err(UrlError::Denied(denial)) => format!("denied: {}", denial.text),
            Err(UrlError::Unclear(what, _)) => what,
        }
    }

    #[test]
    fn a_url_is_taken_apart() {
        for (url, wanted) in [
            ("https://api.example.org", "https api.example.org 443 /"),
            ("HTTPS://API.Example.ORG./a/../b?x=1#f", "https api.example.org 443 /a/../b?x=1"),
            ("http://example.org?x", "http example.org 80 /?x"),
            ("https://example.org:8443/", "https example.org 8443 /"),
            ("https://example.org:/", "https example.org 443 /"),
            ("https://me:secret@example.org/", "https example.org 443 / with user"),
            ("https://api.example.org:443@evil.example/", "https evil.example 443 / with user"),
            ("wss://example.org/live", "wss example.org 443 /live"),
            ("tcp://db.example.org:5432", "tcp db.example.org 5432 /"),
            ("https://example.org/a@b:c", "https example.org 443 /a@b:c"),
        ] {
            assert_eq!(parsed(url), wanted, "{url}");
        }
    }

    #[test]
    fn an_address_has_no_route() {
        for name in [
            "127.0.0.1",
            "127.0.0.1.",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "2130706433",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            let wanted = format!("denied: `{name}` is an address, and addresses have no route: a route names a host");
            assert_eq!(parsed(&format!("http://{name}/x")), wanted);
            assert_eq!(parsed(&format!("http://{name}:8080/x")), wanted);
        }
    }

    #[test]
    fn what_is_unclear_is_said_without_what_is_secret() {
        for url in [
            "",
            "example.org/x",
            "me:secret@example.org/x",
            "ftp://me:secret@example.org/",
            "https://",
            "https:///x",
            "https://me:secret@/x",
            "https://a.example\\@b.example/",
            "https://a b.example/",
            "https://*.example.org/",
            "https://a..example.org/",
            "https://example.org:0/",
            "https://example.org:65536/",
            "https://example.org:+1/",
            "https://example.org:1:2/",
            "https://::1/",
            "https://[::1/",
            "https://ex\u{e4}mple.org/",
            "https://example%2eorg/",
            "https://\u{ff11}27.0.0.1/",
            "tcp://db.example.org",
        ] {
            let Err(UrlError::Unclear(what, hint)) = RequestUrl::parse(url) else { panic!("{url}: {}", parsed(url)) };
            assert!(!what.contains("secret") && !what.is_empty() && hint.starts_with("write "), "{url}: {what}");
        }
    }
}
