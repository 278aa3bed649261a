//! The proxy that all upstream traffic takes, read from its value. No error quotes the value, and no `Debug` shows it.

use hyper::header::HeaderValue;
use wire::{ProxyCredentials, ProxyUrl, encode_base64};

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
    /// Reads what [`ProxyUrl`] reads. The error does not quote it.
    pub fn parse(text: &[u8]) -> Result<UpstreamProxy, String> {
        let ProxyUrl { host, port, credentials } =
            ProxyUrl::parse(text).map_err(|why| format!("the upstream proxy {why}"))?;
        let (credentials, password) = match credentials {
            Some(ProxyCredentials { user, password }) => {
                let pair = [&user, &b":"[..], &password].concat();
                let mut value = HeaderValue::try_from(format!("Basic {}", encode_base64(&pair)))
                    .map_err(|_| "the upstream proxy's credentials are no header")?;
                value.set_sensitive(true);
                (Some(value), password)
            }
            None => (None, Vec::new()),
        };
        Ok(UpstreamProxy { host, port, credentials, password })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credentials_are_a_header_that_is_not_shown() {
        let read =
            UpstreamProxy::parse(b"http://us%40er:p%3Aw@proxy.example.org:3128/").unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((read.host.as_str(), read.port), ("proxy.example.org", 3128));
        assert_eq!(read.password, b"p:w");
        let credentials = read.credentials.unwrap();
        assert_eq!(credentials.to_str().unwrap(), format!("Basic {}", encode_base64(b"us@er:p:w")));
        assert!(!format!("{credentials:?}").contains("Basic"));
    }
}
