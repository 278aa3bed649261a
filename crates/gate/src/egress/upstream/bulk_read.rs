//! Reading in large parts beneath TLS: rustls asks for 4 KiB at a time, which would be four system calls a record.
//!
//! The large buffer is the thread's, not the connection's: a connection that waits holds no memory for it.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of one read: two whole TLS records.
const GULP: usize = 34 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; GULP]);
}

pub struct Gulp<S> {
    stream: S,
    /// Read, but not asked for yet.
    rest: Vec<u8>,
    taken: usize,
}

impl<S> Gulp<S> {
    pub fn new(stream: S) -> Gulp<S> {
        Gulp { stream, rest: Vec::new(), taken: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gulp<S> {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Gulp<S> {
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
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

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
        let mut gulp = Gulp::new(receive);
        let mut got = Vec::new();
        let mut part = [0; 1000];
        loop {
            match gulp.read(&mut part).await.unwrap() {
                0 => break,
                count => got.extend_from_slice(&part[..count]),
            }
        }
        feed.await.unwrap();
        assert_eq!(got, expected);
        assert_eq!(gulp.rest.len(), 0);
    }
}
