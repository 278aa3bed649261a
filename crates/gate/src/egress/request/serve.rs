//! HTTP on one connection of the agent's, in the version that TLS agreed on: each request is judged before anything of it
//! is forwarded, and answered whatever becomes of it.

use crate::audit::record::AuditRecord;
use crate::egress::Egress;
use crate::egress::http1::head::LARGEST;
use crate::egress::http1::ledger::Wire;
use crate::egress::http1::strict::Heads;
use crate::egress::request::inflight::{Held, Open, Streams};
use crate::egress::request::respond::without_page;
use crate::egress::upstream::bulk_read::Gulp;
use crate::egress::upstream::dial::Trouble;
use crate::egress::upstream::pool::Upstream;
use crate::listen::connection::{GREETING, Place};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use policy::{Denial, Reason, plain_name};
use std::convert::Infallible;
use std::error::Error as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;

/// For the head of a request, counted from the end of the one before: an idle connection ends here, too.
const HEAD: Duration = Duration::from_secs(60);
/// Bytes of hyper's buffers, each direction and side.
pub const BUFFER: usize = 128 * 1024;
/// Requests at once on one connection.
const STREAMS: u32 = 100;
/// Bytes that the agent may send ahead: of one request, of all on a connection.
const WINDOWS: (u32, u32) = (256 * 1024, 512 * 1024);
/// Bytes of an answer that wait for the agent.
const WAITING: usize = 64 * 1024;
/// Requests that the agent takes back before they were looked at, and those that we end for an error of its own: more
/// at once is an attack, and ends the connection.
const RESETS: (usize, usize) = (20, 64);

/// One connection of the agent's.
pub struct Conversation {
    pub egress: Arc<Egress>,
    _place: Place,
    /// What the connection asked for.
    pub host: String,
    pub port: u16,
    pub upstream: Upstream,
}

/// What TLS said about the name, if there was TLS.
pub type Sni = Option<String>;

/// What is known of a connection beside its name.
struct Session {
    sni: Sni,
    /// Of HTTP/1.
    wire: Option<Arc<Wire>>,
    streams: Arc<Streams>,
}

impl Conversation {
    pub fn new(egress: Arc<Egress>, place: Place, host: String, port: u16) -> Arc<Conversation> {
        Arc::new(Conversation { egress, _place: place, host, port, upstream: Upstream::default() })
    }

    pub async fn serve(self: Arc<Self>, stream: UnixStream) {
        if self.port == 80 {
            return self.one(stream, None).await;
        }
        match self.handshake(stream).await {
            // In a box of its own: most connections are not of that kind, and would hold the room for it.
            Ok((stream, sni)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Box::pin(self.two(stream, sni)).await
            }
            Ok((stream, sni)) => self.one(stream, sni).await,
            Err(trouble) => {
                let mut record = AuditRecord::connection(&self.egress, &self.host, self.port);
                match trouble {
                    Trouble::Denied(denial) => record.denied(&denial),
                    Trouble::Failed(_, why) => record.failed(why),
                }
            }
        }
    }

    /// Refused names get their handshake as well: the refusal has to be read.
    async fn handshake(&self, stream: UnixStream) -> Result<(TlsStream<Gulp<UnixStream>>, Sni), Trouble> {
        let malformed = |why: String| Trouble::Denied(Denial::new(Reason::Malformed, why));
        let failed = |why: String| Trouble::Failed("tls", why);
        let stream = Gulp::new(stream);
        let started = timeout(GREETING, LazyConfigAcceptor::new(Acceptor::default(), stream))
            .await
            .map_err(|_| malformed("the TLS hello did not come".to_owned()))?
            .map_err(|error| malformed(format!("these bytes are not TLS: {error}")))?;
        let sni = started.client_hello().server_name().map(str::to_ascii_lowercase);
        let name = sni.as_deref().and_then(plain_name).unwrap_or_else(|| self.host.clone());
        let config = self.egress.authority.config(&name).map_err(failed)?;
        let stream = timeout(GREETING, started.into_stream(config))
            .await
            .map_err(|_| failed("the TLS handshake with the agent did not end".to_owned()))?
            .map_err(|error| failed(format!("TLS with the agent: {error}")))?;
        Ok((stream, sni))
    }

    async fn one(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, sni: Sni) {
        let (wire, streams): (Arc<Wire>, Arc<Streams>) = Default::default();
        let stream = Heads::new(stream, wire.clone(), streams.clone());
        let (this, session) = (self.clone(), Arc::new(Session { sni, wire: Some(wire), streams }));
        let service = service_fn(move |request| this.clone().answer(request, session.clone()));
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_header_size(LARGEST)
            .max_buf_size(BUFFER)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
        if let Err(error) = served
            && (error.is_parse() || error.is_parse_too_large())
        {
            self.malformed(format!("this is not HTTP: {error}"));
        }
    }

    async fn two(self: Arc<Self>, stream: TlsStream<Gulp<UnixStream>>, sni: Sni) {
        let streams: Arc<Streams> = Arc::default();
        let (this, session) = (self.clone(), Arc::new(Session { sni, wire: None, streams: streams.clone() }));
        let service = service_fn(move |request| this.clone().answer(request, session.clone()));
        let served = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(LARGEST as u32)
            .initial_stream_window_size(WINDOWS.0)
            .initial_connection_window_size(WINDOWS.1)
            .max_send_buf_size(WAITING)
            .max_pending_accept_reset_streams(RESETS.0)
            .max_local_error_reset_streams(RESETS.1)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service);
        let mut served = pin!(served);
        let served = tokio::select! {
            served = &mut served => served,
            () = streams.idle(HEAD) => {
                served.as_mut().graceful_shutdown();
                timeout(GREETING, served).await.unwrap_or(Ok(()))
            }
        };
        let Err(error) = served else { return };
        let own =
            error.source().and_then(|source| source.downcast_ref::<h2::Error>()).is_some_and(h2::Error::is_library);
        if own {
            self.malformed(format!("this is not HTTP/2 as it should be: {error}"));
        }
    }

    fn malformed(&self, why: String) {
        AuditRecord::connection(&self.egress, &self.host, self.port).denied(&Denial::new(Reason::Malformed, why));
    }

    /// Counted at once, not when it is first polled: the connection's end may be read before that.
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        session: Arc<Session>,
    ) -> impl Future<Output = Result<Response<Held<Open>>, Infallible>> + Send {
        let open = session.streams.open();
        let fault = session.wire.as_ref().and_then(|wire| wire.next());
        let bare = request.version() == Version::HTTP_2 && request.method() == Method::HEAD;
        async move {
            let mut response = match fault {
                Some(fault) => self.refuse(fault),
                None if open.is_one_too_many() => self.crowded(&request),
                None => self.reply(request, &session.sni).await,
            };
            let last = session.wire.as_ref().is_some_and(|wire| wire.switches());
            if last && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            if bare {
                response = without_page(response);
            }
            Ok(response.map(|body| Held { body, _until: open }))
        }
    }
}
