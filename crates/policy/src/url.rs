//! A URL as a person types it, taken apart as the programs inside do it. What they would read in different ways is said to
//! be wrong, never mended. User and password of it are noticed, and kept nowhere.

use super::host::{ends_in_a_number, plain_name};
use super::{Denial, Reason};

/// Whom a URL asks, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub speech: Speech,
    /// Lower case, no trailing dot.
    pub host: String,
    pub port: u16,
    /// As it stands; `/` where there is none.
    pub path: String,
    pub query: Option<String>,
    /// It has a user or a password: a credential of whoever uses it.
    pub userinfo: bool,
}

/// What is spoken on the connection, by the URL's scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    Http,
    Https,
    WebSocket,
    SecureWebSocket,
    /// Bytes of any kind.
    Raw,
}

/// Why there is no target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No request can be made of it: in words, and what is wanted in its place.
    Unclear(String, &'static str),
    /// It can be asked for, and never passes.
    Denied(Denial),
}

const SPEECHES: [(&str, Speech); 5] = [
    ("http", Speech::Http),
    ("https", Speech::Https),
    ("ws", Speech::WebSocket),
    ("wss", Speech::SecureWebSocket),
    ("tcp", Speech::Raw),
];

const EXAMPLE: &str = "write it as in `https://api.example.org/path`";

impl Speech {
    pub fn scheme(self) -> &'static str {
        SPEECHES.iter().find(|(_, speech)| *speech == self).map_or("https", |(scheme, _)| scheme)
    }

    pub fn is_plain(self) -> bool {
        matches!(self, Speech::Http | Speech::WebSocket)
    }

    pub fn is_websocket(self) -> bool {
        matches!(self, Speech::WebSocket | Speech::SecureWebSocket)
    }

    fn port(self) -> Option<u16> {
        match self {
            Speech::Http | Speech::WebSocket => Some(80),
            Speech::Https | Speech::SecureWebSocket => Some(443),
            Speech::Raw => None,
        }
    }
}

impl Target {
    /// # Errors
    /// As [`Fault`] says. No text of it has the URL's user or password.
    pub fn parse(url: &str) -> Result<Target, Fault> {
        let unclear = |what: &str| Fault::Unclear(what.to_owned(), EXAMPLE);
        let (scheme, rest) = url.split_once("://").ok_or_else(|| unclear("the URL has no scheme"))?;
        let speech = SPEECHES.iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name)).map(|(_, speech)| *speech);
        let speech = speech.ok_or_else(|| {
            unclear("the URL's scheme is not known: there are `https`, `http`, `wss`, `ws`, and `tcp` with a port")
        })?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('\\') {
            return Err(unclear("the URL has a backslash before its path: programs do not agree whom it asks"));
        }
        let (userinfo, place) = match authority.rsplit_once('@') {
            Some((_, place)) => (true, place),
            None => (false, authority),
        };
        let (name, port) =
            split(place).ok_or_else(|| unclear("the URL's host and port are not `host` or `host:port`"))?;
        let host = named(name)?;
        let port =
            match port {
                Some(port) => Some(port.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
                    Fault::Unclear("the URL's port is not a number from 1 to 65535".to_owned(), EXAMPLE)
                })?),
                None => speech.port(),
            };
        let port = port.ok_or_else(|| {
            Fault::Unclear("the URL has no port".to_owned(), "write it as in `tcp://db.example.org:5432`")
        })?;
        // What follows a `#` is never sent.
        let rest = rest.split('#').next().unwrap_or_default();
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (rest, None),
        };
        let path = if path.is_empty() { "/" } else { path }.to_owned();
        Ok(Target { speech, host, port, path, query, userinfo })
    }
}

/// Host and digits of the port.
fn split(place: &str) -> Option<(&str, Option<&str>)> {
    let end = match place.starts_with('[') {
        true => place.find(']')? + 1,
        false => place.find(':').unwrap_or(place.len()),
    };
    let (name, rest) = place.split_at(end);
    match rest.strip_prefix(':') {
        Some("") => Some((name, None)),
        Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()).then_some((name, Some(port))),
        None => rest.is_empty().then_some((name, None)),
    }
}

fn named(name: &str) -> Result<String, Fault> {
    if let Some(name) = plain_name(name) {
        return Ok(name);
    }
    let bare = name.strip_suffix('.').unwrap_or(name);
    if name.starts_with('[') || (bare.is_ascii() && !bare.is_empty() && ends_in_a_number(bare)) {
        let text = format!("`{name}` is an address, and addresses have no route: a route names a host");
        return Err(Fault::Denied(Denial::new(Reason::Host, text)));
    }
    Err(match name {
        "" => Fault::Unclear("the URL has no host".to_owned(), EXAMPLE),
        _ if !name.is_ascii() => Fault::Unclear(
            format!("host `{name}` is not in its ASCII form, which is what programs send and routes name"),
            "write the ASCII form: labels that begin with `xn--`",
        ),
        _ => Fault::Unclear(format!("`{name}` is not a host name"), EXAMPLE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> String {
        match Target::parse(url) {
            Ok(target) => {
                let Target { speech, host, port, path, query, userinfo } = target;
                let query = query.map_or(String::new(), |query| format!("?{query}"));
                let user = if userinfo { " with user" } else { "" };
                format!("{} {host} {port} {path}{query}{user}", speech.scheme())
            }
            Err(Fault::Denied(denial)) => format!("denied: {}", denial.text),
            Err(Fault::Unclear(what, _)) => what,
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
            let Err(Fault::Unclear(what, hint)) = Target::parse(url) else { panic!("{url}: {}", parsed(url)) };
            assert!(!what.contains("secret") && !what.is_empty() && hint.starts_with("write "), "{url}: {what}");
        }
    }
}
