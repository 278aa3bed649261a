//! A connection that carries bytes to an upstream: TCP, or TLS with a proxy that passes them on.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

pub enum UpstreamStream {
    Tcp(TcpStream),
    /// Inside TLS with the upstream proxy.
    InProxyTls(Box<TlsStream<TcpStream>>),
}

impl UpstreamStream {
    /// A blocking descriptor for another program. What TLS carries is copied for as long as the program has it open.
    pub fn into_descriptor(self) -> io::Result<OwnedFd> {
        match self {
            UpstreamStream::Tcp(stream) => {
                let stream = stream.into_std()?;
                stream.set_nonblocking(false)?;
                Ok(stream.into())
            }
            UpstreamStream::InProxyTls(mut stream) => {
                let (ours, theirs) = StdUnixStream::pair()?;
                ours.set_nonblocking(true)?;
                let mut ours = UnixStream::from_std(ours)?;
                tokio::spawn(async move { copy_bidirectional(&mut ours, &mut *stream).await });
                Ok(theirs.into())
            }
        }
    }
}

/// Calls the method of whichever stream it is.
macro_rules! each {
    ($stream:expr, $method:ident($($argument:expr),*)) => {
        match &mut *$stream {
            UpstreamStream::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            UpstreamStream::InProxyTls(stream) => Pin::new(&mut **stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for UpstreamStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, poll_read(cx, into))
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            UpstreamStream::Tcp(stream) => stream.is_write_vectored(),
            UpstreamStream::InProxyTls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, poll_shutdown(cx))
    }
}
