//! A policy with all that serving it needs: injected headers, trust stores, the upstream proxy, the answer to `GO`.
//!
//! Every error of a policy is found here, before anything is served by it. A snapshot never changes; a new one takes its
//! place. No type here has a derived `Debug`.

use crate::audit::counters::RouteCounts;
use crate::audit::record::AuditScope;
use crate::egress::live::injection::Injection;
use crate::egress::live::proxy::UpstreamProxy;
use crate::egress::live::secrets::{Secret, SecretStore};
use crate::egress::live::upstream_tls::client_config;
use crate::egress::unpacker::Unpacker;
use hyper::body::Bytes;
use hyper::header::HeaderName;
use policy::{Auth, AuthScheme, Policy, Reads, Route, Via};
use scan::dlp::{Knowledge, Known, Rules, SecretClass, Vault};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use wire::encode_base64;

pub struct PolicySnapshot {
    pub identity: String,
    pub bottle: String,
    pub policy: Policy,
    /// Counts policies. Snapshots of one generation differ in their tokens alone, and their routes have the same indices.
    pub generation: u64,
    /// One for each route of the policy.
    injections: Vec<Option<Injection>>,
    /// Names of all injected headers. The agent's own headers of these names are removed on every route, not only on those
    /// with `auth`.
    pub own_headers: Arc<[HeaderName]>,
    /// By `upstream_ca`.
    tls: BTreeMap<Option<String>, Arc<ClientConfig>>,
    /// For each route of the policy, whether requests to its host and port may have bodies.
    takes_bodies: Vec<bool>,
    pub proxy: Option<Arc<UpstreamProxy>>,
    /// The answer to `GO`.
    pub go: Bytes,
    secrets: Vec<Secret>,
    pub unpacker: Arc<Unpacker>,
    /// What audit records need, among it the secrets that requests are scanned for.
    pub audit_scope: Arc<AuditScope>,
}

impl PolicySnapshot {
    /// The first snapshot of a gate.
    pub fn new(secrets: &SecretStore, policy: Policy) -> Result<PolicySnapshot, String> {
        let (rules, unpacker) = (Arc::new(Rules::new()?), Arc::default());
        let generation = Generation { number: 0, rules, unpacker, previous: Vec::new() };
        PolicySnapshot::make(secrets, policy, generation)
    }

    /// A snapshot of another policy. A route that is in both keeps its counts.
    pub fn reloaded(&self, secrets: &SecretStore, policy: Policy) -> Result<PolicySnapshot, String> {
        PolicySnapshot::make(secrets, policy, self.next_generation(self.generation + 1))
    }

    /// A snapshot of a policy that never is in force. A route that is in both keeps its counts.
    pub fn for_once(&self, secrets: &SecretStore, policy: Policy, generation: u64) -> Result<PolicySnapshot, String> {
        PolicySnapshot::make(secrets, policy, self.next_generation(generation))
    }

    fn next_generation(&self, number: u64) -> Generation<'_> {
        let previous = self.policy.routes.iter().zip(self.audit_scope.routes.iter().cloned()).collect();
        let (rules, unpacker) = (self.knowledge().rules.clone(), self.unpacker.clone());
        Generation { number, rules, unpacker, previous }
    }

    /// A snapshot of the same policy with new tokens.
    pub fn renewed(&self, secrets: &SecretStore) -> Result<PolicySnapshot, String> {
        let knowledge = Knowledge { vault: vault(&self.policy, secrets)?, rules: self.knowledge().rules.clone() };
        Ok(PolicySnapshot {
            identity: self.identity.clone(),
            bottle: self.bottle.clone(),
            injections: Injection::for_routes(&self.policy, secrets)?,
            policy: self.policy.clone(),
            generation: self.generation,
            own_headers: self.own_headers.clone(),
            tls: self.tls.clone(),
            takes_bodies: self.takes_bodies.clone(),
            unpacker: self.unpacker.clone(),
            proxy: self.proxy.clone(),
            go: self.go.clone(),
            secrets: secrets.secrets(),
            audit_scope: Arc::new(AuditScope { knowledge, routes: self.audit_scope.routes.clone() }),
        })
    }

    fn make(secrets: &SecretStore, policy: Policy, mut generation: Generation) -> Result<PolicySnapshot, String> {
        let injections = Injection::for_routes(&policy, secrets)?;
        let mut tls = BTreeMap::from([(None, client_config(RootCertStore::clone(&secrets.roots), Vec::new())?)]);
        for name in policy.routes.iter().filter_map(|route| route.upstream_ca.clone()) {
            let (roots, own) = secrets.roots_with(&name)?;
            tls.insert(Some(name), client_config(roots, own)?);
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
        let proxy = secrets.proxy.clone();
        let knowledge = Knowledge { vault: vault(&policy, secrets)?, rules: generation.rules.clone() };
        let routes = policy.routes.iter().map(|route| generation.counts(route)).collect();
        Ok(PolicySnapshot {
            identity: secrets.identity.clone(),
            bottle: secrets.bottle.clone(),
            generation: generation.number,
            own_headers: injections.iter().flatten().map(|injection| injection.name.clone()).collect(),
            injections,
            tls,
            unpacker: generation.unpacker,
            takes_bodies: (0..policy.routes.len()).map(|route| policy.takes_bodies(route)).collect(),
            proxy,
            go: secrets.go.clone(),
            secrets: secrets.secrets(),
            audit_scope: Arc::new(AuditScope { knowledge, routes }),
            policy,
        })
    }

    pub fn route(&self, index: usize) -> &Route {
        &self.policy.routes[index]
    }

    pub fn injection(&self, index: usize) -> Option<&Injection> {
        self.injections[index].as_ref()
    }

    /// How upstreams are reached.
    pub fn via(&self) -> Via<'_> {
        self.proxy.as_ref().map_or(Via::Direct, |proxy| Via::Proxy(&proxy.no_proxy))
    }

    /// Whether requests to the host and port of this route may have bodies.
    pub fn takes_bodies(&self, index: usize) -> bool {
        self.takes_bodies[index]
    }

    pub fn counts(&self, index: usize) -> &RouteCounts {
        &self.audit_scope.routes[index]
    }

    /// The secrets and patterns that requests are scanned for.
    pub fn knowledge(&self) -> &Knowledge {
        &self.audit_scope.knowledge
    }

    /// How TLS with the upstream of `route` is set up.
    pub fn tls(&self, route: &Route) -> Option<Arc<ClientConfig>> {
        self.tls.get(&route.upstream_ca).cloned()
    }

    /// How TLS with an upstream is set up that is trusted by the host's roots alone.
    pub fn plain_tls(&self) -> Option<Arc<ClientConfig>> {
        self.tls.get(&None).cloned()
    }

    /// All values that only the gate may send, including tokens that were replaced some minutes ago.
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }
}

/// What a new snapshot takes over from the one before.
struct Generation<'a> {
    number: u64,
    rules: Arc<Rules>,
    unpacker: Arc<Unpacker>,
    /// The routes of the previous policy, with their counts.
    previous: Vec<(&'a Route, Arc<RouteCounts>)>,
}

impl Generation<'_> {
    fn counts(&mut self, route: &Route) -> Arc<RouteCounts> {
        match self.previous.iter().position(|(old, _)| *old == route) {
            Some(index) => self.previous.remove(index).1,
            None => Arc::new(RouteCounts::new(&route.origin)),
        }
    }
}

/// The values that must not leave in a request. For HTTP basic authentication, the base64 of `user:password` counts as well:
/// it does not contain the base64 of the password.
fn vault(policy: &Policy, secrets: &SecretStore) -> Result<Arc<Vault>, String> {
    let mut known = secrets.known();
    for Auth { scheme, token } in policy.routes.iter().filter_map(|route| route.auth.as_ref()) {
        if let AuthScheme::Basic { user } = scheme {
            let pair = [user.as_bytes(), b":", secrets.value(token)?].concat();
            known.push(Known { name: token.clone(), class: SecretClass::GateOnly, bytes: encode_base64(&pair).into() });
        }
    }
    Ok(Arc::new(Vault::new(&known)))
}

/// Rules for one route. The manifest's reader checks them too, and explains them better; the gate does not rely on it.
fn check(route: &Route) -> Result<(), String> {
    if route.reads() != Reads::Http && (route.auth.is_some() || route.role.is_some() || route.git.is_some()) {
        return Err(format!("{}: bytes that pass untouched get no auth, role or git", route.origin));
    }
    if route.auth.is_some() && route.is_upstream_plain() && !route.private {
        return Err(format!("{}: a token would leave the gate unencrypted", route.origin));
    }
    Ok(())
}

/// Whether two routes that can match the same connection are dialled differently. A route with `deny` is never dialled.
fn clash(a: &Route, b: &Route) -> bool {
    !a.deny && !b.deny && a.conflicting_key(b).is_some()
}
