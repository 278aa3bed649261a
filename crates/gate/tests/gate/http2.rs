//! HTTP/2 on either side of the gate: whatever the two sides speak, requests and answers are the same; and whoever
//! misuses it ends its own connection only.

use super::*;
use hyper::client::conn::http2::SendRequest as Two;

/// HTTP/2 over TLS to `name:443`.
pub async fn two(gate: &Gate, name: &str) -> Two<Payload> {
    let stream = agreed(gate, name, &["h2"]).await;
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// TLS that offers these versions, and got the first.
async fn agreed(gate: &Gate, name: &str, versions: &[&str]) -> tokio_rustls::client::TlsStream<UnixStream> {
    let pem = std::fs::read(gate.dir.path().join("ca.pem")).unwrap();
    let mut config = (*client(&pem)).clone();
    config.alpn_protocols = versions.iter().map(|version| version.as_bytes().to_vec()).collect();
    let stream = gate.connect(&format!("{name}:443")).await;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(versions[0].as_bytes()));
    stream
}

/// As [`ask`], for HTTP/2.
pub fn ask_two(line: &str, headers: &[(&str, &str)]) -> Request<Payload> {
    let [method, host, path] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let mut request = Request::builder().method(method).uri(format!("https://{host}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Empty::new().boxed()).unwrap()
}

fn everything(origin: &Origin) -> Value {
    json!([route(origin, "a.test", json!({ "methods": ["GET", "HEAD", "POST"], "agent_auth": true }))])
}

#[tokio::test]
async fn the_gates_credential_does_not_come_back() {
    let origin = Origin::speaking(&["a.test"], &["h2"]).await;
    let auth = json!({ "auth": { "scheme": "bearer", "token": "tok" } });
    let gate = Gate::start(&origin, json!([route(&origin, "a.test", auth)])).await;
    let mut sender = two(&gate, "a.test").await;
    for way in ["entities", "numbers", "wrapped", "wide"] {
        let response = sender.send_request(ask_two(&format!("GET a.test /said?{way}"), &[])).await.unwrap();
        assert!(text(response).await.contains("***"), "{way}");
    }
    for way in ["file", "twice", "name", "halves"] {
        let response = sender.send_request(ask_two(&format!("GET a.test /said?{way}"), &[])).await;
        let Ok(response) = response else { continue };
        match way {
            "name" | "halves" => assert_eq!(mark(&response), "failed; reason=credential", "{way}"),
            _ => assert!(response.into_body().collect().await.is_err(), "{way}"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_has_no_body_carries_no_credential() {
    let auth = json!({ "auth": { "scheme": "bearer", "token": "tok" } });
    for versions in [&["h2"][..], &[]] {
        let origin = Origin::speaking(&["a.test"], versions).await;
        let gate = Gate::start(&origin, json!([route(&origin, "a.test", auth.clone())])).await;
        let mut sender = two(&gate, "a.test").await;
        for (method, way) in [
            ("GET", "204"),
            ("GET", "304"),
            ("GET", "trailers-204"),
            ("GET", "trailers-304"),
            ("HEAD", "plain"),
            ("HEAD", "trailers-200"),
        ] {
            let response = sender.send_request(ask_two(&format!("{method} a.test /said?{way}"), &[])).await;
            // h2 itself ends an answer to HEAD that has a body.
            let Ok(response) = response else {
                assert_eq!((method, way), ("HEAD", "plain"), "{versions:?}");
                continue;
            };
            assert_ne!(response.status(), 502, "{versions:?} {method} {way}");
            let body = response.into_body().collect().await.unwrap();
            assert_eq!(body.trailers(), None, "{versions:?} {method} {way}");
            assert_eq!(body.to_bytes(), "", "{versions:?} {method} {way}");
        }
    }
}

#[tokio::test]
async fn whatever_the_two_sides_speak_requests_are_the_same() {
    for (versions, of_one, of_two) in [
        (&["h2", "http/1.1"][..], "HTTP/2.0", "HTTP/2.0"),
        (&["http/1.1"], "HTTP/1.1", "HTTP/1.1"),
        (&[], "HTTP/1.1", "HTTP/1.1"),
        (&["h2"], "HTTP/2.0", "HTTP/2.0"),
    ] {
        let origin = Origin::speaking(&["a.test"], versions).await;
        let mut gate = Gate::start(&origin, everything(&origin)).await;
        let (mut one, mut two) = (gate.https("a.test").await, two(&gate, "a.test").await);
        for version in ["one", "two"] {
            let mut send = async |line: &str, headers: &[(&str, &str)], body: Option<Payload>| {
                let mut request = if version == "one" { ask(line, headers) } else { ask_two(line, headers) };
                if let Some(body) = body {
                    *request.body_mut() = body;
                }
                if version == "one" { one.send_request(request).await } else { two.send_request(request).await }
            };
            let headers = [("x-kept", "yes"), ("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers")];
            let got = told(send("GET a.test /x?y=%2f", &headers, None).await.unwrap()).await;
            let spoken = if version == "one" { of_one } else { of_two };
            assert_eq!(got["version"], spoken, "{versions:?} {version}");
            assert!(got["uri"].as_str().unwrap().ends_with("/x?y=%2f"), "{got}");
            assert_eq!((&got["headers"]["x-kept"], &got["headers"]["te"]), (&json!("yes"), &json!("trailers")));
            let host = if spoken == "HTTP/2.0" { Value::Null } else { json!("a.test") };
            assert_eq!(got["headers"]["host"], host);
            if spoken == "HTTP/1.1" && version == "two" {
                assert_eq!(got["headers"]["cookie"], "a=1; b=2");
            }
            let got = told(send("POST a.test /x", &[], Some(full("12345"))).await.unwrap()).await;
            assert_eq!((&got["length"], &got["headers"]["content-length"]), (&json!(5), &json!("5")), "{got}");
            // A length that is not known, and trailers, both ways.
            let (push, receive) = tokio::sync::mpsc::channel(4);
            push.send(Frame::data(Bytes::from("abc"))).await.unwrap();
            let mut trailers = hyper::HeaderMap::new();
            trailers.insert("content-digest", "yes".parse().unwrap());
            push.send(Frame::trailers(trailers)).await.unwrap();
            drop(push);
            let got = send("POST a.test /x", &[("trailer", "content-digest")], Some(frames(receive))).await.unwrap();
            let got = told(got).await;
            assert_eq!(got["length"], 3);
            assert!(got["trailers"].to_string().contains("content-digest"), "{versions:?} {version}: {got}");
            let response = send("GET a.test /trailers", &[("te", "trailers")], None).await.unwrap();
            let body = response.into_body().collect().await.unwrap();
            assert_eq!(body.trailers().unwrap()["x-sum"], "42", "{versions:?} {version}");
            for (line, status) in [("GET a.test /204", 204), ("GET a.test /304", 304), ("HEAD a.test /x", 200)] {
                let response = send(line, &[], None).await.unwrap();
                assert_eq!(response.status(), status);
                assert_eq!(text(response).await, "");
            }
            let response = send("GET a.test /big?512", &[], None).await.unwrap();
            assert_eq!(text(response).await.len(), 32 << 20);
            let got = told(send("POST a.test /x", &[], Some(full(vec![b'y'; 8 << 20]))).await.unwrap()).await;
            assert_eq!(got["length"], 8 << 20);
            let mut response = send("GET a.test /sse", &[], None).await.unwrap();
            let first = within("a frame of the body", response.body_mut().frame()).await.unwrap().unwrap();
            assert_eq!(first.into_data().unwrap(), "data: first\n\n");
            origin.more.notify_one();
            assert_eq!(text(response).await, "data: last\n\n");
            for _ in 0..10 {
                assert_eq!(gate.audit().await.verdict, Outcome::Allow);
            }
        }
    }
}

#[tokio::test]
async fn http1_is_offered_first_where_no_body_comes() {
    let origin = Origin::speaking(&["a.test"], &["h2", "http/1.1"]).await;
    let gate = Gate::start(&origin, json!([route(&origin, "a.test", json!({}))])).await;
    let mut sender = gate.https("a.test").await;
    assert_eq!(told(sender.send_request(ask("GET a.test /x", &[])).await.unwrap()).await["version"], "HTTP/1.1");
}

#[tokio::test]
async fn streams_share_one_connection_or_take_turns_on_a_few() {
    for (versions, most) in [(&["h2"][..], 1), (&["http/1.1"], 16)] {
        let origin = Origin::speaking(&["a.test"], versions).await;
        let gate = Gate::start(&origin, everything(&origin)).await;
        let mut sender = two(&gate, "a.test").await;
        // All at once, each as long as the others.
        let mut open = Vec::new();
        for _ in 0..most.max(8) {
            open.push(sender.send_request(ask_two("GET a.test /sse", &[])).await.unwrap());
        }
        let more: Vec<_> = (0..60)
            .map(|_| {
                let asked = sender.send_request(ask_two("GET a.test /x", &[]));
                tokio::spawn(async move { told(asked.await.unwrap()).await })
            })
            .collect();
        for _ in 0..open.len() {
            origin.more.notify_one();
            tokio::task::yield_now().await;
        }
        for response in &mut open {
            response.body_mut().frame().await.unwrap().unwrap();
        }
        let mut seen = std::collections::BTreeSet::new();
        for one in more {
            // The last events let those go on that had to wait.
            origin.more.notify_one();
            seen.insert(one.await.unwrap()["connection"].as_u64().unwrap());
        }
        assert!((1..=most).contains(&seen.len()), "{versions:?}: {seen:?}");
        if most > 1 {
            // One after the other, the same connection is enough.
            let connection = told(sender.send_request(ask_two("GET a.test /x", &[])).await.unwrap()).await;
            let again = told(sender.send_request(ask_two("GET a.test /x", &[])).await.unwrap()).await;
            assert_eq!(connection["connection"], again["connection"]);
        }
    }
}

#[tokio::test]
async fn bytes_go_both_ways_at_once() {
    for versions in [&["h2"][..], &["http/1.1"]] {
        let origin = Origin::speaking(&["a.test"], versions).await;
        let gate = Gate::start(&origin, everything(&origin)).await;
        let mut sender = two(&gate, "a.test").await;
        let (push, receive) = tokio::sync::mpsc::channel(1);
        let mut request = ask_two("POST a.test /echo", &[("te", "trailers"), ("content-type", "application/grpc")]);
        *request.body_mut() = frames(receive);
        let mut response = sender.send_request(request).await.unwrap();
        for number in 0..5 {
            // Nothing more is sent before the answer to this is there.
            push.send(Frame::data(Bytes::from(format!("message {number}")))).await.unwrap();
            let frame = within("a frame of the body", response.body_mut().frame()).await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), format!("message {number}"));
        }
        drop(push);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "");
    }
}

#[tokio::test]
async fn the_policy_is_the_same() {
    let origin = Origin::speaking(&["a.test"], &["h2"]).await;
    let mut gate = Gate::start(&origin, json!([route(&origin, "a.test", json!({ "paths": ["/open/**"] }))])).await;
    let mut sender = two(&gate, "a.test").await;
    for (line, header, word) in [
        ("GET a.test /other", ("a", "b"), "path"),
        ("POST a.test /open/x", ("a", "b"), "method"),
        ("GET a.test /open/../closed", ("a", "b"), "path"),
        ("GET b.test /open/x", ("a", "b"), "name"),
        ("GET a.test:8443 /open/x", ("a", "b"), "name"),
        ("GET a.test /open/x", ("host", "b.test"), "name"),
        ("GET a.test /open/x", ("x-http-method-override", "PUT"), "method"),
    ] {
        let response = sender.send_request(ask_two(line, &[header])).await.unwrap();
        assert_eq!((response.status().as_u16(), mark(&response)), (403, &*format!("denied; reason={word}")), "{line}");
        assert!(text(response).await.starts_with("claude-bottle: refused: "));
        assert_eq!(gate.audit().await.verdict, Outcome::Deny);
    }
    let response = sender.send_request(ask_two("HEAD a.test /other", &[])).await.unwrap();
    assert_eq!((response.status().as_u16(), text(response).await.as_str()), (403, ""));
    gate.refused("path").await;
    // CONNECT, plain and extended, leads nowhere.
    let mut request = ask_two("CONNECT a.test /open/x", &[]);
    *request.uri_mut() = "a.test:443".parse().unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 403);
    gate.refused("").await;
    let mut raw = agreed(&gate, "a.test", &["h2"]).await;
    raw.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat()).await.unwrap();
    let mut head = [0; 9];
    raw.read_exact(&mut head).await.unwrap();
    let mut settings = vec![0; usize::from(head[2])];
    raw.read_exact(&mut settings).await.unwrap();
    assert_eq!(head[3], 4);
    let setting = |id: u8| {
        settings.chunks(6).find(|one| one[1] == id).map(|one| u32::from_be_bytes(one[2..6].try_into().unwrap()))
    };
    assert_eq!((setting(8).unwrap_or(0), setting(3), setting(6)), (0, Some(100), Some(64 * 1024)));
    // The connection lives on; refused names are explained in HTTP/2, too.
    assert_eq!(sender.send_request(ask_two("GET a.test /open/x", &[])).await.unwrap().status(), 200);
    gate.audit().await;
    let mut sender = two(&gate, "evil.test").await;
    let response = sender.send_request(ask_two("GET evil.test /", &[])).await.unwrap();
    assert_eq!(mark(&response), "denied; reason=host");
    gate.refused("allowlist").await;
}

/// A frame as it travels.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `:method GET`, `:scheme https`, `:path /`, and `:authority a.test`, as HPACK writes them.
const REQUEST: &[u8] = b"\x82\x87\x84\x41\x06a.test";

#[tokio::test]
async fn floods_end_their_own_connection() {
    let origin = Origin::speaking(&["a.test"], &["h2"]).await;
    let mut gate = Gate::start(&origin, everything(&origin)).await;
    let start = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat();
    let stream = |number: u32| number * 2 + 1;
    let resets: Vec<u8> = (0..5000)
        .flat_map(|n| [frame(1, 5, stream(n), REQUEST), frame(3, 0, stream(n), &8u32.to_be_bytes())].concat())
        .collect();
    let mut continued = frame(1, 1, 1, REQUEST);
    for _ in 0..5000 {
        continued.extend(frame(9, 0, 1, &[0x40, 1, b'x', 1, b'y']));
    }
    let mut large = frame(1, 1, 1, REQUEST);
    for _ in 0..64 {
        large.extend(frame(9, 0, 1, &[[0x40, 1, b'x', 0x7f, 0xc1, 0x3e].as_slice(), &[b'y'; 8192]].concat()));
    }
    let empty: Vec<u8> = [frame(1, 4, 1, REQUEST), frame(0, 0, 1, &[]).repeat(50_000)].concat();
    for (name, flood, ends) in [
        ("rapid reset", resets, true),
        ("continuation", continued, true),
        ("large headers", large, true),
        ("wrong stream", frame(0, 0, 2, b"x"), true),
        ("garbage", vec![0xff; 4096], true),
        ("settings", frame(4, 0, 0, &[]).repeat(50_000), false),
        ("ping", frame(6, 0, 0, &[0; 8]).repeat(50_000), false),
        ("empty data", empty, false),
    ] {
        let connection = agreed(&gate, "a.test", &["h2"]).await;
        let (mut reading, mut writing) = tokio::io::split(connection);
        let read = tokio::spawn(async move {
            let mut bytes = vec![0; 64 * 1024];
            let mut count = 0;
            while let Ok(some @ 1..) = reading.read(&mut bytes).await {
                count += some;
            }
            count
        });
        let mut wrote = writing.write_all(&start).await;
        for part in flood.chunks(16 * 1024) {
            if wrote.is_ok() {
                wrote = writing.write_all(part).await;
            }
        }
        let _ = writing.flush().await;
        if !ends {
            let _ = writing.shutdown().await;
        }
        let count = within(name, read).await.unwrap();
        // What is answered is no more than what was asked.
        assert!(count <= flood.len() + 64 * 1024, "{name}: {count}");
        let mut sender = two(&gate, "a.test").await;
        assert_eq!(sender.send_request(ask_two("GET a.test /x", &[])).await.unwrap().status(), 200, "{name}");
        if ends {
            let why = |audit: &Audit| audit.reason.clone().unwrap_or_default().contains("as it should be");
            while !why(&gate.audit().await) {}
        }
    }
}

/// h2 refuses lengths that differ, and hands equal ones on.
#[tokio::test]
async fn a_length_stands_there_once() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = Gate::start(&origin, everything(&origin)).await;
    let mut sender = two(&gate, "a.test").await;
    let mut request = ask_two("POST a.test /x", &[("content-length", "3"), ("content-length", "3")]);
    *request.body_mut() = full("abc");
    let response = sender.send_request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), mark(&response)), (403, "denied; reason=malformed"));
    assert!(text(response).await.contains("several content-length headers"));
    gate.refused("several content-length").await;
}

#[tokio::test]
async fn a_length_has_one_spelling_and_an_authority_no_user() {
    let origin = Origin::speaking(&["a.test"], &["h2"]).await;
    let mut gate = Gate::start(&origin, everything(&origin)).await;
    let mut sender = two(&gate, "a.test").await;
    let mut padded = ask_two("POST a.test /x", &[("content-length", "05")]);
    *padded.body_mut() = full("12345");
    for (request, why) in [
        (padded, "begins with a zero"),
        (ask_two("GET u:p@a.test /x", &[]), "a user's name"),
        (ask_two("GET a.test@a.test /x", &[]), "a user's name"),
        (ask_two("GET @a.test /x", &[]), "a user's name"),
    ] {
        let response = sender.send_request(request).await.unwrap();
        assert_eq!((response.status(), mark(&response)), (StatusCode::FORBIDDEN, "denied; reason=malformed"), "{why}");
        assert!(text(response).await.contains(why));
        gate.refused(why).await;
    }
    assert_eq!(told(sender.send_request(ask_two("GET a.test /x", &[])).await.unwrap()).await["method"], "GET");
}

/// The flags of the frame that begins the answer to this request.
async fn head_flags(gate: &Gate, method: &str, host: &str, path: &str) -> u8 {
    let literal = |index: u8, text: &str| [&[index, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    // Names and values of HPACK's static table: `:method`, `:scheme: https`, `:path`, `:authority`.
    let head = [literal(2, method), vec![0x87], literal(4, path), literal(1, host)].concat();
    let mut stream = agreed(gate, host, &["h2"]).await;
    let start = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[]), frame(1, 5, 1, &head)].concat();
    stream.write_all(&start).await.unwrap();
    loop {
        let mut header = [0; 9];
        within("a frame", stream.read_exact(&mut header)).await.unwrap();
        let length = usize::from(header[1]) << 8 | usize::from(header[2]);
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        if header[3] == 1 {
            return header[4];
        }
    }
}

#[tokio::test]
async fn an_answer_that_its_head_ends_stays_one() {
    const END_STREAM: u8 = 1;
    for versions in [&["h2"][..], &[]] {
        let origin = Origin::speaking(&["a.test", "token.test"], versions).await;
        let auth = json!({ "auth": { "scheme": "bearer", "token": "tok" } });
        let routes = json!([route(&origin, "a.test", json!({})), route(&origin, "token.test", auth)]);
        let gate = Gate::start(&origin, routes).await;
        for host in ["a.test", "token.test"] {
            for (method, path) in [("GET", "/head-only"), ("HEAD", "/x"), ("GET", "/204"), ("GET", "/304")] {
                let flags = head_flags(&gate, method, host, path).await;
                assert_eq!(flags & END_STREAM, END_STREAM, "{versions:?} {method} {host}{path}");
            }
            assert_eq!(head_flags(&gate, "GET", host, "/x").await & END_STREAM, 0);
        }
    }
}
