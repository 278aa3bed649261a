//! Egress: all that comes through the door takes this one path. What is not understood is refused, and every end of a
//! connection or request is one audit line.

mod answer;
mod body;
mod ca;
mod dial;
mod door;
mod forward;
mod frames;
mod framing;
mod gulp;
mod head;
mod headers;
mod heads;
mod http;
mod inspect;
mod judge;
mod link;
mod pages;
mod race;
mod raw;
mod rebuilt;
mod streams;
mod table;
mod tally;
mod upstream;
mod websocket;
mod wire;

pub use ca::Authority;

use crate::events::Events;
use claude_bottle::policy::{Pass, Route};
use claude_bottle::protocol::Document;
use dial::Dialler;
use serde_json::json;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;
use table::{Injection, Table};
use tally::Tallies;

/// A request that may pass, and the table that says so, which a reload does not take from under it.
#[derive(Clone)]
pub struct Passage {
    pub table: Arc<Table>,
    pass: Pass,
}

impl Passage {
    pub fn rule(&self) -> &Route {
        self.table.route(self.pass.route)
    }

    pub fn injection(&self) -> Option<&Injection> {
        self.table.injection(self.pass.route)
    }
}

impl Deref for Passage {
    type Target = Pass;

    fn deref(&self) -> &Pass {
        &self.pass
    }
}

/// What all connections share.
pub struct Egress {
    authority: Authority,
    /// What decides now. Who decides takes it once and keeps it: it may be another one a moment later.
    live: RwLock<Arc<Table>>,
    dialler: Dialler,
    events: Arc<Events>,
    tallies: Tallies,
    started: Instant,
}

impl Egress {
    /// Checks the whole document; the error is for the operator.
    pub fn new(document: Document, authority: Authority, events: Arc<Events>) -> Result<Egress, String> {
        let table = Table::new(document)?;
        let tallies = Tallies::new(table.policy.routes.len());
        let dialler = Dialler::new()?;
        let live = RwLock::new(Arc::new(table));
        Ok(Egress { authority, live, dialler, events, tallies, started: Instant::now() })
    }

    /// The table of this moment.
    pub fn table(&self) -> Arc<Table> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For the operator alone: it shows where in the manifest a route stands.
    pub fn status(&self) -> serde_json::Value {
        let table = self.table();
        let routes: Vec<_> = table
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
                    "hits": self.tallies.hits(index),
                })
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "identity": table.identity,
            "bottle": table.bottle,
            "uptime": self.started.elapsed().as_secs(),
            "routes": routes,
            "counters": self.tallies.counters(self.events.lost()),
        })
    }
}
