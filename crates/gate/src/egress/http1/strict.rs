//! An HTTP/1 connection whose requests were read strictly before anything else reads them.
//!
//! Bodies pass as they come. A head is kept until it is whole; in place of one that is refused, and of all that would
//! follow, comes a harmless last request, which [`Wire::fault`] then explains: a refusal has to be read.

use crate::egress::http1::framing::Place;
use crate::egress::http1::head::{Fault, Scan, judge};
use crate::egress::http1::ledger::{Misframed, Wire};
use crate::egress::request::inflight::Streams;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// For the answer to a request whose sender has said that it sends nothing more. Most who say so are gone.
const GRACE: Duration = Duration::from_secs(2);
/// In place of a head that is refused.
const HARMLESS: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";
/// Bytes of one read.
const PART: usize = 16 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; PART]);
}

pub struct Heads<S> {
    stream: S,
    wire: Arc<Wire>,
    streams: Arc<Streams>,
    /// Read, not handed on; the first `good` bytes may be.
    kept: Vec<u8>,
    taken: usize,
    good: usize,
    scan: Scan,
    place: Place,
    /// Nothing follows what is kept.
    ended: bool,
    /// Nothing but this.
    broken: Option<Fault>,
    grace: Option<Pin<Box<Sleep>>>,
}

impl<S> Heads<S> {
    /// `streams`: the requests under way on this connection.
    pub fn new(stream: S, wire: Arc<Wire>, streams: Arc<Streams>) -> Heads<S> {
        let (kept, scan, place) = (Vec::new(), Scan::default(), Place::Head);
        Heads { stream, wire, streams, kept, taken: 0, good: 0, scan, place, ended: false, broken: None, grace: None }
    }

    /// Looks at what is kept and not yet good, as far as it goes.
    fn sift(&mut self) {
        while self.good < self.kept.len() {
            if self.place != Place::Head {
                match self.place.advance(&self.kept[self.good..]) {
                    Ok(count) => self.good += count,
                    Err(fault) => return self.breaks(fault),
                }
                continue;
            }
            let head = &self.kept[self.good..];
            if self.scan.is_fresh() && head.starts_with(b"\r\n") {
                // An empty line before a request is no part of it.
                self.kept.drain(self.good..self.good + 2);
                continue;
            }
            if self.scan.is_fresh() && head == b"\r" {
                return;
            }
            match self.scan.find(head).and_then(|end| end.map(|end| Ok((end, judge(&head[..end])?))).transpose()) {
                Ok(None) => return,
                Ok(Some((end, framing))) => {
                    self.good += end;
                    self.scan = Scan::default();
                    self.place = framing.into();
                    self.wire.passes(framing);
                }
                Err(fault) => self.replace(fault),
            }
        }
    }

    fn replace(&mut self, fault: Fault) {
        self.wire.refuse(fault);
        self.kept.truncate(self.good);
        self.kept.extend_from_slice(HARMLESS);
        self.good = self.kept.len();
        self.ended = true;
    }

    /// What was good before it still is.
    fn breaks(&mut self, fault: Fault) {
        self.kept.truncate(self.good);
        (self.ended, self.broken) = (true, Some(fault));
    }
}

impl<S: AsyncRead + Unpin> Heads<S> {
    /// Reads into what is kept. False: the end.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut part = ReadBuf::new(scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut part) {
                Poll::Pending if self.kept.is_empty() => {
                    // Who waits holds no memory.
                    self.kept = Vec::new();
                    Poll::Pending
                }
                Poll::Pending => Poll::Pending,
                Poll::Ready(read) => {
                    read?;
                    self.kept.extend_from_slice(part.filled());
                    Poll::Ready(Ok(!part.filled().is_empty()))
                }
            }
        })
    }

    /// The end is kept back for a moment where an answer is still due.
    fn end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(fault) = self.broken {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, Misframed(fault))));
        }
        if self.place == Place::Head && !self.streams.quiet() {
            ready!(self.grace.get_or_insert_with(|| Box::pin(sleep(GRACE))).as_mut().poll(cx));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heads<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.taken < this.good {
                let some = &this.kept[this.taken..this.good];
                let count = some.len().min(into.remaining());
                into.put_slice(&some[..count]);
                this.taken += count;
                if this.taken == this.good {
                    this.kept.drain(..this.good);
                    (this.taken, this.good) = (0, 0);
                }
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                return this.end(cx);
            }
            if this.place == Place::Head || !this.kept.is_empty() {
                if ready!(this.fill(cx))? {
                    this.sift();
                    continue;
                }
                this.ended = true;
                if !this.scan.is_fresh() {
                    this.replace(Fault::Malformed("the connection closed in the middle of a head"));
                }
                continue;
            }
            // A body goes straight on.
            let before = into.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, into))?;
            let filled = &into.filled()[before..];
            let all = filled.len();
            match this.place.advance(filled) {
                Ok(count) if count == all => return Poll::Ready(Ok(())),
                Ok(count) => {
                    this.kept.extend_from_slice(&filled[count..]);
                    into.set_filled(before + count);
                    this.sift();
                    return Poll::Ready(Ok(()));
                }
                Err(fault) => {
                    into.set_filled(before);
                    this.breaks(fault);
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heads<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
