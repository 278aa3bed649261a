//! The address of the proxy that upstream traffic takes, as host and gate read it. No error quotes it, and no `Debug` shows
//! it: it may hold a password.

/// `http://[user[:password]@]host:port[/]`, taken apart.
pub struct ProxyUrl {
    pub host: String,
    pub port: u16,
    pub credentials: Option<ProxyCredentials>,
}

/// User and password, decoded.
pub struct ProxyCredentials {
    pub user: Vec<u8>,
    pub password: Vec<u8>,
}

impl ProxyUrl {
    /// # Errors
    /// What is wrong with it, without a word of it but a scheme that is known.
    pub fn parse(text: &[u8]) -> Result<ProxyUrl, String> {
        let text = std::str::from_utf8(text).map_err(|_| "is not UTF-8")?.trim();
        let (scheme, rest) =
            text.split_once("://").ok_or("has no scheme: `http://[user:password@]host:port` is wanted")?;
        if !scheme.eq_ignore_ascii_case("http") {
            const KNOWN: [&str; 6] = ["https", "socks", "socks4", "socks4a", "socks5", "socks5h"];
            let known =
                KNOWN.into_iter().find(|known| scheme.eq_ignore_ascii_case(known)).map(|known| format!(" `{known}`"));
            return Err(format!(
                "has the scheme{}, and only `http` is supported",
                known.unwrap_or(" of something else".to_owned())
            ));
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (userinfo, authority) = match rest.rsplit_once('@') {
            Some((userinfo, authority)) => (Some(userinfo), authority),
            None => (None, rest),
        };
        let credentials = userinfo.map(ProxyCredentials::parse).transpose()?;
        if authority.contains(['/', '?', '#']) {
            return Err("has something behind the port".to_owned());
        }
        let (host, port) =
            authority.rsplit_once(':').ok_or("has no port: `http://[user:password@]host:port` is wanted")?;
        let host = match host.strip_prefix('[').map(|host| host.strip_suffix(']')) {
            Some(host) => host.filter(|host| host.parse::<std::net::Ipv6Addr>().is_ok()),
            None => Some(host).filter(|host| !host.contains([':', ']'])),
        };
        let host = host
            .filter(|host| !host.is_empty() && !host.contains(char::is_whitespace))
            .ok_or("has no host, or none that is one")?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or("has a port that is no number from 1 to 65535")?;
        Ok(ProxyUrl { host: host.to_owned(), port, credentials })
    }
}

impl ProxyCredentials {
    fn parse(userinfo: &str) -> Result<ProxyCredentials, String> {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let decode =
            |text| unescape(text).ok_or("has a `%` in user or password that begins no percent-encoding (`%25`)");
        let (user, password) = (decode(user)?, decode(password)?);
        if user.contains(&b':') || [&user, &password].iter().any(|text| text.iter().any(u8::is_ascii_control)) {
            return Err("has a user with a colon, or a control character".to_owned());
        }
        Ok(ProxyCredentials { user, password })
    }
}

/// Decodes percent-encoding; `None` if it is not valid.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(bytes.next()?)? << 4 | digit(bytes.next()?)?).ok()?
            }
            byte => byte,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_and_never_quoted() {
        let read =
            ProxyUrl::parse(b"http://us%40er:p%3Aw@proxy.example.org:3128/\n").unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((read.host.as_str(), read.port), ("proxy.example.org", 3128));
        let ProxyCredentials { user, password } = read.credentials.unwrap();
        assert_eq!((&user[..], &password[..]), (&b"us@er"[..], &b"p:w"[..]));
        assert_eq!(ProxyUrl::parse(b"HTTP://[::1]:80").map(|read| read.host), Ok("::1".to_owned()));
        for (bad, why) in [
            ("https://secret@p:1", "`https`, and only `http`"),
            ("socks5h://p:1", "`socks5h`, and only `http`"),
            ("SOCKS5://p:1", "`socks5`, and only `http`"),
            ("secret://p:1", "of something else"),
            ("p:1", "no scheme"),
            ("secret@p:1", "no scheme"),
            ("", "no scheme"),
            ("http://p", "no port"),
            ("http://secret@p", "no port"),
            ("http://:1", "no host"),
            ("http://::1:80", "no host"),
            ("http://[p]:80", "no host"),
            ("http://p p:80", "no host"),
            ("http://p:0", "no number"),
            ("http://p:secret", "no number"),
            ("http://p:65536", "no number"),
            ("http://p:1/secret", "behind the port"),
            ("http://p:1?secret", "behind the port"),
            ("http://a%zz@p:1", "percent-encoding"),
            ("http://a%3Ab:secret@p:1", "colon"),
            ("http://a%0d:secret@p:1", "control"),
        ] {
            let said = ProxyUrl::parse(bad.as_bytes()).err().unwrap_or_else(|| panic!("{bad}"));
            assert!(said.contains(why) && !said.contains("secret"), "{bad}: {said}");
        }
        assert!(ProxyUrl::parse(b"http://\xff:1").is_err());
    }
}
