//! Connections that pass untouched: raw TCP, and TLS of clients that pin certificates. Only names and addresses are
//! checked. A denial is a closed connection and an audit line: there is no response to put it in.

use crate::audit::record::AuditRecord;
use crate::egress::Egress;
use crate::egress::delegate::delegate_write;
use crate::egress::inspect::leaks;
use crate::egress::limits::{GREETING_TIMEOUT, MAX_HELLO_BYTES, PASSTHROUGH_BUFFER_BYTES};
use crate::egress::live::allowed::MatchedRoute;
use crate::egress::live::snapshot::PolicySnapshot;
use crate::egress::serve_error::ServeError;
use crate::egress::upstream::upstream_stream::UpstreamStream;
use policy::judge::{Judge, Seen, Step};
use policy::{Denial, Reason};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional_with_sizes};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_rustls::rustls::server::Acceptor;

/// Passes raw bytes.
pub async fn tcp(egress: &Egress, mut record: AuditRecord, stream: UnixStream, route: MatchedRoute) {
    let (host, port) = (record.audit.host.clone(), record.audit.port);
    let connection = Passthrough { egress, snapshot: &route.snapshot, seen: Seen::Bytes { host: &host, port } };
    if let Some(upstream) = connection.connect(&mut record).await {
        relay(stream, upstream, &mut record, &[]).await;
    }
}

/// Passes TLS as it is, once its hello names the host of the connection.
pub async fn tls(egress: &Egress, mut record: AuditRecord, mut stream: UnixStream, route: MatchedRoute) {
    let (host, port) = (record.audit.host.clone(), record.audit.port);
    let malformed = |why: &str| Denial::new(Reason::Malformed, why).with_route(route.index);
    let hello = match timeout(GREETING_TIMEOUT, read_hello(&mut stream)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(why)) => return record.denied(&malformed(why)),
        Err(_) => return record.denied(&malformed("the TLS hello did not come")),
    };
    let seen = Seen::Tls { host: &host, port, server_name: hello.name.as_deref() };
    let connection = Passthrough { egress, snapshot: &route.snapshot, seen };
    if let Some(upstream) = connection.connect(&mut record).await {
        relay(stream, upstream, &mut record, &hello.bytes).await;
    }
}

/// A connection that is to pass, and the snapshot that judges it.
struct Passthrough<'a> {
    egress: &'a Egress,
    snapshot: &'a PolicySnapshot,
    seen: Seen<'a>,
}

impl Passthrough<'_> {
    /// Connects to where the route leads, if the connection may pass. `None`: the record says why not.
    async fn connect(&self, record: &mut AuditRecord) -> Option<UpstreamStream> {
        match self.judge(record).await {
            Ok(upstream) => return upstream,
            Err(ServeError::Denied(denial)) => record.denied(&denial),
            Err(ServeError::Failed(_, why)) => record.failed(why),
        }
        None
    }

    async fn judge(&self, record: &mut AuditRecord) -> Result<Option<UpstreamStream>, ServeError> {
        let Passthrough { egress, snapshot, seen } = *self;
        let dialler = &egress.connector.dialler;
        let mut judge = Judge::new(&snapshot.policy, seen, snapshot.via());
        let mut upstream = None;
        loop {
            match judge.advance().map_err(ServeError::Denied)? {
                Step::InspectName { route } => leaks::inspect_host(snapshot, route, record)
                    .map_err(|denial| ServeError::Denied(denial.or_route(route)))?,
                Step::Locate { route, destination } => {
                    let connected = match dialler.locate(&destination, snapshot.proxy.as_ref()).await {
                        Ok(target) => dialler.tunnel(&target).await,
                        Err(error) => Err(error),
                    };
                    record.allowed(route);
                    upstream = Some(connected.map_err(|error| error.or_route(route))?);
                }
                Step::Pass(_) => return Ok(upstream),
            }
        }
    }
}

/// Sends `first`, which was read from the agent already, and then copies both ways.
async fn relay(agent: UnixStream, mut upstream: UpstreamStream, record: &mut AuditRecord, first: &[u8]) {
    match upstream.write_all(first).await {
        Ok(()) => {
            record.sent.fetch_add(first.len() as u64, Relaxed);
            copy_both_ways(agent, upstream, record).await;
        }
        Err(error) => record.failed(format!("the upstream broke off: {}", error.kind())),
    }
}

/// Copies both ways until both sides have ended, or one breaks. The record counts what passed.
async fn copy_both_ways(
    agent: impl AsyncRead + AsyncWrite + Unpin,
    mut upstream: impl AsyncRead + AsyncWrite + Unpin,
    record: &mut AuditRecord,
) {
    let mut agent = CountedStream { stream: agent, read: record.sent.clone(), written: 0 };
    let passed =
        copy_bidirectional_with_sizes(&mut agent, &mut upstream, PASSTHROUGH_BUFFER_BYTES, PASSTHROUGH_BUFFER_BYTES)
            .await;
    record.received += agent.written;
    match passed {
        // Many programs end TLS without saying so.
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            record.audit.reason = Some(format!("broke off: {}", error.kind()));
        }
        _ => {}
    }
}

/// A stream that counts its bytes.
struct CountedStream<S> {
    stream: S,
    read: Arc<AtomicU64>,
    written: u64,
}

impl<S: AsyncRead + Unpin> AsyncRead for CountedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.read.fetch_add((buffer.filled().len() - before) as u64, Relaxed);
        polled
    }
}

delegate_write!(CountedStream, stream, |counted, count| counted.written += count as u64);

/// The first message of a TLS client.
struct Hello {
    /// All bytes that were read: the upstream has to see them, too.
    bytes: Vec<u8>,
    /// The server's name (SNI).
    name: Option<String>,
}

async fn read_hello(stream: &mut UnixStream) -> Result<Hello, &'static str> {
    let mut acceptor = Acceptor::default();
    let mut bytes = Vec::new();
    let mut part = [0u8; 4096];
    loop {
        let count = stream.read(&mut part).await.map_err(|_| "the connection broke")?;
        if count == 0 {
            return Err("the connection closed before its TLS hello");
        }
        bytes.extend_from_slice(&part[..count]);
        if bytes.len() > MAX_HELLO_BYTES {
            return Err("the TLS hello is too long");
        }
        let mut rest = &part[..count];
        while !rest.is_empty() {
            acceptor.read_tls(&mut rest).map_err(|_| "these bytes are not TLS")?;
        }
        if let Some(accepted) = acceptor.accept().map_err(|_| "these bytes are not TLS")? {
            let name = accepted.client_hello().server_name().map(str::to_owned);
            return Ok(Hello { bytes, name });
        }
    }
}
