//! Egress: all that comes through the door takes this one path. What is not understood is refused, and every end of a
//! connection or request is one audit line.

pub mod connect;
mod delegate;
pub mod http1;
pub mod inflight;
pub mod inspect;
pub mod limits;
pub mod live;
pub mod passthrough;
pub mod peer;
pub mod permit;
pub mod request;
pub mod upstream;
pub mod websocket;

pub use live::ca::Authority;

use crate::audit::record::Counters;
use crate::events::Events;
use inflight::AllRequests;
use live::secrets::SecretStore;
use live::snapshot::{Injection, PolicySnapshot};
use policy::{Pass, Route};
use serde_json::json;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;
use tokio::sync::Notify;
use upstream::connection::Connector;
use wire::Document;

/// A request that may pass, and the snapshot that says so, which a reload does not take from under it.
#[derive(Clone)]
pub struct AllowedRequest {
    pub snapshot: Arc<PolicySnapshot>,
    pass: Pass,
}

impl AllowedRequest {
    pub fn rule(&self) -> &Route {
        self.snapshot.route(self.pass.route)
    }

    pub fn injection(&self) -> Option<&Injection> {
        self.snapshot.injection(self.pass.route)
    }
}

impl Deref for AllowedRequest {
    type Target = Pass;

    fn deref(&self) -> &Pass {
        &self.pass
    }
}

/// What all connections share.
pub struct Egress {
    authority: Authority,
    /// What decides now. Who decides takes it once and keeps it: it may be another one a moment later.
    live: RwLock<Arc<PolicySnapshot>>,
    /// What it is made of. Never locked while anything is waited for.
    stock: Mutex<SecretStore>,
    /// Told of every change of the two.
    news: Notify,
    pub connector: Arc<Connector>,
    pub requests: Arc<AllRequests>,
    pub(crate) events: Arc<Events>,
    pub(crate) counters: Counters,
    started: Instant,
}

impl Egress {
    /// Checks the whole document; the error is for the operator.
    pub fn new(document: Document, authority: Authority, events: Arc<Events>) -> Result<Egress, String> {
        let (stock, policy) = SecretStore::new(document)?;
        let snapshot = PolicySnapshot::new(&stock, policy)?;
        let (connector, requests) = (Arc::new(Connector::new()?), Arc::default());
        let (live, stock) = (RwLock::new(Arc::new(snapshot)), Mutex::new(stock));
        let (news, counters, started) = (Notify::new(), Counters::default(), Instant::now());
        Ok(Egress { authority, live, stock, news, connector, requests, events, counters, started })
    }

    /// The snapshot of this moment.
    pub fn snapshot(&self) -> Arc<PolicySnapshot> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For the operator alone: it shows where in the manifest a route stands.
    ///
    /// `routes` in the order of the policy, `generation`: how often that was replaced; `hits` and `denied` go on where a
    /// route stayed. `tokens`: those that a command prints, by name; `secrets`: the
    /// names of what is known as one, and whose it is;
    /// `unmatched`: those of them that are not looked for in requests, and why. `memory` in bytes.
    pub fn status(&self) -> serde_json::Value {
        let snapshot = self.snapshot();
        let routes: Vec<_> = snapshot
            .policy
            .routes
            .iter()
            .enumerate()
            .map(|(index, route)| {
                json!({
                    "host": route.host,
                    "port": route.port,
                    "methods": route.methods,
                    "paths": route.paths,
                    "protocol": route.protocol,
                    "deny": route.deny,
                    "private": route.private,
                    "intercept": route.intercept,
                    "role": route.role,
                    "git": route.git,
                    "auth": route.auth.is_some(),
                    "origin": route.origin,
                    "hits": snapshot.counts(index).hits(),
                    "denied": snapshot.counts(index).denied(),
                })
            })
            .collect();
        let secrets = snapshot.secrets().iter().map(|one| json!({ "value": one.name, "class": one.class }));
        let secrets: Vec<_> = secrets.collect();
        let unmatched = &snapshot.knowledge.vault.unfit;
        let unmatched: Vec<_> = unmatched.iter().map(|(value, why)| json!({ "value": value, "why": why })).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "identity": snapshot.identity,
            "bottle": snapshot.bottle,
            "uptime": self.started.elapsed().as_secs(),
            "generation": snapshot.generation,
            "routes": routes,
            "tokens": self.tokens(),
            "secrets": secrets,
            "unmatched": unmatched,
            "counters": self.counters.to_json(&self.events),
            "memory": memory(),
        })
    }
}

/// Bytes that this process holds, as the kernel counts them.
fn memory() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten()?;
    Some(pages * u64::try_from(size).ok()?)
}
