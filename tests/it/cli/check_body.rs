//! `check --body` and the real gate, asked the same: one verdict, the same findings, and no value shown. Over the matrix of
//! encodings and places, over what each kind of route does, and over the model's host.

use crate::harness::{Done, Place, Run};
use http_body_util::BodyExt;
use hyper::Request;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testing::encodings::{ENCODINGS, base64, gzip, hex};
use testing::gate::*;
use testing::planted::{PIN, PLACES, planted, trail};
use wire::encode_base64;

/// Nobody runs its gate.
const MANIFEST: &str = r#"{
    "bottles": { "box": { "env": { "PIN": "${MY_PIN}" }, "egress": { "routes": [
        { "host": "model.example.org", "role": "claude", "auth": { "token_ref": "KEY", "as": "ANTHROPIC_API_KEY" } },
        { "host": "a.example.org", "methods": ["GET", "POST"] },
        { "host": "redact.example.org", "methods": ["POST"], "dlp": "redact" },
        { "host": "warn.example.org", "methods": ["POST"], "dlp": "warn" },
        { "host": "off.example.org", "methods": ["POST"], "dlp": "off" },
        { "host": "pinned.example.org", "intercept": false }
    ] } } },
    "agents": { "plain": { "bottle": "box" } }
}"#;

/// A finding in words, its value's name, and what was done.
type Told = (String, Option<String>, String);

/// A home whose agent's gate runs, and its `check`.
struct Both {
    place: Place,
    gate: Gate,
    _origin: Origin,
}

impl Both {
    async fn start() -> Both {
        let names = ["a.test", "own.test", "redact.test", "warn.test", "off.test", "x.zone.test"];
        let origin = Origin::start(&names).await;
        let route = |host: &str, keys: Value| {
            let mut route = json!({ "host": host, "private": true, "connect_to": origin.tls.to_string(), "methods": ["GET", "POST"] });
            route.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
            route
        };
        let model = json!({
            "host": "model.test", "private": true, "connect_to": format!("http://{}", origin.plain), "role": "claude",
            "auth": { "token_ref": "KEY", "as": "ANTHROPIC_API_KEY" },
        });
        let routes = json!([
            model,
            route("a.test", json!({})),
            route("own.test", json!({ "agent_auth": true })),
            route("redact.test", json!({ "dlp": "redact" })),
            route("warn.test", json!({ "dlp": "warn" })),
            route("off.test", json!({ "dlp": "off" })),
            route("*.zone.test", json!({})),
        ]);
        let manifest = json!({
            "bottles": { "box": { "env": { "PIN": "${MY_PIN}" }, "egress": { "routes": routes } } },
            "agents": { "plain": { "bottle": "box" } },
        });
        let place = Place::new(&manifest.to_string());
        let home = place.path("home/.claude-bottle");
        let chosen = claude_bottle::manifest::load(&home, &place.path("work")).unwrap().choose("plain").unwrap();
        let policy = serde_json::to_value(chosen.bottle.policy()).unwrap();
        let gate = Gate::with(&origin, policy["routes"].clone(), |document| {
            document["values"]["token:env:KEY"] = document["values"]["tok"].clone();
            document["values"]["env:PIN"] = json!(encode_base64(PIN.as_bytes()));
            document["go"]["env"]["PIN"] = json!({ "value": "env:PIN" });
        })
        .await;
        Both { place, gate, _origin: origin }
    }

    /// What both say of it; `make` makes the same request each time.
    async fn agree(&mut self, what: &str, host: &str, make: impl Fn() -> Request<Payload>) -> Done {
        let mut request = make();
        request.headers_mut().insert("host", host.parse().unwrap());
        let done = self.check(host, request).await;
        let answer: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{what}: {e}: {done:?}"));
        let said = answer["reason"].as_str().map(|reason| format!("denied; reason={reason}")).unwrap_or_default();
        let checked: BTreeSet<Told> =
            answer["carries"]["findings"].as_array().into_iter().flatten().map(checked).collect();

        let mut request = make();
        request.headers_mut().insert("host", host.parse().unwrap());
        let mut sender = self.gate.https(host).await;
        let response = sender.send_request(request).await.unwrap();
        let (status, word) = (response.status().as_u16(), mark(&response).to_owned());
        let page = text(response).await;
        let (audit, alarms) = trail(&mut self.gate).await;
        let heard: BTreeSet<Told> = alarms
            .into_iter()
            .map(|alarm| (alarm.finding, alarm.value, json!(alarm.done).as_str().unwrap().to_owned()))
            .collect();

        assert_eq!(said, word, "{what}: {status} {page} {audit:?}; {answer}");
        assert_eq!((done.status, status), if said.is_empty() { (0, 200) } else { (1, status) }, "{what}");
        assert_eq!(checked, heard, "{what}: {answer}");
        if let Some(text) = answer["text"].as_str() {
            assert!(page.contains(text), "{what}: {text}: {page}");
        }
        for secret in [PIN, TOKEN] {
            // But where it is in what was typed.
            let url = answer["url"].to_string() + &answer["path"].to_string();
            assert!(url.contains(secret) || !done.stdout.contains(secret), "{what}: {answer}");
        }
        done
    }

    async fn check(&self, host: &str, request: Request<Payload>) -> Done {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        std::fs::write(self.place.path("body"), &body).unwrap();
        let url = format!("https://{host}{}", head.uri.path_and_query().unwrap());
        let file = self.place.path("body").to_str().unwrap().to_owned();
        let mut words = vec!["check", "plain", head.method.as_str(), &url, "--format", "json", "--body", &file];
        let headers: Vec<String> = head
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", std::str::from_utf8(value.as_bytes()).unwrap()))
            .collect();
        words.extend(headers.iter().flat_map(|header| ["-H", header]));
        on(&self.place, &words).done()
    }
}

/// With the gate's program and with values.
fn on<'a>(place: &'a Place, words: &[&str]) -> Run<'a> {
    let gate = testing::gate_program();
    place.run(words).env("CLAUDE_BOTTLE_GATE", gate).env("MY_PIN", PIN).env("KEY", TOKEN)
}

fn checked(finding: &Value) -> Told {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let value = finding["value"]["env"].as_str().map(|variable| match variable {
        "MY_PIN" => "env:PIN".to_owned(),
        "KEY" => "token:env:KEY".to_owned(),
        other => panic!("{other}"),
    });
    (text(&finding["finding"]), value, text(&finding["done"]))
}

/// Every encoding in some of the places, every place with some of the encodings, on every kind of route.
#[tokio::test]
async fn check_finds_what_the_gate_finds() {
    let mut both = Both::start().await;
    for (host, status, done) in [
        ("a.test", 1, Some("blocked")),
        ("redact.test", 0, Some("masked")),
        ("warn.test", 0, Some("passed")),
        ("off.test", 0, None),
    ] {
        let done_there = both.agree(host, host, || planted("JSON", PIN).unwrap()).await;
        assert_eq!(done_there.status, status, "{host}");
        for one in ["blocked", "masked", "passed"] {
            assert_eq!(done_there.stdout.contains(&format!("\"{one}\"")), Some(one) == done, "{host} {one}");
        }
    }
    let hosts = ["a.test", "redact.test", "warn.test", "off.test", "x.zone.test"];
    // What can be typed: a head, and a body in one piece.
    let places = PLACES.iter().filter(|place| !["chunks", "trailer", "message"].contains(place));
    let places: Vec<&str> = places.copied().collect();
    for (n, (encoding, encode)) in ENCODINGS.iter().enumerate() {
        for (m, place) in places.iter().enumerate().filter(|(m, _)| (n + m) % 4 == 0) {
            let host = if *place == "cookie" { "own.test" } else { hosts[(n + m) / 4 % hosts.len()] };
            let honest = ((n + m) % 8 == 0).then(|| encode("an-honest-word-of-some-length"));
            for text in [encode([PIN, TOKEN][n % 2])].into_iter().chain(honest) {
                if planted(place, &text).is_some() {
                    let what = format!("{encoding} in {place} to {host}");
                    both.agree(&what, host, || planted(place, &text).unwrap()).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn check_knows_the_models_rule_and_compressed_bodies() {
    let mut both = Both::start().await;
    let twice = base64(&base64(PIN));
    let user = |content: &str| json!({ "messages": [{ "role": "user", "content": content }] }).to_string().into_bytes();
    for (what, body, status) in [
        ("honest", user("hello"), 0),
        ("masked", user(PIN), 0),
        ("told", user(&twice), 0),
        ("the gate's", user(TOKEN), 1),
        ("a tool of the model's servers", json!({ "tools": [{ "type": "web_fetch_1" }] }).to_string().into(), 1),
        ("servers", json!({ "mcp_servers": [{ "url": "https://evil.example.org" }] }).to_string().into(), 1),
        ("twice the same key", br#"{"tools":[],"tools":[]}"#.to_vec(), 1),
        ("no JSON", b"hello".to_vec(), 1),
        ("cut", br#"{"messages":["#.to_vec(), 1),
        ("a pattern", user("AKIAQ7JX2MZP4KLW6TNB"), 0),
    ] {
        let make = || {
            let mut request = ask("POST model.test /v1/messages", &[]);
            *request.body_mut() = full(body.clone());
            request
        };
        assert_eq!(both.agree(what, "model.test", make).await.status, status, "{what}");
    }
    let packed = gzip(PIN.as_bytes());
    let cut = packed[..packed.len() - 3].to_vec();
    for (what, host, coding, body, status) in [
        ("gzip that is", "a.test", "gzip", packed.clone(), 1),
        ("gzip that is not", "a.test", "gzip", b"plain".to_vec(), 1),
        ("gzip that ends too early", "a.test", "gzip", cut, 1),
        ("gzip that says nothing", "a.test", "identity", packed.clone(), 1),
        ("gzip of something", "warn.test", "x-gzip", gzip(b"hello"), 0),
        ("what nobody knows", "a.test", "rot26", b"hello".to_vec(), 0),
        ("for the model", "model.test", "gzip", gzip(&user("x")), 1),
    ] {
        let path = if host == "model.test" { "/v1/messages" } else { "/x" };
        let make = || {
            let mut request = ask(&format!("POST {host} {path}"), &[("content-encoding", coding)]);
            *request.body_mut() = full(body.clone());
            request
        };
        assert_eq!(both.agree(what, host, make).await.status, status, "{what}");
    }
}

/// Names under a wildcard are looked at before anything else is.
#[tokio::test]
async fn check_looks_at_names() {
    let both = Both::start().await;
    let label = hex(&PIN[..25]);
    let (before, after) = label.split_at(30);
    let url = format!("https://{before}.{after}.zone.test/");
    let done = on(&both.place, &["check", "plain", &url, "--body", "/dev/null"]).done();
    assert_eq!(done.status, 1, "{done:?}");
}

#[test]
fn a_person_is_told_in_a_few_lines() {
    let place = Place::new(MANIFEST);
    let run = |url: &str, body: &str| on(&place, &["check", "plain", "POST", url, "--body", "-"]).stdin(body);
    run("https://a.example.org/x", "hello").snap("scan-nothing");
    run("https://a.example.org/x", &base64(PIN)).without("KEY").snap("scan-blocked");
    let key = "AKIAQ7JX2MZP4KLW6TNB";
    run("https://redact.example.org/x", &format!("a {PIN} b {key} c")).snap("scan-masked");
    run("https://warn.example.org/x", PIN).env("KEY", "short").snap("scan-warned");
    run("https://model.example.org/v1/messages", r#"{"mcp_servers":[{}]}"#).snap("scan-model");
    run("https://pinned.example.org/x", PIN).snap("scan-untouched");
    on(&place, &["check", "plain", "wss://a.example.org/live", "--body", "-"]).stdin(PIN).snap("scan-message");
    // Such a token could not be sent by any gate.
    run("https://a.example.org/x", "hello").env("KEY", "two\nlines").snap("scan-bad-token");
    let folder = place.path("work").to_str().unwrap().to_owned();
    on(&place, &["check", "plain", "POST", "https://a.example.org/x", "--body", &folder]).snap("scan-folder");
}

/// Longer than a document may be, by a pipe.
#[test]
fn a_body_may_be_long() {
    let place = Place::new(MANIFEST);
    let text = "a line of ordinary text.......\n".repeat(65 << 20 >> 5);
    let words = ["check", "plain", "POST", "https://off.example.org/x", "--format", "json", "--body", "-"];
    let done = on(&place, &words).stdin(&text).done();
    let answer: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((done.status, &answer["carries"]["read"]), (0, &json!(text.len())));
}

// ---- one judge ----

/// Gate, `check` and `check --body` say the same, word for word.
#[tokio::test]
async fn the_gate_and_check_use_the_same_words() {
    let mut both = Both::start().await;
    for (line, headers, wanted) in [
        ("GET a.test /x", &[][..], None),
        ("PUT a.test /x", &[], Some("method `PUT` is not allowed on `a.test`")),
        (
            "GET a.test /x",
            &[("x_http_method", "PUT")],
            Some("header `x_http_method` is never allowed: it names another method, path or resource"),
        ),
        (
            "GET a.test /x?_method=PUT",
            &[],
            Some("a parameter asks for method `PUT` instead, which the allowlist does not take"),
        ),
        ("GET a.test /x/../y", &[], Some("the path has dot segments")),
        ("GET a.test /x", &[("content-length", "0")], None),
    ] {
        let said = |done: &Done| {
            let answer: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{line}: {e}: {done:?}"));
            answer["text"].as_str().map(str::to_owned)
        };
        let with_body = both.agree(line, "a.test", || ask(line, headers)).await;
        assert_eq!(said(&with_body).as_deref(), wanted, "{line}: {with_body:?}");
        let [method, host, path] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let url = format!("https://{host}{path}");
        let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let mut words = vec!["check", "plain", "--format", "json", method, &url];
        words.extend(headers.iter().flat_map(|header| ["-H", header]));
        let alone = on(&both.place, &words).done();
        assert_eq!((said(&alone).as_deref(), alone.status), (wanted, with_body.status), "{line}: {alone:?}");
    }
}
