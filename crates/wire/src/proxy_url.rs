//! The address of the proxy that upstream traffic takes, as host and gate read it. No error quotes it, and no `Debug` shows
//! it: it may hold a password.

/// `SCHEME://[user[:password]@]host[:port][/]`, taken apart.
pub struct ProxyUrl {
    pub scheme: ProxyScheme,
    pub host: String,
    pub port: u16,
    pub credentials: Option<ProxyCredentials>,
}

/// How the proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyScheme {
    /// CONNECT, and absolute addresses for plain HTTP.
    Http,
    /// HTTP as for [`ProxyScheme::Http`], inside TLS.
    Https,
    /// SOCKS version 5, with names that the proxy resolves.
    Socks5h,
}

impl ProxyScheme {
    /// The port of a proxy whose address has none, as other programs take it.
    fn default_port(self) -> u16 {
        match self {
            ProxyScheme::Http => 80,
            ProxyScheme::Https => 443,
            ProxyScheme::Socks5h => 1080,
        }
    }

    /// # Errors
    /// What is wrong with it; a scheme that is not known is not quoted, because it may be a part of a password.
    fn parse(scheme: &str) -> Result<ProxyScheme, String> {
        Ok(match scheme.to_ascii_lowercase().as_str() {
            "http" => ProxyScheme::Http,
            "https" => ProxyScheme::Https,
            "socks5h" => ProxyScheme::Socks5h,
            "socks5" => {
                return Err("has the scheme `socks5`: write `socks5h`, by which the proxy resolves names".to_owned());
            }
            known @ ("socks" | "socks4" | "socks4a") => {
                return Err(format!("has the scheme `{known}`: of SOCKS, version 5 is spoken, as `socks5h`"));
            }
            _ => return Err("has a scheme that is none of `http`, `https` and `socks5h`".to_owned()),
        })
    }
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
        let scheme = ProxyScheme::parse(scheme)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (userinfo, authority) = match rest.rsplit_once('@') {
            Some((userinfo, authority)) => (Some(userinfo), authority),
            None => (None, rest),
        };
        let credentials = userinfo.map(ProxyCredentials::parse).transpose()?;
        if authority.contains(['/', '?', '#']) {
            return Err("has something behind the port".to_owned());
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let host = match host.strip_prefix('[').map(|host| host.strip_suffix(']')) {
            Some(host) => host.filter(|host| host.parse::<std::net::Ipv6Addr>().is_ok()),
            None => Some(host).filter(|host| !host.contains([':', ']'])),
        };
        let host = host
            .filter(|host| !host.is_empty() && !host.contains(char::is_whitespace))
            .ok_or("has no host, or none that is one")?;
        let port = match port {
            Some(port) => {
                port.parse().ok().filter(|port| *port != 0).ok_or("has a port that is no number from 1 to 65535")?
            }
            None => scheme.default_port(),
        };
        if scheme == ProxyScheme::Socks5h && !credentials.as_ref().is_none_or(ProxyCredentials::fit_socks) {
            return Err("has a user or a password that SOCKS cannot carry: each has 1 to 255 bytes of UTF-8".to_owned());
        }
        Ok(ProxyUrl { scheme, host: host.to_owned(), port, credentials })
    }
}

impl ProxyCredentials {
    fn parse(userinfo: &str) -> Result<ProxyCredentials, String> {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let (user, password) = (unescape(user), unescape(password));
        if user.contains(&b':') || [&user, &password].iter().any(|text| text.iter().any(u8::is_ascii_control)) {
            return Err("has a user with a colon, or a control character".to_owned());
        }
        Ok(ProxyCredentials { user, password })
    }

    /// Whether RFC 1929 has room for them.
    fn fit_socks(&self) -> bool {
        let fits = |text: &Vec<u8>| (1..=255).contains(&text.len()) && std::str::from_utf8(text).is_ok();
        fits(&self.user) && fits(&self.password)
    }
}

/// Decodes percent-encoding. A `%` that begins none stands for itself, as other programs read such addresses.
fn unescape(text: &str) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        rest = tail;
        match tail {
            [high, low, tail @ ..] if *byte == b'%' => match digit(high).zip(digit(low)) {
                Some((high, low)) => {
                    plain.extend(u8::try_from(high << 4 | low));
                    rest = tail;
                }
                None => plain.push(*byte),
            },
            _ => plain.push(*byte),
        }
    }
    plain
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
        for (text, scheme, port) in [
            ("http://p", ProxyScheme::Http, 80),
            ("https://p/", ProxyScheme::Https, 443),
            ("https://[::1]", ProxyScheme::Https, 443),
            ("Socks5h://u:p@p", ProxyScheme::Socks5h, 1080),
            ("socks5h://p:1", ProxyScheme::Socks5h, 1),
        ] {
            let read = ProxyUrl::parse(text.as_bytes()).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((read.scheme, read.port), (scheme, port), "{text}");
        }
        // What people write into passwords, as curl reads it.
        for (text, user, password) in [
            ("http://u:p@ss:w%40rd@p", "u", "p@ss:w@rd"),
            ("http://u:100%@p", "u", "100%"),
            ("http://u:%zz%2@p", "u", "%zz%2"),
            ("http://u:%25%3a@p", "u", "%:"),
            ("http://u%@p", "u%", ""),
        ] {
            let read =
                ProxyUrl::parse(text.as_bytes()).unwrap_or_else(|why| panic!("{text}: {why}")).credentials.unwrap();
            assert_eq!((&read.user[..], &read.password[..]), (user.as_bytes(), password.as_bytes()), "{text}");
        }
        let long = format!("socks5h://u:{}@p", "secret".repeat(43));
        for (bad, why) in [
            ("SOCKS5://p:1", "write `socks5h`"),
            ("socks4a://p:1", "`socks4a`: of SOCKS"),
            ("socks5h://u@p:1", "SOCKS cannot carry"),
            ("socks5h://u:%ff@p:1", "SOCKS cannot carry"),
            (&long, "SOCKS cannot carry"),
            ("secret://p:1", "none of `http`"),
            ("p:1", "no scheme"),
            ("secret@p:1", "no scheme"),
            ("", "no scheme"),
            ("http://", "no host"),
            ("http://secret@", "no host"),
            ("http://:1", "no host"),
            ("http://::1:80", "no host"),
            ("http://[p]:80", "no host"),
            ("http://p p:80", "no host"),
            ("http://p:0", "no number"),
            ("http://p:secret", "no number"),
            ("http://p:65536", "no number"),
            ("http://p:1/secret", "behind the port"),
            ("http://p:1?secret", "behind the port"),
            ("http://a%3Ab:secret@p:1", "colon"),
            ("http://a%0d:secret@p:1", "control"),
        ] {
            let said = ProxyUrl::parse(bad.as_bytes()).err().unwrap_or_else(|| panic!("{bad}"));
            assert!(said.contains(why) && !said.contains("secret"), "{bad}: {said}");
        }
        assert!(ProxyUrl::parse(b"http://\xff:1").is_err());
    }
}
