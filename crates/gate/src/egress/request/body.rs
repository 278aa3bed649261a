//! Bodies on their way to the agent: the upstream's, passed frame by frame, filtered and counted; or a page of the
//! gate's own. Never collected.

use crate::audit::record::AuditRecord;
use crate::egress::inflight::InFlight;
use crate::egress::inspect::answer::AnswerFilter;
use crate::egress::last_bytes::BodyProgress;
use crate::egress::upstream::pool::PoolPermit;
use crate::egress::upstream::upload::{BodyError, UploadDenial};
use http_body_util::combinators::BoxBody;
use hyper::HeaderMap;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use wire::Outcome;

/// The body of an answer.
pub enum Body {
    /// The gate's own. `None`: it was sent, or there is none.
    Page(Option<Bytes>),
    /// The gate's own, which comes in pieces.
    Own(BoxBody<Bytes, Infallible>),
    /// The upstream's. Its record is written when the body ends or is dropped.
    Stream {
        incoming: Incoming,
        filter: Box<AnswerFilter>,
        /// Sent after what the filter had kept.
        trailers: Option<HeaderMap>,
        record: Box<AuditRecord>,
        ended: bool,
        /// What was read before the head was passed on.
        begun: Bytes,
        /// Held until the end, because the connection to the upstream is busy until then.
        permit: PoolPermit,
        /// Set once the request's body is denied.
        denial: UploadDenial,
    },
}

impl Body {
    /// Whether the head should wait for the beginning of the body, which may still deny the answer.
    pub fn waits(&self) -> bool {
        matches!(self, Body::Stream { filter, .. } if filter.delays_head())
    }

    /// How many bytes were read and kept.
    pub fn begun(&self) -> usize {
        if let Body::Stream { begun, .. } = self { begun.len() } else { 0 }
    }

    /// Keeps a frame that was read, to be passed on first.
    pub fn keep(&mut self, frame: Frame<Bytes>) {
        let Body::Stream { begun, trailers, .. } = self else { return };
        match frame.into_data() {
            Ok(data) if begun.is_empty() => *begun = data,
            Ok(data) => *begun = [&begun[..], &data[..]].concat().into(),
            Err(frame) => *trailers = frame.into_trailers().ok(),
        }
    }

    /// The next frame that was not kept yet.
    pub fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let (incoming, filter, trailers, record, ended, permit) = match self.get_mut() {
            Body::Page(page) => return Poll::Ready(page.take().map(|bytes| Ok(Frame::data(bytes)))),
            Body::Own(body) => {
                return Pin::new(body)
                    .poll_frame(cx)
                    .map(|frame| frame.map(|frame| frame.map_err(|never| match never {})));
            }
            Body::Stream { incoming, filter, trailers, record, ended, permit, .. } => {
                (incoming, filter, trailers, record, ended, permit)
            }
        };
        loop {
            let pulled = ready!(filter.poll_pull(cx));
            filter.report(record);
            let mut bytes = pulled.inspect_err(|why| {
                *ended = true;
                match filter.denial() {
                    Some(denial) => record.denied(denial),
                    None => record.failed(why.clone()),
                }
            })?;
            if !bytes.is_empty() {
                if filter.is_drained() && !*ended {
                    // hyper asks for nothing behind the last byte where it knows the length.
                    let progress = BodyProgress::of(incoming);
                    bytes = filter.pass(bytes, progress);
                    if progress == BodyProgress::Ended {
                        *ended = true;
                        permit.answer_ended();
                        filter.end();
                    }
                }
                if !bytes.is_empty() {
                    record.received += bytes.len() as u64;
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                continue;
            }
            if *ended {
                return Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(cx) else {
                let bytes = ready!(filter.poll_release(cx));
                record.received += bytes.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            };
            let frame = frame.transpose().inspect_err(|error| {
                *ended = true;
                record.failed(format!("the upstream broke off: {error}"));
            })?;
            match frame.map(Frame::into_data) {
                Some(Ok(data)) => filter.push(data),
                end => {
                    *ended = true;
                    permit.answer_ended();
                    filter.end();
                    *trailers = end.and_then(Result::err).and_then(|frame| frame.into_trailers().ok());
                    if let Some(trailers) = trailers {
                        filter.trailers(trailers);
                    }
                }
            }
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
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
            Body::Own(body) => body.is_end_stream(),
            Body::Stream { incoming, filter, trailers, ended, begun, .. } => {
                let over = filter.is_drained() && (*ended || (filter.is_transparent() && incoming.is_end_stream()));
                begun.is_empty() && trailers.is_none() && over
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Page(page) => SizeHint::with_exact(page.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Body::Own(body) => body.size_hint(),
            Body::Stream { begun, filter, ended: true, trailers: None, .. } if filter.is_drained() => {
                SizeHint::with_exact(begun.len() as u64)
            }
            Body::Stream { incoming, filter, begun, .. } if filter.keeps_length() && begun.is_empty() => {
                incoming.size_hint()
            }
            Body::Stream { .. } => SizeHint::default(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let Body::Stream { incoming, filter, record, ended, permit, denial, .. } = self else { return };
        // An upstream may answer before it has read a body that is then denied, and break off.
        if let Some(denial) = denial.get().filter(|_| record.audit.verdict != Outcome::Deny) {
            record.denied(denial);
        }
        if *ended {
            return;
        }
        if incoming.is_end_stream() {
            permit.answer_ended();
            // hyper does not poll for the end where it knows the length.
            let _ = filter.finish();
            filter.report(record);
        } else if record.audit.verdict == Outcome::Allow {
            record.audit.reason = Some("the agent went away before the end".to_owned());
        }
    }
}

/// A body that counts as a request in flight until it has ended.
pub struct CountedBody {
    pub body: Body,
    pub _in_flight: InFlight,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
