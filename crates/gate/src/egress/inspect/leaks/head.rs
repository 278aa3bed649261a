//! Scans a request's head: the host's name, the address, and the headers.

use crate::audit::alarms::AlarmSender;
use crate::audit::record::AuditRecord;
use crate::egress::inspect::headers::{append_line, is_credential};
use crate::egress::inspect::leaks::orders::{BLOCK_SECRETS, for_route};
use crate::egress::inspect::leaks::report::{report, report_always};
use crate::egress::live::allowed::AllowedRequest;
use crate::egress::live::snapshot::PolicySnapshot;
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::http::request;
use policy::Denial;
use scan::dlp::{Action, Orders, Scan};

/// Scans the name of the host before it is resolved, on a route that matches names by a wildcard. `route`: its index.
pub fn inspect_host(snapshot: &PolicySnapshot, route: usize, record: &mut AuditRecord) -> Result<(), Denial> {
    let mut scan = Scan::looking(snapshot.knowledge(), BLOCK_SECRETS).of_field();
    let ended = scan.look(record.audit.host.as_bytes()).and_then(|()| scan.finish(&mut Vec::new()));
    if ended.is_err() {
        record.audit.host = snapshot.route(route).host.as_str().to_owned();
    }
    report_always(&record.alarm_sender(), &mut scan, ended, "the host's name")
}

/// Scans the head as it leaves, except what the gate has added. Masks header values where the route says so.
pub fn inspect_head(
    allowed: &AllowedRequest,
    head: &mut request::Parts,
    record: &mut AuditRecord,
) -> Result<(), Denial> {
    let scope = HeadScan::new(allowed);
    // Where values are masked, each header is scanned by itself as well.
    if scope.orders.seen != Action::Mask && scope.is_clean(head) {
        if scope.orders.seen != Action::Off {
            record.inspected();
        }
        return Ok(());
    }
    let mut scan = Scan::looking(allowed.snapshot.knowledge(), scope.orders).of_field();
    let ended = scan.look(format!("{}\n", target(head)).as_bytes());
    if ended.is_err() || scan.has_notes() {
        record.withhold_path();
    }
    record.inspected();
    let alarms = record.alarm_sender();
    report(&alarms, &mut scan, ended, "the address")
        .and_then(|()| scope.inspect_headers(head, &mut scan, &alarms))
        .inspect_err(|_| record.withhold_path())
}

fn target(head: &request::Parts) -> &str {
    head.uri.path_and_query().map_or("/", |target| target.as_str())
}

/// What the scan of a head goes by.
struct HeadScan<'a> {
    allowed: &'a AllowedRequest,
    orders: Orders,
    /// The header that the gate has added.
    injected: Option<&'a HeaderName>,
}

impl HeadScan<'_> {
    fn new(allowed: &AllowedRequest) -> HeadScan<'_> {
        let injected = allowed.injection().map(|injection| &injection.name);
        HeadScan { allowed, orders: for_route(allowed.rule()), injected }
    }

    fn is_credential(&self, name: &HeaderName) -> bool {
        is_credential(name, &self.allowed.snapshot.own_headers)
    }

    /// Is this header scanned by the route's own orders?
    fn is_plain(&self, name: &HeaderName) -> bool {
        Some(name) != self.injected && name != HOST && !self.is_credential(name)
    }

    /// Scans the whole head in one pass, because nearly every head is clean: only a finding needs its exact place. False
    /// as well for a head with a credential of the agent's own, which has other orders.
    fn is_clean(&self, head: &request::Parts) -> bool {
        let mut text = [target(head).as_bytes(), b"\n"].concat();
        for (name, value) in head.headers.iter().filter(|(name, _)| Some(*name) != self.injected && *name != HOST) {
            if self.is_credential(name) {
                return false;
            }
            append_line(&mut text, name, value);
        }
        let mut scan = Scan::looking(self.allowed.snapshot.knowledge(), self.orders).of_field();
        scan.look(&text).and_then(|()| scan.finish(&mut Vec::new())).is_ok() && !scan.has_notes()
    }

    /// `scan`: has seen the address.
    fn inspect_headers(&self, head: &mut request::Parts, scan: &mut Scan, alarms: &AlarmSender) -> Result<(), Denial> {
        if self.orders.seen == Action::Mask {
            for (name, value) in &mut head.headers {
                if self.is_plain(name) {
                    self.mask(value, alarms)?;
                }
            }
        }
        for (name, value) in head.headers.iter().filter(|(name, _)| Some(*name) != self.injected && *name != HOST) {
            let mut text = Vec::new();
            // Of a credential header, whose name the agent may choose, the name alone.
            match self.is_credential(name) {
                true => text.extend([name.as_str().as_bytes(), b"\n"].concat()),
                false => append_line(&mut text, name, value),
            }
            let ended = scan.look(&text);
            report(alarms, scan, ended, "a header")?;
        }
        let ended = scan.finish(&mut Vec::new());
        report(alarms, scan, ended, "the head")?;
        // On a route with `agent_auth`, the agent's own credentials pass here, and only here.
        let lenient = Orders { seen: Action::Off, patterns: Action::Off, ..self.orders };
        let mut scan = Scan::looking(self.allowed.snapshot.knowledge(), lenient).of_field();
        for (name, value) in &head.headers {
            if Some(name) != self.injected && self.is_credential(name) {
                let ended = scan.look(value.as_bytes());
                report(alarms, &mut scan, ended, "a credential header")?;
                let ended = scan.finish(&mut Vec::new());
                report(alarms, &mut scan, ended, "a credential header")?;
            }
        }
        Ok(())
    }

    fn mask(&self, value: &mut HeaderValue, alarms: &AlarmSender) -> Result<(), Denial> {
        let mut scan = Scan::passing(self.allowed.snapshot.knowledge(), self.orders).of_field();
        let mut out = Vec::new();
        let ended = scan.push(value.as_bytes(), &mut out).and_then(|()| scan.finish(&mut out));
        report(alarms, &mut scan, ended, "a header")?;
        if out != value.as_bytes()
            && let Ok(masked) = HeaderValue::from_bytes(&out)
        {
            *value = masked;
        }
        Ok(())
    }
}
