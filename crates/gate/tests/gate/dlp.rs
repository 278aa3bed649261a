//! What must not leave, tried through the real gate: a matrix of encodings and places, what each route does about it, and
//! five hundred honest requests, none of which may be refused.

use super::http2::{ask_two, two};
use super::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use testing::encodings::{ENCODINGS, base32, base64, each, gzip, hex};
use testing::planted::{PIN, PLACES, planted, trail};
use wire::{Done, Source, decode_base64};

async fn start(origin: &Origin, routes: Value) -> Gate {
    Gate::with(origin, routes, |document| {
        document["values"]["ask"] = json!(encode_base64(PIN.as_bytes()));
    })
    .await
}

fn routes(origin: &Origin) -> Value {
    json!([
        route(origin, "token.test", json!({ "auth": { "scheme": "bearer", "token": "tok" } })),
        route(origin, "own.test", json!({ "agent_auth": true })),
        route(origin, "a.test", json!({ "methods": ["GET", "POST"] })),
    ])
}

/// Where a request with a value in this place is sent. What is taken off elsewhere passes on a route with `agent_auth`: a
/// cookie, and a header whose name has the word of a credential.
fn host_of(place: &str) -> &'static str {
    if matches!(place, "cookie" | "header name") { "own.test" } else { "a.test" }
}

#[tokio::test]
async fn no_encoding_hides_a_value_in_any_place() {
    let origin = Origin::start(&["a.test", "own.test", "token.test"]).await;
    let mut gate = start(&origin, routes(&origin)).await;
    let mut missed = Vec::new();
    let mut tried = 0;
    for (whose, secret) in [("gate", TOKEN), ("agent", PIN)] {
        for (encoding, encode) in ENCODINGS {
            for place in PLACES.iter().filter(|place| **place != "message") {
                // With `agent_auth`, what the agent was given is its own to log in with.
                if (*place, whose) == ("cookie", "agent") {
                    continue;
                }
                let Some(request) = planted(place, &encode(secret)) else { continue };
                let host = host_of(place);
                tried += 1;
                let mut sender = gate.https(host).await;
                let response = sender.send_request(request).await.unwrap();
                let (status, mark) = (response.status().as_u16(), mark(&response).to_owned());
                let page = text(response).await;
                let (audit, alarms) = trail(&mut gate).await;
                if (status, mark.as_str()) != (403, "denied; reason=dlp") || audit.verdict != Outcome::Deny {
                    missed.push(format!("{whose}'s value, {encoding} in {place}: {status} {mark} {page} {audit:?}"));
                    continue;
                }
                assert!(page.contains(" carries a "), "{page}");
                assert!(!page.contains(secret) && !page.contains("`tok`") && !page.contains("PIN"), "{page}");
                let finding = audit.finding.expect("a finding");
                let whose = if whose == "gate" { "of the gate's alone" } else { "that the agent was given" };
                assert!(finding.contains(whose), "{finding}");
                assert!(
                    alarms.iter().any(|alarm| alarm.done == Done::Blocked && alarm.finding == finding),
                    "{alarms:?}"
                );
            }
        }
    }
    assert!(missed.is_empty(), "{} of {tried} passed:\n{}", missed.len(), missed.join("\n"));
    assert!(tried > 2 * 14 * 10 && ENCODINGS.len() >= 14 && PLACES.len() >= 10, "{tried}");
    // The same without a value passes: it is the value that was found.
    for (encoding, encode) in ENCODINGS {
        for place in PLACES.iter().filter(|place| **place != "message") {
            let Some(request) = planted(place, &encode("an-honest-word-of-some-length")) else { continue };
            let mut sender = gate.https(host_of(place)).await;
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200, "{encoding} in {place}: {}", text(response).await);
            trail(&mut gate).await;
        }
    }
}

/// An LZ4 frame of one block, all of it literals.
fn lz4(text: &[u8]) -> Vec<u8> {
    let block = [&[0xf0, (text.len() - 15) as u8][..], text].concat();
    [&[0x04, 0x22, 0x4d, 0x18, 0x40, 0x40, 0xc0][..], &(block.len() as u32).to_le_bytes(), &block, &[0; 4]].concat()
}

#[tokio::test]
async fn files_of_other_compressors_hide_no_value() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = start(&origin, routes(&origin)).await;
    let bzip2 = |text: &[u8]| {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        std::io::Write::write_all(&mut encoder, text).unwrap();
        encoder.finish().unwrap()
    };
    for (secret, status) in [(TOKEN, 403), (PIN, 403), ("an-honest-word-of-some-length", 200)] {
        for body in [lz4(secret.as_bytes()), bzip2(secret.as_bytes())] {
            let mut request = ask("POST a.test /x", &[]);
            *request.body_mut() = full(body);
            let response = gate.https("a.test").await.send_request(request).await.unwrap();
            assert_eq!(response.status(), status, "{}", text(response).await);
            trail(&mut gate).await;
        }
    }
}

#[tokio::test]
async fn pieces_in_many_places_are_one() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = start(&origin, routes(&origin)).await;
    let post = |kind: &str, body: String| {
        let mut request = ask("POST a.test /x", &[("content-type", kind)]);
        *request.body_mut() = full(body);
        request
    };
    let parts: Vec<&str> = [&PIN[..5], &PIN[5..10], &PIN[10..15], &PIN[15..20], &PIN[20..]].to_vec();
    let list = |write: &dyn Fn(usize, &str) -> String| -> String {
        parts.iter().enumerate().map(|(n, part)| write(n, part)).collect()
    };
    let mut cases = vec![
        ask(&format!("GET a.test /x?{}", list(&|n, part| format!("p{n}={part}&"))), &[]),
        ask(&format!("GET a.test /x?b={}&a={}", &PIN[12..], &PIN[..12]), &[]),
        ask(&format!("GET a.test /{}", list(&|_, part| format!("{part}/"))), &[]),
        ask(&format!("GET a.test /{}", &PIN[..13]), &[("x-rest", &PIN[13..])]),
        post("application/json", format!("{{{}\"z\":1}}", list(&|n, part| format!("\"key{n}\": \"{part}\", ")))),
        post("application/x-www-form-urlencoded", list(&|n, part| format!("field_{n}={part}&"))),
        post("text/xml", list(&|n, part| format!("<part n='{n}'>{part}</part>\n"))),
        post("text/csv", list(&|_, part| format!("{part},"))),
        post("application/yaml", list(&|n, part| format!("key_{n}: {part}\n"))),
        post(
            "multipart/form-data; boundary=b",
            list(&|n, part| format!("--b\r\nContent-Disposition: form-data; name=\"p{n}\"\r\n\r\n{part}\r\n")),
        ),
    ];
    let mut many = ask("GET a.test /x", &[]);
    for (n, part) in parts.iter().enumerate() {
        let name: hyper::header::HeaderName = format!("x-part-{n}").parse().unwrap();
        many.headers_mut().insert(name, part.parse().unwrap());
    }
    cases.push(many);
    for (n, request) in cases.into_iter().enumerate() {
        let mut sender = gate.https("a.test").await;
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(mark(&response), "denied; reason=dlp", "case {n}");
        let (audit, _) = trail(&mut gate).await;
        assert_eq!(audit.verdict, Outcome::Deny, "case {n}");
    }
}

#[tokio::test]
async fn a_name_under_a_wildcard_carries_nothing() {
    let origin = Origin::start(&["x.zone.test"]).await;
    let mut all = routes(&origin);
    all.as_array_mut().unwrap().push(route(&origin, "*.zone.test", json!({})));
    let mut gate = start(&origin, all).await;
    for label in [
        hex(&PIN[..25]),
        base32(PIN),
        format!("{}.{}", &PIN[..12], &PIN[12..]).to_ascii_lowercase(),
        each(&PIN.replace('-', ""), |byte| format!("{}.", char::from(byte))).trim_end_matches('.').to_ascii_lowercase(),
        "da39a3ee5e6b4b0d3255bfef95601890afd80709".to_owned(),
    ] {
        let name = format!("{label}.zone.test");
        let sni = if label.len() > 63 { "x.zone.test" } else { name.as_str() };
        let mut sender = converse(gate.tls(&format!("{name}:443"), sni).await).await;
        let response = sender.send_request(ask(&format!("GET {name} /"), &[])).await.unwrap();
        assert_eq!(response.status(), 403, "{name}");
        let (audit, _) = trail(&mut gate).await;
        assert_eq!(audit.verdict, Outcome::Deny);
        let why = audit.reason.unwrap();
        assert!(
            why == "host (withheld)"
                || why.contains("looks like")
                || why.contains("look like")
                || why.contains("carries")
                || why.contains("too long"),
            "{why}"
        );
    }
    // A refusal for another reason does not write it down, either.
    let name = format!("{}.evil.test", PIN.to_ascii_lowercase());
    let mut sender = gate.https(&name).await;
    let response = sender.send_request(ask(&format!("GET {name} /{PIN}"), &[])).await.unwrap();
    assert_eq!(mark(&response), "denied; reason=host");
    let (audit, _) = trail(&mut gate).await;
    assert_eq!((audit.host.as_str(), audit.path.as_str()), ("(withheld)", "(withheld)"));
    // Nor does the end of a long path, where a cut would leave half of it.
    let long = "a".repeat(250);
    for (path, wanted) in
        [(format!("/{long}{PIN}"), "(withheld)".to_owned()), (format!("/{long}{long}"), format!("/{long}aaaaa…"))]
    {
        let mut sender = gate.https("evil.test").await;
        let response = sender.send_request(ask(&format!("GET evil.test {path}"), &[])).await.unwrap();
        assert_eq!(mark(&response), "denied; reason=host");
        assert_eq!(trail(&mut gate).await.0.path, wanted);
    }
    let mut sender = gate.https("x.zone.test").await;
    assert_eq!(sender.send_request(ask("GET x.zone.test /", &[])).await.unwrap().status(), 200);
}

#[tokio::test]
async fn on_the_models_host_the_conversation_goes_on_without_it() {
    let origin = Origin::start(&[]).await;
    let model = json!({
        "host": "model.test", "private": true, "connect_to": format!("http://{}", origin.plain), "role": "claude",
        "auth": { "scheme": "bearer", "token": "tok" },
    });
    let mut gate = start(&origin, json!([model])).await;
    let said = format!("PIN is {PIN}, in base64 {}, in hex {}", base64(PIN), hex(PIN));
    let twice = base64(&base64(PIN));
    let card = "card 4539148803436467 and AKIAQ7JX2MZP4KLW6TNB";
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": format!("{said}\n{twice}\n{card}") }] });
    let body = body.to_string();
    let mut request = ask("POST model.test /v1/messages", &[("content-type", "application/json"), ("x-note", PIN)]);
    *request.body_mut() = full(body.clone());
    let mut sender = gate.https("model.test").await;
    let got = told(sender.send_request(request).await.unwrap()).await;
    assert_eq!(got["length"], body.len());
    assert_eq!(got["headers"]["x-note"], "*".repeat(PIN.len()));
    let got: Value = serde_json::from_str(got["body"].as_str().unwrap()).unwrap();
    let got = got["messages"][0]["content"].as_str().unwrap();
    assert!(got.starts_with(&format!("PIN is {}, in base64 ", "*".repeat(PIN.len()))), "{got}");
    for left in [PIN, &base64(PIN)[4..24], &hex(PIN)[4..40]] {
        assert!(!got.contains(left), "{left}: {got}");
    }
    // Patterns are off there, and what cannot be overwritten is told.
    assert!(got.ends_with(&format!("{twice}\n{card}")), "{got}");
    let (audit, alarms) = trail(&mut gate).await;
    assert_eq!(audit.verdict, Outcome::Allow);
    assert!(audit.finding.unwrap().contains("that the agent was given"));
    let done = |done| alarms.iter().filter(|alarm| alarm.done == done).count();
    assert!(done(Done::Masked) >= 3 && done(Done::Passed) == 1 && done(Done::Blocked) == 0, "{alarms:?}");
    // The conversation is sent again, whole; and what only the gate has is refused there, too, in the API's shape.
    let mut request = ask("POST model.test /v1/messages", &[]);
    *request.body_mut() = full(body);
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    trail(&mut gate).await;
    let mut sender = gate.https("model.test").await;
    let mut request = ask("POST model.test /v1/messages", &[]);
    *request.body_mut() = full(json!({ "messages": [{ "role": "user", "content": TOKEN }] }).to_string());
    let response = sender.send_request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), mark(&response)), (400, "denied; reason=dlp"));
    let page: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(page["error"]["type"], "invalid_request_error");
    // Each header is looked at by itself there: what this name says of a form's part says nothing of it.
    let parts = format!("a={}&b={}&c={}", &TOKEN[..8], &TOKEN[8..16], &TOKEN[16..]);
    let mut request = ask("POST model.test /v1/messages", &[("content-note", &parts)]);
    *request.body_mut() = full(json!({ "messages": [] }).to_string());
    let mut sender = gate.https("model.test").await;
    let response = sender.send_request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), mark(&response)), (400, "denied; reason=dlp"));
}

#[tokio::test]
async fn a_websocket_ends_where_a_value_is_found() {
    let origin = Origin::start(&["a.test", "own.test", "token.test"]).await;
    let mut gate = start(&origin, routes(&origin)).await;
    for (secret, encode) in
        [(TOKEN, ENCODINGS[4].1), (PIN, ENCODINGS[0].1), (PIN, ENCODINGS[15].1), (TOKEN, ENCODINGS[8].1)]
    {
        let mut sender = gate.https("a.test").await;
        let response = sender.send_request(ask("GET a.test /ws", &testing::websocket::UPGRADE)).await.unwrap();
        assert_eq!(response.status(), 101);
        let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        testing::websocket::receive(&mut stream).await.unwrap();
        stream.write_all(&testing::websocket::masked(0x81, b"{\"hello\":\"world\"}")).await.unwrap();
        assert_eq!(testing::websocket::receive(&mut stream).await.unwrap().1, b"{\"hello\":\"world\"}");
        // In two frames of one message.
        let text = encode(secret);
        let (one, two) = text.split_at(text.len() / 2);
        stream.write_all(&testing::websocket::masked(0x01, one.as_bytes())).await.unwrap();
        let _ = stream.write_all(&testing::websocket::masked(0x80, two.as_bytes())).await;
        loop {
            // Where the upstream's answer is cut, no last word fits behind it.
            let Ok((first, payload)) = testing::websocket::receive(&mut stream).await else { break };
            if first == 0x88 {
                assert_eq!(&payload[..2], 1008u16.to_be_bytes(), "{}", String::from_utf8_lossy(&payload));
                break;
            }
            // An echo of the first frame is all there may be.
            assert_eq!(payload, one.as_bytes());
        }
        let (audit, alarms) = trail(&mut gate).await;
        assert_eq!((audit.verdict, alarms[0].done), (Outcome::Deny, Done::Blocked));
        assert!(audit.finding.unwrap().contains("in a message"));
    }
}

/// Written so that only the end of the text makes it a finding.
const KEY: &str = "AKIAQ7JX2MZP4KLW6TNB";

/// What a client sends: its name here, headers, body.
type Sent = (&'static str, Vec<(&'static str, &'static str)>, Vec<u8>);

/// Bodies of real clients whose finding is made at their end, each with its headers.
fn found_at_the_end() -> Vec<Sent> {
    let json = format!("{{\"k\":\"{}\"}}", hex(KEY));
    let multipart = format!("--b\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\n{}\r\n--b--\r\n", hex(KEY));
    vec![
        ("JSON", vec![("content-type", "application/json")], json.clone().into_bytes()),
        ("bare", vec![], hex(KEY).into_bytes()),
        ("gzip", vec![("content-encoding", "gzip")], gzip(json.as_bytes())),
        ("multipart", vec![("content-type", "multipart/form-data; boundary=b")], multipart.into_bytes()),
        ("awaited", vec![("expect", "100-continue")], json.into_bytes()),
    ]
}

#[tokio::test]
async fn a_finding_at_the_end_of_a_body_of_known_length_stops_it() {
    for versions in [&["http/1.1"][..], &["h2"]] {
        let origin = Origin::speaking(&["a.test", "redact.test", "warn.test"], versions).await;
        let dlp = |name: &str| route(&origin, &format!("{name}.test"), json!({ "methods": ["POST"], "dlp": name }));
        let a = route(&origin, "a.test", json!({ "methods": ["POST"] }));
        let mut gate = start(&origin, json!([a, dlp("redact"), dlp("warn")])).await;
        for host in ["a.test", "redact.test", "warn.test"] {
            for (what, headers, body) in found_at_the_end() {
                for way in ["HTTP/1", "HTTP/2", "HTTP/2, the end in a frame of its own"] {
                    let length = body.len().to_string();
                    let headers = [&headers[..], &[("content-length", &*length)]].concat();
                    let line = format!("POST {host} /x");
                    let mut request = if way == "HTTP/1" { ask(&line, &headers) } else { ask_two(&line, &headers) };
                    *request.body_mut() = full(body.clone());
                    if way.contains("of its own") {
                        let (send, receive) = tokio::sync::mpsc::channel(1);
                        *request.body_mut() = frames(receive);
                        let body = Bytes::from(body.clone());
                        tokio::spawn(async move { send.send(Frame::data(body)).await });
                    }
                    let response = match way {
                        "HTTP/1" => gate.https(host).await.send_request(request).await,
                        _ => two(&gate, host).await.send_request(request).await,
                    };
                    let (audit, alarms) = trail(&mut gate).await;
                    let case = format!("{versions:?} {host} {what} {way}: {audit:?}");
                    let response = response.expect(&case);
                    match host {
                        "warn.test" => {
                            assert_eq!(
                                (response.status(), told(response).await["length"].as_u64()),
                                (StatusCode::OK, Some(body.len() as u64)),
                                "{case}"
                            );
                            assert_eq!((audit.verdict, alarms[0].done), (Outcome::Allow, Done::Passed), "{case}");
                        }
                        _ => {
                            assert_eq!(mark(&response), "denied; reason=dlp", "{case}");
                            assert_eq!((audit.verdict, alarms[0].done), (Outcome::Deny, Done::Blocked), "{case}");
                        }
                    }
                }
            }
        }
    }
}

/// An upstream that never answers, and what it was told on each connection.
async fn listener() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = listen().await;
    let address = listener.local_addr().unwrap();
    let (send, receive) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut told = Vec::new();
            let _ = stream.read_to_end(&mut told).await;
            let _ = send.send(String::from_utf8_lossy(&told).into_owned());
        }
    });
    (address, receive)
}

#[tokio::test]
async fn no_upstream_gets_the_whole_of_a_body_that_is_denied_at_its_end() {
    let (address, mut heard) = listener().await;
    let origin = Origin::start(&[]).await;
    let plain = json!({
        "host": "plain.test", "port": 80, "private": true, "connect_to": address.to_string(), "methods": ["POST"],
    });
    let mut gate = start(&origin, json!([plain])).await;
    for (what, headers, body) in found_at_the_end() {
        // In one piece, and with the last byte by itself.
        for cut in [0, body.len() - 1] {
            let (send, receive) = tokio::sync::mpsc::channel(2);
            for part in [&body[..cut], &body[cut..]] {
                send.send(Frame::data(Bytes::copy_from_slice(part))).await.unwrap();
            }
            let length = body.len().to_string();
            let headers = [&headers[..], &[("content-length", &*length)]].concat();
            let mut request = ask("POST plain.test /x", &headers);
            *request.body_mut() = frames(receive);
            let mut sender = converse(gate.connect("plain.test:80").await).await;
            let response = within("an answer", sender.send_request(request)).await.unwrap();
            assert_eq!(mark(&response), "denied; reason=dlp", "{what} {cut}");
            trail(&mut gate).await;
            // It may not have heard even the head.
            let heard = within("what the upstream was told", heard.recv()).await.unwrap();
            let body_heard = heard.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
            assert!(body_heard < body.len(), "{what} {cut}: {heard}");
        }
    }
}

#[tokio::test]
async fn a_finding_at_the_end_of_a_websockets_message_stops_it() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = start(&origin, routes(&origin)).await;
    let text = hex(KEY);
    let (one, two) = text.as_bytes().split_at(text.len() / 2);
    let masked = testing::websocket::masked;
    for (frames, whole) in [
        (vec![masked(0x81, text.as_bytes())], 0x81),
        (vec![masked(0x82, text.as_bytes())], 0x82),
        (vec![masked(0x01, one), masked(0x80, two)], 0x80),
        (vec![masked(0x01, one), masked(0x00, two), masked(0x80, b"")], 0x80),
        (vec![masked(0x01, one), masked(0x89, b"ping"), masked(0x80, two)], 0x80),
        (vec![masked(0x89, text.as_bytes())], 0x89),
    ] {
        let mut sender = gate.https("a.test").await;
        let response = sender.send_request(ask("GET a.test /ws", &testing::websocket::UPGRADE)).await.unwrap();
        let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        testing::websocket::receive(&mut stream).await.unwrap();
        for frame in frames {
            let _ = stream.write_all(&frame).await;
        }
        let _ = stream.flush().await;
        // The origin repeats each frame that it gets.
        loop {
            match within("a frame", testing::websocket::receive(&mut stream)).await {
                Ok((0x88, payload)) => break assert_eq!(payload[..2], 1008u16.to_be_bytes()),
                Ok((first, _)) => assert_ne!(first, whole, "the last frame passed"),
                Err(_) => break,
            }
        }
        let (audit, alarms) = trail(&mut gate).await;
        assert_eq!((audit.verdict, alarms[0].done), (Outcome::Deny, Done::Blocked), "{whole:x}");
    }
}

#[tokio::test]
async fn what_left_before_a_body_was_stopped_is_not_the_value() {
    let (address, mut heard) = recorder().await;
    let origin = Origin::start(&[]).await;
    let plain = json!({
        "host": "plain.test", "port": 80, "private": true, "connect_to": address.to_string(), "methods": ["POST"],
    });
    let mut gate = start(&origin, json!([plain])).await;
    for part in [1, 3, 10] {
        let (send, receive) = tokio::sync::mpsc::channel(1);
        let text = format!("before {PIN} after");
        // What follows the value waits for the answer: a client that still writes then finds the connection closed.
        let until = text.find(" after").unwrap().next_multiple_of(part).min(text.len());
        let (before, after) = text.as_bytes().split_at(until);
        let parts: Vec<Bytes> = before.chunks(part).map(Bytes::copy_from_slice).collect();
        let rest = send.clone();
        tokio::spawn(async move {
            for part in parts {
                if send.send(Frame::data(part)).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        let mut sender = converse(gate.connect("plain.test:80").await).await;
        let mut request = ask("POST plain.test /x", &[]);
        *request.body_mut() = frames(receive);
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(mark(&response), "denied; reason=dlp", "by {part}");
        let _ = rest.try_send(Frame::data(Bytes::copy_from_slice(after)));
        trail(&mut gate).await;
        let heard = within("what the origin was told", heard.recv()).await.unwrap();
        let (head, body) = heard.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /x "), "{head}");
        // Without the chunks' lengths.
        let left: String = body.split("\r\n").skip(1).step_by(2).collect();
        assert!(left.len() < text.len() && !left.contains(&PIN[..4]), "by {part}: {left}");
        assert!(part == 10 || left.starts_with("before"), "by {part}: {left}");
    }
}

#[tokio::test]
async fn a_route_says_what_is_done() {
    let names = ["redact.test", "warn.test", "off.test", "own.test", "token.test"];
    let origin = Origin::start(&names).await;
    let dlp = |name: &str| route(&origin, &format!("{name}.test"), json!({ "methods": ["GET", "POST"], "dlp": name }));
    let mut all = routes(&origin);
    all.as_array_mut().unwrap().extend([dlp("redact"), dlp("warn"), dlp("off")]);
    let mut gate = start(&origin, all).await;
    let key = "AKIAQ7JX2MZP4KLW6TNB";
    for (name, kept, done) in
        [("redact", false, Some(Done::Masked)), ("warn", true, Some(Done::Passed)), ("off", true, None)]
    {
        let host = format!("{name}.test");
        let mut sender = gate.https(&host).await;
        let mut request = ask(&format!("POST {host} /x"), &[("x-note", PIN)]);
        *request.body_mut() = full(format!("a {PIN} b {key} c"));
        let got = told(sender.send_request(request).await.unwrap()).await;
        let wanted = match kept {
            true => format!("a {PIN} b {key} c"),
            false => format!("a {} b {} c", "*".repeat(PIN.len()), "*".repeat(key.len())),
        };
        assert_eq!(got["body"], wanted, "{name}");
        assert_eq!(got["headers"]["x-note"] == PIN, kept, "{name}");
        let (audit, alarms) = trail(&mut gate).await;
        assert_eq!((audit.verdict, audit.finding.is_some()), (Outcome::Allow, done.is_some()), "{name}");
        assert!(alarms.iter().all(|alarm| Some(alarm.done) == done), "{alarms:?}");
        assert_eq!(alarms.is_empty(), done.is_none(), "{name}");
        // Whatever it says: what only the gate has stays.
        let mut sender = gate.https(&host).await;
        let mut request = ask(&format!("POST {host} /x"), &[]);
        *request.body_mut() = full(base64(TOKEN));
        assert_eq!(mark(&sender.send_request(request).await.unwrap()), "denied; reason=dlp", "{name}");
        trail(&mut gate).await;
    }
    // In an address nothing can be overwritten.
    let mut sender = gate.https("redact.test").await;
    let response = sender.send_request(ask(&format!("GET redact.test /{PIN}"), &[])).await.unwrap();
    assert_eq!(mark(&response), "denied; reason=dlp");
    let (audit, alarms) = trail(&mut gate).await;
    assert_eq!((audit.path.as_str(), alarms[0].path.as_str()), ("(withheld)", "(withheld)"));
    // What the agent was given may be what it logs in with, where the route lets it log in at all.
    let mut sender = gate.https("own.test").await;
    let bearer = format!("Bearer {PIN}");
    let got = told(sender.send_request(ask("GET own.test /x", &[("authorization", &bearer)])).await.unwrap()).await;
    assert_eq!(got["headers"]["authorization"], bearer);
    let response = sender.send_request(ask("GET own.test /x", &[("x-note", &bearer)])).await.unwrap();
    assert_eq!(mark(&response), "denied; reason=dlp");
    let name = format!("x-{}-token", hex(TOKEN)).to_ascii_lowercase();
    let response = sender.send_request(ask("GET own.test /x", &[(&name, "1")])).await.unwrap();
    assert_eq!(mark(&response), "denied; reason=dlp");
    // What is taken off anyway is no leak.
    let mut sender = gate.https("off.test").await;
    let response = sender.send_request(ask("GET off.test /x", &[("authorization", TOKEN)])).await.unwrap();
    assert_eq!(response.status(), 200);
}

/// Large files come by a redirect to an address that S3 signed. The id of the key in it opens nothing alone.
#[tokio::test]
async fn a_redirect_to_a_signed_address_is_followed() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let hosts = ["a.test", "b.test"].map(|host| route(&origin, host, json!({ "methods": ["GET", "POST"] })));
    let mut gate = start(&origin, json!(hosts)).await;
    let response = gate.https("a.test").await.send_request(ask("GET a.test /signed?b.test", &[])).await.unwrap();
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(response.status(), 302);
    trail(&mut gate).await;
    let target = location.strip_prefix("https://b.test").unwrap();
    let get = |target: &str| ask(&format!("GET b.test {target}"), &[]);
    let got = text(gate.https("b.test").await.send_request(get(target)).await.unwrap()).await;
    assert!(got.contains(target), "{got}");
    let (audit, alarms) = trail(&mut gate).await;
    assert_eq!((audit.verdict, alarms), (Outcome::Allow, vec![]));
    // An agent may also tell of the address, as a tool's output in a request.
    let mut request = ask("POST b.test /x", &[]);
    *request.body_mut() = full(json!({ "seen": location, "n": 1 }).to_string());
    assert_eq!(gate.https("b.test").await.send_request(request).await.unwrap().status(), 200);
    trail(&mut gate).await;
    // Without the signature, or with the secret beside it, it is a finding.
    let secret = ["wJ4lrXUtnFEMI9K7MDENGd", "bPxRfiCYq8Zt2LmP0a"].concat();
    let unsigned = target.replace("X-Amz-Signature=", "x=");
    for target in [unsigned, format!("{target}&s={secret}"), format!("/?id={}", testing::answers::KEY_ID)] {
        let response = gate.https("b.test").await.send_request(get(&target)).await.unwrap();
        assert_eq!(mark(&response), "denied; reason=dlp", "{target}");
        assert!(text(response).await.contains("the address carries an AWS access key"), "{target}");
        trail(&mut gate).await;
    }
}

/// A refusal says what kind of thing was found, where, and what the operator can change, and no part of what was found.
#[tokio::test]
async fn a_refusal_says_what_was_found_where_and_what_changes_it() {
    let origin = Origin::start(&["a.test", "token.test"]).await;
    let mut gate = start(&origin, routes(&origin)).await;
    let key = "AKIAQ7JX2MZP4KLW6TNB";
    let form = |field: &str, inner: &[u8]| {
        let head = format!(
            "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; {field}\r\n\r\n"
        );
        [head.as_bytes(), inner, b"\r\n--b--\r\n"].concat()
    };
    let mut tar = tar_header("package/index.js", 6);
    tar.extend([&b"a = 1\n"[..], &[0; 506]].concat());
    tar.extend(tar_header("package/test/key.pem", key.len()));
    tar.extend([key.as_bytes(), b"\n", &[0; 511 - 20]].concat());
    let plain = format!("{{\"name\":\"x\",\"id\":\"{key}\"}}");
    let warn = "if it is no secret, the operator lets it pass with `\"dlp\": \"warn\"` on this route in the manifest";
    let never = "nothing in the manifest lets it pass";
    let cases = [
        (plain.clone().into_bytes(), "an AWS access key (plain), in the field `id`, near byte `18`", warn),
        (
            [vec![b' '; 5000], base64(key).into_bytes(), b". And more text".to_vec()].concat(),
            "an AWS access key (base64), near byte `4096`",
            warn,
        ),
        (
            form("name=\"f\"; filename=\"src/a.rs\"", key.as_bytes()),
            "(plain), in the file `src/a.rs`, in the field `f`, near",
            warn,
        ),
        (gzip(&tar), "an AWS access key (compressed), in the file `package/test/key.pem`", warn),
        (form("name=\"f\"; filename=\"a.tgz\"", &gzip(&tar)), "in the file `package/test/key.pem`", warn),
        (format!("{{\"{key}\":\"{key}\"}}").into_bytes(), "an AWS access key (plain), near byte `2`", warn),
        (
            format!("{{\"pin\":\"{PIN}\"}}").into_bytes(),
            "a secret that this bottle was given (plain), in the field `pin`",
            warn,
        ),
        (
            format!("{{\"t\":\"{TOKEN}\"}}").into_bytes(),
            "a credential that only the gate may send (plain), in the field `t`",
            never,
        ),
    ];
    for (body, place, remedy) in cases {
        let mut request = ask("POST a.test /x", &[]);
        *request.body_mut() = full(body);
        let response = gate.https("a.test").await.send_request(request).await.unwrap();
        assert_eq!(mark(&response), "denied; reason=dlp", "{place}");
        let page = text(response).await;
        let (audit, _) = trail(&mut gate).await;
        let reason = audit.reason.unwrap();
        let mut pages = converse(gate.connect("gate.bottle:80").await).await;
        let why = text(pages.send_request(ask("GET gate.bottle /why", &[])).await.unwrap()).await;
        for told in [&page, &reason, &why] {
            assert!(told.contains(place) && told.contains(remedy), "{place}: {told}");
            for secret in [key, PIN, TOKEN] {
                assert!(!told.contains(&secret[..8]), "{told}");
            }
        }
        assert!(audit.rule.is_some(), "the route that is to be changed");
        trail(&mut gate).await;
    }
}

/// The header of a file in a tar archive (POSIX, `ustar`).
fn tar_header(name: &str, size: usize) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    header[156] = b'0';
    header[257..262].copy_from_slice(b"ustar");
    header
}

#[tokio::test]
async fn the_canary_is_planted_and_its_song_is_heard() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = start(&origin, routes(&origin)).await;
    let mut stream = gate.raw().await;
    stream.write_all(b"GO\n").await.unwrap();
    let message: GoMessage = serde_json::from_str(&read_all(stream).await).unwrap();
    let Some(Source::Text(canary)) = message.go.env.get("BACKUP_API_TOKEN") else { panic!("no canary") };
    let file = message.go.files.iter().find(|file| file.path == ".config/backup/credentials").unwrap();
    assert_eq!(file.mode, 0o600);
    assert!(matches!(&file.source, Source::Text(text) if text.contains(canary)));
    let mut request = ask("POST a.test /x", &[]);
    *request.body_mut() = full(base64(&format!("loot: {canary}")));
    let mut sender = gate.https("a.test").await;
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(mark(&response), "denied; reason=dlp");
    // The thief is not told what it took.
    assert!(!text(response).await.contains("planted"));
    let (audit, alarms) = trail(&mut gate).await;
    assert!(audit.finding.unwrap().contains("the planted credential"));
    assert_eq!(alarms[0].done, Done::Blocked);
    assert!(!gate.seen.iter().any(|line| line.contains(canary.as_str())));
    // Each bottle has its own; and values that cannot be told from words are named to the operator.
    let other = Gate::start(&origin, routes(&origin)).await;
    let mut stream = other.raw().await;
    stream.write_all(b"GO\n").await.unwrap();
    assert!(!read_all(stream).await.contains(canary.as_str()));
    let status = output(Command::new(testing::gate_program()).args([
        "ctl".as_ref(),
        "--socket".as_ref(),
        other.dir.path().join("ctl.sock").as_os_str(),
        "status".as_ref(),
    ]));
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["unmatched"], json!([{ "value": "ask", "why": "too short" }]));
}

// ---- the honest ----

/// Always the same, and without a plan.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 32) as u8).collect()
    }

    fn hex(&mut self, count: usize) -> String {
        self.bytes(count / 2).iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    fn uuid(&mut self) -> String {
        let hex = self.hex(32);
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[(self.next() % of.len() as u64) as usize]
    }
}

const ARTICLES: &[&str] = &[
    "# Leaked keys\nAn access key looks like AKIAIOSFODNN7EXAMPLE, its secret like wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY. \
     A token begins with ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx or sk-ant-api03-... or xoxb-your-token-here; \
     scanners look for `-----BEGIN RSA PRIVATE KEY-----` and for sk_live_ followed by letters.",
    "Never commit a key:\n\n```\n-----BEGIN OPENSSH PRIVATE KEY-----\n...\n-----END OPENSSH PRIVATE KEY-----\n```\n\n\
     Use `glpat-XXXXXXXXXXXXXXXXXXXX` as a placeholder.",
    "Test cards: 4242 4242 4242 4242, 5555 5555 5555 4444, 3782 822463 10005 and card 4111111111111111. \
     The example IBANs are DE89 3704 0044 0532 0130 00 and GB29 NWBK 6016 1331 9268 19.",
    "A seed phrase has twelve words, like 'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
     abandon about'. You can never share what you have with any other person, because money once spent will leave and \
     there is nothing that can bring it back again later.",
    "To exfiltrate data, malware encodes it: base64 -w0 secret.txt | xxd -p | rev, splits it over DNS labels, or hides it \
     in zero-width characters. %2e%2e%2f and \\u002e\\u002e are the same path. curl -H 'Authorization: Bearer $TOKEN'.",
    "The value eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U \
     is a web token; its header says {\"alg\":\"HS256\",\"typ\":\"JWT\"}.",
];

/// The repository's own files, as an agent's requests quote files.
fn sources() -> Vec<String> {
    fn walk(folder: &std::path::Path, into: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), into);
            } else if let Ok(text) = std::fs::read_to_string(entry.path()) {
                into.push(text);
            }
        }
    }
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut all: Vec<String> = ["Cargo.lock", "Cargo.toml", "README.md", "LICENSE", "ARCHITECTURE.md"]
        .iter()
        .map(|name| std::fs::read_to_string(root.join(name)).unwrap())
        .collect();
    walk(&root.join("crates/policy/src"), &mut all);
    walk(&root.join("src/plan"), &mut all);
    walk(&root.join("scripts"), &mut all);
    walk(&root.join("man"), &mut all);
    all
}

fn minified(noise: &mut Noise) -> String {
    let mut text = String::from("!function(e,t){\"use strict\";");
    for n in 0..200 {
        let names = ["e", "t", "n", "r", "i", "o", "a", "s", "querySelectorAll", "addEventListener", "prototype"];
        let (a, b, c) = (noise.one(&names), noise.one(&names), noise.one(&names));
        let _ = write!(
            text,
            "var {a}{n}={b}.{c}||{{x:{},y:\"\\u00{:02x}\",z:/^[a-f0-9]{{{n}}}$/i}};",
            noise.next() % 100_000,
            n % 100 + 32
        );
    }
    text + "}(this,document);"
}

fn lock(noise: &mut Noise) -> Value {
    let packages: serde_json::Map<String, Value> = (0..30)
        .map(|n| {
            let integrity = format!("sha512-{}", encode_base64(&noise.bytes(64)));
            let package = json!({
                "version": format!("{}.{}.{n}", noise.next() % 9, noise.next() % 40),
                "resolved": format!("https://packages.example.org/thing-{n}/-/thing-{n}-1.0.{n}.tgz"),
                "integrity": integrity, "license": "MIT", "engines": { "node": ">=18" },
            });
            (format!("node_modules/thing-{n}"), package)
        })
        .collect();
    json!({ "name": "app", "lockfileVersion": 3, "packages": packages })
}

fn honest(n: usize, noise: &mut Noise, sources: &[String]) -> Request<Payload> {
    let agent = ("user-agent", "tool/2.1.330 (linux; x64) node/22.4.1");
    let trace = format!("00-{}-{}-01", noise.hex(32), noise.hex(16));
    let id = noise.uuid();
    let headers = [agent, ("traceparent", trace.as_str()), ("x-request-id", id.as_str()), ("accept", "*/*")];
    let get = |host: &str, path: &str| ask(&format!("GET {host}.example.org {path}"), &headers);
    let post = |host: &str, path: &str, kind: &'static str, body: Vec<u8>| {
        let mut request = ask(&format!("POST {host}.example.org {path}"), &headers);
        request.headers_mut().insert("content-type", kind.parse().unwrap());
        *request.body_mut() = full(body);
        request
    };
    let json_of = |value: Value| value.to_string().into_bytes();
    match n % 16 {
        0 => get("packages", &format!("/@scope%2fthing-{n}/-/thing-{n}-{}.{n}.0.tgz", noise.next() % 20)),
        1 => get(
            "wheels",
            &format!("/packages/{}/{}/{}/thing_{n}-1.2.3-py3-none-any.whl", noise.hex(2), noise.hex(2), noise.hex(60)),
        ),
        2 => get("forge", &format!("/repos/team/app/commits/{}?per_page=100&sha={}", noise.hex(40), noise.hex(40))),
        3 => post(
            "forge",
            "/repos/team/app/git/trees",
            "application/json",
            json_of(json!({
                "base_tree": noise.hex(40),
                "tree": (0..20).map(|k| json!({ "path": format!("src/file{k}.rs"), "mode": "100644", "type": "blob", "sha": noise.hex(40) })).collect::<Vec<_>>(),
            })),
        ),
        4 => {
            let content = format!("Here is the file:\n\n```rust\n{}\n```\nWhat is wrong with it?", noise.one(sources));
            post(
                "model",
                "/v1/chat",
                "application/json",
                json_of(json!({
                    "model": "m-4", "max_tokens": 8192, "stream": true, "metadata": { "user_id": format!("user_{}", noise.hex(64)) },
                    "messages": [{ "role": "user", "content": content }],
                })),
            )
        }
        5 => post("blog", "/articles", "text/markdown", noise.one(ARTICLES).as_bytes().to_vec()),
        6 => {
            let ids: String = (0..60).map(|_| format!("{}\n", noise.uuid())).collect();
            post("logs", "/ingest", "text/plain", ids.into_bytes())
        }
        7 => {
            let sums: String = (0..40).map(|k| format!("{}  dist/file-{k}.tar.gz\n", noise.hex(64))).collect();
            post("files", "/checksums", "text/plain", sums.into_bytes())
        }
        8 => post("cdn", "/assets/app.min.js", "text/javascript", minified(noise).into_bytes()),
        9 => {
            let image = format!("data:image/png;base64,{}", encode_base64(&noise.bytes(6000)));
            post(
                "forge",
                "/issues",
                "application/json",
                json_of(json!({ "title": "Screenshot", "body": format!("![x]({image})") })),
            )
        }
        10 => post("packages", "/-/npm/v1/security/audits/quick", "application/json", json_of(lock(noise))),
        11 => {
            let mut request =
                post("packages", "/-/npm/v1/security/advisories/bulk", "application/json", gzip(&json_of(lock(noise))));
            request.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
            request
        }
        12 => {
            let mut body = b"--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n".to_vec();
            body.extend(noise.bytes(8000));
            body.extend_from_slice(b"\r\n--xyz--\r\n");
            post("files", "/upload", "multipart/form-data; boundary=xyz", body)
        }
        13 => {
            let query = "query($owner:String!,$name:String!){repository(owner:$owner,name:$name){issues(first:100){nodes{id title body}}}}";
            post(
                "forge",
                "/graphql",
                "application/json",
                json_of(
                    json!({ "query": query, "variables": { "owner": "team", "name": "app", "cursor": encode_base64(format!("cursor:v2:{}", noise.next()).as_bytes()) } }),
                ),
            )
        }
        14 => {
            let rows: String = (0..50)
                .map(|k| {
                    format!(
                        "{k},{}.{:02},2026-11-{:02}T10:{:02}:00Z,order-{},{}\n",
                        noise.next() % 1000,
                        k,
                        k % 28 + 1,
                        k,
                        noise.next() % 10_000_000_000,
                        noise.next() % 1_000_000_000_000
                    )
                })
                .collect();
            post("data", "/import", "text/csv", rows.into_bytes())
        }
        _ => post("files", "/raw", "application/octet-stream", noise.one(sources).as_bytes().to_vec()),
    }
}

#[tokio::test]
async fn five_hundred_honest_requests_pass() {
    let origin = Origin::start(&["*.example.org", "token.test", "own.test"]).await;
    let mut all = routes(&origin);
    all.as_array_mut().unwrap().push(route(&origin, "*.example.org", json!({ "methods": ["GET", "POST"] })));
    let mut gate = start(&origin, all).await;
    let (mut noise, sources) = (Noise(0x2545_f491_4f6c_dd1d), sources());
    let mut refused = Vec::new();
    let mut kinds = BTreeSet::new();
    for n in 0..512 {
        let request = honest(n, &mut noise, &sources);
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        let what = format!("{n}: {} {host}{}", request.method(), request.uri());
        kinds.insert(host.clone());
        let mut sender = gate.https(&host).await;
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        let page = text(response).await;
        let (audit, alarms) = trail(&mut gate).await;
        if status != 200 || audit.finding.is_some() || !alarms.is_empty() {
            refused.push(format!("{what}: {status} {} {:?}", page.lines().next().unwrap_or_default(), audit.finding));
        }
    }
    assert!(refused.is_empty(), "{} refused:\n{}", refused.len(), refused.join("\n"));
    assert!(kinds.len() >= 8);
    // And what is forwarded is what was sent.
    let decoded = decode_base64(&base64("still here")).unwrap();
    assert_eq!(decoded, b"still here");
}

/// An upstream may answer before it has read the body, and the body may be denied then.
#[tokio::test]
async fn a_body_that_is_denied_behind_its_answer_is_denied_in_the_trail() {
    let listener = listen().await;
    let to = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while !seen.ends_with(b"\r\n\r\n") {
                    seen.push(stream.read_u8().await.unwrap());
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegun").await.unwrap();
                let _ = stream.read_to_end(&mut seen).await;
            });
        }
    });
    let origin = Origin::start(&["a.test"]).await;
    let mut routes = routes(&origin);
    routes.as_array_mut().unwrap().push(json!({
        "host": "eager.test", "port": 80, "private": true, "connect_to": to.to_string(), "methods": ["POST"],
    }));
    let mut gate = start(&origin, routes).await;
    let mut sender = converse(gate.connect("eager.test:80").await).await;
    let (push, receive) = tokio::sync::mpsc::channel(1);
    let mut request = ask("POST eager.test /x", &[]);
    *request.body_mut() = frames(receive);
    push.send(Frame::data(Bytes::from("an honest beginning"))).await.unwrap();
    let response = within("the answer", sender.send_request(request)).await.unwrap();
    assert_eq!(response.status(), 200);
    push.send(Frame::data(Bytes::from(TOKEN))).await.unwrap();
    drop(push);
    assert!(within("the answer's end", response.into_body().collect()).await.is_err());
    let (audit, alarms) = trail(&mut gate).await;
    assert_eq!((audit.verdict, audit.status), (Outcome::Deny, Some(200)), "{audit:?}");
    assert!(audit.reason.as_deref().is_some_and(|reason| reason.contains(" carries a ")), "{audit:?}");
    assert_eq!(alarms.len(), 1, "{alarms:?}");
}
