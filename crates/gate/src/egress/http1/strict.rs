//! An HTTP/1 connection whose requests are read strictly before hyper reads them.
//!
//! Bodies pass as they come. A head is kept until it is whole. A head that is rejected, and all that would follow it, is
//! replaced by a harmless last request, which the [`HeadLedger`] explains: only as the answer to a request can the agent
//! read what was wrong.

use crate::egress::delegate::delegate_write;
use crate::egress::http1::framing::StreamPosition;
use crate::egress::http1::head::{HeadScanner, Http1Fault, parse_head};
use crate::egress::http1::ledger::{FramingError, HeadLedger};
use crate::egress::inflight::ConnectionRequests;
use crate::egress::limits::{HALF_CLOSE_GRACE, HTTP1_READ_BYTES, MAX_EMPTY_LINES};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Stands for a head that is rejected.
const HARMLESS_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; HTTP1_READ_BYTES]);
}

/// The server's side of an HTTP/1 connection, for hyper to read.
pub struct StrictHttp1<S> {
    stream: S,
    ledger: Arc<HeadLedger>,
    requests: Arc<ConnectionRequests>,
    /// Bytes that were read and not yet handed on.
    kept: Vec<u8>,
    /// How many of `kept` were handed on already.
    taken: usize,
    /// How many of `kept` were checked, and may be handed on.
    checked: usize,
    scanner: HeadScanner,
    /// How many stood before the head that comes next.
    empty_lines: usize,
    position: StreamPosition,
    /// Whether nothing follows what is kept.
    ended: bool,
    /// What follows what is kept in place of an orderly end.
    broken: Option<Http1Fault>,
    grace: Option<Pin<Box<Sleep>>>,
}

impl<S> StrictHttp1<S> {
    /// `requests`: those in flight on this connection.
    pub fn new(stream: S, ledger: Arc<HeadLedger>, requests: Arc<ConnectionRequests>) -> StrictHttp1<S> {
        let (kept, scanner, position) = (Vec::new(), HeadScanner::default(), StreamPosition::Head);
        StrictHttp1 {
            stream,
            ledger,
            requests,
            kept,
            taken: 0,
            checked: 0,
            scanner,
            empty_lines: 0,
            position,
            ended: false,
            broken: None,
            grace: None,
        }
    }

    /// Checks what is kept and not yet checked, up to the first head that is not whole.
    fn check_kept(&mut self) {
        while self.checked < self.kept.len() {
            if self.position != StreamPosition::Head {
                match self.position.advance(&self.kept[self.checked..]) {
                    Ok(count) => self.checked += count,
                    Err(fault) => return self.end_with(fault),
                }
                continue;
            }
            let head = &self.kept[self.checked..];
            if self.scanner.is_fresh() && head.starts_with(b"\r\n") {
                // Empty lines before a request are no part of it. They go at once: each time, what follows is moved.
                let count = head.chunks_exact(2).take_while(|line| line == b"\r\n").count();
                self.empty_lines += count;
                if self.empty_lines > MAX_EMPTY_LINES {
                    return self.reject_head(Http1Fault::Malformed("too many empty lines stand before a request"));
                }
                self.kept.drain(self.checked..self.checked + 2 * count);
                continue;
            }
            if self.scanner.is_fresh() && head == b"\r" {
                return;
            }
            match self
                .scanner
                .find(head)
                .and_then(|end| end.map(|end| Ok((end, parse_head(&head[..end])?))).transpose())
            {
                Ok(None) => return,
                Ok(Some((end, framing))) => {
                    self.checked += end;
                    self.scanner = HeadScanner::default();
                    self.empty_lines = 0;
                    self.position = framing.into();
                    self.ledger.head_read(framing);
                }
                Err(fault) => self.reject_head(fault),
            }
        }
    }

    /// Lets a harmless last request follow what was checked, for the ledger to explain.
    fn reject_head(&mut self, fault: Http1Fault) {
        self.ledger.head_rejected(fault);
        self.kept.truncate(self.checked);
        self.kept.extend_from_slice(HARMLESS_REQUEST);
        self.checked = self.kept.len();
        self.ended = true;
    }

    /// Lets an error follow what was checked.
    fn end_with(&mut self, fault: Http1Fault) {
        self.kept.truncate(self.checked);
        (self.ended, self.broken) = (true, Some(fault));
    }
}

impl<S: AsyncRead + Unpin> StrictHttp1<S> {
    /// Reads into what is kept. False: the stream has ended.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut part = ReadBuf::new(scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut part) {
                Poll::Pending if self.kept.is_empty() => {
                    // A connection that waits holds no memory.
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

    /// Reports the end. It is held back for a moment where an answer is still due: hyper would drop the answer.
    fn end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(fault) = self.broken {
            return Poll::Ready(Err(FramingError::wrap(fault)));
        }
        if self.position == StreamPosition::Head && !self.requests.is_empty() {
            ready!(self.grace.get_or_insert_with(|| Box::pin(sleep(HALF_CLOSE_GRACE))).as_mut().poll(cx));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StrictHttp1<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.taken < this.checked {
                let some = &this.kept[this.taken..this.checked];
                let count = some.len().min(into.remaining());
                into.put_slice(&some[..count]);
                this.taken += count;
                if this.taken == this.checked {
                    this.kept.drain(..this.checked);
                    (this.taken, this.checked) = (0, 0);
                }
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                return this.end(cx);
            }
            if this.position == StreamPosition::Head || !this.kept.is_empty() {
                if ready!(this.fill(cx))? {
                    this.check_kept();
                    continue;
                }
                this.ended = true;
                if !this.scanner.is_fresh() {
                    this.reject_head(Http1Fault::Malformed("the connection closed in the middle of a head"));
                }
                continue;
            }
            // A body is read into the buffer of the caller.
            let before = into.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, into))?;
            let filled = &into.filled()[before..];
            let all = filled.len();
            match this.position.advance(filled) {
                Ok(count) if count == all => return Poll::Ready(Ok(())),
                Ok(count) => {
                    this.kept.extend_from_slice(&filled[count..]);
                    into.set_filled(before + count);
                    this.check_kept();
                    return Poll::Ready(Ok(()));
                }
                Err(fault) => {
                    into.set_filled(before);
                    this.end_with(fault);
                }
            }
        }
    }
}

delegate_write!(StrictHttp1, stream);
