//! What the snapshots of one gate are made of, beside their policy: all that was in the document, and what came later.
//!
//! What was a secret once is known as one for some minutes longer. No type here has a derived `Debug`.

use crate::egress::live::canary;
use crate::egress::live::lease::{Lease, Same};
use crate::egress::live::snapshot::go_message;
use crate::egress::upstream::proxy::{Proxy, proxy};
use hyper::body::Bytes;
use policy::Policy;
use scan::dlp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use wire::{Blob, Document, Source, Token, Values};

/// How long a value that was replaced is still known: requests with it may be under way.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Of one gate; the oldest goes first.
const MOST: usize = 64;

/// Whose a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Nothing but the gate ever had it.
    GateOnly,
    /// The agent was given it.
    Seen,
}

/// A value that must not leave in any other way than the gate's own.
#[derive(Clone)]
pub struct Secret {
    pub name: String,
    pub class: Class,
    pub bytes: Vec<u8>,
}

#[derive(Clone)]
pub struct SecretStore {
    pub identity: String,
    pub bottle: String,
    /// The answer to `GO`.
    pub go: Bytes,
    pub roots: Arc<RootCertStore>,
    pub proxy: Option<Proxy>,
    /// Without what is in the go alone.
    values: Values,
    seen: Values,
    /// Names that any policy had a token by.
    tokens: BTreeSet<String>,
    /// Values that a command prints.
    leases: BTreeMap<String, Lease>,
    past: Vec<(Secret, SystemTime)>,
    /// Values in the agent's environment: the other ones that it was given are texts, prompts and settings.
    confided: BTreeSet<String>,
    canary: String,
}

impl SecretStore {
    /// The policy comes back, to be made a snapshot of.
    pub fn new(document: Document) -> Result<(SecretStore, Policy), String> {
        let Document { identity, bottle, policy, go, roots, upstream_proxy, printed, mut values, .. } = document;
        let mut go = go;
        let confided = go.env.values().filter_map(Source::value).map(str::to_owned).collect();
        let canary = canary::plant(&mut go)?;
        let mut base = RootCertStore::empty();
        add(&mut base, &roots, value(&values, &roots)?)?;
        let proxy = upstream_proxy.as_deref().map(|name| proxy(value(&values, name)?)).transpose()?;
        let tokens: BTreeSet<String> = tokens(&policy).map(str::to_owned).collect();
        let secrets: BTreeSet<&str> = tokens.iter().map(String::as_str).chain(upstream_proxy.as_deref()).collect();
        let (go, seen) = go_message(go, &secrets, &mut values)?;
        let (leases, past, roots) = (BTreeMap::new(), Vec::new(), Arc::new(base));
        let mut stock =
            SecretStore { identity, bottle, go, roots, proxy, values, seen, tokens, leases, past, confided, canary };
        stock.print(&printed)?;
        Ok((stock, policy))
    }

    /// Values for another policy, beside those that are there.
    pub fn add(&mut self, policy: &Policy, values: Values, printed: &BTreeSet<String>) -> Result<(), String> {
        let now = SystemTime::now();
        for (name, blob) in values {
            if self.seen.contains_key(&name) {
                return Err(format!("`{name}` was given to the agent: it cannot be another"));
            }
            self.forget(&name, &blob.0, now);
            self.leases.remove(&name);
            self.values.insert(name, blob);
        }
        self.tokens.extend(tokens(policy).map(str::to_owned));
        let fresh: BTreeSet<String> = printed.iter().filter(|name| !self.leases.contains_key(*name)).cloned().collect();
        self.print(&fresh)
    }

    /// These are what a command printed.
    fn print(&mut self, names: &BTreeSet<String>) -> Result<(), String> {
        let now = SystemTime::now();
        for name in names {
            let token = read(name, value(&self.values, name)?, now)?;
            self.leases.insert(name.clone(), Lease::new(token.life, now));
            self.values.insert(name.clone(), Blob(token.value));
        }
        Ok(())
    }

    /// What the command of `name` printed now takes the place of what it printed before.
    pub fn renew(&mut self, name: &str, printed: &[u8]) -> Result<(), String> {
        let now = SystemTime::now();
        let lease = self.leases.get(name).ok_or_else(|| format!("`{name}` is no token that a command prints"))?;
        let token = read(name, printed, now)?;
        let same = match value(&self.values, name)? == token.value {
            true => Same::Yes,
            false => Same::No,
        };
        let lease = lease.next(token.life, now, same);
        self.forget(name, &token.value, now);
        self.leases.insert(name.to_owned(), lease);
        self.values.insert(name.to_owned(), Blob(token.value));
        Ok(())
    }

    /// The value of `name` is about to be another.
    fn forget(&mut self, name: &str, next: &[u8], now: SystemTime) {
        self.past.retain(|(_, since)| now.duration_since(*since).unwrap_or_default() < REMEMBERED);
        let token = self.tokens.contains(name).then(|| self.values.get(name)).flatten();
        if let Some(Blob(bytes)) = token.filter(|blob| blob.0 != next) {
            if self.past.len() >= MOST {
                self.past.remove(0);
            }
            self.past.push((Secret { name: name.to_owned(), class: Class::GateOnly, bytes: bytes.clone() }, now));
        }
    }

    /// All that is secret, once each; what the agent was given is no secret of the gate's, by whatever name.
    pub fn secrets(&self) -> Vec<Secret> {
        let secret = |name: &str, class, bytes: &[u8]| Secret { name: name.to_owned(), class, bytes: bytes.to_vec() };
        let seen = self.seen.iter().map(|(name, blob)| secret(name, Class::Seen, &blob.0));
        let tokens = self.tokens.iter().filter_map(|name| self.values.get_key_value(name));
        let tokens = tokens.map(|(name, blob)| secret(name, Class::GateOnly, &blob.0));
        let proxy = self.proxy.iter().map(|proxy| secret("proxy", Class::GateOnly, &proxy.password));
        let past = self.past.iter().map(|(secret, _)| secret.clone());
        let mut known = BTreeSet::new();
        let all = seen.chain(tokens).chain(proxy).chain(past);
        all.filter(|secret| !secret.bytes.is_empty() && known.insert(secret.bytes.clone())).collect()
    }

    /// What is looked for in requests.
    pub fn known(&self) -> Vec<dlp::Known> {
        let all =
            self.secrets().into_iter().filter(|one| one.class == Class::GateOnly || self.confided.contains(&one.name));
        let mut known: Vec<_> = all
            .map(|Secret { name, class, bytes }| {
                let class = if class == Class::Seen { dlp::Class::Seen } else { dlp::Class::GateOnly };
                dlp::Known { name, class, bytes }
            })
            .collect();
        if let Some(pair) = self.proxy.as_ref().and_then(|proxy| proxy.credentials.as_ref()) {
            let bytes = pair.as_bytes().trim_ascii_start().strip_prefix(b"Basic ").unwrap_or_default().to_vec();
            known.push(dlp::Known { name: "proxy".to_owned(), class: dlp::Class::GateOnly, bytes });
        }
        let bytes = self.canary.clone().into_bytes();
        known.push(dlp::Known { name: "canary".to_owned(), class: dlp::Class::Canary, bytes });
        known
    }

    pub fn value(&self, name: &str) -> Result<&[u8], String> {
        value(&self.values, name)
    }

    pub fn leases(&mut self) -> &mut BTreeMap<String, Lease> {
        &mut self.leases
    }

    pub fn lease(&self, name: &str) -> Option<&Lease> {
        self.leases.get(name)
    }

    /// The roots, and the certificates of this value.
    pub fn roots_and(&self, name: &str) -> Result<RootCertStore, String> {
        let mut store = RootCertStore::clone(&self.roots);
        add(&mut store, name, self.value(name)?)?;
        Ok(store)
    }
}

fn tokens(policy: &Policy) -> impl Iterator<Item = &str> {
    policy.routes.iter().filter_map(|route| route.auth.as_ref()).map(|auth| auth.token.as_str())
}

fn read(name: &str, printed: &[u8], now: SystemTime) -> Result<Token, String> {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    match Token::read(printed, since) {
        Ok(token) if token.has_ended() => Err(format!("the token `{name}` has ended already")),
        Ok(token) => Ok(token),
        Err(why) => Err(format!("the command of the token `{name}`: {why}")),
    }
}

fn value<'a>(values: &'a Values, name: &str) -> Result<&'a [u8], String> {
    values.get(name).map(|blob| blob.0.as_slice()).ok_or_else(|| format!("the document has no value `{name}`"))
}

fn add(store: &mut RootCertStore, name: &str, pem: &[u8]) -> Result<(), String> {
    let (added, _) = store.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
    if added == 0 { Err(format!("`{name}` holds no certificate")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wire::encode_base64;

    fn stock() -> SecretStore {
        let key = rcgen::KeyPair::generate().unwrap();
        let roots = rcgen::CertificateParams::default().self_signed(&key).unwrap().pem();
        let blob = |text: &str| encode_base64(text.as_bytes());
        let route = json!({
            "host": "a.org", "port": 443, "methods": [], "paths": [], "origin": "x:1",
            "auth": { "scheme": "bearer", "token": "tok" },
        });
        let document = json!({
            "version": 1, "identity": "i", "bottle": "b", "policy": { "routes": [route] }, "roots": "roots",
            "go": { "env": { "PIN": { "value": "pin" } }, "files": [], "command": ["true"], "cwd": "/" },
            "upstream_proxy": "proxy", "printed": ["tok"],
            "values": {
                "roots": blob(&roots), "tok": blob(r#"{"token":"first","expires_in":100}"#), "pin": blob("1234"),
                "proxy": blob("http://u:pass@p.org:1"),
            },
        });
        SecretStore::new(serde_json::from_value(document).unwrap())
            .map(|(stock, _)| stock)
            .unwrap_or_else(|why| panic!("{why}"))
    }

    fn known(stock: &SecretStore) -> Vec<(Class, String)> {
        let secrets = stock.secrets().into_iter();
        secrets.map(|secret| (secret.class, String::from_utf8(secret.bytes).unwrap())).collect()
    }

    #[test]
    fn what_a_token_was_is_known_for_a_while() {
        let mut stock = stock();
        let is = |class, text: &str| (class, text.to_owned());
        let first = [is(Class::Seen, "1234"), is(Class::GateOnly, "first"), is(Class::GateOnly, "pass")];
        assert_eq!(known(&stock), first);
        stock.renew("tok", b"second").unwrap();
        stock.renew("tok", b"second").unwrap();
        assert_eq!(
            known(&stock)[1..].to_vec(),
            [is(Class::GateOnly, "second"), is(Class::GateOnly, "pass"), is(Class::GateOnly, "first")]
        );
        for past in &mut stock.past {
            past.1 -= REMEMBERED;
        }
        stock.renew("tok", b"third").unwrap();
        assert_eq!(known(&stock).last(), Some(&is(Class::GateOnly, "second")));
        assert_eq!(known(&stock).len(), 4);
        // The agent was given the same: it cannot be kept from it.
        stock.renew("tok", b"1234").unwrap();
        assert_eq!(known(&stock).iter().filter(|(_, text)| text == "1234").count(), 1);
        assert_eq!(known(&stock)[0], is(Class::Seen, "1234"));
    }

    #[test]
    fn what_is_wrong_changes_nothing_and_is_not_quoted() {
        let mut stock = stock();
        for bad in ["", r#"{"token":"sesame","expires_in":0}"#, r#"{"sesame":1}"#] {
            let why = stock.renew("tok", bad.as_bytes()).unwrap_err();
            assert!(why.contains("`tok`") && !why.contains("sesame"), "{why}");
        }
        stock.renew("roots", b"x").unwrap_err();
        assert_eq!(stock.value("tok"), Ok(&b"first"[..]));
        let values = Values::from([("pin".to_owned(), Blob(b"5".to_vec()))]);
        assert!(stock.add(&Policy::default(), values, &BTreeSet::new()).is_err());
    }
}
