//! What changes while the gate runs: another policy, and tokens that end. Ends are near, and each step waits for what the
//! gate says of the one before.

use super::*;
use std::pin::Pin;
use std::time::Instant;
use testing::wait::{WAIT_TIMEOUT, until};
use wire::RouteSummary;

/// The first value and those after it; what the gate prints never holds any of them.
fn token(name: &str) -> String {
    format!("{TOKEN}-{name}")
}

fn blob(text: &str) -> Value {
    json!(encode_base64(text.as_bytes()))
}

/// A gate whose `tok` was printed by a command, as this.
async fn printed(origin: &Origin, printed: Value) -> Gate {
    let routes = json!([route(
        origin,
        "a.test",
        json!({ "methods": ["GET", "POST"], "auth": { "scheme": "bearer", "token": "tok" } })
    )]);
    Gate::with(origin, routes, |document| {
        document["printed"] = json!(["tok"]);
        document["values"]["tok"] = blob(&printed.to_string());
    })
    .await
}

fn hand_in(gate: &Gate, printed: &str) -> (i32, Value) {
    ctl(gate, &["token", "tok"], &json!({ "value": blob(printed) }).to_string())
}

/// The defaults filled in, as the owner does it.
fn reload(gate: &Gate, routes: Value, more: Value) -> (i32, Value) {
    let mut reload = json!({ "policy": document("", routes)["policy"] });
    reload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ctl(gate, &["reload"], &reload.to_string())
}

fn hosts(rules: &[RouteSummary]) -> Vec<&str> {
    rules.iter().map(|rule| rule["host"].as_str().unwrap()).collect()
}

async fn authorization(sender: &mut SendRequest<Payload>) -> String {
    let told = told(sender.send_request(ask("GET a.test /", &[])).await.unwrap()).await;
    told["headers"]["authorization"].as_str().unwrap().replace(ARRIVED, TOKEN)
}

fn refresh() -> Event {
    Event::Refresh { value: "tok".to_owned() }
}

fn refreshed() -> Event {
    Event::Refreshed { value: "tok".to_owned() }
}

// ---- another policy ----

#[tokio::test]
async fn a_reload_decides_for_what_comes_and_leaves_what_is_under_way() {
    let origin = Origin::start(&["a.test", "b.test", "c.test"]).await;
    let at = |host: &str, line: u32| {
        route(&origin, host, json!({ "origin": format!("claude-bottle.json:{line}"), "dlp": "warn" }))
    };
    let mut gate = Gate::start(&origin, json!([at("a.test", 1), at("c.test", 3)])).await;
    let mut kept = gate.https("a.test").await;
    told(kept.send_request(ask("GET a.test /", &[])).await.unwrap()).await;
    gate.allowed().await;
    told(gate.https("c.test").await.send_request(ask("GET c.test /", &[])).await.unwrap()).await;
    gate.allowed().await;
    // Two that outlive the policy by which they came.
    let mut streaming = gate.https("a.test").await;
    let mut stream = streaming.send_request(ask("GET a.test /sse", &[])).await.unwrap().into_body();
    assert_eq!(stream.frame().await.unwrap().unwrap().into_data().unwrap(), "data: first\n\n");

    let (code, answer) = reload(&gate, json!([at("b.test", 2), at("c.test", 3)]), json!({}));
    let Event::Reloaded { added, removed, reordered } = gate.line().await.event else { panic!() };
    assert_eq!((hosts(&added), hosts(&removed), reordered), (vec!["b.test"], vec!["a.test"], false));
    assert_eq!((code, &answer["added"][0]["dlp"], &answer["added"][0]["paths"]), (0, &json!("warn"), &json!(["/**"])));

    // On a connection that was there before, too.
    let response = kept.send_request(ask("GET a.test /", &[])).await.unwrap();
    assert_eq!(mark(&response), "denied; reason=host");
    drop(response);
    gate.refused("allowlist").await;
    told(gate.https("b.test").await.send_request(ask("GET b.test /", &[])).await.unwrap()).await;
    gate.allowed().await;

    origin.more.notify_one();
    assert_eq!(stream.frame().await.unwrap().unwrap().into_data().unwrap(), "data: last\n\n");
    assert!(stream.frame().await.is_none());
    // Its line still says by which rule it came.
    assert_eq!(gate.audit().await.rule.as_deref(), Some("claude-bottle.json:1"));

    let (_, status) = ctl(&gate, &["status"], "");
    let hits: Vec<_> = status["routes"].as_array().unwrap().iter().map(|route| &route["hits"]).collect();
    assert_eq!((hits, &status["generation"]), (vec![&json!(1), &json!(1)], &json!(1)), "c.test's went on");
}

/// The order decides, so it is a change as well.
#[tokio::test]
async fn a_reload_of_the_same_says_so() {
    let origin = Origin::start(&["a.test"]).await;
    let (a, b) =
        (route(&origin, "a.test", json!({ "origin": "1" })), route(&origin, "b.test", json!({ "origin": "2" })));
    let mut gate = Gate::start(&origin, json!([a, b])).await;
    for (routes, reordered) in [(json!([a, b]), false), (json!([b, a]), true)] {
        assert_eq!(reload(&gate, routes, json!({})).0, 0);
        gate.event(&Event::Reloaded { added: vec![], removed: vec![], reordered }).await;
    }
}

#[tokio::test]
async fn a_bad_policy_keeps_the_old_one_and_says_so() {
    let origin = Origin::start(&["a.test"]).await;
    let good = route(&origin, "a.test", json!({}));
    let mut gate = Gate::start(&origin, json!([good])).await;
    let mut sender = gate.https("a.test").await;
    let elsewhere = json!({ "host": "a.test", "connect_to": "127.0.0.1:1" });
    for (routes, more, why) in [
        (json!([{ "host": "x.test", "sesame": 1 }]), json!({}), "route 1 of the policy is not valid"),
        (json!([good, { "host": "*" }]), json!({}), "route 2 of the policy is not valid"),
        (json!([good, elsewhere]), json!({}), "are dialled differently"),
        (json!([]), json!({ "values": { "x": "sesame!" } }), "one of them is not valid"),
        (json!([]), json!({ "sesame": 1 }), "one of them is not valid"),
        (json!([]), json!({ "values": { "ask": blob("sesame") } }), "was given to the agent"),
        (
            json!([route(&origin, "b.test", json!({ "auth": { "scheme": "bearer", "token": "new" } }))]),
            json!({}),
            "the document has no value `new`",
        ),
        (
            json!([route(&origin, "b.test", json!({ "upstream_ca": "ca" }))]),
            json!({ "values": { "ca": blob("sesame") } }),
            "`upstream_ca` holds no certificate",
        ),
        (
            json!([route(&origin, "b.test", json!({ "auth": { "scheme": "bearer", "token": "new" } }))]),
            json!({ "values": { "new": blob("ses\name") } }),
            "cannot stand in a header",
        ),
        (
            json!([route(&origin, "b.test", json!({ "auth": { "scheme": "bearer", "token": "new" } }))]),
            json!({ "values": { "new": blob(r#"{"token":"sesame","expires_in":-1}"#) }, "printed": ["new"] }),
            "the token `new` has ended already",
        ),
    ] {
        let (code, answer) = reload(&gate, routes, more);
        let Event::Unchanged { reason } = gate.line().await.event else { panic!("{why}") };
        assert_eq!((code, answer["error"].as_str()), (1, Some(&*reason)));
        assert!(reason.contains(why) && !reason.contains("sesame"), "{why}: {reason}");
        told(sender.send_request(ask("GET a.test /", &[])).await.unwrap()).await;
        gate.allowed().await;
    }
    for (words, stdin, why) in [
        (&["reload"][..], "{", "the standard input is not JSON"),
        (&["reload"], "", "the standard input is not JSON"),
        (&["token"], "{}", "unknown verb"),
        (&["status", "x"], "", "usage"),
        (&[], "", "usage"),
    ] {
        let (code, said) = ctl(&gate, words, stdin);
        assert!(code != 0 && said.to_string().contains(why), "{words:?}: {said}");
    }
}

/// The next request of a connection goes where the new policy leads, with the token that came with it.
#[tokio::test]
async fn a_reload_may_bring_values_and_lead_elsewhere() {
    let (one, two) = (Origin::start(&["a.test"]).await, Origin::start(&["a.test"]).await);
    let mut gate = Gate::start(&one, json!([route(&one, "a.test", json!({}))])).await;
    let mut sender = gate.https("a.test").await;
    told(sender.send_request(ask("GET a.test /", &[])).await.unwrap()).await;
    gate.allowed().await;
    let there = route(&two, "a.test", json!({ "auth": { "scheme": "token", "token": "new" }, "upstream_ca": "ca" }));
    let values = json!({ "values": { "new": blob(&token("new")), "ca": blob(&two.roots) } });
    assert_eq!(reload(&gate, json!([there]), values).0, 0);
    let Event::Reloaded { added, .. } = gate.line().await.event else { panic!() };
    assert_eq!(added[0]["auth"], "token");
    assert_eq!(authorization(&mut sender).await, format!("token {}", token("new")));
    gate.allowed().await;
    // It is the second origin that answers: nobody else hears this.
    let mut stream = sender.send_request(ask("GET a.test /sse", &[])).await.unwrap().into_body();
    stream.frame().await.unwrap().unwrap();
    two.more.notify_one();
    let last = within("the second origin", stream.frame()).await;
    assert_eq!(last.unwrap().unwrap().into_data().unwrap(), "data: last\n\n");
}

// ---- tokens that end ----

#[tokio::test]
async fn a_token_is_asked_for_before_its_end_and_taken_for_what_comes() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = printed(&origin, json!({ "token": token("1"), "expires_in": 1.0 })).await;
    let mut sender = gate.https("a.test").await;
    assert_eq!(authorization(&mut sender).await, format!("Bearer {}", token("1")));
    gate.allowed().await;
    gate.event(&refresh()).await;
    assert_eq!(ctl(&gate, &["due"], "").1, json!({ "due": ["tok"] }));
    assert_eq!(hand_in(&gate, &json!({ "token": token("2"), "expires_in": 3600 }).to_string()).0, 0);
    gate.event(&refreshed()).await;
    assert_eq!(ctl(&gate, &["due"], "").1, json!({ "due": [] }));
    assert_eq!(authorization(&mut sender).await, format!("Bearer {}", token("2")));
    gate.allowed().await;

    let (_, status) = ctl(&gate, &["status"], "");
    let of_token = &status["tokens"][0];
    assert_eq!(
        (&of_token["value"], &of_token["due"], &of_token["ended"]),
        (&json!("tok"), &json!(false), &json!(false))
    );
    let classes: Vec<_> =
        status["secrets"].as_array().unwrap().iter().map(|one| (&one["value"], &one["class"])).collect();
    let (seen, ours) = (json!("seen"), json!("gate-only"));
    let (asked, tok) = (json!("ask"), json!("tok"));
    assert_eq!(classes, [(&asked, &seen), (&tok, &ours), (&tok, &ours)], "the old one is known for a while");
    for part in ["hits", "denied"] {
        assert!(status["routes"][0][part].is_u64(), "{status}");
    }
    for part in ["connections", "open", "allowed", "denied", "failed", "sent", "received", "findings", "dropped"] {
        assert!(status["counters"][part].is_u64(), "{part}: {status}");
    }
    assert!(status["memory"].as_u64().unwrap() > 1 << 20, "{status}");
}

#[tokio::test]
async fn what_is_no_token_is_not_taken() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = printed(&origin, json!({ "token": token("1") })).await;
    let mut sender = gate.https("a.test").await;
    let ended = json!({ "token": token("2"), "expires_in": 0 }).to_string();
    let broken = format!("{}\n{}", token("2"), token("3"));
    for (bad, why) in [(&*ended, "ended already"), ("", "printed nothing"), (&broken, "cannot stand in a header")] {
        let (code, answer) = hand_in(&gate, bad);
        let Event::Unchanged { reason } = gate.line().await.event else { panic!("{why}") };
        assert_eq!((code, answer["error"].as_str()), (1, Some(&*reason)));
        assert!(reason.contains(why), "{why}: {reason}");
    }
    for (name, stdin) in [("ask", json!({ "value": blob("x") })), ("tok", json!({ "value": TOKEN })), ("tok", json!(5))]
    {
        assert_eq!(ctl(&gate, &["token", name], &stdin.to_string()).0, 1);
        assert!(matches!(gate.line().await.event, Event::Unchanged { .. }));
    }
    assert_eq!(authorization(&mut sender).await, format!("Bearer {}", token("1")));
}

/// Nobody is attached: a refusal that says what helps, and at once from the second one on.
#[tokio::test]
async fn an_ended_token_is_refused_until_somebody_comes() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = printed(&origin, json!({ "token": token("1"), "expires_in": 0.3 })).await;
    let mut sender = gate.https("a.test").await;
    gate.event(&refresh()).await;
    let response = loop {
        let response = sender.send_request(ask("GET a.test /", &[])).await.unwrap();
        if response.status() != 200 {
            break response;
        }
        text(response).await;
        gate.allowed().await;
    };
    assert_eq!((response.status().as_u16(), mark(&response)), (403, "denied; reason=token"));
    let page = text(response).await;
    assert!(page.contains("token expired, attach") && !page.contains("`tok`"), "{page}");
    let audit = gate.refused("token expired, attach").await;
    assert_eq!(audit.rule.as_deref(), Some("claude-bottle.json:1"));
    let response = sender.send_request(ask("GET a.test /", &[])).await.unwrap();
    assert_eq!(response.status(), 403);
    drop(response);
    assert!(gate.refused("token expired, attach").await.ms < 1000, "nobody is waited for");

    // Attached.
    assert_eq!(ctl(&gate, &["due"], "").1, json!({ "due": ["tok"] }));
    assert_eq!(hand_in(&gate, &token("2")).0, 0);
    gate.event(&refreshed()).await;
    let mut sender = gate.https("a.test").await;
    assert_eq!(authorization(&mut sender).await, format!("Bearer {}", token("2")));
}

/// Somebody fetches the next one: who asks meanwhile gets the answer, not the refusal.
#[tokio::test]
async fn a_request_waits_for_a_token_that_is_fetched() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = printed(&origin, json!({ "token": token("1"), "expires_in": 0.3 })).await;
    gate.event(&refresh()).await;
    assert_eq!(ctl(&gate, &["due"], "").1, json!({ "due": ["tok"] }));
    until("the token's end", || ctl(&gate, &["status"], "").1["tokens"][0]["ended"] == true);
    let mut sender = gate.https("a.test").await;
    let mut asking = under_way(authorization(&mut sender));
    asking.waits(&gate).await;
    assert_eq!(hand_in(&gate, &token("2")).0, 0);
    assert_eq!(asking.end().await, format!("Bearer {}", token("2")));
    gate.event(&refreshed()).await;
    gate.allowed().await;
}

/// A client that leaves before its request is looked through leaves a record of it.
#[tokio::test]
async fn a_record_of_a_request_that_is_given_up_shows_no_secret() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = printed(&origin, json!({ "token": token("1"), "expires_in": 0.3 })).await;
    gate.event(&refresh()).await;
    until("the token's end", || ctl(&gate, &["status"], "").1["tokens"][0]["ended"] == true);
    let mut sender = gate.https("a.test").await;
    let request = format!("GET a.test /{}", token("1"));
    let mut asking = under_way(sender.send_request(ask(&request, &[])));
    asking.waits(&gate).await;
    drop((asking, sender));
    assert_eq!(gate.audit().await.path, "(withheld)");
}

/// Once for each value, and what has no body is asked again for the agent.
#[tokio::test]
async fn an_upstream_that_refuses_a_token_brings_the_next() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = printed(&origin, json!({ "token": token("1") })).await;
    let mut sender = gate.https("a.test").await;
    let with_body = |sender: &mut SendRequest<Payload>| {
        let request = Request::builder().method("POST").uri("/guarded").header("host", "a.test");
        sender.send_request(request.body(full("a body")).unwrap())
    };
    let response = with_body(&mut sender).await.unwrap();
    assert_eq!((response.status().as_u16(), text(response).await), (401, "not you".to_owned()), "as it is");
    gate.event(&refresh()).await;
    gate.allowed().await;
    // No more than once.
    let response = with_body(&mut sender).await.unwrap();
    assert_eq!((response.status().as_u16(), text(response).await), (401, "not you".to_owned()));
    gate.allowed().await;

    assert_eq!(ctl(&gate, &["due"], "").1, json!({ "due": ["tok"] }));
    let mut asking = under_way(async {
        let response = sender.send_request(ask("GET a.test /guarded", &[])).await.unwrap();
        told(response).await["headers"]["authorization"].as_str().unwrap().replace(ARRIVED, TOKEN)
    });
    asking.waits(&gate).await;
    assert_eq!(hand_in(&gate, &token("fresh")).0, 0);
    assert_eq!(asking.end().await, format!("Bearer {}", token("fresh")));
    gate.event(&refreshed()).await;
    gate.allowed().await;
}

/// The same token again is no better, whatever the agent does.
#[tokio::test]
async fn a_token_that_stays_bad_is_asked_for_once() {
    let origin = Origin::start(&["a.test"]).await;
    let mut gate = printed(&origin, json!({ "token": token("1") })).await;
    let mut sender = gate.https("a.test").await;
    let mut asking = under_way(sender.send_request(ask("GET a.test /guarded", &[])));
    asking.waits(&gate).await;
    gate.event(&refresh()).await;
    assert_eq!(hand_in(&gate, &token("1")).0, 0);
    let response = asking.end().await.unwrap();
    assert_eq!((response.status().as_u16(), text(response).await), (401, "not you".to_owned()));
    gate.event(&refreshed()).await;
    gate.allowed().await;
    let response = sender.send_request(ask("GET a.test /guarded", &[])).await.unwrap();
    assert_eq!((response.status().as_u16(), text(response).await), (401, "not you".to_owned()));
    gate.allowed().await;
    assert_eq!(ctl(&gate, &["due"], "").1, json!({ "due": [] }));
}

/// A request under way.
struct Asking<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
}

fn under_way<'a, T>(future: impl Future<Output = T> + 'a) -> Asking<'a, T> {
    Asking { future: Box::pin(future) }
}

impl<T> Asking<'_, T> {
    /// Until the gate says that it has a request which waits for a token. Answered before, it did not.
    async fn waits(&mut self, gate: &Gate) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while ctl(gate, &["status"], "").1["counters"]["waiting"] != 1 {
            assert!(Instant::now() < deadline, "waited {WAIT_TIMEOUT:?} in vain for a request that waits for a token");
            let moved = tokio::time::timeout(Duration::from_millis(1), &mut self.future).await;
            assert!(moved.is_err(), "answered at once");
        }
    }

    async fn end(self) -> T {
        within("an answer", self.future).await
    }
}
