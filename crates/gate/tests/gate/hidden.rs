//! Pages that hide instructions to the agent: told where a route says no more, refused where it says so.

use super::http2::{ask_two, two};
use super::*;
use testing::answers::ARTICLE;
use wire::{Alarm, Done};

async fn alarm(gate: &mut Gate) -> (String, Done) {
    match gate.line().await.event {
        Event::Alarm(Alarm { finding, done, .. }) => (finding, done),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn hidden_instructions_are_told_and_pass() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let off = json!({ "inspect_responses": "off" });
    let mut gate =
        Gate::start(&origin, json!([route(&origin, "a.test", json!({})), route(&origin, "b.test", off)])).await;
    let mut sender = gate.https("a.test").await;
    for way in ["evil", "gzip", "tools", "late"] {
        let response = sender.send_request(ask(&format!("GET a.test /page?{way}"), &[])).await.unwrap();
        assert_eq!(response.status(), 200);
        let packed = response.headers().contains_key("content-encoding");
        assert_eq!(packed, way == "gzip", "what passes is as it was");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(packed || String::from_utf8_lossy(&body).to_lowercase().contains("ignore all previous"), "{way}");
        let (finding, done) = alarm(&mut gate).await;
        assert_eq!(done, Done::Passed, "{way}");
        let audit = gate.audit().await;
        assert_eq!((audit.verdict, audit.finding.as_deref()), (Outcome::Allow, Some(&*finding)), "{way}");
        assert!(finding.contains("instructs"), "{way}: {finding}");
    }
    for way in ["article", "article-gzip", "binary", "content", "unknown", "long"] {
        let response = sender.send_request(ask(&format!("GET a.test /page?{way}"), &[])).await.unwrap();
        response.into_body().collect().await.unwrap();
        assert_eq!(gate.audit().await.finding, None, "{way}");
    }
    let mut sender = gate.https("b.test").await;
    text(sender.send_request(ask("GET b.test /page?evil", &[])).await.unwrap()).await;
    assert_eq!(gate.audit().await.finding, None);
}

#[tokio::test]
async fn hidden_instructions_are_refused_in_words() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let block = |more: Value| {
        let mut block = json!({ "inspect_responses": "block" });
        block.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        block
    };
    let auth = json!({ "auth": { "scheme": "bearer", "token": "tok" } });
    let routes = json!([route(&origin, "a.test", block(json!({}))), route(&origin, "b.test", block(auth))]);
    let mut gate = Gate::start(&origin, routes).await;
    for host in ["a.test", "b.test"] {
        let mut sender = gate.https(host).await;
        for way in ["evil", "gzip", "tools"] {
            let response = sender.send_request(ask(&format!("GET {host} /page?{way}"), &[])).await.unwrap();
            assert_eq!((response.status(), mark(&response)), (StatusCode::FORBIDDEN, "denied; reason=answer"), "{way}");
            let page = text(response).await;
            assert!(page.starts_with("claude-bottle: refused: the answer holds "), "{page}");
            assert!(!page.to_lowercase().contains("ignore all"), "{page}");
            assert_eq!(alarm(&mut gate).await.1, Done::Blocked, "{way}");
            let audit = gate.audit().await;
            assert_eq!((audit.verdict, audit.status), (Outcome::Deny, Some(403)), "{way}");
            assert_eq!((audit.received, audit.rule.is_some()), (page.len() as u64, true), "{way}");
        }
        for (way, length) in [("article", ARTICLE.len()), ("article-gzip", 0), ("content", 0), ("binary", 0)] {
            let response = sender.send_request(ask(&format!("GET {host} /page?{way}"), &[])).await.unwrap();
            assert_eq!(response.status(), 200, "{way}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert!(length == 0 || body.len() == length, "{way}");
            assert_eq!(gate.audit().await.finding, None, "{way}");
        }
        let response = sender.send_request(ask(&format!("GET {host} /page?long"), &[])).await.unwrap();
        assert_eq!(text(response).await, format!("{}<!-- the end -->", "<p>word</p>\n".repeat(40_000)));
        gate.audit().await;
        let response = sender.send_request(ask(&format!("HEAD {host} /page?evil"), &[])).await.unwrap();
        assert_eq!(response.status(), 200);
        gate.audit().await;
        // Behind what the head waits for, it ends there.
        let mut sender = gate.https(host).await;
        let response = sender.send_request(ask(&format!("GET {host} /page?late"), &[])).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.into_body().collect().await.is_err());
        assert_eq!(alarm(&mut gate).await.1, Done::Blocked);
        gate.refused("instructs an agent").await;
        let mut sender = gate.https(host).await;
        let response = sender.send_request(ask(&format!("GET {host} /page?unknown"), &[])).await.unwrap();
        assert_eq!((response.status(), mark(&response)), (StatusCode::BAD_GATEWAY, "failed; reason=encoding"));
        gate.audit().await;
    }
    // Only what can be read is asked for.
    let mut sender = gate.https("a.test").await;
    let asked = ask("GET a.test /x", &[("accept-encoding", "rot13, gzip;q=0.5, br")]);
    assert_eq!(told(sender.send_request(asked).await.unwrap()).await["headers"]["accept-encoding"], "gzip;q=0.5, br");
}

/// Neither the mask nor the look holds up an event, nor the head before the first.
#[tokio::test]
async fn events_pass_as_they_come() {
    let origin = Origin::start(&["a.test"]).await;
    let more = json!({ "inspect_responses": "block", "auth": { "scheme": "bearer", "token": "tok" } });
    let mut gate = Gate::start(&origin, json!([route(&origin, "a.test", more)])).await;
    let mut sender = gate.https("a.test").await;
    let response = sender.send_request(ask("GET a.test /sse", &[])).await.unwrap();
    let mut body = response.into_body();
    let first = within("before the last", body.frame()).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "data: first\n\n");
    origin.more.notify_one();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "data: last\n\n");
    assert_eq!(gate.audit().await.verdict, Outcome::Allow);
}

#[tokio::test]
async fn an_answer_of_known_length_is_never_whole_where_its_end_is_refused() {
    for versions in [&["http/1.1"][..], &["h2"]] {
        let origin = Origin::speaking(&["a.test"], versions).await;
        let block = json!({ "inspect_responses": "block" });
        let mut gate = Gate::start(&origin, json!([route(&origin, "a.test", block)])).await;
        for version in ["HTTP/1", "HTTP/2"] {
            let response = match version {
                "HTTP/1" => gate.https("a.test").await.send_request(ask("GET a.test /page?last", &[])).await,
                _ => two(&gate, "a.test").await.send_request(ask_two("GET a.test /page?last", &[])).await,
            };
            let response = response.unwrap();
            assert!(response.headers().contains_key("content-length"), "{versions:?} {version}");
            assert!(response.into_body().collect().await.is_err(), "{versions:?} {version}");
            assert_eq!(alarm(&mut gate).await.1, Done::Blocked, "{versions:?} {version}");
            assert_eq!(gate.audit().await.verdict, Outcome::Deny, "{versions:?} {version}");
        }
    }
}
