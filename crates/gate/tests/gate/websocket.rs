//! WebSockets through the gate: only where the route lets something be sent, frame by frame, and nothing that cannot be
//! read.

use super::*;
use testing::websocket::{UPGRADE, head, masked, receive};
use wire::{Alarm, Done};

/// A WebSocket of the agent's, and what the origin said first.
async fn open(gate: &Gate, path: &str) -> (TokioIo<hyper::upgrade::Upgraded>, Vec<u8>) {
    let mut sender = gate.https("a.test").await;
    let response = sender.send_request(ask(&format!("GET a.test {path}"), &UPGRADE)).await.unwrap();
    assert_eq!(response.status(), 101);
    assert!(response.headers().get("sec-websocket-extensions").is_none());
    let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    let (_, said) = receive(&mut stream).await.unwrap();
    (stream, said)
}

#[tokio::test]
async fn frames_pass_both_ways_and_compression_does_not() {
    let origin = Origin::speaking(&["a.test"], &["h2", "http/1.1"]).await;
    let mut gate = Gate::start(&origin, json!([route(&origin, "a.test", json!({ "methods": ["GET", "POST"] }))])).await;
    let (mut stream, said) = open(&gate, "/ws").await;
    assert_eq!(said, b"n", "compression was asked for");
    let large = vec![b'z'; 3 << 20];
    for (first, payload) in
        [(0x01, b"se".as_slice()), (0x89, b"ping"), (0x80, b"cret"), (0x82, &[0xff; 300]), (0x82, &large)]
    {
        let (mut reading, mut writing) = tokio::io::split(&mut stream);
        let bytes = masked(first, payload);
        let write = async {
            writing.write_all(&bytes).await.unwrap();
            // TLS may have kept the end.
            writing.flush().await.unwrap();
        };
        let ((), got) = tokio::join!(write, receive(&mut reading));
        assert!(got.unwrap() == (first, payload.to_vec()), "{first}");
    }
    drop(stream);
    let audit = gate.audit().await;
    assert_eq!((audit.status, audit.verdict), (Some(101), Outcome::Allow));
    assert!(audit.sent > 3 << 20 && audit.received > 3 << 20, "{audit:?}");
}

#[tokio::test]
async fn what_cannot_be_read_ends_with_1008() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = Gate::start(&origin, json!([route(&origin, "a.test", json!({ "methods": ["GET", "POST"] }))])).await;
    for (bytes, why) in [
        (masked(0xc1, b"deflated"), "reserved bit"),
        (head(0x81, 3, 0), "masked"),
        (masked(0x83, b"x"), "unknown kind"),
        (masked(0x80, b"x"), "out of order"),
        (b"GET / HTTP/1.1\r\n".to_vec(), "reserved bit"),
    ] {
        let (mut stream, _) = open(&gate, "/ws").await;
        stream.write_all(&bytes).await.unwrap();
        let (first, payload) = within("a frame", receive(&mut stream)).await.expect(why);
        assert_eq!((first, &payload[..2]), (0x88, &1008u16.to_be_bytes()[..]));
        assert!(String::from_utf8_lossy(&payload[2..]).contains(why), "{payload:?}");
        assert_eq!(read_all(stream).await, "");
        gate.refused(why).await;
    }
    let (mut stream, said) = open(&gate, "/ws?broken").await;
    // What came with it in one piece may be lost.
    let last = if said == b"n" { receive(&mut stream).await.unwrap().1 } else { said };
    assert_eq!(last[..2], 1008u16.to_be_bytes());
    let audit = gate.audit().await;
    assert_eq!(audit.verdict, Outcome::Error);
    assert!(audit.reason.unwrap().contains("the upstream's WebSocket: a frame has a reserved bit"));
}

#[tokio::test]
async fn nothing_but_a_websocket_where_a_route_writes_switches() {
    let origin = Origin::start(&["a.test"]).await;
    let reads = route(&origin, "a.test", json!({ "paths": ["/read/**"] }));
    let model = route(&origin, "model.test", json!({ "role": "claude" }));
    let writes = route(&origin, "a.test", json!({ "methods": ["GET", "POST"] }));
    let mut gate = Gate::start(&origin, json!([reads, model, writes])).await;
    for line in ["GET a.test /read/ws", "GET model.test /v1/models"] {
        let mut sender = gate.https(line.split(' ').nth(1).unwrap()).await;
        let response = sender.send_request(ask(line, &UPGRADE)).await.unwrap();
        assert_eq!(mark(&response), "denied; reason=method");
        gate.refused("does not allow").await;
    }
    let mut sender = gate.https("a.test").await;
    let upgrade = [("connection", "upgrade, http2-settings"), ("upgrade", "h2c"), ("http2-settings", "x")];
    let told = told(sender.send_request(ask("GET a.test /", &upgrade)).await.unwrap()).await;
    assert!(told["headers"].get("upgrade").is_none() && told["headers"].get("http2-settings").is_none());
    gate.audit().await;
    // A WebSocket that is not granted is a connection's last request: what follows was not read as one.
    let mut stream = gate.tls("a.test:443", "a.test").await;
    let request = "GET /x HTTP/1.1\r\nhost: a.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let smuggled = "POST /x HTTP/1.1\r\nhost: a.test\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(format!("{request}{smuggled}").as_bytes()).await.unwrap();
    let answer = read_all(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert_eq!(gate.audit().await.verdict, Outcome::Allow);
}

fn with_credential(origin: &Origin) -> Value {
    let auth = json!({ "methods": ["GET", "POST"], "auth": { "scheme": "bearer", "token": "tok" } });
    json!([route(origin, "a.test", auth)])
}

async fn alarmed(gate: &mut Gate, done: Done) {
    let alarm = gate.line().await.event;
    assert!(matches!(&alarm, Event::Alarm(Alarm { done: did, .. }) if *did == done), "{alarm:?}");
}

#[tokio::test]
async fn the_head_of_a_websocket_never_says_the_credential() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = Gate::start(&origin, with_credential(&origin)).await;
    let stars = "*".repeat(TOKEN.len());
    for (way, masked) in [("header", "x-echo"), ("protocol", "sec-websocket-protocol")] {
        let mut sender = gate.https("a.test").await;
        let response = sender.send_request(ask(&format!("GET a.test /ws?{way}"), &UPGRADE)).await.unwrap();
        assert_eq!(response.status(), 101, "{way}");
        assert_eq!(response.headers()[masked], stars.as_str(), "{way}");
        drop((response, sender));
        alarmed(&mut gate, Done::Masked).await;
        assert_eq!(gate.audit().await.status, Some(101), "{way}");
    }
    let mut sender = gate.https("a.test").await;
    let response = sender.send_request(ask("GET a.test /ws?name", &UPGRADE)).await.unwrap();
    assert_eq!((response.status(), mark(&response)), (StatusCode::BAD_GATEWAY, "failed; reason=credential"));
    alarmed(&mut gate, Done::Blocked).await;
    assert_eq!(gate.audit().await.verdict, Outcome::Error);
}

#[tokio::test]
async fn a_control_frame_never_says_the_credential() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = Gate::start(&origin, with_credential(&origin)).await;
    let stars = "*".repeat(TOKEN.len());
    let ping = (0x89, stars.clone().into_bytes());
    // The last character of base64 holds the end of the token's last byte alone, and stays.
    let coded = format!("{}E", "*".repeat(30));
    for (way, frames) in [
        ("ping", vec![ping.clone()]),
        ("close", vec![(0x88, [b"\x03\xe8", stars.as_bytes()].concat())]),
        ("between", vec![(0x01, b"a".to_vec()), ping, (0x00, b"b".to_vec()), (0x80, Vec::new())]),
        ("pong", vec![(0x8a, coded.into_bytes())]),
    ] {
        let (mut stream, _) = open(&gate, &format!("/ws?{way}")).await;
        for (first, payload) in frames {
            let (got, mut said) = within("a frame", receive(&mut stream)).await.unwrap();
            said.truncate(said.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1));
            assert_eq!((got, String::from_utf8_lossy(&said)), (first, String::from_utf8_lossy(&payload)), "{way}");
        }
        // The agent's own bytes come back as they are.
        stream.write_all(&masked(0x8a, b"of the agent")).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(within("a pong", receive(&mut stream)).await.unwrap(), (0x8a, b"of the agent".to_vec()), "{way}");
        drop(stream);
        alarmed(&mut gate, Done::Masked).await;
        assert_eq!(gate.audit().await.verdict, Outcome::Allow, "{way}");
    }
    for way in ["twice", "pings"] {
        let (mut stream, first) = open(&gate, &format!("/ws?{way}")).await;
        let mut said = Vec::new();
        let last = loop {
            // What came with it in one piece may be lost.
            if first != b"n" {
                break first;
            }
            let (first, payload) = within("a frame", receive(&mut stream)).await.expect(way);
            if first == 0x88 {
                break payload;
            }
            said.extend(payload);
        };
        assert_eq!(last[..2], 1008u16.to_be_bytes(), "{way}");
        assert!(said.len() <= TOKEN.len() / 2, "{way}: {}", String::from_utf8_lossy(&said));
        alarmed(&mut gate, Done::Blocked).await;
        assert_eq!(gate.audit().await.verdict, Outcome::Error, "{way}");
    }
}
