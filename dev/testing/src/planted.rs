//! A value planted in each place of a request where one may stand, and what the gate says of it.

use crate::encodings::{base64, each, gzip, hex};
use crate::gate::{Gate, Payload, TOKEN, ask, frames, full};
use bytes::Bytes;
use hyper::Request;
use hyper::body::Frame;
use serde_json::json;
use wire::{Alarm, Audit, Event};

/// In the agent's environment.
pub const PIN: &str = "zx-api03-q8Rt2LmPw9Xk4Zc7";

/// Of a body, for the test to look at; a form's parts are binary now and then.
pub fn shown(headers: &hyper::HeaderMap, body: &[u8]) -> String {
    let packed = headers.contains_key("content-encoding");
    if packed || body.len() > 4096 { String::new() } else { String::from_utf8_lossy(body).into_owned() }
}

pub const PLACES: &[&str] = &[
    "path",
    "query",
    "parameter",
    "header",
    "header name",
    "cookie",
    "JSON",
    "form",
    "multipart",
    "XML",
    "gzip",
    "chunks",
    "trailer",
    "message",
];

/// As a client writes it into an address.
pub fn target(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    each(text, |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
}

/// `None`: it does not fit there.
pub fn planted(place: &str, text: &str) -> Option<Request<Payload>> {
    let post = |path: &str, kind: &str, body: String| {
        let mut request = ask(&format!("POST a.test {path}"), &[("content-type", kind)]);
        *request.body_mut() = full(body);
        request
    };
    Some(match place {
        // Encoded twice, a path is refused for that alone.
        "path" if target(text).contains("%25") || text.contains(['\\', ';']) => return None,
        "path" => ask(&format!("GET a.test /files/{}/end", target(text)), &[]),
        "query" => ask(&format!("GET a.test /search?q={}&page=2", target(text)), &[]),
        "parameter" => ask(&format!("GET a.test /search?{}=1", target(text)), &[]),
        "header" => {
            let mut request = ask("GET a.test /x", &[]);
            request.headers_mut().insert("x-trace", hyper::header::HeaderValue::from_bytes(text.as_bytes()).unwrap());
            request
        }
        "header name" => {
            let name = hyper::header::HeaderName::from_bytes(format!("x-{text}").as_bytes()).ok()?;
            let mut request = ask("GET own.test /x", &[]);
            request.headers_mut().insert(name, "1".parse().unwrap());
            request
        }
        "cookie" => {
            let mut request = ask("GET own.test /x", &[]);
            let value = format!("session={text}; theme=dark");
            request.headers_mut().insert("cookie", hyper::header::HeaderValue::from_bytes(value.as_bytes()).unwrap());
            request
        }
        "JSON" => {
            // An encoding that is JSON's own must not be escaped once more.
            let body = json!({ "title": "a note", "body": format!("line one\nsee: {text} \"quoted\""), "labels": [] });
            post("/notes", "application/json", body.to_string())
        }
        "form" => post("/notes", "application/x-www-form-urlencoded", format!("a=1&note={}&b=2", target(text))),
        "multipart" => post(
            "/upload",
            "multipart/form-data; boundary=bbb",
            format!(
                "--bbb\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n{text}\r\n--bbb--\r\n"
            ),
        ),
        "XML" => post("/soap", "text/xml", format!("<?xml version=\"1.0\"?><a><b note='x'>{text}</b></a>")),
        "gzip" => {
            let mut request = ask("POST a.test /upload", &[("content-encoding", "gzip")]);
            *request.body_mut() = full(gzip(format!("{}{text}", "some more text. ".repeat(40)).as_bytes()));
            request
        }
        "chunks" => {
            let (send, receive) = tokio::sync::mpsc::channel(1);
            let parts: Vec<Bytes> =
                format!("before {text} after").as_bytes().chunks(5).map(Bytes::copy_from_slice).collect();
            tokio::spawn(async move {
                for part in parts {
                    if send.send(Frame::data(part)).await.is_err() {
                        return;
                    }
                }
            });
            let mut request = ask("POST a.test /upload", &[]);
            *request.body_mut() = frames(receive);
            request
        }
        "trailer" => {
            let (send, receive) = tokio::sync::mpsc::channel(2);
            let mut trailers = hyper::HeaderMap::new();
            trailers.insert("content-md5", hyper::header::HeaderValue::from_bytes(text.as_bytes()).unwrap());
            tokio::spawn(async move {
                let _ = send.send(Frame::data(Bytes::from("body"))).await;
                let _ = send.send(Frame::trailers(trailers)).await;
            });
            let mut request = ask("POST a.test /upload", &[("trailer", "content-md5")]);
            *request.body_mut() = frames(receive);
            request
        }
        other => panic!("{other}"),
    })
}

/// Reads the trail up to the line of this request; how it was told, and what was told before.
pub async fn trail(gate: &mut Gate) -> (Audit, Vec<Alarm>) {
    let mut alarms = Vec::new();
    loop {
        let event = gate.line().await.event;
        let text = gate.seen.last().unwrap();
        for secret in [PIN, &PIN.to_ascii_lowercase(), &base64(PIN)[..30], &hex(PIN)[..30], &hex(TOKEN)[..30]] {
            assert!(!text.contains(secret), "a secret: {text}");
        }
        match event {
            Event::Request(audit) => return (audit, alarms),
            Event::Alarm(alarm) => alarms.push(alarm),
            other => panic!("{other:?}"),
        }
    }
}
