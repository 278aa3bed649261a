//! A request that is not sent, put through what every request of an agent goes through: for `check --body`. No name is
//! resolved and no address is dialled; every other question is asked as of a request that came.

use crate::egress::Authority;
use crate::egress::Egress;
use crate::egress::as_judged::{fields, judged};
use crate::egress::inspect::{headers, leaks};
use crate::egress::live::allowed::AllowedRequest;
use crate::egress::live::canary;
use crate::egress::peer::Peer;
use crate::egress::request::forward::inspect_head;
use hyper::Request;
use hyper::body::Bytes;
use policy::judge::{Judge, Seen, Step};
use policy::{Denial, Names, announces_body};
use std::io::Read;
use std::sync::Arc;
use wire::{Alarm, Blob, Document, Event, Trial, TrialDenial, TrialFinding, TrialResult};

/// Bytes of one read of the body.
const READ_BYTES: usize = 64 * 1024;

/// Why a trial ended before the end of its body.
enum TrialEnd {
    Denied(Denial),
    /// The request cannot be made, or its body cannot be read.
    Failed(String),
}

impl From<Denial> for TrialEnd {
    fn from(denial: Denial) -> TrialEnd {
        TrialEnd::Denied(denial)
    }
}

/// Fills in what a trial does not need: certificates, and tokens that are not known. The latter are random: no request
/// can carry them.
pub fn complete(document: &mut Document, authority: &Authority) -> Result<(), String> {
    let Document { policy, roots, values, .. } = document;
    let named = policy.routes.iter().filter_map(|route| route.upstream_ca.as_ref());
    for name in named.chain([&*roots]) {
        values.insert(name.clone(), Blob(authority.pem().into_bytes()));
    }
    for auth in policy.routes.iter().filter_map(|route| route.auth.as_ref()) {
        if !values.contains_key(&auth.token) {
            values.insert(auth.token.clone(), Blob(canary::random_letters()?.into_bytes()));
        }
    }
    Ok(())
}

/// Judges and inspects a request as the agent's would be. An error is no denial: such a request cannot be made, or the
/// body could not be read.
pub fn attempt(egress: &Arc<Egress>, trial: &Trial, body: &mut impl Read) -> Result<TrialResult, String> {
    let mut tried = TrialResult::default();
    let denied = match inspect(egress, trial, body, &mut tried.read) {
        Ok(()) => None,
        Err(TrialEnd::Denied(denial)) => Some(denial),
        Err(TrialEnd::Failed(why)) => return Err(why),
    };
    tried.denied = denied.map(|denial| TrialDenial { reason: denial.reason.to_string(), text: denial.text });
    for event in egress.trail.events.take() {
        let Event::Alarm(Alarm { finding, value, done, .. }) = event else { continue };
        let sighting = TrialFinding { finding, value, done };
        if !tried.findings.contains(&sighting) {
            tried.findings.push(sighting);
        }
    }
    let snapshot = egress.live.snapshot();
    let unfit = &snapshot.knowledge().vault.unfit;
    tried.unmatched = unfit.iter().map(|(value, why)| (value.clone(), (*why).to_owned())).collect();
    Ok(tried)
}

fn inspect(egress: &Arc<Egress>, trial: &Trial, body: &mut impl Read, count: &mut u64) -> Result<(), TrialEnd> {
    let request = build(trial).map_err(|error| TrialEnd::Failed(format!("no such request can be made: {error}")))?;
    let peer = Peer { host: trial.host.clone(), port: trial.port };
    let snapshot = egress.live.snapshot();
    let mut record = egress.trail.request(&snapshot.audit_scope, &trial.host, trial.port);
    record.set_request(&trial.method, request.uri().path());
    let mut part = vec![0; READ_BYTES];
    let mut read_part = |part: &mut [u8]| {
        let read = body.read(part).map_err(|error| TrialEnd::Failed(format!("cannot read the body: {error}")))?;
        *count += read as u64;
        Ok::<usize, TrialEnd>(read)
    };
    let mut read = read_part(&mut part)?;
    let fields = fields(request.headers());
    // What a WebSocket sends is no body.
    let has_body = (read > 0 && !headers::is_websocket(request.headers())) || announces_body(&fields);
    let seen = Seen::Http { request: judged(&peer, &request, has_body, &fields), names: Names::default() };
    let mut judge = Judge::new(&snapshot.policy, seen, snapshot.via());
    let pass = loop {
        match judge.advance()? {
            Step::InspectName { route } => leaks::inspect_host(&snapshot, route, &mut record)?,
            // No name server is asked about a request that is not sent.
            Step::Locate { .. } => {}
            Step::Pass(pass) => break pass,
        }
    };
    let (mut head, ()) = request.into_parts();
    let (mut inspector, control) = inspect_head(&AllowedRequest::new(snapshot, pass), &mut head, &mut record)?;
    while read > 0 {
        match &part[..read] {
            // What a WebSocket sends is scanned as a message.
            bytes if control.is_some() => inspector.watch(bytes)?,
            bytes => drop(inspector.push(Bytes::copy_from_slice(bytes))?),
        }
        inspector.unpack()?;
        read = read_part(&mut part)?;
    }
    match control {
        Some(_) => inspector.end_message()?,
        None => drop(inspector.finish()?),
    }
    Ok(inspector.unpack()?)
}

fn build(trial: &Trial) -> Result<Request<()>, hyper::http::Error> {
    let mut request = Request::builder().method(trial.method.as_str()).uri(trial.target.as_str());
    for (name, value) in &trial.headers {
        request = request.header(name, value);
    }
    request.body(())
}
