//! The gate alone: the real program on a socket of its own, and an origin in this process behind it.
//!
//! Barriers, no sleeps: what the gate prints is waited for, what the origin does is told to it.

use crate::process::Watchdog;
use crate::wait::within;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use wire::{Audit, Event, Line, Outcome, encode_base64};

pub const TOKEN: &str = "gate-only-secret-7f3a91";
/// What the origin says in its place: the token itself would not come back.
pub const ARRIVED: &str = "THE-TOKEN-OF-THE-GATE";

pub type Payload = BoxBody<Bytes, Infallible>;

// ---- the origin ----

/// A server that tells what it was asked, over TLS and without.
pub struct Origin {
    pub tls: SocketAddr,
    pub plain: SocketAddr,
    pub roots: String,
    /// `/sse` sends its second event when this is told.
    pub more: Arc<Notify>,
}

impl Origin {
    pub async fn start(names: &[&str]) -> Origin {
        Origin::speaking(names, &[]).await
    }

    /// `versions`: as TLS names them; none of them is HTTP/1.
    pub async fn speaking(names: &[&str], versions: &[&str]) -> Origin {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        config.alpn_protocols = versions.iter().map(|version| version.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let more = Arc::new(Notify::new());
        let (tls, plain) = (listen().await, listen().await);
        let origin = Origin {
            tls: tls.local_addr().unwrap(),
            plain: plain.local_addr().unwrap(),
            roots: issuer.pem(),
            more: more.clone(),
        };
        let told = more.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = tls.accept().await {
                let (acceptor, told) = (acceptor.clone(), told.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        serve(stream, told, if two { Version::HTTP_2 } else { Version::HTTP_11 }).await;
                    }
                });
            }
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = plain.accept().await {
                tokio::spawn(serve(stream, more.clone(), Version::HTTP_11));
            }
        });
        origin
    }
}

pub async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// A proxy that tells each head that it got, and sends what follows where `place` says for it: a tunnel for CONNECT, else the
/// request itself.
pub async fn upstream_proxy(
    place: impl Fn(&str) -> SocketAddr + Send + Sync + 'static,
) -> (SocketAddr, UnboundedReceiver<String>) {
    let listener = listen().await;
    let address = listener.local_addr().unwrap();
    let (tell, asked) = unbounded_channel();
    let place = Arc::new(place);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (tell, place) = (tell.clone(), place.clone());
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let (place, is_tunnel) = (place(&head), head.starts_with("CONNECT "));
                let _ = tell.send(head.clone());
                let mut upstream = TcpStream::connect(place).await.unwrap();
                if is_tunnel {
                    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                } else {
                    upstream.write_all(head.as_bytes()).await.unwrap();
                }
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut upstream).await;
            });
        }
    });
    (address, asked)
}

pub async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, more: Arc<Notify>, version: Version) {
    static SEEN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let connection = SEEN.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let service = service_fn(move |request| {
        let more = more.clone();
        async move { Ok::<_, Infallible>(tell(request, more, connection).await) }
    });
    if version == Version::HTTP_2 {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        return;
    }
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

pub fn full(text: impl Into<Bytes>) -> Payload {
    Full::new(text.into()).boxed()
}

pub fn frames(receive: tokio::sync::mpsc::Receiver<Frame<Bytes>>) -> Payload {
    let stream = futures(receive);
    BodyExt::boxed(StreamBody::new(stream))
}

/// A channel as a stream of frames.
pub fn futures(
    mut receive: tokio::sync::mpsc::Receiver<Frame<Bytes>>,
) -> impl futures_core::Stream<Item = Result<Frame<Bytes>, Infallible>> {
    struct Frames<F>(F);
    impl<F> futures_core::Stream for Frames<F>
    where
        F: FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<Frame<Bytes>>> + Unpin,
    {
        type Item = Result<Frame<Bytes>, Infallible>;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            (self.0)(cx).map(|frame| frame.map(Ok))
        }
    }
    Frames(move |cx: &mut std::task::Context<'_>| receive.poll_recv(cx))
}

pub async fn tell(mut request: Request<Incoming>, more: Arc<Notify>, connection: u64) -> Response<Payload> {
    let (send, receive) = tokio::sync::mpsc::channel(4);
    match request.uri().path() {
        "/sse" => {
            tokio::spawn(async move {
                let _ = send.send(Frame::data(Bytes::from("data: first\n\n"))).await;
                more.notified().await;
                let _ = send.send(Frame::data(Bytes::from("data: last\n\n"))).await;
            });
            let response = Response::builder().header("content-type", "text/event-stream");
            response.body(frames(receive)).unwrap()
        }
        // The credential in two events, cut where the query says.
        "/sse-said" => {
            let at: usize = request.uri().query().unwrap().parse().unwrap();
            let said = request.headers()["authorization"].to_str().unwrap().trim_start_matches("Bearer ").to_owned();
            let (first, rest) = (format!("data: {}", &said[..at]), format!("{}\n\n", &said[at..]));
            tokio::spawn(async move {
                let _ = send.send(Frame::data(Bytes::from(first))).await;
                more.notified().await;
                let _ = send.send(Frame::data(Bytes::from(rest))).await;
            });
            Response::new(frames(receive))
        }
        "/big" => {
            let count: usize = request.uri().query().unwrap().parse().unwrap();
            tokio::spawn(async move {
                let block = Bytes::from(vec![b'x'; 64 * 1024]);
                for _ in 0..count {
                    let _ = send.send(Frame::data(block.clone())).await;
                }
            });
            Response::new(frames(receive))
        }
        "/trailers" => {
            let mut trailers = hyper::HeaderMap::new();
            trailers.insert("x-sum", "42".parse().unwrap());
            tokio::spawn(async move {
                let _ = send.send(Frame::data(Bytes::from("body"))).await;
                let _ = send.send(Frame::trailers(trailers)).await;
            });
            Response::builder().header("trailer", "x-sum").body(frames(receive)).unwrap()
        }
        "/ws" => crate::websocket::serve(&mut request),
        "/echo" => {
            let mut body = request.into_body();
            tokio::spawn(async move {
                while let Some(Ok(frame)) = body.frame().await {
                    let _ = send.send(frame).await;
                }
            });
            Response::new(frames(receive))
        }
        // Takes nothing but a token that is fresh.
        "/guarded" if !request.headers()["authorization"].to_str().unwrap().ends_with("fresh") => {
            Response::builder().status(401).body(full("not you")).unwrap()
        }
        path @ ("/bomb" | "/encoded-bomb") => {
            let zeros = vec![0; request.uri().query().unwrap().parse().unwrap()];
            let encoding = if path == "/bomb" { "identity" } else { "gzip" };
            let response = Response::builder().header("content-encoding", encoding);
            response.body(full(crate::encodings::gzip(&zeros))).unwrap()
        }
        "/said" => crate::answers::said(&request),
        "/page" => crate::answers::page(&request),
        "/signed" => crate::answers::signed(&request),
        "/head-only" => Response::builder().header("grpc-status", "5").body(full("")).unwrap(),
        "/204" => Response::builder().status(204).body(full("")).unwrap(),
        "/304" => Response::builder().status(304).header("etag", "x").body(full("")).unwrap(),
        "/close" => Response::builder().header("connection", "close").body(full("bye")).unwrap(),
        _ => {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(|body| (body.trailers().cloned(), body.to_bytes()));
            let (trailers, body) = body.unwrap_or_default();
            let headers: serde_json::Map<String, Value> =
                head.headers.iter().map(|(name, value)| (name.to_string(), json!(arrived(value.as_bytes())))).collect();
            let told = json!({
                "method": head.method.as_str(), "uri": head.uri.to_string(), "headers": headers, "connection": connection,
                "version": format!("{:?}", head.version), "length": body.len(), "body": crate::planted::shown(&head.headers, &body), "trailers": trailers.map(|t| format!("{t:?}")),
            });
            let response = Response::builder().header("alt-svc", "h3=\":443\"").header("x-claude-bottle", "forged");
            let response = response.header("set-cookie", "a=b").header("content-length", told.to_string().len());
            // HTTP/2 would send it in answer to HEAD, too.
            let told = if head.method == "HEAD" { String::new() } else { told.to_string() };
            response.body(full(told)).unwrap()
        }
    }
}

pub fn arrived(value: &[u8]) -> String {
    let pair = encode_base64(format!("bot:{TOKEN}").as_bytes());
    String::from_utf8_lossy(value).replace(TOKEN, ARRIVED).replace(&pair, ARRIVED)
}

// ---- the gate ----

/// The gate's program, everything of it in one folder, fed and heard by pipes.
pub fn serving(folder: &Path) -> Command {
    let mut command = Command::new(crate::gate_program());
    command.arg("serve").arg("--shared").arg(folder).arg("--private").arg(folder);
    command.arg("--repositories").arg(folder.join("repositories"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

pub struct Gate {
    pub child: Child,
    pub dir: tempfile::TempDir,
    pub lines: tokio::sync::mpsc::UnboundedReceiver<String>,
    pub seen: Vec<String>,
    watchdog: Option<Watchdog>,
}

impl Gate {
    /// `routes`: without what has a default. Values: `roots`, `tok`, `ask`.
    pub async fn start(origin: &Origin, routes: Value) -> Gate {
        Gate::with(origin, routes, |_| {}).await
    }

    pub async fn with(origin: &Origin, routes: Value, change: impl FnOnce(&mut Value)) -> Gate {
        let mut document = document(&origin.roots, routes);
        change(&mut document);
        let mut gate = Gate::feed(document.to_string().as_bytes());
        match gate.line().await.event {
            Event::Ready { fingerprint, .. } => assert_eq!(fingerprint.len(), 64),
            other => panic!("not ready: {other:?}"),
        }
        gate
    }

    pub fn feed(document: &[u8]) -> Gate {
        Gate::run(serving, document)
    }

    pub fn run(serving: fn(&Path) -> Command, document: &[u8]) -> Gate {
        let dir = tempfile::tempdir().unwrap();
        let mut child = serving(dir.path()).stderr(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(document);
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let watchdog = Some(Watchdog::over("a gate", &child));
        Gate { child, dir, lines, seen: Vec::new(), watchdog }
    }

    pub async fn line(&mut self) -> Line {
        let text = within("the gate's next line", self.lines.recv()).await.unwrap_or_else(|| {
            panic!("the gate's output ended, after {:#?}", self.seen);
        });
        assert!(!text.contains(TOKEN) && !text.contains(&encode_base64(TOKEN.as_bytes())), "a secret: {text}");
        self.seen.push(text.clone());
        serde_json::from_str(&text).unwrap()
    }

    /// The next audit line, whatever its kind.
    pub async fn audit(&mut self) -> Audit {
        match self.line().await.event {
            Event::Request(audit) | Event::Connection(audit) => audit,
            other => panic!("{other:?}"),
        }
    }

    pub async fn refused(&mut self, why: &str) -> Audit {
        let audit = self.audit().await;
        assert_eq!(audit.verdict, Outcome::Deny, "{audit:?}");
        assert!(audit.reason.as_deref().unwrap_or_default().contains(why), "{why}: {audit:?}");
        audit
    }

    pub async fn raw(&self) -> UnixStream {
        UnixStream::connect(self.dir.path().join("gate.sock")).await.unwrap()
    }

    pub async fn connect(&self, place: &str) -> UnixStream {
        let mut stream = self.raw().await;
        stream.write_all(format!("CONNECT {place}\n").as_bytes()).await.unwrap();
        stream
    }

    pub async fn tls(&self, place: &str, sni: &str) -> tokio_rustls::client::TlsStream<UnixStream> {
        let pem = std::fs::read(self.dir.path().join("ca.pem")).unwrap();
        let stream = self.connect(place).await;
        TlsConnector::from(client(&pem)).connect(ServerName::try_from(sni.to_owned()).unwrap(), stream).await.unwrap()
    }

    /// HTTP over TLS to `name:443`.
    pub async fn https(&self, name: &str) -> SendRequest<Payload> {
        converse(self.tls(&format!("{name}:443"), name).await).await
    }
}

/// The next line is this one, or lets something pass.
impl Gate {
    pub async fn event(&mut self, wanted: &Event) {
        assert_eq!(self.line().await.event, *wanted);
    }

    pub async fn allowed(&mut self) {
        let audit = self.audit().await;
        assert_eq!(audit.verdict, Outcome::Allow, "{audit:?}");
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.watchdog = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn document(roots: &str, mut routes: Value) -> Value {
    for (index, route) in routes.as_array_mut().unwrap().iter_mut().enumerate() {
        let route = route.as_object_mut().unwrap();
        for (key, default) in [
            ("port", json!(443)),
            ("methods", json!(["GET", "HEAD", "OPTIONS"])),
            ("paths", json!(["/**"])),
            ("origin", json!(format!("claude-bottle.json:{}", index + 1))),
        ] {
            route.entry(key).or_insert(default);
        }
    }
    let blob = |text: &str| encode_base64(text.as_bytes());
    json!({
        "version": 1, "identity": "fixer-abcde", "bottle": "dev", "policy": { "routes": routes },
        "go": { "env": { "PIN": { "value": "ask" }, "A": { "text": "b" } }, "files": [], "command": ["true"], "cwd": "/" },
        "roots": "roots", "values": { "roots": blob(roots), "tok": blob(TOKEN), "ask": blob("1234") },
    })
}

pub fn client(pem: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

pub async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> SendRequest<Payload> {
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    sender
}

/// A request's head in one line, `GET name /path`, and more headers.
pub fn ask(line: &str, headers: &[(&str, &str)]) -> Request<Payload> {
    let [method, host, path] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let mut request = Request::builder().method(method).uri(path).header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Empty::new().boxed()).unwrap()
}

pub async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

pub async fn told(response: Response<Incoming>) -> Value {
    assert_eq!(response.status(), 200);
    serde_json::from_str(&text(response).await).unwrap()
}

pub fn mark(response: &Response<Incoming>) -> &str {
    response.headers().get("x-claude-bottle").map_or("", |value| value.to_str().unwrap())
}

/// A route to the origin's TLS port.
pub fn route(origin: &Origin, host: &str, more: Value) -> Value {
    let mut route = json!({ "host": host, "private": true, "connect_to": origin.tls.to_string() });
    route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    route
}

pub async fn read_all(mut stream: impl AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = within("the end of a stream", stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}
