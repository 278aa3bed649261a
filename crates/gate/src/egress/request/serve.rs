//! HTTP on one connection of the agent, in the version that TLS agreed on, for every service that answers requests.
//!
//! A request is answered whatever becomes of it: a head that is malformed, or a request too many, never gets to the
//! service.

use crate::audit::record::AuditRecord;
use crate::egress::Egress;
use crate::egress::http1::head::Http1Fault;
use crate::egress::http1::ledger::HeadLedger;
use crate::egress::http1::strict::StrictHttp1;
use crate::egress::inflight::ConnectionRequests;
use crate::egress::limits::{
    AGENT_SEND_BYTES, AGENT_WINDOW, GREETING_TIMEOUT, HEAD_TIMEOUT, HTTP1_BUFFER_BYTES, HTTP2_MAX_STREAMS,
    MAX_ERROR_RESETS, MAX_HEAD_BYTES, MAX_PENDING_RESETS,
};
use crate::egress::live::snapshot::PolicySnapshot;
use crate::egress::peer::Peer;
use crate::egress::permit::ConnectionPermit;
use crate::egress::request::body::{Body, CountedBody};
use crate::egress::request::client_format::ClientFormat;
use crate::egress::request::own_response::without_body;
use crate::egress::serve_error::ServeError;
use crate::egress::upstream::bulk_read::BulkReader;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use policy::{Denial, Reason, plain_name};
use std::convert::Infallible;
use std::error::Error as _;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::rustls::{AlertDescription, Error as TlsError};
use tokio_rustls::server::TlsStream;

/// One connection of the agent, behind its first line.
pub struct AgentConnection {
    pub egress: Arc<Egress>,
    /// What the first line asks for.
    pub peer: Peer,
    _permit: ConnectionPermit,
}

/// The server name that TLS asked for; `None` without TLS, or where it named none.
pub type Sni = Option<Arc<str>>;

/// What the requests of one connection share.
struct Session<R> {
    connection: Arc<AgentConnection>,
    sni: Sni,
    /// HTTP/1 only.
    ledger: Option<Arc<HeadLedger>>,
    requests: Arc<ConnectionRequests>,
    respond: R,
}

/// Serves HTTP on `stream` until it ends. `respond` answers one request, judged or not.
pub async fn serve<R, F>(connection: Arc<AgentConnection>, stream: UnixStream, respond: R)
where
    R: Fn(Request<Incoming>, Sni) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let requests = ConnectionRequests::new(connection.egress.requests.clone());
    let session = |sni, ledger| Session { connection: connection.clone(), sni, ledger, requests, respond };
    if connection.peer.is_plain() {
        return serve_http1(stream, session(None, Some(Arc::default()))).await;
    }
    match connection.handshake(stream).await {
        // Boxed, because most connections speak HTTP/1: unboxed, their futures would have room for it, too.
        Ok((stream, sni)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
            Box::pin(serve_http2(stream, session(sni, None))).await
        }
        Ok((stream, sni)) => serve_http1(stream, session(sni, Some(Arc::default()))).await,
        Err(error) => {
            let mut record = connection.record();
            match error {
                ServeError::Denied(denial) => record.denied(&denial),
                ServeError::Failed("trust", why) => record.distrusted(why),
                ServeError::Failed(_, why) => record.failed(why),
            }
        }
    }
}

async fn serve_http1<R, F>(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, session: Session<R>)
where
    R: Fn(Request<Incoming>, Sni) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let ledger = session.ledger.clone().unwrap_or_default();
    let stream = StrictHttp1::new(stream, ledger, session.requests.clone());
    let (connection, session) = (session.connection.clone(), Arc::new(session));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(HTTP1_BUFFER_BYTES)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service_fn(move |request| session.clone().answer(request)))
        .with_upgrades()
        .await;
    if let Err(error) = served
        && (error.is_parse() || error.is_parse_too_large())
    {
        connection.deny_malformed(format!("this is not HTTP: {error}"));
    }
}

async fn serve_http2<R, F>(stream: TlsStream<BulkReader<UnixStream>>, session: Session<R>)
where
    R: Fn(Request<Incoming>, Sni) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let (connection, requests) = (session.connection.clone(), session.requests.clone());
    let session = Arc::new(session);
    let served = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .initial_stream_window_size(AGENT_WINDOW.stream)
        .initial_connection_window_size(AGENT_WINDOW.connection)
        .max_send_buf_size(AGENT_SEND_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service_fn(move |request| session.clone().answer(request)));
    let mut served = pin!(served);
    let served = tokio::select! {
        served = &mut served => served,
        () = requests.idle(HEAD_TIMEOUT) => {
            served.as_mut().graceful_shutdown();
            timeout(GREETING_TIMEOUT, served).await.unwrap_or(Ok(()))
        }
    };
    let Err(error) = served else { return };
    let source = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    // An error that h2 itself found, and not one that the agent sent or the stream had.
    if source.is_some_and(h2::Error::is_library) {
        connection.deny_malformed(format!("this is not HTTP/2 as it should be: {error}"));
    }
}

impl<R, F> Session<R>
where
    R: Fn(Request<Incoming>, Sni) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    /// The request is counted at once, not when the answer is first polled: the connection's end may be read before that.
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<CountedBody>, Infallible>> + Send {
        let in_flight = self.requests.begin();
        let fault: Option<Http1Fault> = self.ledger.as_ref().and_then(|ledger| ledger.begin_answer());
        let format = ClientFormat::of(&request);
        let is_http2_head = request.version() == Version::HTTP_2 && request.method() == Method::HEAD;
        async move {
            let mut response = match fault {
                Some(fault) => self.connection.respond_malformed(fault),
                None if in_flight.is_over_limit() => self.connection.respond_busy(&request),
                None => (self.respond)(request, self.sni.clone()).await,
            };
            response = format.apply(response);
            let is_last = self.ledger.as_ref().is_some_and(|ledger| ledger.is_upgrade());
            if is_last && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            if is_http2_head {
                response = without_body(response);
            }
            Ok(response.map(|body| CountedBody { body, _in_flight: in_flight }))
        }
    }
}

impl AgentConnection {
    pub fn new(egress: Arc<Egress>, peer: Peer, permit: ConnectionPermit) -> Arc<AgentConnection> {
        Arc::new(AgentConnection { egress, peer, _permit: permit })
    }

    /// The audit record of the connection itself, when it ends without a request.
    pub fn record(&self) -> AuditRecord {
        self.record_by(&self.egress.live.snapshot())
    }

    /// The audit record of a connection that `snapshot` judges.
    pub fn record_by(&self, snapshot: &PolicySnapshot) -> AuditRecord {
        self.egress.trail.connection(&snapshot.audit_scope, &self.peer.host, self.peer.port)
    }

    /// Denied names get their handshake as well: the denial has to be read.
    async fn handshake(&self, stream: UnixStream) -> Result<(TlsStream<BulkReader<UnixStream>>, Sni), ServeError> {
        let malformed = |why: String| ServeError::Denied(Denial::new(Reason::Malformed, why));
        let failed = |why: String| ServeError::Failed("tls", why);
        let stream = BulkReader::new(stream);
        let started = timeout(GREETING_TIMEOUT, LazyConfigAcceptor::new(Acceptor::default(), stream))
            .await
            .map_err(|_| malformed("the TLS hello did not come".to_owned()))?
            .map_err(|error| malformed(format!("these bytes are not TLS: {error}")))?;
        let sni = started.client_hello().server_name().map(str::to_ascii_lowercase);
        let name = sni.as_deref().and_then(plain_name).unwrap_or_else(|| self.peer.host.clone());
        let config = self.egress.authority.server_config(&name).map_err(failed)?;
        let stream = timeout(GREETING_TIMEOUT, started.into_stream(config))
            .await
            .map_err(|_| failed("the TLS handshake with the agent did not end".to_owned()))?
            .map_err(|error| handshake_failed(&error))?;
        Ok((stream, sni.map(Arc::from)))
    }

    fn deny_malformed(&self, why: String) {
        self.record().denied(&Denial::new(Reason::Malformed, why));
    }
}

/// Why a handshake with a program in the bottle failed behind its hello. Most of these programs have roots of their own.
fn handshake_failed(error: &io::Error) -> ServeError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    let how = match inner {
        Some(TlsError::AlertReceived(alert)) if DISTRUST_ALERTS.contains(alert) => format!("alert {alert:?}"),
        None if [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset].contains(&error.kind()) => {
            "it closed the connection at the certificate".to_owned()
        }
        _ => return ServeError::Failed("tls", format!("TLS with the agent: {error}")),
    };
    ServeError::Failed("trust", format!("the program does not trust the bottle's CA ({how}): http://gate.bottle/trust"))
}

/// What programs answer to a certificate that they do not take.
const DISTRUST_ALERTS: [AlertDescription; 6] = [
    AlertDescription::UnknownCA,
    AlertDescription::BadCertificate,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateExpired,
    AlertDescription::AccessDenied,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditTrail;
    use crate::audit::events::Events;
    use crate::egress::Authority;
    use bytes::Bytes;
    use std::time::Duration;
    use testing::gate::document;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::Semaphore;
    use tokio::time::{Instant, interval};

    /// A connection whose every request gets an empty page; the agent's end of it.
    async fn open() -> DuplexStream {
        let root = rcgen::CertificateParams::default().self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let document = serde_json::from_value(document(&root.pem(), serde_json::json!([]))).unwrap();
        let trail = AuditTrail::new(Arc::new(Events::without_writer()));
        let egress = Arc::new(Egress::new(document, Authority::new().unwrap(), trail.clone()).unwrap());
        let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let permit = ConnectionPermit::new(trail, permit);
        let requests = ConnectionRequests::new(egress.requests.clone());
        let connection = AgentConnection::new(egress, Peer { host: "a.test".to_owned(), port: 80 }, permit);
        let respond = |_: Request<Incoming>, _: Sni| async { Response::new(Body::Page(Some(Bytes::new()))) };
        let session = Session { connection, sni: None, ledger: Some(Arc::default()), requests, respond };
        let (agent, gate) = duplex(64 * 1024);
        tokio::spawn(serve_http1(gate, session));
        agent
    }

    /// How long a connection is held on which `first` is sent at once, and `rest` again every second.
    async fn held(first: &[u8], rest: &[u8]) -> Duration {
        let mut agent = open().await;
        let started = Instant::now();
        agent.write_all(first).await.unwrap();
        let mut second = interval(Duration::from_secs(1));
        let mut answer = [0; 4096];
        loop {
            tokio::select! {
                // The gate may say why before it closes.
                read = agent.read(&mut answer) => if matches!(read, Ok(0) | Err(_)) { return started.elapsed() },
                _ = second.tick() => drop(agent.write_all(rest).await),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_end_has_a_minute() {
        let unfinished = b"GET / HTTP/1.1\r\nhost: a.test\r\nx: ";
        for (first, rest) in [(&b""[..], &b""[..]), (unfinished, b""), (unfinished, b"x")] {
            let elapsed = held(first, rest).await;
            assert!(elapsed >= HEAD_TIMEOUT && elapsed < HEAD_TIMEOUT + Duration::from_secs(2), "{elapsed:?}");
        }
        // The minute of the next head begins when the request before it has its answer.
        let elapsed = held(b"GET / HTTP/1.1\r\nhost: a.test\r\n\r\n", b"").await;
        assert!(elapsed >= HEAD_TIMEOUT && elapsed < HEAD_TIMEOUT + Duration::from_secs(2), "{elapsed:?}");
    }
}
