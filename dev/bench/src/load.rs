//! The load generator of `make bench`: an origin, and measurements of it, directly or through a gate.
//!
//! `claude-bottle-load origin DIR`                serves TLS on a free port; DIR gets `ca.pem` and `address`
//! `claude-bottle-load document DIR`              prints a gate's document with one route to that origin
//! `claude-bottle-load measure DIR [WAY CA]`      measures, directly or by `socket:PATH` of a gate or `proxy:ADDRESS`
//! `claude-bottle-load door SOCKET PORT`          leads each connection to that port to the git service of a gate
//! `claude-bottle-load table NAME=FILE…`          the measurements side by side, and as ratios to the first
//! Numbers are only good for comparing lines of one run.

#![allow(clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use hyper::client::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;
use std::convert::Infallible;
use std::error::Error;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use wire::{GIT_HOST, GIT_PORT, encode_base64};

const HOST: &str = "origin.test";
/// What a proxy calls it: a name that every resolver knows.
const LOCAL: &str = "localhost";
const MIB: usize = 1 << 20;
const STREAM: usize = 200 * MIB;
/// For the first event of a stream.
const PATIENCE: Duration = Duration::from_secs(5);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["origin", dir] => origin(Path::new(dir)).await,
        ["document", dir] => document(Path::new(dir)),
        ["measure", dir] => measure(Way::Direct(address(dir)?), &Path::new(dir).join("ca.pem")).await,
        ["measure", dir, way, ca] => measure(Way::named(way, dir)?, Path::new(ca)).await,
        ["door", socket, port] => door(socket, port.parse()?).await,
        ["table", ref columns @ ..] => table(columns),
        _ => {
            Err("usage: claude-bottle-load origin DIR | document DIR | measure DIR [WAY CA] | door SOCKET PORT | table NAME=FILE…".into())
        }
    }
}

fn address(dir: &str) -> Result<String, Failure> {
    Ok(std::fs::read_to_string(Path::new(dir).join("address"))?)
}

// ---- the origin ----

/// So many bytes, the same block again and again.
struct Blocks {
    block: Bytes,
    left: usize,
    /// False: like a stream of events that has more to say, but not now.
    ends: bool,
}

impl Body for Blocks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return if self.ends { Poll::Ready(None) } else { Poll::Pending };
        }
        let take = self.left.min(self.block.len());
        self.left -= take;
        Poll::Ready(Some(Ok(Frame::data(self.block.slice(..take)))))
    }

    fn size_hint(&self) -> SizeHint {
        if self.ends { SizeHint::with_exact(self.left as u64) } else { SizeHint::default() }
    }
}

async fn origin(dir: &Path) -> Result<(), Failure> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Other than the leaf's: OpenSSL takes equal names for a certificate that signed itself.
    params.distinguished_name.push(DnType::CommonName, "CA of a bench");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec![HOST.to_owned(), LOCAL.to_owned()])?.signed_by(&key, &issuer)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der())?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    std::fs::write(dir.join("ca.pem"), issuer.pem())?;
    // Last: whoever waits for it finds the rest.
    std::fs::write(dir.join("address.new"), listener.local_addr()?.to_string())?;
    std::fs::rename(dir.join("address.new"), dir.join("address"))?;
    let block = Bytes::from(vec![b'x'; 64 * 1024]);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, block) = (acceptor.clone(), block.clone());
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let service = service_fn(move |request: Request<Incoming>| {
                let block = block.clone();
                async move {
                    let (left, ends) = match request.uri().path() {
                        "/big" => (STREAM, true),
                        "/events" => (128, false),
                        _ => (128, true),
                    };
                    let mut body = request.into_body();
                    while let Some(Ok(_)) = body.frame().await {}
                    Ok::<_, Infallible>(Response::new(Blocks { block, left, ends }))
                }
            });
            let stream = TokioIo::new(stream);
            let _ = if two {
                hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await
            } else {
                hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await
            };
        });
    }
}

fn document(dir: &Path) -> Result<(), Failure> {
    let roots = std::fs::read(dir.join("ca.pem"))?;
    let address = std::fs::read_to_string(dir.join("address"))?;
    // As long as real ones, so that answers are searched for it; not written here, because this text is sent, too.
    let token = format!("bench-token-{:x}", u64::MAX / 7);
    let document = json!({
        "version": 1, "identity": "bench-00000", "bottle": "bench",
        "policy": { "routes": [{
            "host": HOST, "port": 443, "methods": ["GET", "POST"], "paths": ["/**"], "origin": "bench:1",
            "private": true, "connect_to": address, "auth": { "scheme": "bearer", "token": "token" },
        }] },
        "go": { "env": {}, "files": [], "command": ["true"], "cwd": "/" },
        "roots": "roots",
        "values": { "roots": encode_base64(&roots), "token": encode_base64(token.as_bytes()) },
    });
    println!("{document}");
    Ok(())
}

// ---- git ----

/// As the door of a bottle does it.
async fn door(socket: &str, port: u16) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let mut gate = UnixStream::connect(socket).await?;
        gate.write_all(format!("CONNECT {GIT_HOST}:{GIT_PORT}\n").as_bytes()).await?;
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut gate).await });
    }
}

// ---- the measurements ----

#[derive(Clone)]
enum Way {
    Direct(String),
    /// The gate's socket.
    Gate(String),
    /// An HTTP proxy, and what it calls the origin.
    Proxy(String, String),
}

impl Way {
    fn named(way: &str, dir: &str) -> Result<Way, Failure> {
        match way.split_once(':') {
            Some(("socket", path)) => Ok(Way::Gate(path.to_owned())),
            Some(("proxy", proxy)) => {
                let address = address(dir)?;
                let port = address.rsplit(':').next().unwrap_or_default();
                Ok(Way::Proxy(proxy.to_owned(), format!("{LOCAL}:{port}")))
            }
            _ => Err("a way is socket:PATH or proxy:ADDRESS".into()),
        }
    }

    /// What requests call the origin.
    fn authority(&self) -> &str {
        match self {
            Way::Proxy(_, origin) => origin,
            Way::Direct(_) | Way::Gate(_) => HOST,
        }
    }

    fn name(&self) -> Result<ServerName<'static>, Failure> {
        let name = self.authority().split(':').next().unwrap_or_default();
        Ok(ServerName::try_from(name.to_owned())?)
    }
}

struct Load {
    way: Way,
    tls: TlsConnector,
}

/// A connection of whatever kind.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Load {
    async fn dial(&self) -> Result<Box<dyn Stream>, Failure> {
        match &self.way {
            Way::Direct(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Way::Gate(socket) => {
                let mut stream = UnixStream::connect(socket).await?;
                stream.write_all(format!("CONNECT {HOST}:443\n").as_bytes()).await?;
                Ok(Box::new(stream))
            }
            Way::Proxy(proxy, origin) => {
                let mut stream = TcpStream::connect(proxy).await?;
                stream.set_nodelay(true)?;
                stream.write_all(format!("CONNECT {origin} HTTP/1.1\r\nhost: {origin}\r\n\r\n").as_bytes()).await?;
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await?);
                }
                Ok(Box::new(stream))
            }
        }
    }

    async fn open(&self) -> Result<One, Failure> {
        let stream = self.tls.connect(self.way.name()?, self.dial().await?).await?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Client { sender, authority: self.way.authority().to_owned() })
    }

    /// HTTP/2, if that is spoken here.
    async fn two(&self) -> Result<Option<Two>, Failure> {
        let connecting = self.tls.with_alpn(vec![b"h2".to_vec()]);
        let stream = match connecting.connect(self.way.name()?, self.dial().await?).await {
            Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => stream,
            _ => return Ok(None),
        };
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(4 << 20).initial_connection_window_size(8 << 20);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Some(Client { sender, authority: self.way.authority().to_owned() }))
    }
}

/// One connection.
#[derive(Clone)]
struct Client<S> {
    sender: S,
    authority: String,
}

type One = Client<SendRequest<Full<Bytes>>>;
type Two = Client<http2::SendRequest<Full<Bytes>>>;

async fn stream(client: &Two, path: &str) -> Result<usize, Failure> {
    let request =
        Request::builder().uri(format!("https://{}{path}", client.authority)).body(Full::new(Bytes::new()))?;
    read(client.sender.clone().send_request(request).await?).await
}

/// Requests/s of 16 streams of one connection, and MB/s of one.
async fn multiplex(client: &Two) -> Result<(f64, f64), Failure> {
    let started = Instant::now();
    let many: Vec<_> = (0..16)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut count = 0;
                while started.elapsed() < Duration::from_secs(3) {
                    stream(&client, "/").await?;
                    count += 1;
                }
                Ok::<u32, Failure>(count)
            })
        })
        .collect();
    let mut count = 0;
    for one in many {
        count += one.await??;
    }
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    let mut times = Vec::new();
    for _ in 0..5 {
        let before = Instant::now();
        if stream(client, "/big").await? != STREAM {
            return Err("the stream was cut".into());
        }
        times.push(before.elapsed());
    }
    Ok((rate.round(), (STREAM as f64 / 1e6 / at(&mut times, 50).as_secs_f64()).round()))
}

async fn ask(client: &mut One, path: &str, body: Bytes) -> Result<Response<Incoming>, Failure> {
    client.sender.ready().await?;
    let method = if body.is_empty() { "GET" } else { "POST" };
    let request =
        Request::builder().method(method).uri(path).header("host", &client.authority).body(Full::new(body))?;
    let response = client.sender.send_request(request).await?;
    if response.status() != 200 {
        return Err(format!("status {}", response.status()).into());
    }
    Ok(response)
}

async fn get(client: &mut One, path: &str) -> Result<usize, Failure> {
    read(ask(client, path, Bytes::new()).await?).await
}

/// The time of a request with this body, its answer read; the median of so many.
async fn post(client: &mut One, body: &Bytes, times: usize) -> Result<Duration, Failure> {
    let mut taken = Vec::new();
    for _ in 0..times {
        let before = Instant::now();
        read(ask(client, "/take", body.clone()).await?).await?;
        taken.push(before.elapsed());
    }
    Ok(at(&mut taken, 50))
}

async fn read(mut response: Response<Incoming>) -> Result<usize, Failure> {
    let mut count = 0;
    while let Some(frame) = response.body_mut().frame().await {
        count += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(count)
}

async fn measure(way: Way, ca: &Path) -> Result<(), Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_file_iter(ca)?.flatten());
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A new connection is a new program: it remembers no session.
    config.resumption = tokio_rustls::rustls::client::Resumption::disabled();
    let load = Arc::new(Load { way, tls: TlsConnector::from(Arc::new(config)) });

    let mut client = load.open().await?;
    for _ in 0..200 {
        get(&mut client, "/").await?;
    }
    let mut times = Vec::new();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) {
        let before = Instant::now();
        get(&mut client, "/").await?;
        times.push(before.elapsed());
    }
    let one = times.len() as f64 / started.elapsed().as_secs_f64();
    let (p50, p99) = (at(&mut times, 50), at(&mut times, 99));

    let started = Instant::now();
    let many: Vec<_> = (0..16)
        .map(|_| {
            let load = load.clone();
            tokio::spawn(async move {
                let mut client = load.open().await?;
                let mut count = 0u32;
                while started.elapsed() < Duration::from_secs(3) {
                    get(&mut client, "/").await?;
                    count += 1;
                }
                Ok::<u32, Failure>(count)
            })
        })
        .collect();
    let mut count = 0;
    for one in many {
        count += one.await??;
    }
    let sixteen = f64::from(count) / started.elapsed().as_secs_f64();

    let mut opened = Vec::new();
    for _ in 0..300 {
        let before = Instant::now();
        let mut client = load.open().await?;
        get(&mut client, "/").await?;
        opened.push(before.elapsed());
    }

    let mut streams = Vec::new();
    for _ in 0..5 {
        let before = Instant::now();
        if get(&mut client, "/big").await? != STREAM {
            return Err("the stream was cut".into());
        }
        streams.push(before.elapsed());
    }
    // squid breaks off one in some.
    let upload = match post(&mut client, &Bytes::from(noise(STREAM)), 5).await {
        Ok(time) => STREAM as f64 / 1e6 / time.as_secs_f64(),
        Err(_) => {
            client = load.open().await?;
            0.0
        }
    };

    // Text as agents send it.
    let text: Vec<u8> = include_bytes!("load.rs").iter().copied().cycle().take(MIB).collect();
    let text = Bytes::from(text);
    let (small, large) = (text.slice(..10 * 1024), text);
    let (small, large) = (post(&mut client, &small, 300).await?, post(&mut client, &large, 50).await?);

    let mut events = Vec::new();
    for _ in 0..100 {
        let mut client = load.open().await?;
        let before = Instant::now();
        let first = async {
            let mut response = ask(&mut client, "/events", Bytes::new()).await?;
            response.body_mut().frame().await.ok_or("no event")??;
            Ok::<(), Failure>(())
        };
        // Some proxies wait for the end of what has none.
        let late = tokio::time::timeout(PATIENCE, first).await.map_or(Ok(true), |first| first.map(|()| false))?;
        events.push(before.elapsed());
        if late {
            break;
        }
    }

    let (two, two_stream) = match load.two().await? {
        Some(client) => multiplex(&client).await?,
        None => (0.0, 0.0),
    };

    let line = json!({
        "two_requests_per_second_16": two, "two_stream_mb_per_second": two_stream,
        "requests_per_second": one.round(), "requests_per_second_16": sixteen.round(),
        "p50_ms": ms(p50), "p99_ms": ms(p99), "new_connection_ms": ms(at(&mut opened, 50)),
        "stream_mb_per_second": (STREAM as f64 / 1e6 / at(&mut streams, 50).as_secs_f64()).round(),
        "upload_mb_per_second": upload.round(),
        "event_ms": ms(at(&mut events, 50)), "post_10k_ms": ms(small), "post_1m_ms": ms(large),
    });
    println!("{line}");
    Ok(())
}

/// One row a figure: each column's value, and its ratio to the first's.
fn table(columns: &[&str]) -> Result<(), Failure> {
    let mut read = Vec::new();
    for column in columns {
        let (name, file) = column.split_once('=').ok_or("a column is NAME=FILE")?;
        read.push((name, serde_json::from_slice::<serde_json::Value>(&std::fs::read(file)?)?));
    }
    let names: String = read.iter().map(|(name, _)| format!("{name:>20}")).collect();
    println!("{:<42}{names}", "the gate, TLS intercepted (x direct)");
    for (figure, key) in [
        ("kept-alive, 1 connection, requests/s", "requests_per_second"),
        ("kept-alive, 16 connections, requests/s", "requests_per_second_16"),
        ("kept-alive, median ms", "p50_ms"),
        ("new TLS connection, median ms (target 3)", "new_connection_ms"),
        ("200 MB down, MB/s (target 500)", "stream_mb_per_second"),
        ("200 MB up, MB/s (0: broken off)", "upload_mb_per_second"),
        ("HTTP/2, 16 streams, requests/s (0: none)", "two_requests_per_second_16"),
        ("HTTP/2, 200 MB down, MB/s", "two_stream_mb_per_second"),
        ("first event of a stream, median ms", "event_ms"),
        ("10 KiB of text up, median ms (DLP: 1)", "post_10k_ms"),
        ("1 MiB of text up, median ms (DLP: 50)", "post_1m_ms"),
    ] {
        let value = |line: &serde_json::Value| line[key].as_f64().ok_or("a measurement lacks a figure");
        let base = value(&read[0].1)?;
        let mut row = format!("  {figure:<40}");
        for (_, line) in &read {
            let value = value(line)?;
            row.push_str(&format!("{value:>12.2} {:>7.3}", value / base));
        }
        println!("{row}");
    }
    Ok(())
}

/// Bytes without a pattern, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state >> 32).to_le_bytes()[..4]);
    }
    bytes.truncate(length);
    bytes
}

fn at(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
