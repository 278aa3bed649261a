//! What a request may not carry: the scanner at work on one, by the orders of its route.
//!
//! A denial says what kind of thing it was, where it stood and how it was written; never the thing, nor its name.

use crate::audit::record::{AlarmSender, AuditRecord};
use crate::egress::AllowedRequest;
use crate::egress::inspect::headers::{encodings, is_credential};
use crate::egress::live::snapshot::PolicySnapshot;
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::http::request;
use policy::{Denial, Dlp, Reason, Role, Route};
use scan::codec::Decoder;
use scan::dlp::{Action, Class, Finding, Knowledge, Orders, Scan, Stop, Subject};
use wire::Done;

/// Of a route. On the model's host the conversation is sent again and again, whole: to refuse it once would end it.
fn orders(route: &Route) -> Orders {
    let all = |action, stuck| Orders { seen: action, patterns: action, stuck };
    match (route.role, route.dlp) {
        (_, Dlp::Off) => all(Action::Off, Action::Off),
        (Some(Role::Claude), _) => Orders { seen: Action::Mask, patterns: Action::Off, stuck: Action::Warn },
        (None, Dlp::Block) => all(Action::Block, Action::Block),
        (None, Dlp::Redact) => all(Action::Mask, Action::Block),
        (None, Dlp::Warn) => all(Action::Warn, Action::Warn),
    }
}

/// Stands in the trail where an address is not shown, because something was found in it.
pub const WITHHELD: &str = "(withheld)";

/// Is something in it that must not be seen?
pub fn shows(knowledge: &Knowledge, text: &str) -> bool {
    let orders = Orders { seen: Action::Block, patterns: Action::Off, stuck: Action::Block };
    let mut scan = Scan::looking(knowledge, orders);
    !text.is_empty() && scan.look(text.as_bytes()).and_then(|()| scan.finish(&mut Vec::new())).is_err()
}

/// The head as it leaves, but for what the gate has added.
pub fn head(allowed: &AllowedRequest, head: &mut request::Parts, record: &mut AuditRecord) -> Result<(), Denial> {
    // Where values are masked, each header is looked at by itself, too.
    if orders(allowed.rule()).seen != Action::Mask && is_clean(allowed, head) {
        return Ok(());
    }
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut scan = Scan::looking(&allowed.snapshot.knowledge, orders(allowed.rule()));
    let looked = scan.look(format!("{target}\n").as_bytes());
    if looked.is_err() || scan.has_notes() {
        record.set_path(WITHHELD);
    }
    let alarms = record.alarm_sender();
    let looked = Teller { alarms: &alarms }.judge(looked, &mut scan, "the address");
    looked.and_then(|()| rest(allowed, head, (scan, &alarms))).inspect_err(|_| record.set_path(WITHHELD))
}

/// Nearly every head is, and is looked at in one go: only where something is found does it matter where it stood.
fn is_clean(allowed: &AllowedRequest, head: &request::Parts) -> bool {
    let injected = allowed.injection().map(|injection| &injection.name);
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut text = [target.as_bytes(), b"\n"].concat();
    for (name, value) in head.headers.iter().filter(|(name, _)| Some(*name) != injected && *name != HOST) {
        if is_credential(name, &allowed.snapshot.own_headers) {
            return false;
        }
        line(name, value, &mut text);
    }
    let mut scan = Scan::looking(&allowed.snapshot.knowledge, orders(allowed.rule()));
    scan.look(&text).and_then(|()| scan.finish(&mut Vec::new())).is_ok() && !scan.has_notes()
}

fn line(name: &HeaderName, value: &HeaderValue, into: &mut Vec<u8>) {
    for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"] {
        into.extend_from_slice(part);
    }
}

/// `scan`: has seen the address.
fn rest(
    allowed: &AllowedRequest,
    head: &mut request::Parts,
    (mut scan, alarms): (Scan, &AlarmSender),
) -> Result<(), Denial> {
    let (knowledge, orders) = (&allowed.snapshot.knowledge, orders(allowed.rule()));
    let injected = allowed.injection().map(|injection| &injection.name);
    let own = &allowed.snapshot.own_headers;
    let teller = Teller { alarms };
    if orders.seen == Action::Mask {
        for (name, value) in &mut head.headers {
            if Some(name) != injected && name != HOST && !is_credential(name, own) {
                mask(knowledge, orders, value, &teller)?;
            }
        }
    }
    for (name, value) in &head.headers {
        if Some(name) != injected && name != HOST && !is_credential(name, own) {
            let mut text = Vec::new();
            line(name, value, &mut text);
            teller.judge(scan.look(&text), &mut scan, "a header")?;
        }
    }
    teller.judge(scan.finish(&mut Vec::new()), &mut scan, "the head")?;
    // With `agent_auth`, what the agent was given may pass here, and only here.
    let lenient = Orders { seen: Action::Off, patterns: Action::Off, ..orders };
    let mut scan = Scan::looking(knowledge, lenient);
    for (name, value) in &head.headers {
        if Some(name) != injected && is_credential(name, own) {
            teller.judge(scan.look(value.as_bytes()), &mut scan, "a credential header")?;
            teller.judge(scan.finish(&mut Vec::new()), &mut scan, "a credential header")?;
        }
    }
    Ok(())
}

fn mask(knowledge: &Knowledge, orders: Orders, value: &mut HeaderValue, teller: &Teller) -> Result<(), Denial> {
    let (mut scan, mut out) = (Scan::passing(knowledge, orders), Vec::new());
    let passed = scan.push(value.as_bytes(), &mut out).and_then(|()| scan.finish(&mut out));
    teller.judge(passed, &mut scan, "a header")?;
    if out != value.as_bytes()
        && let Ok(masked) = HeaderValue::from_bytes(&out)
    {
        *value = masked;
    }
    Ok(())
}

/// The name that is asked for, before anybody else is asked for it. `route`: of the wildcard that lets it in.
pub fn name(snapshot: &PolicySnapshot, route: usize, record: &mut AuditRecord) -> Result<(), Denial> {
    let orders = Orders { seen: Action::Block, patterns: Action::Off, stuck: Action::Block };
    let mut scan = Scan::looking(&snapshot.knowledge, orders);
    let looked = scan.look(record.audit.host.as_bytes()).and_then(|()| scan.finish(&mut Vec::new()));
    if looked.is_err() {
        record.audit.host = snapshot.route(route).host.as_str().to_owned();
    }
    Teller { alarms: &record.alarm_sender() }.judge(looked, &mut scan, "the host's name")
}

/// A request's body, trailers and messages.
pub struct Leaks {
    /// None: there was nothing of a body, as of most requests.
    scan: Option<Box<Scan>>,
    /// Of the body.
    decoder: Option<Decoder>,
    knowledge: Knowledge,
    orders: Orders,
    alarms: AlarmSender,
}

impl Leaks {
    pub fn new(alarms: AlarmSender, allowed: &AllowedRequest, head: &request::Parts) -> Leaks {
        let (knowledge, orders) = (allowed.snapshot.knowledge.clone(), orders(allowed.rule()));
        // One that is not known here is read as it stands.
        let decoder = Decoder::new(&encodings(&head.headers)).filter(|decoder| !decoder.is_identity());
        Leaks { scan: None, decoder, knowledge, orders, alarms }
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<Bytes, Denial> {
        let mut out = Vec::with_capacity(bytes.len());
        let scan = self.scan.get_or_insert_with(|| {
            let scan = Scan::passing(&self.knowledge, self.orders);
            Box::new(match self.decoder.take() {
                Some(decoder) => scan.unpacking(decoder),
                None => scan,
            })
        });
        let passed = scan.push(bytes, &mut out);
        Teller { alarms: &self.alarms }.judge(passed, scan, "the body")?;
        Ok(out.into())
    }

    pub fn finish(&mut self) -> Result<Bytes, Denial> {
        let mut out = Vec::new();
        if let Some(scan) = &mut self.scan {
            let passed = scan.finish(&mut out);
            Teller { alarms: &self.alarms }.judge(passed, scan, "the body")?;
        }
        Ok(out.into())
    }

    pub fn trailers(&mut self, trailers: &HeaderMap) -> Result<(), Denial> {
        let mut scan = Scan::looking(&self.knowledge, self.orders);
        let teller = Teller { alarms: &self.alarms };
        for (name, value) in trailers {
            let mut text = Vec::new();
            line(name, value, &mut text);
            teller.judge(scan.look(&text), &mut scan, "a trailer")?;
        }
        teller.judge(scan.finish(&mut Vec::new()), &mut scan, "a trailer")
    }

    /// Of a WebSocket's messages, which are not held.
    pub fn watch(&mut self, bytes: &[u8]) -> Result<(), Denial> {
        let scan = self.scan.get_or_insert_with(|| Box::new(Scan::looking(&self.knowledge, self.orders)));
        let looked = scan.look(bytes);
        Teller { alarms: &self.alarms }.judge(looked, scan, "a message")
    }
}

/// Tells the operator of every finding, and the agent of what stopped its request.
struct Teller<'a> {
    alarms: &'a AlarmSender,
}

impl Teller<'_> {
    fn judge(&self, ended: Result<(), Stop>, scan: &mut Scan, place: &str) -> Result<(), Denial> {
        for note in scan.notes() {
            let done = if note.done == Action::Mask { Done::Masked } else { Done::Passed };
            self.alarms.alarm(&told(&note, place), scan.name_of(&note), done);
        }
        ended.map_err(|stop| {
            if let Stop::Found(finding) = &stop {
                self.alarms.alarm(&told(finding, place), scan.name_of(finding), Done::Blocked);
            }
            denial(&stop, place)
        })
    }
}

fn denial(stop: &Stop, place: &str) -> Denial {
    let text = match stop {
        Stop::Unread(why) => format!("{place} cannot be read: {why}"),
        Stop::Found(Finding { subject, how, .. }) => {
            let what = match subject {
                Subject::Known(Class::GateOnly, _) => "a credential that only the gate may send",
                Subject::Known(..) => "a secret that this bottle was given",
                Subject::Pattern(name) | Subject::Unreadable(name) => name,
            };
            format!("{place} carries {what} ({how})")
        }
    };
    Denial::new(Reason::Dlp, text)
}

/// For the operator.
fn told(Finding { subject, how, .. }: &Finding, place: &str) -> String {
    let what = match subject {
        Subject::Known(Class::GateOnly, _) => "a value of the gate's alone",
        Subject::Known(Class::Seen, _) => "a value that the agent was given",
        Subject::Known(Class::Canary, _) => "the planted credential",
        Subject::Pattern(name) | Subject::Unreadable(name) => name,
    };
    format!("{what} in {place} ({how})")
}
