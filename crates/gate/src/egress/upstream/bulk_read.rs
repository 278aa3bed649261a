//! Reading in large parts beneath TLS: rustls asks for 4 KiB at a time, which would be four system calls a record.
//!
//! The large buffer is the thread's, not the connection's: a connection that waits holds no memory for it.

use crate::egress::delegate::delegate_write;
use crate::egress::limits::BULK_READ_BYTES;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; BULK_READ_BYTES]);
}

/// A stream that is read in large parts, whatever its reader asks for.
pub struct BulkReader<S> {
    stream: S,
    /// What was read and not asked for yet.
    rest: Vec<u8>,
    /// How many bytes of `rest` were handed on.
    taken: usize,
}

impl<S> BulkReader<S> {
    pub fn new(stream: S) -> BulkReader<S> {
        BulkReader { stream, rest: Vec::new(), taken: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BulkReader<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.taken == this.rest.len() {
            this.rest.clear();
            this.taken = 0;
            return SCRATCH.with_borrow_mut(|scratch| {
                let mut scratch = ReadBuf::new(scratch);
                let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, &mut scratch) else {
                    this.rest = Vec::new();
                    return Poll::Pending;
                };
                read?;
                let (now, later) = scratch.filled().split_at(scratch.filled().len().min(into.remaining()));
                into.put_slice(now);
                this.rest.extend_from_slice(later);
                Poll::Ready(Ok(()))
            });
        }
        let rest = &this.rest[this.taken..];
        let count = rest.len().min(into.remaining());
        into.put_slice(&rest[..count]);
        this.taken += count;
        Poll::Ready(Ok(()))
    }
}

delegate_write!(BulkReader, stream);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn nothing_is_lost_or_reordered() {
        let (mut send, receive) = tokio::io::duplex(50_000);
        let sent: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let expected = sent.clone();
        let feed = tokio::spawn(async move {
            send.write_all(&sent).await.unwrap();
        });
        let mut reader = BulkReader::new(receive);
        let mut got = Vec::new();
        let mut part = [0; 1000];
        loop {
            match reader.read(&mut part).await.unwrap() {
                0 => break,
                count => got.extend_from_slice(&part[..count]),
            }
        }
        feed.await.unwrap();
        assert_eq!(got, expected);
        assert_eq!(reader.rest.len(), 0);
    }
}
