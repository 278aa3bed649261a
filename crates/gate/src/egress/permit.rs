//! The permit of one connection: it bounds how many the gate serves at once, and counts them.

use crate::egress::Egress;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Held for as long as a connection is served.
pub struct ConnectionPermit {
    egress: Arc<Egress>,
    _permit: OwnedSemaphorePermit,
}

impl ConnectionPermit {
    /// Counts the connection as open until the permit is dropped.
    pub fn new(egress: Arc<Egress>, permit: OwnedSemaphorePermit) -> ConnectionPermit {
        egress.trail.counters.opened();
        ConnectionPermit { egress, _permit: permit }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.egress.trail.counters.closed();
    }
}
