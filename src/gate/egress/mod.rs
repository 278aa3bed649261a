//! Egress: all that comes through the door takes this one path. What is not understood is refused, and every end of a
//! connection or request is one audit line.

mod body;
mod ca;
mod dial;
mod door;
mod gulp;
mod headers;
mod http;
mod inspect;
mod pages;
mod raw;
mod table;
mod tally;

pub use ca::Authority;

use crate::events::Events;
use claude_bottle::protocol::Document;
use dial::Dialler;
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;
use table::Table;
use tally::Tallies;

/// What all connections share.
pub struct Egress {
    authority: Authority,
    table: Table,
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
        Ok(Egress { authority, table, dialler, events, tallies, started: Instant::now() })
    }

    /// For the operator alone: it shows where in the manifest a route stands.
    pub fn status(&self) -> serde_json::Value {
        let routes: Vec<_> = self
            .table
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
            "identity": self.table.identity,
            "bottle": self.table.bottle,
            "uptime": self.started.elapsed().as_secs(),
            "routes": routes,
            "counters": self.tallies.counters(self.events.lost()),
        })
    }
}
