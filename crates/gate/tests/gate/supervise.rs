//! Supervise: what an operator decides while the gate runs, and what it does to requests that wait for it.

use super::*;
use std::process::Child;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use wire::{Change, Decision, Proposal, Verdict};

/// A gate with a route to `a.test`, whose denied requests are held for `hold` seconds.
async fn holding(origin: &Origin, hold: u32) -> Gate {
    let routes = json!([route(origin, "a.test", json!({}))]);
    Gate::with(origin, routes, |document| document["supervise"] = json!({ "hold": hold })).await
}

/// An operator who is there.
struct Operator {
    child: Child,
    lines: UnboundedReceiver<Value>,
}

impl Operator {
    async fn at(gate: &Gate) -> Operator {
        let mut child = Command::new(testing::gate_program())
            .args(["ctl".as_ref(), "--socket".as_ref(), gate.dir.path().join("ctl.sock").as_os_str(), "watch".as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, lines) = tokio::sync::mpsc::unbounded_channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).unwrap());
            }
        });
        let mut operator = Operator { child, lines };
        assert_eq!(operator.line().await, json!({ "watching": true }));
        operator
    }

    async fn line(&mut self) -> Value {
        within("a line of `ctl watch`", self.lines.recv()).await.unwrap()
    }

    async fn sees(&mut self, pending: usize) {
        while self.line().await != json!({ "pending": pending }) {}
    }

    /// The operator's terminal is gone.
    fn leave(mut self) {
        drop(self.child.stdin.take());
        assert!(end("ctl watch", &mut self.child).success());
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn get(host: &str, path: &str) -> Change {
    Change::Egress { host: host.to_owned(), port: 443, method: "GET".to_owned(), path: path.to_owned() }
}

/// The operator's decision; with routes beside the one to `a.test`, which a reload brings.
pub fn decide(gate: &Gate, change: &Change, verdict: &str, reload: Option<(&Origin, Value)>) -> (i32, Value) {
    let mut decide = json!({ "decision": { "change": change, "verdict": verdict } });
    if verdict == "rejected" {
        decide["decision"]["reason"] = json!("not today");
    }
    if let Some((origin, Value::Array(more))) = reload {
        let routes = [vec![route(origin, "a.test", json!({}))], more].concat();
        decide["reload"] = json!({ "policy": document("", json!(routes))["policy"] });
    }
    ctl(gate, &["decide"], &decide.to_string())
}

/// The least route that lets a GET of this path pass.
pub fn least(origin: &Origin, host: &str, path: &str) -> Value {
    route(origin, host, json!({ "methods": ["GET"], "paths": [path] }))
}

/// A request of a program that knows of no operator; status and text of the answer.
pub async fn curl(gate: &Gate, line: &str) -> JoinHandle<(u16, String)> {
    let host = line.split(' ').nth(1).unwrap();
    let mut sender = gate.https(host).await;
    let request = ask(line, &[]);
    tokio::spawn(async move {
        let response = sender.send_request(request).await.unwrap();
        (response.status().as_u16(), text(response).await)
    })
}

async fn answer(asked: JoinHandle<(u16, String)>) -> (u16, String) {
    within("the answer", asked).await.unwrap()
}

fn proposed(change: &Change) -> Event {
    Event::Proposal(Proposal { change: change.clone(), reason: "held request".to_owned() })
}

pub fn decided(change: &Change, verdict: Verdict) -> Event {
    let reason = (verdict == Verdict::Rejected).then(|| "not today".to_owned());
    Event::Decided(Decision { change: change.clone(), verdict, reason })
}

#[tokio::test]
async fn a_held_request_goes_on_as_if_it_had_been_allowed() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let mut gate = holding(&origin, 600).await;
    let mut operator = Operator::at(&gate).await;
    operator.sees(0).await;
    let asked = curl(&gate, "GET b.test /%78?q=1").await;
    let change = get("b.test", "/x");
    gate.event(&proposed(&change)).await;
    operator.sees(1).await;
    let (code, said) = decide(&gate, &change, "approved", Some((&origin, json!([least(&origin, "b.test", "/x")]))));
    assert_eq!((code, &said["decided"]), (0, &json!(change.id())), "{said}");
    let (status, said) = answer(asked).await;
    assert!(status == 200 && said.contains("/%78?q=1"), "{status} {said}");
    assert!(matches!(gate.line().await.event, Event::Reloaded { .. }));
    gate.event(&decided(&change, Verdict::Approved)).await;
    gate.allowed().await;
    operator.sees(0).await;
    // It holds, and for nothing else.
    assert_eq!(answer(curl(&gate, "GET b.test /x").await).await.0, 200);
    gate.allowed().await;
    let other = curl(&gate, "GET b.test /y").await;
    gate.event(&proposed(&get("b.test", "/y"))).await;
    operator.leave();
    assert_eq!(answer(other).await.0, 403);
    gate.refused("path").await;
}

#[tokio::test]
async fn a_rejected_request_is_refused_in_the_operators_words_and_not_held_again() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let mut gate = holding(&origin, 600).await;
    let _operator = Operator::at(&gate).await;
    let asked = curl(&gate, "GET b.test /x").await;
    let change = get("b.test", "/x");
    gate.event(&proposed(&change)).await;
    assert_eq!(decide(&gate, &change, "rejected", None).0, 0);
    gate.event(&decided(&change, Verdict::Rejected)).await;
    let words = "host `b.test` is not on the allowlist, and the operator does not allow it: not today";
    for asked in [asked, curl(&gate, "GET b.test /x").await] {
        let (status, said) = answer(asked).await;
        assert!(status == 403 && said.contains(words), "{said}");
        gate.refused(words).await;
    }
}

#[tokio::test]
async fn a_request_is_held_for_its_time_only_and_its_proposal_stays() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let mut gate = holding(&origin, 1).await;
    let mut operator = Operator::at(&gate).await;
    let change = get("b.test", "/x");
    for first in [true, false] {
        let asked = curl(&gate, "GET b.test /x").await;
        if first {
            gate.event(&proposed(&change)).await;
            operator.sees(1).await;
        }
        assert_eq!(answer(asked).await.0, 403);
        let refused = gate.refused("allowlist").await;
        assert!(refused.ms >= 1000, "{refused:?}");
    }
    // What is decided when the request is gone counts for the next one.
    let reload = Some((&origin, json!([least(&origin, "b.test", "/x")])));
    assert_eq!(decide(&gate, &change, "approved", reload).0, 0);
    operator.sees(0).await;
    assert_eq!(answer(curl(&gate, "GET b.test /x").await).await.0, 200);
}

#[tokio::test]
async fn nothing_is_held_where_no_operator_is_there() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let mut gate = holding(&origin, 600).await;
    assert_eq!(answer(curl(&gate, "GET b.test /x").await).await.0, 403);
    gate.refused("allowlist").await;
    let (first, second) = (Operator::at(&gate).await, Operator::at(&gate).await);
    let asked = curl(&gate, "GET b.test /x").await;
    gate.event(&proposed(&get("b.test", "/x"))).await;
    first.leave();
    assert!(!asked.is_finished());
    second.leave();
    assert_eq!(answer(asked).await.0, 403);
}

#[tokio::test]
async fn what_no_route_lets_pass_is_not_held() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let routes = json!([route(&origin, "a.test", json!({ "auth": { "scheme": "bearer", "token": "tok" } }))]);
    let mut gate = Gate::with(&origin, routes, |document| document["supervise"] = json!({ "hold": 600 })).await;
    let mut operator = Operator::at(&gate).await;
    operator.sees(0).await;
    let secret = format!("GET b.test /{TOKEN}");
    for line in [
        "TRACE b.test /x",
        "POST b.test /app.git/git-receive-pack",
        "GET b.test /*",
        "GET a.test /a/**",
        "GET b.test /a/%2e%2e/b",
        secret.as_str(),
    ] {
        let (status, said) = answer(curl(&gate, line).await).await;
        match line {
            "GET a.test /a/**" => assert_eq!(status, 200, "{said}"),
            _ => assert_eq!(status, 403, "{line}: {said}"),
        }
        gate.audit().await;
    }
}

#[tokio::test]
async fn once_is_one_request() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let mut gate = holding(&origin, 600).await;
    let change = get("b.test", "/x");
    let once = |gate: &Gate| {
        let reload = Some((&origin, json!([least(&origin, "b.test", "/x"), least(&origin, "b.test", "/y")])));
        assert_eq!(decide(gate, &change, "once", reload).0, 0);
    };
    // Decided twice, it is still one.
    for _ in 0..2 {
        once(&gate);
        gate.event(&decided(&change, Verdict::Once)).await;
    }
    // The policy of the decision has more than what was decided about.
    for (line, wanted) in
        [("HEAD b.test /x", 403), ("GET b.test /y", 403), ("GET b.test /x", 200), ("GET b.test /x", 403)]
    {
        assert_eq!(answer(curl(&gate, line).await).await.0, wanted, "{line}");
        gate.audit().await;
    }
    let (_, status) = ctl(&gate, &["status"], "");
    assert!(status["generation"] == 0 && status["routes"].as_array().unwrap().len() == 1, "{status}");
    // Of two that are held, one goes on.
    let operator = Operator::at(&gate).await;
    let (first, second) = (curl(&gate, "GET b.test /x").await, curl(&gate, "GET b.test /x").await);
    gate.event(&proposed(&change)).await;
    once(&gate);
    gate.event(&decided(&change, Verdict::Once)).await;
    // The second one may have come after the decision.
    while !matches!(gate.line().await.event, Event::Request(Audit { verdict: Outcome::Allow, .. })) {}
    operator.leave();
    let mut statuses = [answer(first).await.0, answer(second).await.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403]);
}

#[tokio::test]
async fn a_request_whose_client_is_gone_is_not_held() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let mut gate = holding(&origin, 600).await;
    let mut operator = Operator::at(&gate).await;
    let asked = curl(&gate, "GET b.test /x").await;
    gate.event(&proposed(&get("b.test", "/x"))).await;
    asked.abort();
    gate.refused("the agent went away while the request was held").await;
    operator.sees(1).await;
}

#[tokio::test]
async fn a_flood_is_held_in_part_and_the_rest_is_refused() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let mut gate = holding(&origin, 600).await;
    let mut operator = Operator::at(&gate).await;
    let mut asked = Vec::new();
    for n in 0..100 {
        asked.push(curl(&gate, &format!("GET b.test /{n}")).await);
    }
    operator.sees(32).await;
    let (mut proposals, mut refused) = (0, 0);
    while proposals < 32 || refused < 68 {
        match gate.line().await.event {
            Event::Proposal(_) => proposals += 1,
            Event::Request(audit) => {
                assert_eq!(audit.verdict, Outcome::Deny);
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((proposals, refused), (32, 68));
    // One change, however many requests.
    let mut again = Vec::new();
    for _ in 0..100 {
        again.push(curl(&gate, "GET b.test /0").await);
    }
    for _ in 0..100 - 32 {
        gate.refused("allowlist").await;
    }
    operator.leave();
    for asked in asked.into_iter().chain(again) {
        assert_eq!(answer(asked).await.0, 403);
    }
}

#[tokio::test]
async fn a_decision_counts_whole_or_not_at_all() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let mut gate = holding(&origin, 600).await;
    let change = json!(get("b.test", "/x"));
    let policy = json!({ "policy": document("", json!([least(&origin, "b.test", "/x")]))["policy"] });
    let decision = |change: &Value, verdict: &str| json!({ "decision": { "change": change, "verdict": verdict } });
    let with = |mut decide: Value, key: &str, value: Value| {
        decide[key] = value;
        decide
    };
    let mut bad = vec![
        (json!({}), "`decision` and `reload`"),
        (with(decision(&change, "rejected"), "more", json!(1)), "`decision` and `reload`"),
        (json!({ "decision": TOKEN }), "`decision` and `reload`"),
        (decision(&change, "perhaps"), "`decision` and `reload`"),
        (decision(&change, "approved"), "no `reload`"),
        (decision(&change, "once"), "no `reload`"),
        (with(decision(&change, "rejected"), "reload", policy.clone()), "belongs to the approval"),
        (
            with(decision(&change, "approved"), "reload", json!({ "policy": { "routes": [{ "host": TOKEN }] } })),
            "route 1",
        ),
        (with(decision(&change, "approved"), "reload", json!({ "policy": 1 })), "no `policy`"),
        (
            decision(&json!({ "kind": "git", "remote": "app", "commits": ["a".repeat(40)] }), "approved"),
            "no git remotes",
        ),
        (decision(&json!({ "kind": "packages", "apt": ["gdb"] }), "once"), "cannot be allowed once"),
        (decision(&json!({ "kind": "packages", "apt": ["-y"] }), "approved"), "no name of a package"),
    ];
    for (key, value, why) in [
        ("host", json!("*.b.test"), "no name of one host"),
        ("host", json!("B.test"), "no name of one host"),
        ("host", json!("10.0.0.1"), "an address"),
        ("port", json!(0), "port"),
        ("method", json!("get"), "method"),
        ("path", json!("x"), "path"),
        ("path", json!(format!("/{}", "x".repeat(1024))), "longer than 1024"),
    ] {
        let changed = with(change.clone(), key, value);
        bad.push((decision(&changed, "rejected"), why));
    }
    let mut long = decision(&change, "rejected");
    long["decision"]["reason"] = json!("x".repeat(1025));
    bad.push((long, "the reason is longer"));
    for (body, why) in bad {
        let (code, said) = ctl(&gate, &["decide"], &body.to_string());
        assert!(code == 1 && said["error"].as_str().unwrap().contains(why), "{body}: {said}");
        assert!(matches!(gate.line().await.event, Event::Unchanged { .. }), "{body}");
    }
    assert_eq!(ctl(&gate, &["decide"], "{").0, 2);
    assert_eq!(answer(curl(&gate, "GET b.test /x").await).await.0, 403);
    gate.refused("not on the allowlist").await;
}

#[tokio::test]
async fn of_two_operators_the_last_one_decides() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let mut gate = holding(&origin, 600).await;
    let mut operators = [Operator::at(&gate).await, Operator::at(&gate).await];
    let asked = curl(&gate, "GET b.test /x").await;
    let change = get("b.test", "/x");
    gate.event(&proposed(&change)).await;
    let approve = || decide(&gate, &change, "approved", Some((&origin, json!([least(&origin, "b.test", "/x")]))));
    let (codes, (reject, _)) = std::thread::scope(|scope| {
        let approvals = [scope.spawn(approve), scope.spawn(approve)];
        let codes = approvals.map(|approval| approval.join().unwrap().0);
        (codes, decide(&gate, &change, "rejected", None))
    });
    assert_eq!((codes, reject), ([0, 0], 0));
    assert_eq!(answer(asked).await.0, 200);
    // The policy stays as it was approved: a rejection takes no route away.
    assert_eq!(answer(curl(&gate, "GET b.test /x").await).await.0, 200);
    for operator in &mut operators {
        operator.sees(0).await;
    }
}

#[tokio::test]
async fn what_passes_by_a_wider_change_is_pending_no_more() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let mut gate = holding(&origin, 600).await;
    let _operator = Operator::at(&gate).await;
    let mut asked = Vec::new();
    for path in ["/x/1", "/x/2", "/y"] {
        asked.push(curl(&gate, &format!("GET b.test {path}")).await);
        gate.event(&proposed(&get("b.test", path))).await;
    }
    let reload = json!({ "policy": document("", json!([least(&origin, "b.test", "/x/*")]))["policy"] });
    assert_eq!(ctl(&gate, &["reload"], &reload.to_string()).0, 0);
    assert!(matches!(gate.line().await.event, Event::Reloaded { .. }));
    for path in ["/x/1", "/x/2"] {
        gate.event(&decided(&get("b.test", path), Verdict::Approved)).await;
    }
    assert!(!asked.pop().unwrap().is_finished());
    for asked in asked {
        assert_eq!(answer(asked).await.0, 200);
    }
}

/// What was allowed once passes without a second question, and a rejection takes it back.
#[tokio::test]
async fn once_needs_no_second_answer_and_is_taken_back_by_a_rejection() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let mut gate = holding(&origin, 600).await;
    let operator = Operator::at(&gate).await;
    let change = get("b.test", "/x");
    let allowed = || Some((&origin, json!([least(&origin, "b.test", "/x")])));
    assert_eq!(decide(&gate, &change, "once", allowed()).0, 0);
    assert_eq!(gate.line().await.event, decided(&change, Verdict::Once));
    assert_eq!(answer(curl(&gate, "GET b.test /x").await).await.0, 200);
    assert!(matches!(gate.line().await.event, Event::Request(_)), "no proposal is made of it");

    assert_eq!(decide(&gate, &change, "once", allowed()).0, 0);
    assert_eq!(decide(&gate, &change, "rejected", None).0, 0);
    let (status, said) = answer(curl(&gate, "GET b.test /x").await).await;
    assert!(status == 403 && said.contains("not today"), "{status} {said}");
    operator.leave();
}

/// A secret in a method, or in a path of the gate's own pages, does not get into the trail.
#[tokio::test]
async fn no_record_of_the_gates_own_pages_holds_a_secret() {
    let origin = Origin::start(&["a.test"]).await;
    let auth = json!({ "auth": { "scheme": "bearer", "token": "tok" } });
    let routes = json!([route(&origin, "a.test", auth)]);
    let mut gate = Gate::with(&origin, routes, |document| document["supervise"] = json!({})).await;
    for host in ["gate.bottle", "supervise.bottle"] {
        for head in [format!("GET /{TOKEN} HTTP/1.1"), format!("{TOKEN} / HTTP/1.1")] {
            let mut stream = gate.connect(&format!("{host}:80")).await;
            stream.write_all(format!("{head}\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
            read_all(stream).await;
            let line = serde_json::to_string(&gate.line().await).unwrap();
            assert!(line.contains(host) && !line.contains(&TOKEN[..16]), "{line}");
        }
    }
}
