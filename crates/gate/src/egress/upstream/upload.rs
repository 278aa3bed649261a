//! The body of a request on its way to the upstream, passed frame by frame, inspected and counted. Never collected.
//!
//! What may not leave ends the body with an error, and the request with it. The last bytes wait for the verdict on the whole
//! body.

use crate::egress::http1::ledger::FramingError;
use crate::egress::inspect::headers;
use crate::egress::inspect::request::RequestInspector;
use crate::egress::last_bytes::{BodyProgress, LastBytes};
use crate::egress::limits::INSPECT_BYTES;
use crate::egress::turns::Turns;
use hyper::HeaderMap;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::header::HeaderName;
use policy::{Denial, Reason};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

/// The body of one request. Always boxed: hyper's client has room for many requests, long before there are any.
pub struct Upload {
    /// `None`: all of it was read, or there is none.
    incoming: Option<Incoming>,
    inspector: RequestInspector,
    turns: Turns,
    /// The rest of a frame, not inspected yet.
    rest: Option<Bytes>,
    /// What may leave of the beginning of that frame: a frame leaves as a whole.
    begun: Vec<u8>,
    /// Inspected last, and waiting for the compressed files in it.
    inspected: Option<Inspected>,
    denial: UploadDenial,
    last: LastBytes,
    /// Sent after what the inspector had kept.
    trailers: Option<HeaderMap>,
    sent: Arc<AtomicU64>,
    /// The headers that routes inject.
    own_headers: Arc<[HeaderName]>,
}

enum Inspected {
    /// The beginning of a frame, whose rest is to be inspected.
    Begun(Bytes),
    /// A frame as a whole, or its end.
    Data(Bytes, BodyProgress),
    /// The end, with what had been held back.
    End(Bytes),
}

/// Why a body was denied on its way. It travels beside hyper, which tells the sender only that the body failed: the body
/// sets it, and the sender of the request reads it.
#[derive(Clone, Default)]
pub struct UploadDenial(Arc<OnceLock<Denial>>);

impl UploadDenial {
    /// The first denial counts.
    fn set(&self, denial: Denial) {
        let _ = self.0.set(denial);
    }

    pub fn get(&self) -> Option<&Denial> {
        self.0.get()
    }
}

/// Ends a body early, in either direction.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

impl Upload {
    /// `sent` counts the bytes that the agent sent; of the trailers, checksums remain that are not in
    /// `own_headers`.
    pub fn new(
        incoming: Option<Incoming>,
        inspector: RequestInspector,
        sent: Arc<AtomicU64>,
        own_headers: Arc<[HeaderName]>,
    ) -> Box<Upload> {
        let (turns, rest, begun, inspected) = Default::default();
        let (denial, last, trailers) = Default::default();
        Box::new(Upload {
            incoming,
            inspector,
            turns,
            rest,
            begun,
            inspected,
            denial,
            last,
            trailers,
            sent,
            own_headers,
        })
    }

    /// For a request without a body.
    pub fn empty() -> Box<Upload> {
        let (inspector, sent, own_headers) = Default::default();
        Upload::new(None, inspector, sent, own_headers)
    }

    pub fn denial(&self) -> UploadDenial {
        self.denial.clone()
    }

    /// `frame`: `None` at the end of the body.
    fn inspect(&mut self, frame: Option<Frame<Bytes>>) -> Result<Inspected, Denial> {
        match frame.map(Frame::into_data) {
            Some(Ok(data)) => {
                self.sent.fetch_add(data.len() as u64, Relaxed);
                self.inspect_data(data)
            }
            end => {
                self.incoming = None;
                if let Some(Ok(mut trailers)) = end.and_then(Result::err).map(Frame::into_trailers) {
                    headers::clean_trailers(&mut trailers, &self.own_headers);
                    self.inspector.trailers(&trailers)?;
                    self.trailers = Some(trailers);
                }
                self.inspector.finish().map(Inspected::End)
            }
        }
    }

    /// Inspects as much of a frame as may be done at once.
    fn inspect_data(&mut self, mut data: Bytes) -> Result<Inspected, Denial> {
        let rest = data.split_off(data.len().min(INSPECT_BYTES));
        self.turns.inspected(data.len());
        let bytes = self.inspector.push(data)?;
        if !rest.is_empty() {
            self.rest = Some(rest);
            return Ok(Inspected::Begun(bytes));
        }
        let progress = self.incoming.as_ref().map_or(BodyProgress::Ended, BodyProgress::of);
        if progress == BodyProgress::Ended {
            self.incoming = None;
        }
        Ok(Inspected::Data(bytes, progress))
    }

    /// What may leave now of what was inspected, and whose compressed files were.
    fn pass(&mut self, inspected: Inspected) -> Result<Bytes, Denial> {
        Ok(match inspected {
            Inspected::Begun(bytes) => {
                self.begun.extend_from_slice(&bytes);
                Bytes::new()
            }
            Inspected::Data(mut bytes, progress) => {
                if !self.begun.is_empty() {
                    self.begun.extend_from_slice(&bytes);
                    bytes = std::mem::take(&mut self.begun).into();
                }
                if progress == BodyProgress::Ended {
                    self.inspected = Some(Inspected::End(self.inspector.finish()?));
                }
                self.last.pass(bytes, progress)
            }
            Inspected::End(rest) => self.last.followed_by(rest),
        })
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadError>>> {
        loop {
            ready!(self.turns.poll(cx));
            ready!(self.inspector.poll_unpacked(cx))?;
            if let Some(inspected) = self.inspected.take() {
                let bytes = self.pass(inspected)?;
                if !bytes.is_empty() {
                    return Poll::Ready(Some(Ok(bytes)));
                }
            } else if let Some(rest) = self.rest.take() {
                self.inspected = Some(self.inspect_data(rest)?);
            } else if let Some(incoming) = &mut self.incoming {
                let Poll::Ready(frame) = Pin::new(incoming).poll_frame(cx) else {
                    return self.inspector.poll_release(cx).map(|bytes| Some(Ok(bytes)));
                };
                let frame = frame.transpose().map_err(UploadError::Broken)?;
                self.inspected = Some(self.inspect(frame)?);
            } else {
                return Poll::Ready(None);
            }
        }
    }
}

/// Why no more of a body leaves.
enum UploadError {
    Denied(Denial),
    Broken(hyper::Error),
}

impl From<Denial> for UploadError {
    fn from(denial: Denial) -> UploadError {
        UploadError::Denied(denial)
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(match ready!(self.poll_bytes(cx)) {
            Some(Ok(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Err(UploadError::Denied(denial))) => {
                (self.incoming, self.rest, self.inspected) = (None, None, None);
                let broken = denial.text.clone().into();
                self.denial.set(denial);
                Some(Err(broken))
            }
            Some(Err(UploadError::Broken(error))) => {
                if let Some(fault) = FramingError::find_in(&error) {
                    self.denial.set(Denial::new(Reason::Malformed, fault.text()));
                }
                Some(Err(error.into()))
            }
            None => self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_none() && self.inspected.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.incoming {
            Some(incoming) => incoming.size_hint(),
            None if self.inspected.is_some() => SizeHint::default(),
            None => SizeHint::with_exact(0),
        }
    }
}
