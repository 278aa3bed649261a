//! The gate alone: the real program on a socket of its own, and an origin in this process behind it.
//!
//! Barriers, no sleeps: what the gate prints is waited for, what the origin does is told to it.

#![allow(clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

mod answers;
mod believed;
mod bodies;
mod bombs;
mod certificates;
mod dlp;
mod garbage;
mod git;
mod heads;
mod hidden;
mod http2;
mod mcp;
mod model;
mod pauses;
mod proxies;
mod request_lines;
mod refresh;
mod refusals;
mod soak;
mod supervise;
mod upstream_tls;
mod websocket;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use testing::gate::*;
use testing::process::{Watchdog, end, finish, output};
use testing::wait::within;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use wire::{Audit, Event, GoMessage, Line, MAX_WORK_BYTES, Outcome, Repository, Work, encode_base64};

/// `ctl` with these words: its exit code, and what it said.
fn ctl(gate: &Gate, words: &[&str], stdin: &str) -> (i32, Value) {
    let mut child = Command::new(testing::gate_program())
        .args(["ctl".as_ref(), "--socket".as_ref(), gate.dir.path().join("ctl.sock").as_os_str()])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without having read: what it says is what counts.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = finish("ctl", child);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains(TOKEN) && !said.contains(&encode_base64(TOKEN.as_bytes())[..20]), "a secret: {said}");
    (output.status.code().unwrap(), serde_json::from_str(&said).unwrap_or(Value::String(said)))
}

// ---- what init tells ----

#[tokio::test]
async fn the_work_is_an_event_once_it_is_understood() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = Gate::start(&origin, json!([])).await;
    let repository = Repository { path: "app\u{1b}".into(), commits: 2, stashes: 1, files: 3 };
    let work = Work { complete: true, repositories: vec![repository], files: 4, ..Work::default() };
    let whole = format!("WORK {}\n", serde_json::to_string(&work).unwrap());
    // In as many pieces as there are bytes.
    let mut stream = gate.raw().await;
    for byte in whole.bytes() {
        stream.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(stream.read_u8().await.unwrap(), b'\n');
    assert_eq!(read_all(stream).await, "");
    assert_eq!(gate.line().await.event, Event::Work(work));

    let longest = |length: usize| {
        let mut line = br#"WORK {"complete":true,"files":0,"repositories":[{"path":""#.to_vec();
        let end = b"\"}]}\n";
        line.resize(length - end.len(), b'x');
        line.extend_from_slice(end);
        line
    };
    let mut stream = gate.raw().await;
    stream.write_all(&longest(MAX_WORK_BYTES)).await.unwrap();
    assert_eq!(read_all(stream).await, "\n");
    let Event::Work(work) = gate.line().await.event else { panic!() };
    assert!(work.repositories[0].path.len() > 65_000);
    for (line, why) in [
        (&b"WORK\n"[..], "malformed"),
        (b"WORK \n", "malformed"),
        (b"WORK {}\n", "malformed"),
        (b"WORK {\"complete\":1}\n", "malformed"),
        (b"WORK {\"complete\":true,\"new\":1}\n", "malformed"),
        (b"WORK {\"complete\":true,\"complete\":true}\n", "malformed"),
        (b"WORK {\"complete\":true,\"files\":-1}\n", "malformed"),
        (b"WORK {\"complete\":true,\"files\":99999999999999999999}\n", "malformed"),
        (b"WORK {\"complete\":true,\"repositories\":[{\"path\":\".\",\"x\":1}]}\n", "malformed"),
        (b"WORK {\"complete\":true,\"repositories\":[{}]}\n", "malformed"),
        (b"WORK {\"complete\":true} {}\n", "malformed"),
        (b"WORK {\"complete\":true,\"repositories\":[{\"path\":\"\xff\"}]}\n", "malformed"),
        (b"WORK {\"complete\":true", "closed before"),
        (&longest(MAX_WORK_BYTES + 1), "too long"),
    ] {
        let mut stream = gate.raw().await;
        let _ = stream.write_all(line).await;
        let _ = stream.shutdown().await;
        assert_eq!(read_all(stream).await, "", "{}", String::from_utf8_lossy(&line[..line.len().min(80)]));
        gate.refused(why).await;
    }
}

// ---- what passes ----

#[tokio::test]
async fn an_allowed_request_passes_with_our_credential_and_without_theirs() {
    let origin = Origin::start(&["bearer.test", "token.test", "basic.test", "header.test", "own.test"]).await;
    let auth = |scheme: Value| json!({ "auth": { "scheme": scheme, "token": "tok" } });
    let mut gate = Gate::start(
        &origin,
        json!([
            route(&origin, "bearer.test", auth(json!("bearer"))),
            route(&origin, "token.test", auth(json!("token"))),
            route(&origin, "basic.test", auth(json!({ "basic": { "user": "bot" } }))),
            route(&origin, "header.test", auth(json!({ "header": { "header": "X-Special-Key" } }))),
            route(&origin, "own.test", json!({ "agent_auth": true })),
        ]),
    )
    .await;
    let basic = format!("Basic {ARRIVED}");
    let theirs = [
        ("authorization", "Bearer theirs"),
        ("cookie", "a=theirs"),
        ("x-api-key", "theirs"),
        ("api-key", "theirs"),
        ("x-goog-api-key", "theirs"),
        ("private-token", "theirs"),
        ("job-token", "theirs"),
        ("x-auth-token", "theirs"),
        ("x-amz-security-token", "theirs"),
        ("deploy-token", "theirs"),
        ("apikey", "theirs"),
        ("x-vault-token", "theirs"),
        ("x-session", "theirs"),
        ("idempotency-key", "1"),
        ("proxy-authorization", "theirs"),
        ("x-special-key", "theirs"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "5"),
        ("x-kept", "yes"),
        ("te", "trailers"),
    ];
    for (name, header, value) in [
        ("bearer.test", "authorization", format!("Bearer {ARRIVED}")),
        ("token.test", "authorization", format!("token {ARRIVED}")),
        ("basic.test", "authorization", basic),
        ("header.test", "x-special-key", ARRIVED.to_owned()),
    ] {
        let mut sender = gate.https(name).await;
        let response = sender.send_request(ask(&format!("GET {name} /a/%62?q=1%2f"), &theirs)).await.unwrap();
        assert_eq!(response.headers().get("set-cookie").unwrap(), "a=b");
        assert!(response.headers().get("alt-svc").is_none() && mark(&response).is_empty());
        let told = told(response).await;
        assert_eq!(told["headers"][header], json!(value));
        assert_eq!((&told["uri"], &told["headers"]["host"]), (&json!("/a/%62?q=1%2f"), &json!(name)));
        assert_eq!((&told["headers"]["x-kept"], &told["headers"]["te"]), (&json!("yes"), &json!("trailers")));
        assert_eq!(told["headers"]["idempotency-key"], "1");
        assert!(told["headers"].get("x-hop").is_none() && told["headers"].get("keep-alive").is_none());
        for (stripped, _) in theirs.iter().filter(|(_, value)| value.contains("theirs")) {
            let left = told["headers"].get(*stripped).filter(|left| left.as_str().unwrap().contains("theirs"));
            assert!(left.is_none(), "{name} {stripped}");
        }
        let audit = gate.audit().await;
        assert_eq!((audit.verdict, audit.method.as_str(), audit.path.as_str()), (Outcome::Allow, "GET", "/a/b"));
        assert_eq!((audit.status, audit.received > 0), (Some(200), true));
        assert!(audit.rule.unwrap().starts_with("claude-bottle.json:"));
    }
    let mut sender = gate.https("own.test").await;
    let told = told(sender.send_request(ask("GET own.test /", &theirs)).await.unwrap()).await;
    assert_eq!(told["headers"]["authorization"], "Bearer theirs");
    assert_eq!(told["headers"]["x-vault-token"], "theirs");
    assert!(told["headers"].get("proxy-authorization").is_none());
}

#[tokio::test]
async fn a_connection_is_used_again_and_a_closed_upstream_is_not_noticed() {
    let origin = Origin::start(&["a.test"]).await;
    let gate = Gate::start(&origin, json!([route(&origin, "a.test", json!({}))])).await;
    let mut sender = gate.https("a.test").await;
    let first = told(sender.send_request(ask("GET a.test /1", &[])).await.unwrap()).await;
    let second = told(sender.send_request(ask("GET a.test /2", &[])).await.unwrap()).await;
    assert_eq!(first["connection"], second["connection"]);
    assert_eq!(text(sender.send_request(ask("GET a.test /close", &[])).await.unwrap()).await, "bye");
    let third = told(sender.send_request(ask("GET a.test /3", &[])).await.unwrap()).await;
    assert_ne!(second["connection"], third["connection"]);
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate =
        Gate::start(&origin, json!([route(&origin, "a.test", json!({ "methods": ["GET", "HEAD", "POST"] }))])).await;
    let mut sender = gate.https("a.test").await;
    // The first event arrives although the last was not sent yet.
    let mut response = sender.send_request(ask("GET a.test /sse", &[])).await.unwrap();
    let first = within("a frame of the body", response.body_mut().frame()).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "data: first\n\n");
    origin.more.notify_one();
    assert_eq!(text(response).await, "data: last\n\n");

    let response = sender.send_request(ask("GET a.test /big?512", &[])).await.unwrap();
    assert_eq!(text(response).await.len(), 32 << 20);

    let (send, receive) = tokio::sync::mpsc::channel(1);
    let mut request = ask("POST a.test /sink", &[("expect", "100-continue"), ("trailer", "content-digest")]);
    *request.body_mut() = frames(receive);
    let feed = tokio::spawn(async move {
        for _ in 0..256 {
            send.send(Frame::data(Bytes::from(vec![b'y'; 64 * 1024]))).await.unwrap();
        }
        let mut trailers = hyper::HeaderMap::new();
        trailers.insert("content-digest", "yes".parse().unwrap());
        send.send(Frame::trailers(trailers)).await.unwrap();
    });
    let told = told(sender.send_request(request).await.unwrap()).await;
    feed.await.unwrap();
    assert_eq!(told["length"], 16 << 20);
    assert!(told["trailers"].to_string().contains("content-digest"), "{told}");
    assert!(told["headers"].get("expect").is_none());
    let [sse, big, sink] = [gate.audit().await, gate.audit().await, gate.audit().await];
    assert_eq!((sse.received, big.received, sink.sent), (25, 32 << 20, 16 << 20));

    let response = sender.send_request(ask("GET a.test /trailers", &[("te", "trailers")])).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["x-sum"], "42");
    for (line, status) in [("GET a.test /204", 204), ("GET a.test /304", 304), ("HEAD a.test /x", 200)] {
        let response = sender.send_request(ask(line, &[])).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().contains_key("content-length"), status == 200, "{line}");
        assert_eq!(text(response).await, "");
    }
}

#[tokio::test]
async fn plain_http_and_plain_upstreams() {
    let origin = Origin::start(&["other.test"]).await;
    let to = origin.plain.to_string();
    let gate = Gate::start(
        &origin,
        json!([
            { "host": "plain.test", "port": 80, "private": true, "connect_to": to },
            { "host": "model.test", "private": true, "connect_to": format!("http://{to}") },
            { "host": "wrong.test", "private": true, "connect_to": origin.tls.to_string() },
        ]),
    )
    .await;
    let mut sender = converse(gate.connect("plain.test:80").await).await;
    assert_eq!(told(sender.send_request(ask("GET plain.test /", &[])).await.unwrap()).await["uri"], "/");
    let absolute = ask("GET plain.test http://user:pass@plain.test/x", &[]);
    let told_absolute = told(sender.send_request(absolute).await.unwrap()).await;
    assert_eq!(told_absolute["uri"], "/x");
    assert!(!told_absolute.to_string().contains("pass"));
    let mut sender = gate.https("model.test").await;
    assert_eq!(told(sender.send_request(ask("GET model.test /", &[])).await.unwrap()).await["uri"], "/");
    // A client that names no server means the connection's.
    let mut nameless = (*client(&std::fs::read(gate.dir.path().join("ca.pem")).unwrap())).clone();
    nameless.enable_sni = false;
    let name = ServerName::try_from("model.test").unwrap();
    let stream = gate.connect("model.test:443").await;
    let mut sender = converse(TlsConnector::from(Arc::new(nameless)).connect(name, stream).await.unwrap()).await;
    assert_eq!(sender.send_request(ask("GET model.test /", &[])).await.unwrap().status(), 200);
    // A certificate for another name is the upstream's failure.
    let mut sender = gate.https("wrong.test").await;
    let response = sender.send_request(ask("GET wrong.test /", &[])).await.unwrap();
    assert_eq!((response.status().as_u16(), mark(&response)), (502, "failed; reason=tls"));
}

/// An upstream chooses the names in its certificate, and may know the token.
#[tokio::test]
async fn an_error_in_an_upstreams_words_shows_no_secret() {
    let hex: String = TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect();
    for name in [format!("{TOKEN}.evil.test"), format!("{}.{}.evil.test", &hex[..40], &hex[40..])] {
        let origin = Origin::start(&[&name]).await;
        let auth = json!({ "auth": { "scheme": "bearer", "token": "tok" } });
        let mut gate = Gate::start(&origin, json!([route(&origin, "a.test", auth)])).await;
        let mut sender = gate.https("a.test").await;
        let response = sender.send_request(ask("GET a.test /", &[])).await.unwrap();
        assert_eq!(mark(&response), "failed; reason=tls");
        let page = text(response).await;
        assert!(!page.contains(TOKEN) && !page.contains(&hex[..40]), "{page}");
        let reason = gate.audit().await.reason.unwrap_or_default();
        assert!(!reason.contains(TOKEN) && !reason.contains(&hex[..40]), "{reason}");
    }
}

#[tokio::test]
async fn an_upstream_ca_is_trusted_for_its_route_alone() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let other = Origin::start(&["x.test"]).await;
    let gate = Gate::with(
        &origin,
        json!([route(&origin, "a.test", json!({ "upstream_ca": "ca:0" })), route(&origin, "b.test", json!({}))]),
        |document| {
            document["values"]["ca:0"] = document["values"]["roots"].clone();
            document["values"]["roots"] = json!(encode_base64(other.roots.as_bytes()));
        },
    )
    .await;
    let mut sender = gate.https("a.test").await;
    assert_eq!(sender.send_request(ask("GET a.test /", &[])).await.unwrap().status(), 200);
    let mut sender = gate.https("b.test").await;
    assert_eq!(sender.send_request(ask("GET b.test /", &[])).await.unwrap().status(), 502);
}

// ---- what does not ----

#[tokio::test]
async fn every_refusal_explains_itself() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = Gate::start(
        &origin,
        json!([
            route(&origin, "a.test", json!({ "paths": ["/closed/**"], "deny": true })),
            route(&origin, "a.test", json!({ "paths": ["/open/**", "/team/*/x"] })),
            route(
                &origin,
                "a.test",
                json!({ "paths": ["/git/**"], "git": "fetch", "auth": { "scheme": "bearer", "token": "tok" } })
            ),
        ]),
    )
    .await;
    let mut sender = gate.https("a.test").await;
    for (line, header, word) in [
        ("GET a.test /other", ("a", "b"), "path"),
        ("POST a.test /open/x", ("a", "b"), "method"),
        ("TRACE a.test /open/x", ("a", "b"), "method"),
        ("GET a.test /open/x", ("X-HTTP-Method-Override", "DELETE"), "method"),
        ("GET a.test /closed/x", ("a", "b"), "rule"),
        ("GET a.test /open/%2e%2e/closed", ("a", "b"), "path"),
        ("GET a.test /open/../closed", ("a", "b"), "path"),
        ("GET a.test //open/x", ("a", "b"), "path"),
        ("GET a.test /team/..;/x", ("a", "b"), "path"),
        ("GET a.test /team/a%2fb/x", ("a", "b"), "path"),
        ("GET a.test /closed;x/x", ("a", "b"), "path"),
        ("GET a.test /open/%5c", ("a", "b"), "path"),
        ("GET a.test /git/r/info/refs?service=git-receive-pack", ("a", "b"), "git"),
        ("POST a.test /git/r/git-receive-pack", ("a", "b"), "git"),
        ("GET a.test /open/r/info/refs?service=git-upload-pack", ("a", "b"), "git"),
        ("GET b.test /open/x", ("a", "b"), "name"),
        ("GET a.test:8443 /open/x", ("a", "b"), "name"),
    ] {
        let response = sender.send_request(ask(line, &[header])).await.unwrap();
        assert_eq!((response.status().as_u16(), mark(&response)), (403, &*format!("denied; reason={word}")), "{line}");
        let page = text(response).await;
        assert!(page.starts_with("claude-bottle: refused: ") && page.contains("http://gate.bottle/"), "{page}");
        assert!(!page.contains("claude-bottle.json") && !page.contains("tok"), "{page}");
        // What would have passed is told where that helps.
        let helps = ["git", "method", "path"].contains(&word);
        let lines =
            "allowed there: GET HEAD OPTIONS /open/** /team/*/x\nallowed there: GET HEAD OPTIONS /git/** (git fetch)\n";
        assert_eq!(page.contains(lines), helps, "{line}: {page}");
        let audit = gate.audit().await;
        assert_eq!((audit.verdict, audit.status), (Outcome::Deny, Some(403)), "{line}");
        assert!(audit.rule.is_some(), "{line}");
    }
    for line in ["GET a.test /git/r/info/refs?service=git-upload-pack", "POST a.test /git/r/git-upload-pack"] {
        let response = sender.send_request(ask(line, &[])).await.unwrap();
        let told = told(response).await;
        assert_eq!(told["headers"]["authorization"], format!("Bearer {ARRIVED}"));
        assert_eq!(gate.audit().await.verdict, Outcome::Allow);
    }
    // Names that are not listed get a handshake and a page, on TLS and without, before any question to DNS.
    let mut sender = gate.https("evil.test").await;
    let response = sender.send_request(ask("GET evil.test /", &[])).await.unwrap();
    assert_eq!((response.status().as_u16(), mark(&response)), (403, "denied; reason=host"));
    gate.refused("host `evil.test` is not on the allowlist").await;
    let mut sender = converse(gate.connect("a.test:80").await).await;
    let response = sender.send_request(ask("GET a.test /open/", &[])).await.unwrap();
    assert_eq!((response.status().as_u16(), mark(&response)), (403, "denied; reason=port"));
    gate.refused("port 443 is").await;
    let mut sender = converse(gate.tls("a.test:443", "b.test").await).await;
    let response = sender.send_request(ask("GET a.test /open/", &[])).await.unwrap();
    assert_eq!((response.status().as_u16(), mark(&response)), (403, "denied; reason=name"));
    gate.refused("TLS says `b.test`").await;
}

#[tokio::test]
async fn the_model_s_host_gets_errors_in_its_own_shape() {
    let origin = Origin::start(&["model.test"]).await;
    let gate = Gate::start(
        &origin,
        json!([route(
            &origin,
            "model.test",
            json!({ "role": "claude", "auth": { "scheme": { "header": { "header": "x-api-key" } }, "token": "tok" } })
        )]),
    )
    .await;
    let mut sender = gate.https("model.test").await;
    let mut request = ask("POST model.test /v1/files", &[]);
    *request.body_mut() = full(vec![b'z'; 48 * 1024]);
    let response = sender.send_request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), mark(&response)), (400, "denied; reason=path"));
    let error: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!("invalid_request_error")));
    // The body was read and forgotten: the connection goes on.
    let told = told(sender.send_request(ask("POST model.test /v1/messages?beta=true", &[])).await.unwrap()).await;
    assert_eq!(told["headers"]["x-api-key"], ARRIVED);
}

#[tokio::test]
async fn private_addresses_are_out_of_reach() {
    let origin = Origin::start(&["a.test"]).await;
    // A name of /etc/hosts that is not localhost and leads to a private address.
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let inside = hosts
        .lines()
        .filter(|line| line.starts_with("127.") || line.starts_with("::1") || line.starts_with("10."))
        .flat_map(|line| line.split_whitespace().skip(1))
        .find(|name| !name.contains("localhost") && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    let mut routes = json!([
        { "host": "literal.test", "connect_to": "127.0.0.1:443" },
        { "host": "meta.test", "connect_to": "169.254.169.254:80" },
        { "host": "mapped.test", "connect_to": "[::ffff:10.0.0.1]:443" },
        { "host": "localhost" },
        { "host": "sub.localhost" },
        { "host": "zero.test", "connect_to": "0.0.0.0:443", "private": true },
    ]);
    if let Some(inside) = inside {
        routes.as_array_mut().unwrap().push(json!({ "host": inside }));
    }
    let mut gate = Gate::start(&origin, routes.clone()).await;
    for route in routes.as_array().unwrap() {
        let host = route["host"].as_str().unwrap();
        let mut sender = gate.https(host).await;
        let response = sender.send_request(ask(&format!("GET {host} /"), &[])).await.unwrap();
        assert_eq!((response.status().as_u16(), mark(&response)), (403, "denied; reason=address"), "{host}");
        let page = text(response).await;
        assert!(!page.contains("127.0.0.1") && !page.contains("169.254"), "{page}");
        gate.refused("which is not allowed").await;
    }
}

#[tokio::test]
async fn garbage_is_refused_and_does_no_harm() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = Gate::start(
        &origin,
        json!([route(&origin, "a.test", json!({})), { "host": "plain.test", "port": 80, "private": true, "connect_to": origin.plain.to_string() }]),
    ).await;
    let long = format!("CONNECT {}:443\n", "a".repeat(400));
    for (line, why) in [
        (&b"HELLO\n"[..], "malformed"),
        (b"CONNECT 10.0.0.1:443\n", "malformed"),
        (b"CONNECT a.test\n", "malformed"),
        (b"\xff\xfe\x00\n", "malformed"),
        (b"GET / HTTP/1.1\r\nhost: a.test\r\n\r\n", "malformed"),
        (long.as_bytes(), "too long"),
        (b"CONNECT", "closed before"),
    ] {
        let mut stream = gate.raw().await;
        stream.write_all(line).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(read_all(stream).await, "");
        gate.refused(why).await;
    }
    // Neither TLS on 443 nor HTTP on 80.
    let mut stream = gate.connect("a.test:443").await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await.unwrap();
    assert!(!read_all(stream).await.contains("200"));
    gate.refused("not TLS").await;
    let mut stream = gate.connect("plain.test:80").await;
    stream.write_all(b"\x16\x03\x01\x02\x00 garbage\r\n\r\n").await.unwrap();
    assert!(!read_all(stream).await.contains("200"));
    gate.refused("control byte").await;
    // And it still serves.
    let mut sender = gate.https("a.test").await;
    assert_eq!(sender.send_request(ask("GET a.test /", &[])).await.unwrap().status(), 200);
}

// ---- what reaches the upstream, byte by byte ----

/// An upstream that answers every connection's first bytes with an empty 200 and tells what it was sent.
async fn recorder() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = listen().await;
    let address = listener.local_addr().unwrap();
    let (send, receive) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let send = send.clone();
            tokio::spawn(async move {
                let mut seen = Vec::new();
                let mut answered = false;
                let mut part = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut part).await {
                    seen.extend_from_slice(&part[..count]);
                    // The whole message: a length that was kept, or the last chunk with its trailers.
                    let text = String::from_utf8_lossy(&seen).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let chunked = head.contains("transfer-encoding: chunked");
                    if !answered && (!chunked || body.contains("\r\n\r\n") || body == "0\r\n\r\n") {
                        answered = true;
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                        let _ = stream.write_all(answer).await;
                    }
                }
                let _ = send.send(String::from_utf8_lossy(&seen).into_owned());
            });
        }
    });
    (address, receive)
}

#[tokio::test]
async fn no_header_smuggles_a_body_a_name_or_a_credential() {
    let origin = Origin::start(&["a.test"]).await;
    let (address, mut told) = recorder().await;
    let to = address.to_string();
    let gate = Gate::start(
        &origin,
        json!([{
            "host": "plain.test", "port": 80, "private": true, "connect_to": to, "methods": ["GET", "POST"],
            "bodies": true, "auth": { "scheme": { "header": { "header": "X-Special-Key" } }, "token": "tok" },
        }]),
    )
    .await;
    let mut sent = async |request: &str| {
        let mut stream = gate.connect("plain.test:80").await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_all(stream).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        within("what the origin was told", told.recv()).await.unwrap()
    };
    // A header that `connection` names goes; the body keeps its bounds, the host and our credential their places.
    let hidden = "POST / HTTP/1.1\r\nhost: plain.test\r\ncontent-length: 25\r\nconnection: content-length, host, \
                  x-special-key, close\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n";
    let seen = sent(hidden).await;
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), 25);
    for line in ["content-length: 25", "host: plain.test", &format!("x-special-key: {TOKEN}")] {
        assert_eq!(head.matches(line).count(), 1, "{line}: {head}");
    }
    let hidden = hidden.replace("POST", "GET");
    assert!(sent(&hidden).await.contains("content-length: 25"));
    // Servers that put a header into a variable take `_` for `-`.
    let seen = sent(
        "GET / HTTP/1.1\r\nhost: plain.test\r\nprivate_token: theirs\r\nX_Api-Key: theirs\r\nDeploy_Token: theirs\r\nx_special_key: theirs\r\n\
         x_kept: yes\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(!seen.contains("theirs") && seen.contains("x_kept: yes"), "{seen}");
    // Only a proxy in front of a server says for whom it speaks.
    let seen = sent(
        "GET / HTTP/1.1\r\nhost: plain.test\r\nx-forwarded-host: b.test\r\nforwarded: host=b.test\r\n\
         x_forwarded_host: b.test\r\nx-forwarded-for: 127.0.0.1\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(!seen.contains("b.test") && !seen.contains("127.0.0.1"), "{seen}");
    // Some servers add trailers to the headers.
    let seen = sent(
        "POST / HTTP/1.1\r\nhost: plain.test\r\nte: trailers\r\n\
         trailer: x-api-key, x-http-method-override, x-mode, content-md5, authorization, x-special-key\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n1\r\na\r\n0\r\nx-api-key: theirs\r\n\
         x-http-method-override: DELETE\r\nauthorization: theirs\r\nx-special-key: theirs\r\nx-mode: admin\r\ncontent-md5: 42\r\n\r\n",
    )
    .await;
    let (_, body) = seen.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "1\r\na\r\n0\r\ncontent-md5: 42\r\n\r\n");
}

// ---- untouched ----

/// A server that answers each connection with what it read, reversed.
async fn reverser() -> SocketAddr {
    let listener = listen().await;
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 4];
                if stream.read_exact(&mut bytes).await.is_ok() {
                    bytes.reverse();
                    let _ = stream.write_all(&bytes).await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn tcp_passes_and_is_closed_where_refused() {
    let origin = Origin::start(&["a.test"]).await;
    let server = reverser().await;
    let mut gate = Gate::start(
        &origin,
        json!([
            { "host": "db.test", "port": 5432, "protocol": "tcp", "private": true, "connect_to": server.to_string() },
            { "host": "bad.test", "port": 5432, "protocol": "tcp", "connect_to": server.to_string() },
        ]),
    )
    .await;
    let mut stream = gate.connect("db.test:5432").await;
    stream.write_all(b"abcd").await.unwrap();
    assert_eq!(read_all(stream).await, "dcba");
    let audit = gate.audit().await;
    assert_eq!((audit.verdict, audit.sent, audit.received), (Outcome::Allow, 4, 4));
    for (place, why) in [("bad.test:5432", "loopback"), ("evil.test:5432", "allowlist"), ("db.test:22", "port 22")] {
        assert_eq!(read_all(gate.connect(place).await).await, "");
        gate.refused(why).await;
    }
}

#[tokio::test]
async fn tls_that_is_not_intercepted_reaches_the_origin_itself() {
    let origin = Origin::start(&["pin.test"]).await;
    let mut gate = Gate::start(&origin, json!([route(&origin, "pin.test", json!({ "intercept": false }))])).await;
    let connect = |sni: &'static str, stream: UnixStream| {
        TlsConnector::from(client(origin.roots.as_bytes())).connect(ServerName::try_from(sni).unwrap(), stream)
    };
    let stream = connect("pin.test", gate.connect("pin.test:443").await).await.unwrap();
    let mut sender = converse(stream).await;
    let told = told(sender.send_request(ask("GET pin.test /x", &[("authorization", "mine")])).await.unwrap()).await;
    assert_eq!(told["headers"]["authorization"], "mine");
    drop(sender);
    assert_eq!(gate.audit().await.verdict, Outcome::Allow);
    assert!(connect("other.test", gate.connect("pin.test:443").await).await.is_err());
    gate.refused("TLS asks for `other.test`").await;
    // A client that names no server: nothing else could say to whom it speaks.
    let mut nameless = (*client(origin.roots.as_bytes())).clone();
    nameless.enable_sni = false;
    let name = ServerName::try_from("pin.test").unwrap();
    let stream = gate.connect("pin.test:443").await;
    assert!(TlsConnector::from(Arc::new(nameless)).connect(name, stream).await.is_err());
    gate.refused("TLS names no server").await;
    let mut stream = gate.connect("pin.test:443").await;
    stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
    assert_eq!(read_all(stream).await, "");
    gate.refused("not TLS").await;
}

// ---- the upstream proxy ----

/// A proxy that sends everything to the origin and tells what it was asked.
async fn proxy(tls: SocketAddr, plain: SocketAddr) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    upstream_proxy(move |head| if head.starts_with("CONNECT ") { tls } else { plain }).await
}

#[tokio::test]
async fn a_proxy_is_asked_by_name_and_never_for_private_ones() {
    let origin = Origin::start(&["a.test"]).await;
    let (address, mut asked) = proxy(origin.tls, origin.plain).await;
    let mut gate = Gate::with(
        &origin,
        json!([
            { "host": "a.test" },
            { "host": "plain.test", "port": 80 },
            { "host": "nas.local" },
            { "host": "literal.test", "connect_to": "10.0.0.1:443" },
        ]),
        |document| {
            document["upstream_proxy"] = json!("proxy");
            document["values"]["proxy"] = json!(encode_base64(format!("http://me:{TOKEN}@{address}").as_bytes()));
        },
    )
    .await;
    let credentials = encode_base64(format!("me:{TOKEN}").as_bytes());
    let mut sender = gate.https("a.test").await;
    assert_eq!(told(sender.send_request(ask("GET a.test /x", &[])).await.unwrap()).await["uri"], "/x");
    let head = within("what the proxy was asked", asked.recv()).await.unwrap();
    assert!(head.starts_with("CONNECT a.test:443 HTTP/1.1\r\n") && head.contains(&credentials), "{head}");
    gate.audit().await;
    let mut sender = converse(gate.connect("plain.test:80").await).await;
    assert_eq!(sender.send_request(ask("GET plain.test /y", &[])).await.unwrap().status(), 200);
    let head = within("what the proxy was asked", asked.recv()).await.unwrap();
    assert!(head.starts_with("GET http://plain.test:80/y HTTP/1.1\r\n") && head.contains(&credentials), "{head}");
    gate.audit().await;
    for name in ["nas.local", "literal.test"] {
        let mut sender = gate.https(name).await;
        let response = sender.send_request(ask(&format!("GET {name} /"), &[])).await.unwrap();
        assert_eq!(mark(&response), "denied; reason=address");
        gate.refused("which is not allowed").await;
    }
}

// ---- the gate itself ----

#[tokio::test]
async fn go_carries_what_it_names_and_gate_bottle_explains() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = Gate::start(
        &origin,
        json!([route(
            &origin,
            "a.test",
            json!({ "paths": ["/team/**"], "auth": { "scheme": "bearer", "token": "tok" } })
        )]),
    )
    .await;
    for name in ["ca.pem", "ca-bundle.pem", "cacerts"] {
        assert!(gate.dir.path().join(name).exists(), "{name}");
    }
    let mut stream = gate.raw().await;
    stream.write_all(b"GO\n").await.unwrap();
    let go = read_all(stream).await;
    let message: GoMessage = serde_json::from_str(&go).unwrap();
    assert_eq!(message.values.keys().collect::<Vec<_>>(), ["ask"]);
    assert!(!go.contains(TOKEN) && !go.contains(&encode_base64(TOKEN.as_bytes())));

    let mut sender = gate.https("evil.test").await;
    sender.send_request(ask("GET evil.test /why", &[])).await.unwrap();
    gate.refused("allowlist").await;
    let mut sender = converse(gate.connect("gate.bottle:80").await).await;
    let page = text(sender.send_request(ask("GET gate.bottle /", &[])).await.unwrap()).await;
    for part in ["allow https://a.test  GET HEAD OPTIONS  /team/**  (the gate adds the credential)", "To ask for more"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let why = text(sender.send_request(ask("GET gate.bottle /why", &[])).await.unwrap()).await;
    assert!(why.contains("  GET evil.test:443/why: host `evil.test` is not on the allowlist\n"), "{why}");
    let one = text(sender.send_request(ask("GET gate.bottle /A.test", &[])).await.unwrap()).await;
    assert!(one.starts_with("allow https://a.test  GET HEAD OPTIONS  /team/**  ("), "{one}");
    for (line, page) in [
        ("GET gate.bottle /evil.test", "claude-bottle: no route leads to `evil.test`\n"),
        ("GET gate.bottle /a/b", "there is /, /why, /trust, /policy.json, and / with a host\n"),
    ] {
        let response = sender.send_request(ask(line, &[])).await.unwrap();
        assert_eq!((response.status().as_u16(), mark(&response)), (404, "gate"), "{line}");
        let found = text(response).await;
        assert!(found.starts_with(page), "{line}: {found}");
    }
    let json = text(sender.send_request(ask("GET gate.bottle /policy.json", &[])).await.unwrap()).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["routes"][0]["host"], &json["routes"][0]["credential"]), (&json!("a.test"), &json!(true)));
    for shown in [&page, &why, &one, &json.to_string()] {
        assert!(
            !shown.contains("claude-bottle.json") && !shown.contains("tok") && !shown.contains("127.0.0.1"),
            "{shown}"
        );
    }

    let status = output(Command::new(testing::gate_program()).args([
        "ctl".as_ref(),
        "--socket".as_ref(),
        gate.dir.path().join("ctl.sock").as_os_str(),
        "status".as_ref(),
    ]));
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["identity"], &status["counters"]["denied"]), (&json!("fixer-abcde"), &json!(1)));
    assert_eq!(status["routes"][0]["origin"], "claude-bottle.json:1");
    let unknown = output(Command::new(testing::gate_program()).args([
        "ctl".as_ref(),
        "--socket".as_ref(),
        gate.dir.path().join("ctl.sock").as_os_str(),
        "dance".as_ref(),
    ]));
    assert_eq!((unknown.status.code(), unknown.stdout.as_slice()), (Some(1), &b"{\"error\":\"unknown verb\"}\n"[..]));
}

#[tokio::test]
async fn a_bad_document_is_one_failed_line() {
    let origin = Origin::start(&["a.test"]).await;
    let good = document(
        &origin.roots,
        json!([route(&origin, "a.test", json!({ "auth": { "scheme": "bearer", "token": "tok" } }))]),
    );
    let with = |path: &str, value: Value| {
        let mut document = good.clone();
        *document.pointer_mut(path).unwrap() = value;
        document.to_string()
    };
    for (text, why) in [
        (String::new(), "no document"),
        ("{".to_owned(), "not valid: line 1"),
        (with("/version", json!(2)), "version 2"),
        (with("/policy/routes/0/host", json!("http://secret")), "not valid"),
        (with("/values/roots", json!(encode_base64(b"no PEM"))), "no certificate"),
        (with("/values/tok", json!(encode_base64(b"a\nb"))), "cannot stand in a header"),
        (with("/values/tok", json!("")), "is empty"),
        (with("/policy/routes/0/auth/token", json!("gone")), "no value `gone`"),
        (with("/go/env/PIN", json!({ "value": "tok" })), "must not get it"),
        (
            with("/go/env/PIN", json!({ "value": "prx" }))
                .replace("\"roots\":\"roots\"", "\"roots\":\"roots\",\"upstream_proxy\":\"prx\"")
                .replace("\"values\":{", &format!("\"values\":{{\"prx\":\"{}\",", encode_base64(b"http://u:p@p:1"))),
            "`prx` is the gate's alone",
        ),
        (
            with("/policy/routes/0/connect_to", json!("http://10.0.0.1:1"))
                .replace("\"private\":true", "\"private\":false"),
            "unencrypted",
        ),
    ] {
        let mut gate = Gate::feed(text.as_bytes());
        match gate.line().await.event {
            Event::Failed { reason } => assert!(reason.contains(why) && !reason.contains("secret"), "{reason}"),
            other => panic!("{why}: {other:?}"),
        }
        assert_eq!(end("a gate that failed", &mut gate.child).code(), Some(1), "{why}");
        assert!(!gate.dir.path().join("gate.sock").exists());
    }
}

#[tokio::test]
async fn a_reader_that_stops_holds_up_nothing() {
    let origin = Origin::start(&["a.test"]).await;
    let document = document(&origin.roots, json!([route(&origin, "a.test", json!({}))]));
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(testing::gate_program())
        .arg("serve")
        .args(["--shared".as_ref(), dir.path().as_os_str(), "--private".as_ref(), dir.path().as_os_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let watchdog = Watchdog::over("a gate", &child);
    child.stdin.take().unwrap().write_all(document.to_string().as_bytes()).unwrap();
    let mut lines = BufReader::with_capacity(512, child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("\"ready\""));
    // Nobody reads from here on; more lines than the pipe holds.
    let socket = dir.path().join("gate.sock");
    for _ in 0..7000 {
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        stream.write_all(b"BAD\n").await.unwrap();
        read_all(stream).await;
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), nix::sys::signal::Signal::SIGTERM)
        .unwrap();
    let lines: Vec<Line> = lines.map_while(Result::ok).map(|line| serde_json::from_str(&line).unwrap()).collect();
    drop(watchdog);
    assert_eq!(end("a gate that was told to end", &mut child).code(), Some(0));
    let dropped: u64 =
        lines.iter().map(|line| if let Event::Dropped { count, .. } = line.event { count } else { 0 }).sum();
    // Like lines are folded: each stands for one event, or for as many as it says.
    let written = lines.iter().filter(|line| matches!(line.event, Event::Connection(_)));
    let (whole, folded): (Vec<_>, Vec<_>) = written.partition(|line| line.repeated == 0);
    assert!(whole.len() <= 500 && folded.iter().all(|line| line.since.as_ref() <= Some(&line.time)));
    assert_eq!(dropped + whole.len() as u64 + folded.iter().map(|line| line.repeated).sum::<u64>(), 7000);
    assert!(lines.windows(2).all(|pair| pair[0].seq < pair[1].seq));
}

/// Of 80 descriptors, 64 are not connections'; each of these has two.
fn cramped(folder: &Path) -> Command {
    let wide = serving(folder);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 80; exec \"$0\" \"$@\""]).arg(wide.get_program()).args(wide.get_args());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

#[tokio::test]
async fn who_finds_no_room_waits_until_another_goes() {
    let origin = Origin::start(&["a.test"]).await;
    let document = document(&origin.roots, json!([route(&origin, "a.test", json!({}))]));
    let mut gate = Gate::run(cramped, document.to_string().as_bytes());
    assert!(matches!(gate.line().await.event, Event::Ready { .. }));
    let mut inside = Vec::new();
    for _ in 0..8 {
        let mut sender = converse(gate.connect("gate.bottle:80").await).await;
        explained(&mut sender).await;
        inside.push(sender);
    }
    let mut late = converse(gate.connect("gate.bottle:80").await).await;
    let mut waits = std::pin::pin!(explained(&mut late));
    for sender in &mut inside {
        tokio::select! {
            biased;
            () = &mut waits => panic!("a ninth one found room"),
            () = explained(sender) => {}
        }
    }
    inside.pop();
    waits.await;
}

async fn explained(sender: &mut SendRequest<Payload>) {
    let page = text(sender.send_request(ask("GET gate.bottle /", &[])).await.unwrap()).await;
    assert!(page.contains("allow https://a.test"), "{page}");
}
