//! The proxy that upstream traffic takes, read from its value. No error quotes the value, and no `Debug` shows it.

use crate::egress::live::upstream_tls::client_config;
use hyper::header::HeaderValue;
use policy::NoProxy;
use std::sync::Arc;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use wire::{ProxyCredentials, ProxyScheme, ProxyUrl, encode_base64};

#[derive(Clone)]
pub struct UpstreamProxy {
    pub host: String,
    pub port: u16,
    pub protocol: ProxyProtocol,
    /// The part of the credentials that is secret.
    pub password: Vec<u8>,
    /// Upstreams that are reached past it.
    pub no_proxy: NoProxy,
}

#[derive(Clone)]
pub enum ProxyProtocol {
    Http {
        /// Inside TLS, with these roots.
        tls: Option<Arc<ClientConfig>>,
        /// Value of the header `proxy-authorization`.
        credentials: Option<HeaderValue>,
    },
    /// SOCKS 5; the proxy resolves names.
    Socks {
        /// User and password.
        credentials: Option<(String, String)>,
    },
}

impl UpstreamProxy {
    /// Reads what [`ProxyUrl`] reads. `roots`: whom a proxy that is spoken to in TLS must be known to. The error does not
    /// quote the text.
    pub fn parse(text: &[u8], no_proxy: NoProxy, roots: &RootCertStore) -> Result<UpstreamProxy, String> {
        let ProxyUrl { scheme, host, port, credentials } =
            ProxyUrl::parse(text).map_err(|why| format!("the upstream proxy {why}"))?;
        let password = credentials.as_ref().map_or_else(Vec::new, |credentials| credentials.password.clone());
        let protocol = match scheme {
            ProxyScheme::Socks5h => {
                ProxyProtocol::Socks { credentials: credentials.as_ref().map(as_text).transpose()? }
            }
            ProxyScheme::Http | ProxyScheme::Https => ProxyProtocol::Http {
                tls: match scheme {
                    ProxyScheme::Https => Some(client_config(roots.clone(), Vec::new())?),
                    _ => None,
                },
                credentials: credentials.as_ref().map(as_header).transpose()?,
            },
        };
        Ok(UpstreamProxy { host, port, protocol, password, no_proxy })
    }

    /// Its credentials as the value of a header.
    pub fn header(&self) -> Option<&HeaderValue> {
        match &self.protocol {
            ProxyProtocol::Http { credentials, .. } => credentials.as_ref(),
            ProxyProtocol::Socks { .. } => None,
        }
    }
}

fn as_header(credentials: &ProxyCredentials) -> Result<HeaderValue, String> {
    let pair = [&credentials.user, &b":"[..], &credentials.password].concat();
    let mut value = HeaderValue::try_from(format!("Basic {}", encode_base64(&pair)))
        .map_err(|_| "the upstream proxy's credentials are no header")?;
    value.set_sensitive(true);
    Ok(value)
}

fn as_text(credentials: &ProxyCredentials) -> Result<(String, String), String> {
    let text = |bytes: &Vec<u8>| {
        String::from_utf8(bytes.clone()).map_err(|_| "the upstream proxy's credentials are not UTF-8".to_owned())
    };
    Ok((text(&credentials.user)?, text(&credentials.password)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credentials_are_a_header_that_is_not_shown() {
        let (address, roots) = (b"http://us%40er:p%3Aw@proxy.example.org:3128/", RootCertStore::empty());
        let read = UpstreamProxy::parse(address, NoProxy::default(), &roots).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((read.host.as_str(), read.port), ("proxy.example.org", 3128));
        assert_eq!(read.password, b"p:w");
        let ProxyProtocol::Http { credentials: Some(credentials), tls: None } = read.protocol else { panic!() };
        assert_eq!(credentials.to_str().unwrap(), format!("Basic {}", encode_base64(b"us@er:p:w")));
        assert!(!format!("{credentials:?}").contains("Basic"));
    }
}
