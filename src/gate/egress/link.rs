//! One connection to an upstream, once bytes can flow: HTTP in the version that was agreed on, with all its bounds.

use super::body::Upload;
use super::dial::Trouble;
use super::head::LARGEST;
use super::http::BUFFER;
use hyper::client::conn::http1::SendRequest;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::error::Error as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;

/// Bytes that an upstream may send ahead: of one answer, of all on a connection. Enough for the speed of a far line.
const WIDE: (u32, u32) = (4 * 1024 * 1024, 4 * 1024 * 1024);
/// Where there are many connections. Where nobody reads they all fill up, and the container's memory has an end.
const NARROW: (u32, u32) = (256 * 1024, 512 * 1024);
static WIDTHS: Semaphore = Semaphore::const_new(32);
/// Bytes of requests that wait for an upstream.
const WAITING: usize = 256 * 1024;

/// What is offered to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    One,
    Two,
    Both,
}

impl Offer {
    /// As TLS names it, the best first.
    pub fn names(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Offer::One => &[b"http/1.1"],
            Offer::Two => &[b"h2"],
            Offer::Both => &[b"h2", b"http/1.1"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

pub enum Link {
    One(SendRequest<Upload>),
    Two(http2::SendRequest<Upload>),
}

impl Link {
    pub async fn one(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Link, Trouble> {
        let (sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_header_size(LARGEST)
            .max_buf_size(BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broke(&error))?;
        tokio::spawn(connection.with_upgrades());
        Ok(Link::One(sender))
    }

    pub async fn two(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Link, Trouble> {
        let width = WIDTHS.try_acquire().ok();
        let (one, all) = if width.is_some() { WIDE } else { NARROW };
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(one)
            .initial_connection_window_size(all)
            .max_header_list_size(LARGEST as u32)
            .max_send_buf_size(WAITING)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broke(&error))?;
        tokio::spawn(async move {
            let _width = width;
            connection.await
        });
        Ok(Link::Two(sender))
    }
}

/// Did the connection end, or the upstream say that it has not looked at the request?
pub fn lost(error: &hyper::Error) -> bool {
    let Some(source) = error.source().and_then(|source| source.downcast_ref::<h2::Error>()) else { return true };
    source.is_go_away() || source.is_io() || source.reason() == Some(h2::Reason::REFUSED_STREAM)
}

pub fn broke(error: &hyper::Error) -> Trouble {
    Trouble::Failed("upstream", format!("the upstream broke off: {error}"))
}
