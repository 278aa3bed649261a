//! Bodies on their way through: passed frame by frame, trailers too, and counted. Never collected.

use crate::audit::record::AuditRecord;
use crate::egress::http1::ledger::misframed;
use crate::egress::inspect::body::{AnswerFilter, RequestInspector};
use crate::egress::inspect::headers;
use crate::egress::upstream::pool::Lease;
use hyper::HeaderMap;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::header::HeaderName;
use policy::{Denial, Reason};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use wire::Outcome;

/// From the agent to the upstream: what may not leave ends the body with an error, and the request with it.
///
/// In a box: a connection to an upstream has room for many requests, long before there are any.
pub struct Upload {
    /// None: nothing more to send.
    incoming: Option<Incoming>,
    inspector: RequestInspector,
    verdict: Verdict,
    /// They follow what the inspector had kept.
    trailers: Option<HeaderMap>,
    sent: Arc<AtomicU64>,
    /// The headers that routes inject.
    own: Arc<[HeaderName]>,
}

/// Why a body was not sent to its end, for whoever waits for the answer.
pub type Verdict = Arc<OnceLock<Denial>>;

/// Ends a body early.
pub type Broken = Box<dyn std::error::Error + Send + Sync>;

impl Upload {
    pub fn new(
        incoming: Option<Incoming>,
        inspector: RequestInspector,
        record: &AuditRecord,
        own: Arc<[HeaderName]>,
    ) -> Box<Upload> {
        let (verdict, trailers, sent) = (Arc::default(), None, record.sent.clone());
        Box::new(Upload { incoming, inspector, verdict, trailers, sent, own })
    }

    /// For a request without a body.
    pub fn nothing() -> Box<Upload> {
        let (verdict, sent, own) = Default::default();
        Box::new(Upload { incoming: None, inspector: RequestInspector::default(), verdict, trailers: None, sent, own })
    }

    pub fn verdict(&self) -> Verdict {
        self.verdict.clone()
    }

    fn next(&mut self, frame: Option<Frame<Bytes>>) -> Result<Bytes, Denial> {
        match frame.map(Frame::into_data) {
            Some(Ok(data)) => {
                self.sent.fetch_add(data.len() as u64, Relaxed);
                self.inspector.push(data)
            }
            end => {
                self.incoming = None;
                if let Some(Ok(mut trailers)) = end.and_then(Result::err).map(Frame::into_trailers) {
                    headers::trailing(&mut trailers, &self.own);
                    self.inspector.trailers(&trailers)?;
                    self.trailers = Some(trailers);
                }
                self.inspector.finish()
            }
        }
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        while let Some(incoming) = &mut self.incoming {
            let frame = ready!(Pin::new(incoming).poll_frame(cx)).transpose().inspect_err(|error| {
                if let Some(fault) = misframed(error) {
                    let _ = self.verdict.set(Denial::new(Reason::Malformed, fault.text()));
                }
            })?;
            match self.next(frame) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Err(denial) => {
                    self.incoming = None;
                    let broken = denial.text.clone().into();
                    let _ = self.verdict.set(denial);
                    return Poll::Ready(Some(Err(broken)));
                }
            }
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

/// To the agent. Its record is written when the body ends or is dropped.
pub enum Body {
    /// Of the gate's own.
    Page(Option<Bytes>),
    Stream {
        incoming: Incoming,
        filter: Box<AnswerFilter>,
        /// They follow what the filter had kept.
        trailers: Option<HeaderMap>,
        record: Box<AuditRecord>,
        ended: bool,
        /// Read before the head was passed on.
        begun: Bytes,
        /// The upstream's connection is busy until the end.
        _lease: Option<Lease>,
    },
}

impl Body {
    /// Its head had better wait for what it begins with.
    pub fn waits(&self) -> bool {
        matches!(self, Body::Stream { filter, .. } if filter.waits())
    }

    /// Bytes that were read and kept.
    pub fn begun(&self) -> usize {
        if let Body::Stream { begun, .. } = self { begun.len() } else { 0 }
    }

    /// To be passed on first.
    pub fn keep(&mut self, frame: Frame<Bytes>) {
        let Body::Stream { begun, trailers, .. } = self else { return };
        match frame.into_data() {
            Ok(data) if begun.is_empty() => *begun = data,
            Ok(data) => *begun = [&begun[..], &data[..]].concat().into(),
            Err(frame) => *trailers = frame.into_trailers().ok(),
        }
    }

    /// What comes, whatever was kept.
    pub fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let (incoming, filter, trailers, record, ended) = match self.get_mut() {
            Body::Page(page) => return Poll::Ready(page.take().map(|bytes| Ok(Frame::data(bytes)))),
            Body::Stream { incoming, filter, trailers, record, ended, .. } => {
                (incoming, filter, trailers, record, ended)
            }
        };
        loop {
            let mut passed = filter.pull();
            if matches!(&passed, Ok(bytes) if bytes.is_empty()) {
                if *ended {
                    return Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
                }
                let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx)).transpose().inspect_err(|error| {
                    *ended = true;
                    record.failed(format!("the upstream broke off: {error}"));
                })?;
                match frame.map(Frame::into_data) {
                    Some(Ok(data)) => {
                        filter.push(data);
                        continue;
                    }
                    end => {
                        *ended = true;
                        passed = filter.finish();
                        *trailers = end.and_then(Result::err).and_then(|frame| frame.into_trailers().ok());
                        if let Some(trailers) = trailers {
                            filter.trailers(trailers);
                        }
                    }
                }
            }
            filter.tell(record);
            let bytes = passed.inspect_err(|why| {
                *ended = true;
                match filter.refused() {
                    Some(denial) => record.denied(denial),
                    None => record.failed(why.clone()),
                }
            })?;
            if !bytes.is_empty() {
                record.received += bytes.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut *self {
            Body::Stream { begun, .. } if !begun.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(begun)))))
            }
            _ => self.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Page(page) => page.is_none(),
            Body::Stream { incoming, filter, trailers, ended, begun, .. } => {
                let over = *ended || (filter.is_still() && incoming.is_end_stream());
                begun.is_empty() && trailers.is_none() && over
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Page(page) => SizeHint::with_exact(page.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Body::Stream { begun, ended: true, trailers: None, .. } => SizeHint::with_exact(begun.len() as u64),
            Body::Stream { incoming, filter, begun, .. } if filter.keeps_length() && begun.is_empty() => {
                incoming.size_hint()
            }
            Body::Stream { .. } => SizeHint::default(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let Body::Stream { incoming, filter, record, ended: false, .. } = self else { return };
        if incoming.is_end_stream() {
            // Nobody asked whether there is more: a length had said so.
            let _ = filter.finish();
            filter.tell(record);
        } else if record.audit.verdict == Outcome::Allow {
            record.audit.reason = Some("the agent went away before the end".to_owned());
        }
    }
}
