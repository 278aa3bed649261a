//! One connection to an upstream: TLS, and then HTTP in the version that was agreed on, with all its bounds.

use crate::audit::AuditTrail;
use crate::audit::alarms::AlarmSender;
use crate::egress::limits::{
    HANDSHAKE_TIMEOUT, HTTP1_BUFFER_BYTES, Http2Window, MAX_EXTRA_UPSTREAMS, MAX_HEAD_BYTES, MAX_WIDE_WINDOWS,
    NARROW_WINDOW, UNASKED_TIMEOUT, UPSTREAM_SEND_BYTES, WIDE_WINDOW,
};
use crate::egress::live::allowed::AllowedRequest;
use crate::egress::peer::Peer;
use crate::egress::serve_error::ServeError;
use crate::egress::upstream::bulk_read::BulkReader;
use crate::egress::upstream::dial::{Dialler, Target};
use crate::egress::upstream::proxy_tunnel::HttpProxy;
use crate::egress::upstream::tls_failure;
use crate::egress::upstream::upload::Upload;
use crate::egress::upstream::upstream_stream::UpstreamStream;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use policy::Destination;
use std::error::Error as _;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{AlertDescription, ClientConfig, Error as TlsError};
use wire::{Alarm, Done};

/// The HTTP versions that are offered to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    Http1,
    /// HTTP/1, for one request that switches protocols.
    Upgrade,
    Http2,
    Both,
}

impl Offer {
    /// The protocol names of ALPN, the preferred one first.
    pub fn alpn(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Offer::Http1 | Offer::Upgrade => &[b"http/1.1"],
            Offer::Http2 => &[b"h2"],
            Offer::Both => &[b"h2", b"http/1.1"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

/// A connection that requests can be sent on.
pub enum Connection {
    Http1(Http1Connection),
    Http2(http2::SendRequest<Box<Upload>>),
}

/// A connection for one request at a time.
pub struct Http1Connection {
    pub sender: http1::SendRequest<Box<Upload>>,
    /// Told when the last answer was read to its end. Dropped untold where that does not happen.
    pub last_answer_ended: Option<oneshot::Sender<()>>,
    /// The upstream proxy, where it reads the requests and passes each of them on.
    pub reader: Option<HttpProxy>,
    /// Held until the connection ends, if it is not the first one of its pool.
    _extra: Option<OwnedSemaphorePermit>,
}

/// Makes connections to upstreams, within the bounds of the whole gate.
pub struct Connector {
    pub dialler: Dialler,
    /// Connections beside the first one of each pool.
    pub extra: Arc<Semaphore>,
    /// HTTP/2 connections with [`WIDE_WINDOW`].
    wide: Arc<Semaphore>,
    trail: Arc<AuditTrail>,
}

type Secured = TlsStream<BulkReader<UpstreamStream>>;

impl Connector {
    pub fn new(trail: Arc<AuditTrail>) -> Result<Connector, String> {
        let [extra, wide] = [MAX_EXTRA_UPSTREAMS, MAX_WIDE_WINDOWS].map(|permits| Arc::new(Semaphore::new(permits)));
        Ok(Connector { dialler: Dialler::new()?, extra, wide, trail })
    }

    /// Connects to where the route of `allowed` leads. `target`: that place, if it was looked up before.
    pub async fn connect(
        &self,
        to: &Peer,
        allowed: &AllowedRequest,
        offer: Offer,
        target: Option<Target>,
    ) -> Result<Connection, ServeError> {
        let (snapshot, route) = (&allowed.snapshot, allowed.rule());
        let target = match target {
            Some(target) => target,
            None => {
                let destination = Destination::of(route, &to.host, snapshot.via()).map_err(ServeError::Denied)?;
                self.dialler.locate(&destination, snapshot.proxy.as_ref()).await?
            }
        };
        if route.is_upstream_plain() {
            let (stream, reader) = self.dialler.open(&target).await?;
            let connection = self.http1(to, stream, offer).await?;
            return Ok(Connection::Http1(Http1Connection { reader, ..connection }));
        }
        let stream = match self.secure(to, allowed, offer, &target).await? {
            Err(error) if offer == Offer::Http1 && refuses_offer(&error) => {
                self.secure(to, allowed, Offer::Http2, &target).await?
            }
            done => done,
        };
        let stream = stream.map_err(|error| tls_failed(&to.host, &tls_failure::explain(&error)))?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => self.http2(stream).await,
            _ => self.http1(to, stream, offer).await.map(Connection::Http1),
        }
    }

    /// The inner error is that of the handshake; the outer one says why there was none.
    async fn secure(
        &self,
        to: &Peer,
        allowed: &AllowedRequest,
        offer: Offer,
        target: &Target,
    ) -> Result<std::io::Result<Secured>, ServeError> {
        let stream = BulkReader::new(self.dialler.tunnel(target).await?);
        secure(allowed.snapshot.tls(allowed.rule()), offer, &to.host, stream).await
    }

    async fn http1<S>(&self, to: &Peer, stream: S, offer: Offer) -> Result<Http1Connection, ServeError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .max_header_size(MAX_HEAD_BYTES)
            .max_buf_size(HTTP1_BUFFER_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broke_off(&error))?;
        let (last_answer_ended, has_ended) = oneshot::channel();
        if offer == Offer::Upgrade {
            tokio::spawn(connection.with_upgrades());
        } else {
            let template = Alarm { host: to.host.clone(), port: to.port, ..Alarm::default() };
            let alarms = AlarmSender::new(self.trail.clone(), template, Arc::default());
            tokio::spawn(async move {
                if has_unasked_bytes(connection.without_shutdown().await, has_ended).await {
                    alarms.alarm(UNASKED, None, Done::Blocked);
                }
            });
        }
        let last_answer_ended = Some(last_answer_ended);
        Ok(Http1Connection { sender, last_answer_ended, reader: None, _extra: None })
    }

    async fn http2(&self, stream: Secured) -> Result<Connection, ServeError> {
        let wide = self.wide.clone().try_acquire_owned().ok();
        let Http2Window { stream: one, connection: all } = if wide.is_some() { WIDE_WINDOW } else { NARROW_WINDOW };
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(one)
            .initial_connection_window_size(all)
            .max_header_list_size(MAX_HEAD_BYTES as u32)
            .max_send_buf_size(UPSTREAM_SEND_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broke_off(&error))?;
        tokio::spawn(async move {
            let _wide = wide;
            connection.await
        });
        Ok(Connection::Http2(sender))
    }
}

impl Connection {
    /// Lets the connection hold `extra` for as long as it lives. An HTTP/2 connection needs no permit: a pool has one.
    pub fn holding(self, extra: Option<OwnedSemaphorePermit>) -> Connection {
        match self {
            Connection::Http1(connection) => Connection::Http1(Http1Connection { _extra: extra, ..connection }),
            Connection::Http2(sender) => Connection::Http2(sender),
        }
    }
}

/// The finding where an upstream answers more than it was asked: it may have taken a part of a request for a request.
const UNASKED: &str = "the upstream sent bytes of an answer that nobody asked for";

/// Whether the upstream sent more than the answers to its requests, by how a connection ended. One that is done is read for
/// [`UNASKED_TIMEOUT`] more, because the answer to a hidden request comes behind the last one. `has_ended`: told when that
/// was read to its end; else what follows may be the rest of it.
async fn has_unasked_bytes<S>(ended: hyper::Result<http1::Parts<TokioIo<S>>>, has_ended: oneshot::Receiver<()>) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match ended {
        Ok(http1::Parts { io, read_buf, .. }) => {
            let mut stream = io.into_inner();
            let more = async {
                let _ = stream.shutdown().await;
                stream.read(&mut [0]).await
            };
            let has_more = !read_buf.is_empty() || matches!(timeout(UNASKED_TIMEOUT, more).await, Ok(Ok(1..)));
            has_more && has_ended.await.is_ok()
        }
        // hyper has no other name for it.
        Err(error) => error.to_string() == "received unexpected message from connection",
    }
}

/// Whether the upstream speaks none of the versions that were offered.
fn refuses_offer(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    matches!(inner, Some(TlsError::AlertReceived(AlertDescription::NoApplicationProtocol)))
}

/// Whether a request that failed with this error was surely not looked at, or its connection ended before an answer.
pub fn is_lost(error: &hyper::Error) -> bool {
    let Some(source) = error.source().and_then(|source| source.downcast_ref::<h2::Error>()) else { return true };
    source.is_go_away() || source.is_io() || source.reason() == Some(h2::Reason::REFUSED_STREAM)
}

/// TLS with an upstream over this stream. `config`: the roots that are trusted for it, if there are any. The inner error is
/// that of the handshake; the outer one says why there was none.
pub async fn secure<S>(
    config: Option<Arc<ClientConfig>>,
    offer: Offer,
    host: &str,
    stream: S,
) -> Result<std::io::Result<TlsStream<S>>, ServeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = config.ok_or_else(|| tls_failed(host, "no trust store"))?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| tls_failed(host, "not a server's name"))?;
    let connector = TlsConnector::from(config);
    let connecting = connector.with_alpn(offer.alpn()).connect(name, stream);
    timeout(HANDSHAKE_TIMEOUT, connecting).await.map_err(|_| tls_failed(host, "no answer"))
}

pub fn tls_failed(host: &str, why: &str) -> ServeError {
    ServeError::Failed("tls", format!("TLS with `{host}`: {why}"))
}

pub fn broke_off(error: &hyper::Error) -> ServeError {
    match tls_failure::explain_broken(error) {
        Some(why) => ServeError::Failed("tls", format!("TLS with the upstream: {why}")),
        None => ServeError::Failed("upstream", format!("the upstream broke off: {error}")),
    }
}
