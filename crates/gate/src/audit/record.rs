//! One record for each request and connection. It is written when it is dropped, so that none is missing however the
//! request ends.

use crate::audit::AuditTrail;
use crate::audit::alarms::AlarmSender;
use crate::audit::counters::RouteCounts;
use crate::audit::redaction::{WITHHELD, holds_secret, redact};
use policy::Denial;
use policy::matchable::MIN_VALUE_BYTES;
use scan::dlp::Knowledge;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use wire::{Alarm, Audit, Done, Event, Outcome};

/// Bytes of a method in a record; the rest is cut off.
const MAX_METHOD_BYTES: usize = 32;
/// Bytes of a host or a path in a line; `…` stands for the rest. Cut when the line is written: a secret is looked for in
/// the whole text, so that no cut hides one.
const MAX_NAME_BYTES: usize = 256;
/// Bytes of a reason in a line, which may hold a host and a path.
const MAX_REASON_BYTES: usize = 1024;

/// What records need of the policy snapshot by which their requests are judged.
pub struct AuditScope {
    /// The secrets that no record may show.
    pub knowledge: Knowledge,
    /// One for each route, in the order of the policy.
    pub routes: Vec<Arc<RouteCounts>>,
}

/// A request or connection under way. Dropping it writes its line of the audit trail.
pub struct AuditRecord {
    trail: Arc<AuditTrail>,
    scope: Arc<AuditScope>,
    started: Instant,
    event: fn(Audit) -> Event,
    pub audit: Audit,
    /// Body bytes from the agent. Shared, because a body is sent by another task.
    pub sent: Arc<AtomicU64>,
    /// Body bytes to the agent.
    pub received: u64,
    route: Option<Arc<RouteCounts>>,
    /// Host and path hold no secret: they were looked through, and withheld where one was found.
    is_inspected: bool,
    /// The first finding of an [`AlarmSender`].
    finding: Arc<OnceLock<String>>,
}

impl AuditTrail {
    pub fn request(self: &Arc<Self>, scope: &Arc<AuditScope>, host: &str, port: u16) -> AuditRecord {
        let audit = Audit { host: host.to_owned(), port, ..Audit::default() };
        AuditRecord::new(self.clone(), scope.clone(), audit, Event::Request)
    }

    /// For a connection that is no request: denied before there was one, or passed through uninspected.
    pub fn connection(self: &Arc<Self>, scope: &Arc<AuditScope>, host: &str, port: u16) -> AuditRecord {
        let audit = Audit { host: host.to_owned(), port, ..Audit::default() };
        AuditRecord::new(self.clone(), scope.clone(), audit, Event::Connection)
    }
}

/// The word for a program that does not trust the bottle's certificates.
const DISTRUST: &str = "trust";

impl AuditRecord {
    fn new(trail: Arc<AuditTrail>, scope: Arc<AuditScope>, audit: Audit, event: fn(Audit) -> Event) -> AuditRecord {
        let (sent, finding, started) = (Arc::default(), Arc::default(), Instant::now());
        let (received, route, is_inspected) = (0, None, false);
        AuditRecord { trail, scope, started, event, audit, sent, received, route, is_inspected, finding }
    }

    /// The request is judged anew, by another snapshot.
    pub fn set_scope(&mut self, scope: &Arc<AuditScope>) {
        (self.scope, self.route, self.is_inspected) = (scope.clone(), None, false);
    }

    pub fn set_request(&mut self, method: &str, path: &str) {
        // Any token is a method; a short one holds no secret. A cut secret would not be recognised any more.
        let method = match method.len() >= MIN_VALUE_BYTES {
            true => redact(&self.scope.knowledge, method.to_owned()),
            false => method.to_owned(),
        };
        self.audit.method = truncate(&method, MAX_METHOD_BYTES).to_owned();
        self.set_path(path);
    }

    /// Withholds host and path where they hold a secret.
    pub fn redact(&mut self) {
        for text in [&mut self.audit.host, &mut self.audit.path] {
            *text = redact(&self.scope.knowledge, std::mem::take(text));
        }
        self.is_inspected = true;
    }

    /// A secret was found in the path, or is next to it.
    pub fn withhold_path(&mut self) {
        self.audit.path = WITHHELD.to_owned();
    }

    /// Host and path were looked through as parts of the request.
    pub fn inspected(&mut self) {
        self.is_inspected = true;
    }

    pub fn set_path(&mut self, path: &str) {
        if self.audit.path != path {
            self.audit.path = path.to_owned();
            self.is_inspected = false;
        }
    }

    /// `route`: its index in the policy of the record's scope.
    pub fn allowed(&mut self, route: usize) {
        self.audit.verdict = Outcome::Allow;
        self.set_route(route);
    }

    /// The denial's route is an index in the policy of the record's scope.
    pub fn denied(&mut self, denial: &Denial) {
        self.redact();
        self.audit.verdict = Outcome::Deny;
        let reason = match holds_secret(&self.scope.knowledge, &denial.text) {
            true => format!("{} {WITHHELD}", denial.reason),
            false => cut(denial.text.clone(), MAX_REASON_BYTES),
        };
        if let Some(route) = denial.route {
            self.set_route(route);
        }
        let Audit { host, port, method, path, .. } = &self.audit;
        let (host, path) = (cut(host.clone(), MAX_NAME_BYTES), cut(path.clone(), MAX_NAME_BYTES));
        self.trail.recent_denials.push(match method.as_str() {
            "" => format!("{host}:{port}: {reason}"),
            method => format!("{method} {host}:{port}{path}: {reason}"),
        });
        self.audit.denial = Some(denial.reason.to_string());
        self.audit.reason = Some(reason);
    }

    /// The request was allowed, but could not be served.
    pub fn failed(&mut self, why: impl Into<String>) {
        self.redact();
        self.audit.verdict = Outcome::Error;
        // It may be in an upstream's words.
        self.audit.reason = Some(cut(redact(&self.scope.knowledge, why.into()), MAX_REASON_BYTES));
    }

    /// A program of the bottle ended a connection because it does not trust the bottle's certificates. The agent is told as
    /// of a denial: the program itself seldom says it.
    pub fn distrusted(&mut self, why: String) {
        self.failed(why);
        self.audit.denial = Some(DISTRUST.to_owned());
        let Audit { host, port, reason, .. } = &self.audit;
        let reason = reason.as_deref().unwrap_or_default();
        self.trail.recent_denials.push(format!("{}:{port}: {reason}", cut(host.clone(), MAX_NAME_BYTES)));
    }

    /// Raises an alarm. `finding` never holds what was found.
    pub fn alarm(&mut self, finding: &str, done: Done) {
        self.audit.finding.get_or_insert_with(|| finding.to_owned());
        self.trail.events.push(Event::Alarm(Alarm { finding: finding.to_owned(), done, ..self.alarm_template() }));
    }

    /// Raises alarms about this request while the record is held elsewhere.
    pub fn alarm_sender(&self) -> AlarmSender {
        AlarmSender::new(self.trail.clone(), self.alarm_template(), self.finding.clone())
    }

    /// An alarm about this request, without a finding.
    fn alarm_template(&self) -> Alarm {
        let Audit { host, port, method, path, .. } = &self.audit;
        let (host, path) = (cut(host.clone(), MAX_NAME_BYTES), cut(path.clone(), MAX_NAME_BYTES));
        Alarm { host, port: *port, method: method.clone(), path, ..Alarm::default() }
    }

    fn set_route(&mut self, route: usize) {
        self.route = self.scope.routes.get(route).cloned();
        self.audit.rule = self.route.as_ref().map(|route| route.origin.clone());
    }
}

/// `text`, and where it is longer than `max` bytes, its beginning and `…`.
pub fn cut(text: String, max: usize) -> String {
    if text.len() <= max { text } else { format!("{}…", truncate(&text, max)) }
}

/// The beginning of `text`, at most `max` bytes, cut between two characters.
fn truncate(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

impl Drop for AuditRecord {
    fn drop(&mut self) {
        // A client may leave before its request is looked through.
        if !self.is_inspected {
            self.redact();
        }
        let mut audit = std::mem::take(&mut self.audit);
        audit.finding = audit.finding.or_else(|| self.finding.get().cloned());
        audit.host = cut(audit.host, MAX_NAME_BYTES);
        audit.path = cut(audit.path, MAX_NAME_BYTES);
        audit.sent = self.sent.load(Relaxed);
        audit.received = self.received;
        audit.ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.trail.counters.add(&audit);
        if let Some(route) = &self.route {
            route.add(audit.verdict);
        }
        self.trail.events.push((self.event)(audit));
    }
}
