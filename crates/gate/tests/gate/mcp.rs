//! The MCP server at `supervise.bottle`: what an agent's client gets from it, and what hostile input gets.

use super::supervise::{curl, decide, decided, get, least};
use super::*;
use tokio::task::JoinHandle;
use wire::{Change, Packages, Proposal, Verdict};

async fn proposing(origin: &Origin) -> Gate {
    let auth = json!({ "auth": { "scheme": "bearer", "token": "tok" } });
    Gate::with(origin, json!([route(origin, "a.test", auth)]), |document| document["supervise"] = json!({})).await
}

/// Status and text of the answer to a message.
async fn post(gate: &Gate, body: impl Into<Bytes>, headers: &[(&str, &str)]) -> (u16, String) {
    let mut head = std::collections::BTreeMap::from([
        ("host", "supervise.bottle"),
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
    ]);
    head.extend(headers.iter().copied());
    let mut request = Request::builder().method("POST").uri("/mcp");
    for (name, value) in head {
        request = request.header(name, value);
    }
    let mut sender = converse(gate.connect("supervise.bottle:80").await).await;
    let response = sender.send_request(request.body(full(body.into())).unwrap()).await.unwrap();
    (response.status().as_u16(), text(response).await)
}

fn message(method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string()
}

/// The last message of a stream: the answer.
fn last(stream: &str) -> Value {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: ")).next_back();
    let answer: Value = serde_json::from_str(data.unwrap_or_else(|| panic!("no answer in {stream}"))).unwrap();
    assert_eq!(answer["id"], 7, "{answer}");
    answer
}

async fn ask_mcp(gate: &Gate, method: &str, params: Value) -> Value {
    let (status, said) = post(gate, message(method, params), &[("mcp-protocol-version", "2025-06-18")]).await;
    assert_eq!(status, 200, "{said}");
    last(&said)
}

/// Calls a tool: whether it was an error, and its text.
async fn call(gate: &Gate, tool: &str, arguments: Value) -> (bool, String) {
    let answer = ask_mcp(gate, "tools/call", json!({ "name": tool, "arguments": arguments })).await;
    let result = &answer["result"];
    (result["isError"] == true, result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned())
}

/// A call that waits for the operator: its text.
async fn waiting(gate: &Gate, tool: &str, arguments: Value, meta: Value) -> JoinHandle<String> {
    let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
    let mut sender = converse(gate.connect("supervise.bottle:80").await).await;
    let request = Request::builder().method("POST").uri("/mcp").header("host", "supervise.bottle");
    let request = request.header("accept", "application/json, text/event-stream");
    let request = request.header("content-type", "application/json").body(full(message("tools/call", params))).unwrap();
    tokio::spawn(async move {
        let response = sender.send_request(request).await.unwrap();
        text(response).await
    })
}

fn block(path: &str) -> Value {
    json!({ "url": format!("https://b.test{path}"), "reason": "for the test" })
}

/// The next event that is no request to the server itself.
async fn event(gate: &mut Gate) -> Event {
    loop {
        match gate.line().await.event {
            Event::Request(audit) if audit.host == "supervise.bottle" => {}
            other => return other,
        }
    }
}

fn proposed(change: &Change, reason: &str) -> Event {
    Event::Proposal(Proposal { change: change.clone(), reason: reason.to_owned() })
}

#[tokio::test]
async fn a_client_finds_five_tools_in_every_version_of_the_protocol() {
    let origin = Origin::start(&["a.test"]).await;
    let gate = proposing(&origin).await;
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "1999-01-01"] {
        let client = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client });
        let (status, said) = post(&gate, message("initialize", params), &[]).await;
        assert_eq!(status, 200, "{said}");
        let result = last(&said)["result"].clone();
        let known = if version == "1999-01-01" { "2025-11-25" } else { version };
        assert_eq!(result["protocolVersion"], known, "{result}");
        assert_eq!(result["serverInfo"]["name"], "claude-bottle");
        assert!(result["capabilities"]["tools"].is_object() && result["instructions"].is_string(), "{result}");
    }
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(post(&gate, initialized.to_string(), &[]).await, (202, String::new()));
    assert_eq!(ask_mcp(&gate, "ping", json!({})).await["result"], json!({}));
    let tools = ask_mcp(&gate, "tools/list", json!({})).await["result"]["tools"].clone();
    let names: Vec<&str> = tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    let wanted = ["egress_block", "capability_block", "git_block", "list_egress_routes", "proposal_status"];
    assert_eq!(names, wanted);
    for tool in tools.as_array().unwrap() {
        assert!(tool["description"].is_string() && tool["inputSchema"]["type"] == "object", "{tool}");
    }
    let (failed, routes) = call(&gate, "list_egress_routes", json!({})).await;
    assert!(!failed && routes.contains("allow https://a.test"), "{routes}");
}

#[tokio::test]
async fn what_an_agent_asks_for_passes_once_it_is_approved() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let mut gate = proposing(&origin).await;
    let refused = curl(&gate, "GET b.test /x").await.await.unwrap();
    assert!(
        refused.0 == 403 && refused.1.contains("MCP tool `egress_block` at http://supervise.bottle/mcp"),
        "{refused:?}"
    );
    gate.refused("not on the allowlist").await;
    let change = get("b.test", "/x");
    let token = json!({ "progressToken": "p" });
    let first = waiting(&gate, "egress_block", block("/x?page=1"), token).await;
    assert_eq!(event(&mut gate).await, proposed(&change, "for the test"));
    // One change is one proposal.
    let second = waiting(&gate, "egress_block", block("/%78"), Value::Null).await;
    let (_, status) = call(&gate, "proposal_status", json!({})).await;
    assert_eq!(status, format!("{}  GET https://b.test/x: pending\n", change.id()));
    assert!(!first.is_finished());
    let reload = Some((&origin, json!([least(&origin, "b.test", "/x")])));
    assert_eq!(decide(&gate, &change, "approved", reload).0, 0);
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert!(first.contains("notifications/progress"), "{first}");
    for said in [first, second] {
        let text = last(&said)["result"]["content"][0]["text"].as_str().unwrap().to_owned();
        assert_eq!(text, "approved: it is allowed now; repeat the request");
    }
    assert!(matches!(event(&mut gate).await, Event::Reloaded { .. }));
    assert_eq!(event(&mut gate).await, decided(&change, Verdict::Approved));
    assert_eq!(curl(&gate, "GET b.test /x").await.await.unwrap().0, 200);
    // It is allowed already, and there is nothing to ask for.
    let (failed, said) = call(&gate, "egress_block", block("/x")).await;
    assert!(failed && said.contains("allowed already"), "{said}");
    let (failed, said) = call(&gate, "proposal_status", json!({ "id": change.id() })).await;
    assert!(!failed && said.contains("approved"), "{said}");
}

#[tokio::test]
async fn what_is_rejected_is_told_and_may_be_asked_for_again() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let mut gate = proposing(&origin).await;
    let change = get("b.test", "/x");
    for _ in 0..2 {
        let asked = waiting(&gate, "egress_block", block("/x"), Value::Null).await;
        assert_eq!(event(&mut gate).await, proposed(&change, "for the test"));
        assert_eq!(decide(&gate, &change, "rejected", None).0, 0);
        assert_eq!(event(&mut gate).await, decided(&change, Verdict::Rejected));
        let result = last(&asked.await.unwrap())["result"].clone();
        assert_eq!(result["content"][0]["text"], "rejected by the operator: not today");
        let said = curl(&gate, "GET b.test /x").await.await.unwrap().1;
        assert!(said.contains("and the operator does not allow it: not today"), "{said}");
        gate.refused("the operator does not allow it").await;
    }
    let packages =
        json!({ "packages": { "apt": ["gdb", "gdb"], "npm": ["@types/node"] }, "reason": "to look at a core" });
    let asked = waiting(&gate, "capability_block", packages, Value::Null).await;
    let (apt, npm) = (vec!["gdb".to_owned()], vec!["@types/node".to_owned()]);
    let change = Change::Packages(Packages { apt, npm, ..Packages::default() });
    assert_eq!(event(&mut gate).await, proposed(&change, "to look at a core"));
    assert_eq!(decide(&gate, &change, "approved", None).0, 0);
    let said = asked.await.unwrap();
    assert!(said.contains("this bottle ends now"), "{said}");
}

#[tokio::test]
async fn what_widens_or_hides_is_not_proposed() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let mut gate = proposing(&origin).await;
    let long = "x".repeat(9000);
    for (tool, arguments, why) in [
        ("egress_block", block("/a/*"), "`*`"),
        ("egress_block", block("/a/%2a%2a"), "`*`"),
        ("egress_block", block("/a/../b"), "dot segments"),
        ("egress_block", block("/a/%2e%2e/b"), "dot segments"),
        ("egress_block", block("/a\u{202e}b"), "in ASCII"),
        ("egress_block", block(&format!("/{TOKEN}")), "holds a secret"),
        ("egress_block", block(&format!("/{}", &long[..1025])), "longer than 1024"),
        ("egress_block", block(&format!("/{long}")), "longer than 8192"),
        ("egress_block", json!({ "url": "https://*.test/", "reason": "x" }), "not a host name"),
        ("egress_block", json!({ "url": "https://u:p@b.test/", "reason": "x" }), "user or a password"),
        ("egress_block", json!({ "url": "https://b.test@c.test/", "reason": "x" }), "user or a password"),
        ("egress_block", json!({ "url": "https://10.0.0.1/", "reason": "x" }), "an address"),
        ("egress_block", json!({ "url": "https://b\u{430}nk.test/", "reason": "x" }), "ASCII form"),
        ("egress_block", json!({ "url": "b.test/x", "reason": "x" }), "no scheme"),
        ("egress_block", json!({ "url": "file:///etc/passwd", "reason": "x" }), "scheme is not known"),
        ("egress_block", json!({ "url": "wss://b.test/", "reason": "x" }), "WebSocket"),
        ("egress_block", json!({ "url": "tcp://b.test:5432", "reason": "x" }), "wants HTTP"),
        ("egress_block", json!({ "url": "http://b.test:8080/", "reason": "x" }), "wants TLS"),
        ("egress_block", json!({ "url": "http://gate.bottle/", "reason": "x" }), "the gate's own name"),
        ("egress_block", json!({ "url": "https://supervise.bottle/", "reason": "x" }), "the gate's own name"),
        ("egress_block", json!({ "url": "https://b.test/", "method": "TRACE", "reason": "x" }), "never allowed"),
        ("egress_block", json!({ "url": "https://b.test/", "method": "GET /x", "reason": "x" }), "the method"),
        (
            "egress_block",
            json!({ "url": "https://b.test/x.git/git-receive-pack", "method": "POST", "reason": "x" }),
            "git push over https is never allowed",
        ),
        ("egress_block", json!({ "url": "https://b.test/", "reason": " " }), "give a `reason`"),
        ("egress_block", json!({ "url": "https://b.test/", "reason": &long[..1025] }), "longer than 1024"),
        ("egress_block", json!({ "url": "https://b.test/" }), "schema"),
        ("egress_block", json!({ "url": ["https://b.test/"], "reason": "x" }), "schema"),
        ("egress_block", json!({ "url": "https://b.test/", "reason": "x", "private": true }), "schema"),
        ("capability_block", json!({ "packages": { "apt": ["-y"] }, "reason": "x" }), "no name of a package"),
        ("capability_block", json!({ "packages": { "pip": [TOKEN] }, "reason": "x" }), "holds a secret"),
        ("capability_block", json!({ "packages": { "gem": ["x"] }, "reason": "x" }), "schema"),
        ("capability_block", json!({ "packages": {}, "reason": "x" }), "no package"),
        ("git_block", json!({ "remote": "app", "commits": ["a"], "reason": "x" }), "no git remote `app`"),
        ("proposal_status", json!({ "id": "\u{1b}[31m" }), "no proposal `\\u{1b}[31m`"),
        ("rm", json!({}), "no tool `rm`"),
    ] {
        let (failed, said) = call(&gate, tool, arguments.clone()).await;
        assert!(failed && said.contains(why), "{arguments}: {said}");
        assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}') && !said.contains(TOKEN), "{said:?}");
    }
    // Nothing of it is in the trail; and what is, is inert.
    let reason = format!("\u{1b}]0;x\u{7}\u{202e}line\nline {TOKEN}");
    let withheld =
        waiting(&gate, "egress_block", json!({ "url": "https://b.test/1", "reason": reason }), Value::Null).await;
    assert_eq!(event(&mut gate).await, proposed(&get("b.test", "/1"), "(withheld)"));
    let reason = "\u{1b}]0;x\u{7}\u{202e}line\nline";
    let url = "https://xn--bnk-6cd.test:8443/a%20b";
    let escaped = waiting(&gate, "egress_block", json!({ "url": url, "reason": reason }), Value::Null).await;
    let (host, path) = ("xn--bnk-6cd.test".to_owned(), "/a%20b".to_owned());
    let change = Change::Egress { host, port: 8443, method: "GET".to_owned(), path };
    assert_eq!(event(&mut gate).await, proposed(&change, "\\u{1b}]0;x\\u{7}\\u{202e}line\\u{a}line"));
    withheld.abort();
    escaped.abort();
}

#[tokio::test]
async fn hostile_messages_are_refused_and_the_server_goes_on() {
    let origin = Origin::start(&["a.test"]).await;
    let gate = proposing(&origin).await;
    let list = message("tools/list", json!({}));
    let deep = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\",\"params\":{}{}}}",
        "[".repeat(9000),
        "]".repeat(9000)
    );
    for (body, headers, wanted) in [
        ("{".to_owned(), &[][..], 400..500),
        (String::new(), &[], 400..500),
        ("null".to_owned(), &[], 400..500),
        ("[]".to_owned(), &[], 400..500),
        (format!("[{list},{list}]"), &[], 400..500),
        ("\u{0}\u{1b}".to_owned(), &[], 400..500),
        (deep, &[], 400..500),
        (format!("{list}{}", " ".repeat(64 * 1024)), &[], 413..414),
        (list.clone(), &[("accept", "application/json")], 406..407),
        (list.clone(), &[("content-type", "text/plain")], 415..416),
        (list.clone(), &[("mcp-protocol-version", "1999-01-01")], 400..401),
        (list.clone(), &[("host", "localhost")], 403..404),
        (list.clone(), &[("origin", "https://elsewhere.test")], 403..404),
    ] {
        let (status, said) = post(&gate, body.clone(), headers).await;
        assert!(wanted.contains(&status), "{} {headers:?}: {status} {said}", &body[..body.len().min(80)]);
    }
    for method in ["tools/none", "resources/list", "\u{1b}"] {
        assert!(ask_mcp(&gate, method, json!({})).await["error"].is_object(), "{method}");
    }
    // There are no sessions: one that is named need not be known.
    assert_eq!(post(&gate, list, &[("mcp-session-id", "gone")]).await.0, 200);
    for (line, wanted) in [
        ("GET supervise.bottle /mcp", 405),
        ("DELETE supervise.bottle /mcp", 405),
        ("GET supervise.bottle /", 200),
        ("POST supervise.bottle /", 405),
        ("GET supervise.bottle /x", 404),
    ] {
        let mut sender = converse(gate.connect("supervise.bottle:80").await).await;
        let response = sender.send_request(ask(line, &[("accept", "text/event-stream")])).await.unwrap();
        assert_eq!((response.status().as_u16(), mark(&response)), (wanted, "supervise"), "{line}");
    }
}

/// What is no call of a tool by its form proposes nothing, whatever it looks like.
#[tokio::test]
async fn messages_that_are_almost_a_call_propose_nothing() {
    let origin = Origin::start(&["a.test"]).await;
    let gate = proposing(&origin).await;
    let call = json!({ "name": "egress_block", "arguments": { "url": "https://b.test/x", "reason": "x" } });
    let whole = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call });
    let with = |key: &str, value: Value| {
        let mut message = whole.clone();
        message[key] = value;
        message.to_string().into_bytes()
    };
    let without = |key: &str| {
        let mut message = whole.clone();
        message.as_object_mut().unwrap().remove(key);
        message.to_string().into_bytes()
    };
    let keys: String = (0..4000).map(|number| format!("\"{number}\":{{}},")).collect();
    let arguments = |arguments: Value| with("params", json!({ "name": "egress_block", "arguments": arguments }));
    for body in [
        with("jsonrpc", json!("1.0")),
        with("jsonrpc", json!(2.0)),
        without("jsonrpc"),
        without("id"),
        with("id", Value::Null),
        with("id", json!({ "a": 1 })),
        with("method", json!(["tools/call"])),
        with("method", json!("tools/call\u{0}")),
        with("method", json!("Tools/Call")),
        without("method"),
        without("params"),
        with("params", json!([call])),
        with("params", json!(call.to_string())),
        with("params", json!({ "name": ["egress_block"], "arguments": call["arguments"] })),
        arguments(json!([call["arguments"]])),
        arguments(json!(call["arguments"].to_string())),
        arguments(Value::Null),
        arguments(json!({ "url": { "https://b.test/x": 1 }, "reason": "x" })),
        with("result", json!({})),
        format!("{whole}{whole}").into_bytes(),
        format!("{whole}\n]").into_bytes(),
        whole.to_string().replace("tools/call", "tools/call\u{fffd}").replace('\u{fffd}', "\"").into_bytes(),
        [whole.to_string().into_bytes(), vec![0xff]].concat(),
        whole.to_string().encode_utf16().flat_map(u16::to_le_bytes).collect(),
        format!("{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{{{keys}\"name\":\"x\"}}}}")
            .into_bytes(),
        whole.to_string().replace("\"id\":7", &format!("\"id\":{}", "7".repeat(60_000))).into_bytes(),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        let (status, said) = post(&gate, body, &[]).await;
        let is_told = said.contains("\"error\":") || said.contains("\"isError\":true");
        assert!([202, 415].contains(&status) || (status == 200 && is_told), "{shown}: {status} {said}");
    }
    let (_, said) = self::call(&gate, "proposal_status", json!({})).await;
    assert_eq!(said, "nothing was proposed so far");
}

/// Clients that send half a message, or vanish with one, keep nobody from being answered.
#[tokio::test]
async fn clients_that_stop_in_a_message_hold_up_no_other() {
    let origin = Origin::start(&["a.test"]).await;
    let gate = proposing(&origin).await;
    let mut stuck = Vec::new();
    for number in 0..200 {
        let mut stream = gate.connect("supervise.bottle:80").await;
        let head = "POST /mcp HTTP/1.1\r\nhost: supervise.bottle\r\ncontent-type: application/json\r\n\
            accept: application/json, text/event-stream\r\ncontent-length: 500\r\n\r\n{\"jsonrpc\":";
        stream.write_all(head.as_bytes()).await.unwrap();
        if number % 2 == 0 {
            stuck.push(stream);
        }
    }
    for _ in 0..50 {
        let answer = ask_mcp(&gate, "tools/list", json!({})).await;
        assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), 5);
    }
    drop(stuck);
}

#[tokio::test]
async fn a_client_that_is_gone_leaves_its_proposal() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let mut gate = proposing(&origin).await;
    let asked = waiting(&gate, "egress_block", block("/x"), Value::Null).await;
    assert_eq!(event(&mut gate).await, proposed(&get("b.test", "/x"), "for the test"));
    asked.abort();
    let (_, said) = call(&gate, "proposal_status", json!({})).await;
    assert!(said.contains("/x: pending"), "{said}");
    let reload = Some((&origin, json!([least(&origin, "b.test", "/x")])));
    assert_eq!(decide(&gate, &get("b.test", "/x"), "approved", reload).0, 0);
    assert_eq!(curl(&gate, "GET b.test /x").await.await.unwrap().0, 200);
}

#[tokio::test]
async fn a_thousand_clients_make_as_many_proposals_as_may_wait() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let gate = proposing(&origin).await;
    let mut asked = Vec::new();
    for n in 0..900 {
        asked.push(waiting(&gate, "egress_block", block(&format!("/{n}")), Value::Null).await);
    }
    let mut full = 0;
    while full < 900 - 64 {
        let (done, rest): (Vec<_>, Vec<_>) = asked.into_iter().partition(JoinHandle::is_finished);
        asked = rest;
        for done in done {
            let said = done.await.unwrap();
            assert!(said.contains("64 proposals wait for the operator already"), "{said}");
            full += 1;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(asked.len(), 64);
    let (_, said) = call(&gate, "proposal_status", json!({})).await;
    assert_eq!(said.lines().count(), 64);
    // As many calls wait as may: a further one for the same change is answered at once.
    let (failed, said) = call(&gate, "egress_block", block("/0")).await;
    assert!(!failed && said.starts_with("pending: proposal "), "{said}");
    asked.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn an_agent_without_supervise_is_told_of_none() {
    let origin = Origin::start(&["a.test"]).await;
    let bare = Gate::start(&origin, json!([route(&origin, "a.test", json!({}))])).await;
    let supervised = proposing(&origin).await;
    for (gate, wanted) in [(&bare, false), (&supervised, true)] {
        let mut sender = converse(gate.connect("gate.bottle:80").await).await;
        for accept in ["text/plain", "application/json"] {
            let said = text(sender.send_request(ask("GET gate.bottle /", &[("accept", accept)])).await.unwrap()).await;
            assert_eq!(said.contains("http://supervise.bottle/mcp"), wanted, "{said}");
        }
        let said = curl(gate, "GET b.test /").await.await.unwrap().1;
        assert_eq!(said.contains("supervise.bottle"), wanted, "{said}");
    }
    let mut sender = converse(bare.connect("supervise.bottle:80").await).await;
    let response = sender.send_request(ask("GET supervise.bottle /", &[])).await.unwrap();
    assert_eq!(response.status(), 403);
}
