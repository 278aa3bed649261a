//! The audit trail: one record for each request and connection, written when it ends; alarms for findings; and the
//! totals that `ctl status` shows. No service is known here, and no secret is ever written.

pub mod alarms;
pub mod counters;
pub mod events;
mod fold;
pub mod recent_denials;
pub mod record;
pub mod redaction;

use counters::Counters;
use events::Events;
use recent_denials::RecentDenials;
use std::sync::Arc;

/// Where all services of one gate write what happened.
pub struct AuditTrail {
    pub events: Arc<Events>,
    pub counters: Counters,
    pub recent_denials: RecentDenials,
}

impl AuditTrail {
    pub fn new(events: Arc<Events>) -> Arc<AuditTrail> {
        let (counters, recent_denials) = Default::default();
        Arc::new(AuditTrail { events, counters, recent_denials })
    }
}
