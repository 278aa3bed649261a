//! Alarms that are raised while a request's record is held elsewhere, as for a body that is scanned as it streams.

use crate::audit::AuditTrail;
use std::sync::{Arc, OnceLock};
use wire::{Alarm, Done, Event};

/// Raises alarms about one request.
#[derive(Clone)]
pub struct AlarmSender {
    trail: Arc<AuditTrail>,
    /// The request; each alarm adds its finding.
    template: Alarm,
    /// The first finding, which the request's record takes up when it is written.
    first: Arc<OnceLock<String>>,
}

impl AlarmSender {
    pub fn new(trail: Arc<AuditTrail>, template: Alarm, first: Arc<OnceLock<String>>) -> AlarmSender {
        AlarmSender { trail, template, first }
    }

    /// `finding` never holds what was found. `value` is the name of the value that was found, if it is one of the
    /// bottle's.
    pub fn alarm(&self, finding: &str, value: Option<&str>, done: Done) {
        let _ = self.first.set(finding.to_owned());
        let (finding, value) = (finding.to_owned(), value.map(str::to_owned));
        self.trail.events.push(Event::Alarm(Alarm { finding, value, done, ..self.template.clone() }));
    }
}
