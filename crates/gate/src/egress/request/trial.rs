//! A request that nobody sends, put through what every request of an agent's goes through. Nobody is dialled or asked for
//! a name, and the policy's own questions come as they do on a connection that is already there.

use crate::audit::record::AuditRecord;
use crate::egress::AllowedRequest;
use crate::egress::Authority;
use crate::egress::Egress;
use crate::egress::inspect::leaks;
use crate::egress::live::canary;
use crate::egress::request::forward::depart;
use crate::egress::request::judge::decide;

use hyper::Request;
use hyper::body::Bytes;
use policy::Denial;
use std::io::Read;
use std::sync::Arc;
use wire::{Alarm, Blob, Document, Event, Trial, TrialDenial, TrialFinding, TrialResult};

/// Bytes of one read of the body.
const PART: usize = 64 * 1024;

enum End {
    Denied(Denial),
    /// Nothing can be said of it.
    Failed(String),
}

impl From<Denial> for End {
    fn from(denial: Denial) -> End {
        End::Denied(denial)
    }
}

impl Egress {
    /// Puts something in the place of what a trial does not need: certificates, and tokens that are not known. No request
    /// carries letters that nobody has said.
    pub fn complete(document: &mut Document, authority: &Authority) -> Result<(), String> {
        let Document { policy, roots, values, .. } = document;
        let named = policy.routes.iter().filter_map(|route| route.upstream_ca.as_ref());
        for name in named.chain([&*roots]) {
            values.insert(name.clone(), Blob(authority.pem().into_bytes()));
        }
        for auth in policy.routes.iter().filter_map(|route| route.auth.as_ref()) {
            if !values.contains_key(&auth.token) {
                values.insert(auth.token.clone(), Blob(canary::letters()?.into_bytes()));
            }
        }
        Ok(())
    }

    /// The error is no refusal: such a request cannot be made, or the body ended in a fault.
    pub fn attempt(self: &Arc<Self>, trial: &Trial, body: &mut impl Read) -> Result<TrialResult, String> {
        let mut tried = TrialResult::default();
        let denied = match self.go_through(trial, body, &mut tried.read) {
            Ok(()) => None,
            Err(End::Denied(denial)) => Some(denial),
            Err(End::Failed(why)) => return Err(why),
        };
        tried.denied = denied.map(|denial| TrialDenial { reason: denial.reason.to_string(), text: denial.text });
        for event in self.events.take() {
            let Event::Alarm(Alarm { finding, value, done, .. }) = event else { continue };
            let sighting = TrialFinding { finding, value, done };
            if !tried.findings.contains(&sighting) {
                tried.findings.push(sighting);
            }
        }
        let unfit = &self.snapshot().knowledge.vault.unfit;
        tried.unmatched = unfit.iter().map(|(value, why)| (value.clone(), (*why).to_owned())).collect();
        Ok(tried)
    }

    fn go_through(self: &Arc<Self>, trial: &Trial, body: &mut impl Read, count: &mut u64) -> Result<(), End> {
        let request = request(trial).map_err(|error| End::Failed(format!("no such request can be made: {error}")))?;
        let mut record = AuditRecord::request(self, &trial.host, trial.port);
        record.set_request(&trial.method, request.uri().path());
        let snapshot = record.snapshot.clone();
        let first = snapshot.policy.at(&trial.host, trial.port)?;
        if snapshot.route(first).host.is_wildcard() {
            leaks::name(&snapshot, first, &mut record)?;
        }
        let pass = decide(&snapshot, (&trial.host, trial.port), &request)?;
        let (mut head, ()) = request.into_parts();
        let (mut inspector, control) = depart(&AllowedRequest { snapshot, pass }, &mut head, &mut record)?;
        let mut part = vec![0; PART];
        loop {
            let read = body.read(&mut part).map_err(|error| End::Failed(format!("cannot read the body: {error}")))?;
            *count += read as u64;
            match &part[..read] {
                [] => break,
                // Of a WebSocket it is a message.
                bytes if control.is_some() => inspector.watch(bytes)?,
                bytes => drop(inspector.push(Bytes::copy_from_slice(bytes))?),
            }
        }
        if control.is_none() {
            inspector.finish()?;
        }
        Ok(())
    }
}

fn request(trial: &Trial) -> Result<Request<()>, hyper::http::Error> {
    let mut request = Request::builder().method(trial.method.as_str()).uri(trial.target.as_str());
    for (name, value) in &trial.headers {
        request = request.header(name, value);
    }
    request.body(())
}
