//! The proxy that all upstream traffic takes, read from its value. No error quotes the value, and no `Debug` shows it.

use hyper::header::HeaderValue;
use wire::encode_base64;

#[derive(Clone)]
pub struct UpstreamProxy {
    pub host: String,
    pub port: u16,
    /// Value of the header `proxy-authorization`.
    pub credentials: Option<HeaderValue>,
    /// The part of the credentials that is secret.
    pub password: Vec<u8>,
}

impl UpstreamProxy {
    /// Reads `http://[user[:password]@]host:port[/]`. The error does not quote it.
    pub fn parse(text: &[u8]) -> Result<UpstreamProxy, String> {
        let parse = || {
            let text = std::str::from_utf8(text).ok()?.trim().strip_prefix("http://")?;
            let text = text.strip_suffix('/').unwrap_or(text);
            let (userinfo, authority) = match text.rsplit_once('@') {
                Some((userinfo, authority)) => (Some(userinfo), authority),
                None => (None, text),
            };
            let (host, port) = authority.rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let (credentials, password) = match userinfo {
                Some(userinfo) => {
                    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
                    let password = unescape(password)?;
                    let pair = [&unescape(user)?, &b":"[..], &password].concat();
                    let mut value = HeaderValue::try_from(format!("Basic {}", encode_base64(&pair))).ok()?;
                    value.set_sensitive(true);
                    (Some(value), password)
                }
                None => (None, Vec::new()),
            };
            let port = port.parse().ok().filter(|port| *port != 0)?;
            (!host.is_empty() && !host.contains(['/', '?', '#'])).then(|| UpstreamProxy {
                host: host.to_owned(),
                port,
                credentials,
                password,
            })
        };
        parse().ok_or_else(|| "the upstream proxy is not `http://[user:password@]host:port`".to_owned())
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
            UpstreamProxy::parse(b"http://us%40er:p%3Aw@proxy.example.org:3128/").unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((read.host.as_str(), read.port), ("proxy.example.org", 3128));
        assert_eq!(read.password, b"p:w");
        let credentials = read.credentials.unwrap();
        assert_eq!(credentials.to_str().unwrap(), format!("Basic {}", encode_base64(b"us@er:p:w")));
        assert!(!format!("{credentials:?}").contains("Basic"));
        for bad in ["https://p:1", "http://p", "http://secret@p", "http://:1", "p:1", "http://a%zz@p:1", "http://p:0"] {
            let why = UpstreamProxy::parse(bad.as_bytes()).err().unwrap_or_else(|| panic!("{bad}"));
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
