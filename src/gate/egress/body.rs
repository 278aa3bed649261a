//! Bodies on their way through: passed frame by frame, trailers too, and counted. Never collected.

use super::headers;
use super::tally::Tally;
use claude_bottle::protocol::Outcome;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::header::HeaderName;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

/// From the agent to the upstream.
pub struct Upload {
    /// None: nothing to send.
    incoming: Option<Incoming>,
    sent: Arc<AtomicU64>,
    /// The headers that routes inject.
    own: Arc<[HeaderName]>,
}

impl Upload {
    pub fn new(incoming: Option<Incoming>, sent: Arc<AtomicU64>, own: Arc<[HeaderName]>) -> Upload {
        Upload { incoming, sent, own }
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let mut frame = ready!(Pin::new(incoming).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame {
            let length = frame.data_ref().map_or(0, Bytes::len);
            self.sent.fetch_add(length as u64, Relaxed);
            if let Some(trailers) = frame.trailers_mut() {
                headers::trailing(trailers, &self.own);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

/// To the agent. Its tally is written when the body ends or is dropped.
pub enum Body {
    /// Of the gate's own.
    Page(Option<Bytes>),
    Stream {
        incoming: Incoming,
        tally: Box<Tally>,
        ended: bool,
    },
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Body::Page(page) => Poll::Ready(page.take().map(|bytes| Ok(Frame::data(bytes)))),
            Body::Stream { incoming, tally, ended } => {
                let frame = ready!(Pin::new(incoming).poll_frame(cx));
                match &frame {
                    Some(Ok(frame)) => tally.received += frame.data_ref().map_or(0, Bytes::len) as u64,
                    Some(Err(error)) => {
                        *ended = true;
                        tally.failed(format!("the upstream broke off: {error}"));
                    }
                    None => *ended = true,
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Page(page) => page.is_none(),
            Body::Stream { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Page(page) => SizeHint::with_exact(page.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Body::Stream { incoming, .. } => incoming.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Body::Stream { incoming, tally, ended } = self
            && !*ended
            && !incoming.is_end_stream()
            && tally.audit.verdict == Outcome::Allow
        {
            tally.audit.reason = Some("the agent went away before the end".to_owned());
        }
    }
}
