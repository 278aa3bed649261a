//! The document, made ready for use: headers that carry secrets, trust stores, the upstream proxy, the go message.
//!
//! All that can be wrong with a policy is found here, before anything is served by it. A snapshot never changes: another one
//! takes its place. No type here has a derived `Debug`.

pub use crate::egress::live::secrets::Secret;
pub use crate::egress::upstream::proxy::Proxy;

use crate::audit::record::Counts;
use crate::egress::AllowedRequest;
use crate::egress::live::lease::Lease;
use crate::egress::live::secrets::SecretStore;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use policy::{Auth, Policy, Protocol, Route, Scheme};
use scan::answers::Needles;
use scan::dlp::{Class, Knowledge, Known, Rules, Vault};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use wire::{Go, GoMessage, Source, Values, encode_base64};

pub struct PolicySnapshot {
    pub identity: String,
    pub bottle: String,
    pub policy: Policy,
    /// Of the policy: snapshots that differ in tokens alone have the same. Routes have the same indices then.
    pub generation: u64,
    /// One per route of the policy.
    injections: Vec<Option<Injection>>,
    /// Their names: on a route without `auth`, too, the agent must not bring a key of its own.
    pub own_headers: Arc<[HeaderName]>,
    /// By `upstream_ca`.
    tls: BTreeMap<Option<String>, Arc<ClientConfig>>,
    pub proxy: Option<Proxy>,
    /// The answer to `GO`.
    pub go: Bytes,
    secrets: Vec<Secret>,
    /// What is looked for in requests.
    pub knowledge: Knowledge,
    /// One per route of the policy.
    counts: Vec<Arc<Counts>>,
}

/// A header that the gate adds; its value is marked sensitive.
pub struct Injection {
    pub name: HeaderName,
    pub value: HeaderValue,
    /// The token's name.
    pub token: String,
    /// When the token ends.
    pub ends: Option<SystemTime>,
    /// What must not come back. `None`: it is too short to be told from an honest word.
    pub needles: Option<Arc<Needles>>,
    /// A command prints it: there may be another.
    pub renewable: bool,
}

impl Injection {
    /// Of the same value, until the same end?
    pub fn is(&self, other: &Injection) -> bool {
        (&self.value, self.ends) == (&other.value, other.ends)
    }
}

impl PolicySnapshot {
    /// The first.
    pub fn new(stock: &SecretStore, policy: Policy) -> Result<PolicySnapshot, String> {
        PolicySnapshot::make((stock, Arc::new(Rules::new()?)), policy, 0, Vec::new())
    }

    /// With another policy. What is counted of a route goes on where the same one is in both.
    pub fn reloaded(&self, stock: &SecretStore, policy: Policy) -> Result<PolicySnapshot, String> {
        let before = self.policy.routes.iter().zip(self.counts.iter().cloned()).collect();
        PolicySnapshot::make((stock, self.knowledge.rules.clone()), policy, self.generation + 1, before)
    }

    /// With other tokens.
    pub fn renewed(&self, stock: &SecretStore) -> Result<PolicySnapshot, String> {
        Ok(PolicySnapshot {
            identity: self.identity.clone(),
            bottle: self.bottle.clone(),
            injections: injections(&self.policy, stock)?,
            knowledge: Knowledge { vault: vault(&self.policy, stock)?, rules: self.knowledge.rules.clone() },
            policy: self.policy.clone(),
            generation: self.generation,
            own_headers: self.own_headers.clone(),
            tls: self.tls.clone(),
            proxy: self.proxy.clone(),
            go: self.go.clone(),
            secrets: stock.secrets(),
            counts: self.counts.clone(),
        })
    }

    fn make(
        (stock, rules): (&SecretStore, Arc<Rules>),
        policy: Policy,
        generation: u64,
        mut before: Vec<(&Route, Arc<Counts>)>,
    ) -> Result<PolicySnapshot, String> {
        let injections = injections(&policy, stock)?;
        let mut tls = BTreeMap::from([(None, client(RootCertStore::clone(&stock.roots))?)]);
        for name in policy.routes.iter().filter_map(|route| route.upstream_ca.clone()) {
            let store = stock.roots_and(&name)?;
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
        let mut counts = |route: &Route| match before.iter().position(|(old, _)| *old == route) {
            Some(index) => before.remove(index).1,
            None => Arc::default(),
        };
        Ok(PolicySnapshot {
            identity: stock.identity.clone(),
            bottle: stock.bottle.clone(),
            generation,
            own_headers: injections.iter().flatten().map(|injection| injection.name.clone()).collect(),
            injections,
            tls,
            proxy: stock.proxy.clone(),
            go: stock.go.clone(),
            secrets: stock.secrets(),
            knowledge: Knowledge { vault: vault(&policy, stock)?, rules },
            counts: policy.routes.iter().map(&mut counts).collect(),
            policy,
        })
    }

    pub fn route(&self, index: usize) -> &Route {
        &self.policy.routes[index]
    }

    pub fn injection(&self, index: usize) -> Option<&Injection> {
        self.injections[index].as_ref()
    }

    /// What this snapshot would inject there, where it is of the same policy.
    pub fn injection_of(&self, allowed: &AllowedRequest) -> Option<&Injection> {
        (self.generation == allowed.snapshot.generation).then(|| self.injection(allowed.route)).flatten()
    }

    pub fn counts(&self, index: usize) -> &Counts {
        &self.counts[index]
    }

    pub fn tls(&self, route: &Route) -> Option<Arc<ClientConfig>> {
        self.tls.get(&route.upstream_ca).cloned()
    }

    /// All that must leave in no other way than the gate's own, tokens that were replaced some minutes ago included.
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }
}

fn injections(policy: &Policy, stock: &SecretStore) -> Result<Vec<Option<Injection>>, String> {
    policy.routes.iter().map(|route| injection(route, stock)).collect()
}

/// What must not leave in a request. A pair of name and password is another text than the password, once it is encoded.
fn vault(policy: &Policy, stock: &SecretStore) -> Result<Arc<Vault>, String> {
    let mut known = stock.known();
    for Auth { scheme, token } in policy.routes.iter().filter_map(|route| route.auth.as_ref()) {
        if let Scheme::Basic { user } = scheme {
            let pair = [user.as_bytes(), b":", stock.value(token)?].concat();
            known.push(Known { name: token.clone(), class: Class::GateOnly, bytes: encode_base64(&pair).into() });
        }
    }
    Ok(Arc::new(Vault::new(&known)))
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

fn injection(route: &Route, stock: &SecretStore) -> Result<Option<Injection>, String> {
    let Some(Auth { scheme, token }) = &route.auth else { return Ok(None) };
    let secret = stock.value(token)?;
    if secret.is_empty() {
        return Err(format!("the token `{token}` is empty"));
    }
    let prefixed = |prefix: &str| [prefix.as_bytes(), secret].concat();
    let mut hidden = vec![secret.to_vec()];
    let (name, bytes) = match scheme {
        Scheme::Bearer => (AUTHORIZATION, prefixed("Bearer ")),
        Scheme::Token => (AUTHORIZATION, prefixed("token ")),
        Scheme::Basic { user } => {
            let pair = encode_base64(&prefixed(&format!("{user}:")));
            hidden.push(pair.clone().into_bytes());
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
    let lease = stock.lease(token);
    let (ends, renewable) = (lease.and_then(Lease::ends), lease.is_some());
    let needles = Needles::of(hidden.iter().map(Vec::as_slice)).map(Arc::new);
    Ok(Some(Injection { name, value, token: token.clone(), ends, needles, renewable }))
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

/// Exactly what the go names, and nothing that is a secret of the gate's; those values beside it.
pub fn go_message(go: Go, secrets: &BTreeSet<&str>, values: &mut Values) -> Result<(Bytes, Values), String> {
    let sources = go.env.values().chain(go.files.iter().map(|file| &file.source));
    let names: BTreeSet<String> = sources.filter_map(Source::value).map(str::to_owned).collect();
    let mut named = Values::new();
    for name in names {
        if secrets.contains(name.as_str()) {
            return Err(format!("`{name}` is the gate's alone: the agent must not get it"));
        }
        let value = values.remove(&name).ok_or_else(|| format!("the document has no value `{name}`"))?;
        named.insert(name, value);
    }
    let message = GoMessage { go, values: named };
    match serde_json::to_vec(&message) {
        Ok(text) => Ok((text.into(), message.values)),
        Err(_) => Err("the go message cannot be written".to_owned()),
    }
}
