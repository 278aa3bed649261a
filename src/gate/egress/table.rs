//! The document, made ready for use: headers that carry secrets, trust stores, the upstream proxy, the go message.
//!
//! All that can be wrong with a document is found here, before anything is served. No type here has a derived `Debug`.

use claude_bottle::policy::{Auth, Policy, Protocol, Route, Scheme};
use claude_bottle::protocol::{Document, Go, GoMessage, Source, Values, encode_base64};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

pub struct Table {
    pub identity: String,
    pub bottle: String,
    pub policy: Policy,
    /// One per route of the policy.
    injections: Vec<Option<Injection>>,
    /// Their names: on a route without `auth`, too, the agent must not bring a key of its own.
    pub own_headers: Arc<[HeaderName]>,
    /// By `upstream_ca`.
    tls: BTreeMap<Option<String>, Arc<ClientConfig>>,
    pub proxy: Option<Proxy>,
    /// The answer to `GO`.
    pub go: Bytes,
}

/// A header that the gate adds; its value is marked sensitive.
pub struct Injection {
    pub name: HeaderName,
    pub value: HeaderValue,
}

pub struct Proxy {
    pub host: String,
    pub port: u16,
    /// `proxy-authorization`.
    pub credentials: Option<HeaderValue>,
}

impl Table {
    pub fn new(document: Document) -> Result<Table, String> {
        let Document { identity, bottle, policy, go, roots, upstream_proxy, mut values, .. } = document;
        let injections = policy.routes.iter().map(|route| injection(route, &values)).collect::<Result<Vec<_>, _>>()?;
        let mut base = RootCertStore::empty();
        add(&mut base, &roots, &values)?;
        if base.is_empty() {
            return Err(format!("`{roots}` holds no certificate"));
        }
        let mut tls = BTreeMap::from([(None, client(base.clone())?)]);
        for name in policy.routes.iter().filter_map(|route| route.upstream_ca.clone()) {
            let mut store = base.clone();
            add(&mut store, &name, &values)?;
            tls.insert(Some(name), client(store)?);
        }
        for (index, route) in policy.routes.iter().enumerate() {
            check(route)?;
            if let Some(other) = policy.routes[..index].iter().find(|other| clash(route, other)) {
                return Err(format!(
                    "{} and {} match the same host and port, but are dialled differently",
                    other.origin, route.origin
                ));
            }
        }
        let proxy_name = upstream_proxy;
        let proxy = proxy_name.as_deref().map(|name| proxy(value(&values, name)?)).transpose()?;
        let tokens = policy.routes.iter().filter_map(|route| route.auth.as_ref()).map(|auth| auth.token.as_str());
        let secrets: BTreeSet<&str> = tokens.chain(proxy_name.as_deref()).collect();
        let go = go_message(go, &secrets, &mut values)?;
        let own_headers = injections.iter().flatten().map(|injection| injection.name.clone()).collect();
        Ok(Table { identity, bottle, policy, injections, own_headers, tls, proxy, go })
    }

    pub fn route(&self, index: usize) -> &Route {
        &self.policy.routes[index]
    }

    pub fn injection(&self, index: usize) -> Option<&Injection> {
        self.injections[index].as_ref()
    }

    pub fn tls(&self, route: &Route) -> Option<Arc<ClientConfig>> {
        self.tls.get(&route.upstream_ca).cloned()
    }
}

fn value<'a>(values: &'a Values, name: &str) -> Result<&'a [u8], String> {
    values.get(name).map(|blob| blob.0.as_slice()).ok_or_else(|| format!("the document has no value `{name}`"))
}

fn add(store: &mut RootCertStore, name: &str, values: &Values) -> Result<(), String> {
    let pem = value(values, name)?;
    let (added, _) = store.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
    if added == 0 { Err(format!("`{name}` holds no certificate")) } else { Ok(()) }
}

fn client(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("no TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn injection(route: &Route, values: &Values) -> Result<Option<Injection>, String> {
    let Some(Auth { scheme, token }) = &route.auth else { return Ok(None) };
    let secret = value(values, token)?;
    if secret.is_empty() {
        return Err(format!("the token `{token}` is empty"));
    }
    let prefixed = |prefix: &str| [prefix.as_bytes(), secret].concat();
    let (name, bytes) = match scheme {
        Scheme::Bearer => (AUTHORIZATION, prefixed("Bearer ")),
        Scheme::Token => (AUTHORIZATION, prefixed("token ")),
        Scheme::Basic { user } => {
            let pair = encode_base64(&prefixed(&format!("{user}:")));
            (AUTHORIZATION, format!("Basic {pair}").into_bytes())
        }
        Scheme::Header { header } => {
            let name = HeaderName::try_from(header.as_str()).map_err(|_| format!("`{header}` is not a header name"))?;
            (name, secret.to_vec())
        }
    };
    let mut value =
        HeaderValue::from_bytes(&bytes).map_err(|_| format!("the token `{token}` cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(Some(Injection { name, value }))
}

/// What no route may say. The manifest refuses it with better words; the gate does not rely on that.
fn check(route: &Route) -> Result<(), String> {
    let untouched = route.protocol == Protocol::Tcp || !route.intercept;
    if untouched && (route.auth.is_some() || route.role.is_some() || route.git.is_some()) {
        return Err(format!("{}: bytes that pass untouched get no auth, role or git", route.origin));
    }
    if route.auth.is_some() && plain(route) && !route.private {
        return Err(format!("{}: a token would leave the gate unencrypted", route.origin));
    }
    Ok(())
}

/// Does the leg to the upstream go without TLS?
pub fn plain(route: &Route) -> bool {
    route.port == 80 || route.connect_to.as_ref().is_some_and(|to| to.plain)
}

/// These act before the path is known, so they must not differ where two routes can meet.
fn clash(a: &Route, b: &Route) -> bool {
    let how = |route: &Route| {
        (route.private, route.connect_to.clone(), route.upstream_ca.clone(), route.intercept, route.protocol)
    };
    !a.deny && !b.deny && a.port == b.port && a.host.overlaps(&b.host) && how(a) != how(b)
}

/// `http://[user[:password]@]host:port[/]`. The error never quotes it.
fn proxy(text: &[u8]) -> Result<Proxy, String> {
    let parse = || {
        let text = std::str::from_utf8(text).ok()?.trim().strip_prefix("http://")?;
        let text = text.strip_suffix('/').unwrap_or(text);
        let (userinfo, authority) = match text.rsplit_once('@') {
            Some((userinfo, authority)) => (Some(userinfo), authority),
            None => (None, text),
        };
        let (host, port) = authority.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let credentials = match userinfo {
            Some(userinfo) => {
                let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
                let pair = [unescape(user)?, b":".to_vec(), unescape(password)?].concat();
                let mut value = HeaderValue::try_from(format!("Basic {}", encode_base64(&pair))).ok()?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let port = port.parse().ok().filter(|port| *port != 0)?;
        (!host.is_empty() && !host.contains(['/', '?', '#'])).then(|| Proxy {
            host: host.to_owned(),
            port,
            credentials,
        })
    };
    parse().ok_or_else(|| "the upstream proxy is not `http://[user:password@]host:port`".to_owned())
}

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

/// Exactly what the go names, and nothing that is a secret of the gate's.
fn go_message(go: Go, secrets: &BTreeSet<&str>, values: &mut Values) -> Result<Bytes, String> {
    let sources = go.env.values().chain(go.files.iter().map(|file| &file.source));
    let names: BTreeSet<String> = sources
        .filter_map(|source| match source {
            Source::Value(name) => Some(name.clone()),
            Source::Text(_) => None,
        })
        .collect();
    let mut named = Values::new();
    for name in names {
        if secrets.contains(name.as_str()) {
            return Err(format!("`{name}` is the gate's alone: the agent must not get it"));
        }
        let value = values.remove(&name).ok_or_else(|| format!("the document has no value `{name}`"))?;
        named.insert(name, value);
    }
    serde_json::to_vec(&GoMessage { go, values: named })
        .map(Bytes::from)
        .map_err(|_| "the go message cannot be written".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_and_never_quoted() {
        let read = proxy(b"http://us%40er:p%3Aw@proxy.example.org:3128/").unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((read.host.as_str(), read.port), ("proxy.example.org", 3128));
        let credentials = read.credentials.unwrap();
        assert_eq!(credentials.to_str().unwrap(), format!("Basic {}", encode_base64(b"us@er:p:w")));
        assert!(!format!("{credentials:?}").contains("Basic"));
        for bad in ["https://p:1", "http://p", "http://secret@p", "http://:1", "p:1", "http://a%zz@p:1", "http://p:0"] {
            let why = proxy(bad.as_bytes()).err().unwrap_or_else(|| panic!("{bad}"));
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
