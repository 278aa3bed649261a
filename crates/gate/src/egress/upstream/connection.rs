//! One connection to an upstream: TLS, and then HTTP in the version that was agreed on, with all its bounds.

use crate::egress::AllowedRequest;
use crate::egress::http1::head::LARGEST;
use crate::egress::live::snapshot::{PolicySnapshot, plain};
use crate::egress::request::body::Upload;
use crate::egress::request::serve::{BUFFER, Conversation};
use crate::egress::upstream::bulk_read::Gulp;
use crate::egress::upstream::dial::{Target, Trouble};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::error::Error as _;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{AlertDescription, Error as TlsError};

/// For the TLS handshake with an upstream.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections to upstreams beside the first one of each connection of the agent's.
pub static MORE: Semaphore = Semaphore::const_new(1024);
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
    One(Turn),
    Two(http2::SendRequest<Box<Upload>>),
}

/// A connection for one request at a time.
pub struct Turn {
    pub sender: http1::SendRequest<Box<Upload>>,
    _more: Option<SemaphorePermit<'static>>,
}

impl Conversation {
    pub async fn connect(&self, pass: &AllowedRequest, offer: Offer, target: Option<Target>) -> Result<Link, Trouble> {
        let (dialler, snapshot, route): (_, &PolicySnapshot, _) = (&self.egress.dialler, &pass.snapshot, pass.rule());
        let target = match target {
            Some(target) => target,
            None => dialler.locate(snapshot, route, &self.host).await?,
        };
        if plain(route) {
            return Link::one(dialler.open(snapshot, &target).await?).await;
        }
        let failed = |why: &str| Trouble::Failed("tls", format!("TLS with `{}`: {why}", self.host));
        let stream = match self.secure(pass, offer, &target).await? {
            Err(error) if offer == Offer::One && unspoken(&error) => self.secure(pass, Offer::Two, &target).await?,
            done => done,
        };
        let stream = stream.map_err(|error| failed(&error.to_string()))?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Link::two(stream).await,
            _ => Link::one(stream).await,
        }
    }

    async fn secure(
        &self,
        pass: &AllowedRequest,
        offer: Offer,
        target: &Target,
    ) -> Result<std::io::Result<Secure>, Trouble> {
        let failed = |why: &str| Trouble::Failed("tls", format!("TLS with `{}`: {why}", self.host));
        let stream = Gulp::new(self.egress.dialler.tunnel(&pass.snapshot, target).await?);
        let config = pass.snapshot.tls(pass.rule()).ok_or_else(|| failed("no trust store"))?;
        let name = ServerName::try_from(self.host.clone()).map_err(|_| failed("not a server's name"))?;
        let connector = TlsConnector::from(config);
        let connecting = connector.with_alpn(offer.names()).connect(name, stream);
        timeout(HANDSHAKE, connecting).await.map_err(|_| failed("no answer"))
    }
}

type Secure = TlsStream<Gulp<TcpStream>>;

/// Did the upstream refuse what was offered?
fn unspoken(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    matches!(inner, Some(TlsError::AlertReceived(AlertDescription::NoApplicationProtocol)))
}

impl Link {
    pub async fn one(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Link, Trouble> {
        let (sender, connection) = http1::Builder::new()
            .max_header_size(LARGEST)
            .max_buf_size(BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broke(&error))?;
        tokio::spawn(connection.with_upgrades());
        Ok(Link::One(Turn { sender, _more: None }))
    }

    /// Until it ends.
    pub fn holding(self, more: Option<SemaphorePermit<'static>>) -> Link {
        match self {
            Link::One(turn) => Link::One(Turn { _more: more, ..turn }),
            Link::Two(sender) => Link::Two(sender),
        }
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
