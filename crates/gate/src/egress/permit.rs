//! The permit of one connection: it bounds how many the gate serves at once, and counts them.

use crate::audit::AuditTrail;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Held for as long as a connection is served.
pub struct ConnectionPermit {
    trail: Arc<AuditTrail>,
    _permit: OwnedSemaphorePermit,
}

impl ConnectionPermit {
    /// Counts the connection as open until the permit is dropped.
    pub fn new(trail: Arc<AuditTrail>, permit: OwnedSemaphorePermit) -> ConnectionPermit {
        trail.counters.opened();
        ConnectionPermit { trail, _permit: permit }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.trail.counters.closed();
    }
}
