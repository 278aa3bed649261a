//! Inspects one request's body, trailers and WebSocket messages. What comes back may leave once
//! [`RequestInspector::poll_unpacked`] is ready; it never is more than what was pushed, and by the end it is all of that.

use crate::audit::alarms::AlarmSender;
use crate::audit::record::AuditRecord;
use crate::egress::inspect::form::FormWatch;
use crate::egress::inspect::leaks::BodyScan;
use crate::egress::inspect::model::ModelRequest;
use crate::egress::live::allowed::AllowedRequest;
use crate::egress::peer::Peer;
use crate::egress::unpacker::Unpacking;
use hyper::body::Bytes;
use hyper::http::request;
use hyper::{HeaderMap, Method};
use policy::{Denial, Reason, Role};
use std::task::{Context, Poll, ready};

/// A scan, back from unpacking, and what that has found.
type UnpackedScan = (Box<BodyScan>, Result<(), Denial>);

/// The default inspects nothing, for a request without a body.
#[derive(Default)]
pub struct RequestInspector {
    model: Option<ModelRequest>,
    form: Option<Box<FormWatch>>,
    /// In a box, because a connection has room for many requests long before there are any. `None`: nothing is scanned, or
    /// it is being unpacked.
    leaks: Option<Box<BodyScan>>,
    unpacking: Option<Unpacking<UnpackedScan>>,
}

impl RequestInspector {
    /// `record`: of the request. `head`: as the agent sent it.
    pub fn new(
        record: &AuditRecord,
        allowed: &AllowedRequest,
        head: &request::Parts,
    ) -> Result<RequestInspector, Denial> {
        let is_message = allowed.rule().role == Some(Role::Claude) && head.method == Method::POST;
        let model = is_message.then(|| ModelRequest::new(allowed, head)).transpose()?;
        let peer = Peer { host: record.audit.host.clone(), port: record.audit.port };
        let form = FormWatch::new(allowed, peer, head)?.map(Box::new);
        let leaks = BodyScan::new(record.alarm_sender(), allowed, head);
        Ok(RequestInspector { model, form, leaks: Some(Box::new(leaks)), unpacking: None })
    }

    /// From here on, findings are reported to `alarms`.
    pub fn report_to(&mut self, alarms: AlarmSender) {
        if let Some(leaks) = &mut self.leaks {
            leaks.alarms = alarms;
        }
    }

    pub fn push(&mut self, bytes: Bytes) -> Result<Bytes, Denial> {
        self.form.as_mut().map_or(Ok(()), |form| form.push(&bytes))?;
        let bytes = match &mut self.model {
            Some(model) => model.push(bytes)?,
            None => bytes,
        };
        match &mut self.leaks {
            Some(leaks) => leaks.push(&bytes),
            None => Ok(bytes),
        }
    }

    /// Inspects a part of a WebSocket's messages, of which nothing is held back.
    pub fn watch(&mut self, bytes: &[u8]) -> Result<(), Denial> {
        self.leaks.as_mut().map_or(Ok(()), |leaks| leaks.watch(bytes))
    }

    /// The WebSocket's message is complete, and waits for this verdict.
    pub fn end_message(&mut self) -> Result<(), Denial> {
        self.leaks.as_mut().map_or(Ok(()), |leaks| leaks.end_message())
    }

    /// Ready when the compressed files of all that was inspected are, too. Nothing more may be inspected before that.
    pub fn poll_unpacked(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Denial>> {
        if let Some(mut leaks) = self.leaks.take_if(|leaks| leaks.must_unpack()) {
            self.unpacking = Some(leaks.unpacker().run(move || {
                let unpacked = leaks.unpack();
                (leaks, unpacked)
            }));
        }
        let Some(unpacking) = &mut self.unpacking else { return Poll::Ready(Ok(())) };
        let done = ready!(unpacking.poll(cx));
        self.unpacking = None;
        let Some((leaks, unpacked)) = done else {
            return Poll::Ready(Err(Denial::new(Reason::Dlp, "what is compressed in the body could not be read")));
        };
        self.leaks = Some(leaks);
        Poll::Ready(unpacked)
    }

    /// Nothing follows at present: ready with what was held back, once that has lasted, if it may leave.
    pub fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        self.leaks.as_mut().map_or(Poll::Pending, |leaks| leaks.poll_release(cx))
    }

    /// Unpacks here what waits, for a caller that serves nothing meanwhile.
    pub fn unpack(&mut self) -> Result<(), Denial> {
        self.leaks.as_mut().map_or(Ok(()), |leaks| leaks.unpack())
    }

    pub fn trailers(&mut self, trailers: &HeaderMap) -> Result<(), Denial> {
        self.leaks.as_mut().map_or(Ok(()), |leaks| leaks.trailers(trailers))
    }

    /// The body is complete: returns what was held back.
    pub fn finish(&mut self) -> Result<Bytes, Denial> {
        self.form.as_mut().map_or(Ok(()), |form| form.finish())?;
        let rest = match &mut self.model {
            Some(model) => model.finish()?,
            None => Bytes::new(),
        };
        let Some(leaks) = &mut self.leaks else { return Ok(rest) };
        let rest = if rest.is_empty() { rest } else { leaks.push(&rest)? };
        Ok([rest, leaks.finish()?].concat().into())
    }
}
