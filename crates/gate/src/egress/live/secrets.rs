//! The secrets of one gate: what its document held, the tokens that came later, and when each of them ends.
//!
//! A value that was replaced still counts as a secret for some minutes. No type here has a derived `Debug`.

use crate::egress::live::canary;
use crate::egress::live::go_message::PreparedGo;
use crate::egress::live::lease::{Lease, Renewal};
use crate::egress::live::pem::secret_text;
use crate::egress::live::proxy::UpstreamProxy;
use hyper::body::Bytes;
use policy::Policy;
use scan::dlp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use wire::{Blob, Document, GitService, Source, Token, Values, read_certificates};

/// How long a replaced value still counts as a secret: requests that carry it may be under way.
const REPLACED_LIFETIME: Duration = Duration::from_secs(600);
/// Replaced values that are kept; the oldest goes first.
const MAX_REPLACED: usize = 64;

/// Where a secret is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exposure {
    /// The gate alone.
    GateOnly,
    /// The agent was given it.
    Seen,
}

/// A value that must leave the bottle only where the gate itself sends it.
#[derive(Clone)]
pub struct Secret {
    pub name: String,
    pub exposure: Exposure,
    pub bytes: Vec<u8>,
}

/// All values of one gate. A change is made to a clone, which replaces the store once a snapshot could be made of it.
#[derive(Clone)]
pub struct SecretStore {
    pub identity: String,
    pub bottle: String,
    /// The answer to `GO`.
    pub go: Bytes,
    pub roots: Arc<RootCertStore>,
    pub proxy: Option<Arc<UpstreamProxy>>,
    /// All values but those in `seen`.
    values: Values,
    /// Values that the agent was given in the go message.
    seen: Values,
    /// Names of the tokens of every policy so far, and of the secrets of the git service.
    tokens: BTreeSet<String>,
    /// The tokens that a command prints.
    leases: BTreeMap<String, Lease>,
    replaced: Vec<Replaced>,
    /// Names of the values in the agent's environment. Requests are scanned for these; the other values that the agent was
    /// given are texts, prompts and settings.
    env_values: BTreeSet<String>,
    canary: String,
}

/// A token's former value.
#[derive(Clone)]
struct Replaced {
    secret: Secret,
    at: SystemTime,
}

impl SecretStore {
    /// Takes the document apart. The policy comes back, for the first snapshot.
    pub fn new(document: Document) -> Result<(SecretStore, Policy), String> {
        let Document {
            identity,
            bottle,
            policy,
            mut go,
            git,
            roots,
            upstream_proxy,
            no_proxy,
            printed,
            mut values,
            ..
        } = document;
        let env_values = go.env.values().filter_map(Source::value).map(str::to_owned).collect();
        let canary = canary::plant(&mut go)?;
        let mut base = RootCertStore::empty();
        add_certificates(&mut base, &roots, value(&values, &roots)?)?;
        let proxy = match &upstream_proxy {
            Some(name) => Some(Arc::new(UpstreamProxy::parse(value(&values, name)?, no_proxy, &base)?)),
            None => None,
        };
        let git: Vec<&str> = git.iter().flat_map(GitService::secrets).collect();
        let tokens: BTreeSet<String> = token_names(&policy).chain(git).map(str::to_owned).collect();
        let gate_only: BTreeSet<&str> = tokens.iter().map(String::as_str).chain(upstream_proxy.as_deref()).collect();
        let PreparedGo { message: go, values: seen } = PreparedGo::new(go, &gate_only, &mut values)?;
        let (leases, replaced, roots) = (BTreeMap::new(), Vec::new(), Arc::new(base));
        let mut store = SecretStore {
            identity,
            bottle,
            go,
            roots,
            proxy,
            values,
            seen,
            tokens,
            leases,
            replaced,
            env_values,
            canary,
        };
        store.read_printed(&printed)?;
        Ok((store, policy))
    }

    /// Adds the values that come with another policy. `printed`: names of those that a command prints.
    pub fn add(&mut self, policy: &Policy, values: Values, printed: &BTreeSet<String>) -> Result<(), String> {
        let now = SystemTime::now();
        for (name, blob) in values {
            if self.seen.contains_key(&name) {
                return Err(format!("`{name}` was given to the agent: it cannot be another"));
            }
            self.keep_replaced(&name, &blob.0, now);
            self.leases.remove(&name);
            self.values.insert(name, blob);
        }
        self.tokens.extend(token_names(policy).map(str::to_owned));
        let fresh: BTreeSet<String> = printed.iter().filter(|name| !self.leases.contains_key(*name)).cloned().collect();
        self.read_printed(&fresh)
    }

    /// Reads these values as the output of their commands, and begins their leases.
    fn read_printed(&mut self, names: &BTreeSet<String>) -> Result<(), String> {
        let now = SystemTime::now();
        for name in names {
            let token = read_token(name, value(&self.values, name)?, now)?;
            self.leases.insert(name.clone(), Lease::new(token.life, now));
            self.values.insert(name.clone(), Blob(token.value));
        }
        Ok(())
    }

    /// Replaces the token `name` by what its command printed now.
    pub fn renew(&mut self, name: &str, printed: &[u8]) -> Result<(), String> {
        let now = SystemTime::now();
        let lease = self.leases.get(name).ok_or_else(|| format!("`{name}` is no token that a command prints"))?;
        let token = read_token(name, printed, now)?;
        let renewal = match value(&self.values, name)? == token.value {
            true => Renewal::SameValue,
            false => Renewal::NewValue,
        };
        let lease = lease.renewed(token.life, now, renewal);
        self.keep_replaced(name, &token.value, now);
        self.leases.insert(name.to_owned(), lease);
        self.values.insert(name.to_owned(), Blob(token.value));
        Ok(())
    }

    /// Keeps the present value of the token `name` as a secret for a while, if `next` is another one.
    fn keep_replaced(&mut self, name: &str, next: &[u8], now: SystemTime) {
        self.replaced.retain(|old| now.duration_since(old.at).unwrap_or_default() < REPLACED_LIFETIME);
        let token = self.tokens.contains(name).then(|| self.values.get(name)).flatten();
        if let Some(Blob(bytes)) = token.filter(|blob| blob.0 != next) {
            if self.replaced.len() >= MAX_REPLACED {
                self.replaced.remove(0);
            }
            let secret = Secret { name: name.to_owned(), exposure: Exposure::GateOnly, bytes: bytes.clone() };
            self.replaced.push(Replaced { secret, at: now });
        }
    }

    /// All secrets, each value once. A value that the agent was given is never `GateOnly`, under whatever other name it
    /// stands.
    pub fn secrets(&self) -> Vec<Secret> {
        let secret =
            |name: &str, exposure, bytes: &[u8]| Secret { name: name.to_owned(), exposure, bytes: bytes.to_vec() };
        let seen = self.seen.iter().map(|(name, blob)| secret(name, Exposure::Seen, &blob.0));
        let tokens = self.tokens.iter().filter_map(|name| self.values.get_key_value(name));
        let tokens = tokens.map(|(name, blob)| secret(name, Exposure::GateOnly, &blob.0));
        let proxy = self.proxy.iter().map(|proxy| secret("proxy", Exposure::GateOnly, &proxy.password));
        let replaced = self.replaced.iter().map(|old| old.secret.clone());
        let mut known = BTreeSet::new();
        let all = seen.chain(tokens).chain(proxy).chain(replaced);
        all.filter(|secret| !secret.bytes.is_empty() && known.insert(secret.bytes.clone())).collect()
    }

    /// What requests are scanned for: the secrets, the proxy's credentials as a header carries them, and the canary.
    pub fn known(&self) -> Vec<dlp::Known> {
        let is_scanned_for =
            |secret: &Secret| secret.exposure == Exposure::GateOnly || self.env_values.contains(&secret.name);
        let mut known: Vec<_> = self
            .secrets()
            .into_iter()
            .filter(is_scanned_for)
            .map(|Secret { name, exposure, bytes }| {
                let class = match exposure {
                    Exposure::GateOnly => dlp::SecretClass::GateOnly,
                    Exposure::Seen => dlp::SecretClass::AgentVisible,
                };
                dlp::Known { name, class, bytes: secret_text(bytes) }
            })
            .collect();
        if let Some(pair) = self.proxy.as_ref().and_then(|proxy| proxy.header()) {
            let bytes = pair.as_bytes().trim_ascii_start().strip_prefix(b"Basic ").unwrap_or_default().to_vec();
            known.push(dlp::Known { name: "proxy".to_owned(), class: dlp::SecretClass::GateOnly, bytes });
        }
        let bytes = self.canary.clone().into_bytes();
        known.push(dlp::Known { name: "canary".to_owned(), class: dlp::SecretClass::Canary, bytes });
        known
    }

    /// A value that the agent was not given. The error names it.
    pub fn value(&self, name: &str) -> Result<&[u8], String> {
        value(&self.values, name)
    }

    pub fn leases(&mut self) -> &mut BTreeMap<String, Lease> {
        &mut self.leases
    }

    pub fn lease(&self, name: &str) -> Option<&Lease> {
        self.leases.get(name)
    }

    /// The roots with the certificates in the value `name`, and these.
    pub fn roots_with(&self, name: &str) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), String> {
        let mut store = RootCertStore::clone(&self.roots);
        let bad = |why: &dyn std::fmt::Display| format!("the file of `upstream_ca` {why}");
        let own = read_certificates(self.value(name)?).map_err(|fault| bad(&fault))?;
        let own: Vec<_> = own.into_iter().map(CertificateDer::from).collect();
        for certificate in &own {
            store.add(certificate.clone()).map_err(|_| bad(&"has a certificate that cannot be read"))?;
        }
        Ok((store, own))
    }
}

fn token_names(policy: &Policy) -> impl Iterator<Item = &str> {
    policy.routes.iter().filter_map(|route| route.auth.as_ref()).map(|auth| auth.token.as_str())
}

fn read_token(name: &str, printed: &[u8], now: SystemTime) -> Result<Token, String> {
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    match Token::read(printed, since_1970) {
        Ok(token) if token.has_ended() => Err(format!("the token `{name}` has ended already")),
        Ok(token) => Ok(token),
        Err(why) => Err(format!("the command of the token `{name}`: {why}")),
    }
}

fn value<'a>(values: &'a Values, name: &str) -> Result<&'a [u8], String> {
    values.get(name).map(|blob| blob.0.as_slice()).ok_or_else(|| format!("the document has no value `{name}`"))
}

fn add_certificates(store: &mut RootCertStore, name: &str, pem: &[u8]) -> Result<(), String> {
    let (added, _) = store.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
    if added == 0 { Err(format!("`{name}` holds no certificate")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wire::encode_base64;

    fn store() -> SecretStore {
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
            .map(|(store, _)| store)
            .unwrap_or_else(|why| panic!("{why}"))
    }

    fn known(store: &SecretStore) -> Vec<(Exposure, String)> {
        let secrets = store.secrets().into_iter();
        secrets.map(|secret| (secret.exposure, String::from_utf8(secret.bytes).unwrap())).collect()
    }

    #[test]
    fn what_a_token_was_is_known_for_a_while() {
        let mut store = store();
        let is = |exposure, text: &str| (exposure, text.to_owned());
        let first = [is(Exposure::Seen, "1234"), is(Exposure::GateOnly, "first"), is(Exposure::GateOnly, "pass")];
        assert_eq!(known(&store), first);
        store.renew("tok", b"second").unwrap();
        store.renew("tok", b"second").unwrap();
        assert_eq!(
            known(&store)[1..].to_vec(),
            [is(Exposure::GateOnly, "second"), is(Exposure::GateOnly, "pass"), is(Exposure::GateOnly, "first")]
        );
        for old in &mut store.replaced {
            old.at -= REPLACED_LIFETIME;
        }
        store.renew("tok", b"third").unwrap();
        assert_eq!(known(&store).last(), Some(&is(Exposure::GateOnly, "second")));
        assert_eq!(known(&store).len(), 4);
        // The agent was given this very value, so it is no secret of the gate's.
        store.renew("tok", b"1234").unwrap();
        assert_eq!(known(&store).iter().filter(|(_, text)| text == "1234").count(), 1);
        assert_eq!(known(&store)[0], is(Exposure::Seen, "1234"));
    }

    #[test]
    fn what_is_wrong_changes_nothing_and_is_not_quoted() {
        let mut store = store();
        for bad in ["", r#"{"token":"sesame","expires_in":0}"#, r#"{"sesame":1}"#] {
            let why = store.renew("tok", bad.as_bytes()).unwrap_err();
            assert!(why.contains("`tok`") && !why.contains("sesame"), "{why}");
        }
        store.renew("roots", b"x").unwrap_err();
        assert_eq!(store.value("tok"), Ok(&b"first"[..]));
        let values = Values::from([("pin".to_owned(), Blob(b"5".to_vec()))]);
        assert!(store.add(&Policy::default(), values, &BTreeSet::new()).is_err());
    }
}
