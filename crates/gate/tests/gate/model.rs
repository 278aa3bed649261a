//! The model's host: what would make its servers act is refused in its own words, and never reaches it whole.

use super::*;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use wire::TokenUsage;

/// An upstream that takes whatever comes, and tells each connection's bytes when it ends.
async fn listener() -> (SocketAddr, UnboundedReceiver<Vec<u8>>) {
    let listener = listen().await;
    let address = listener.local_addr().unwrap();
    let (tell, told) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                let _ = stream.read_to_end(&mut bytes).await;
                let _ = tell.send(bytes);
            });
        }
    });
    (address, told)
}

fn claude(connect_to: &str, more: Value) -> Value {
    let mut route = json!({
        "host": "model.test", "private": true, "connect_to": connect_to, "role": "claude", "methods": ["POST"],
        "inspect_responses": "off", "auth": { "scheme": "bearer", "token": "tok" },
    });
    route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    route
}

fn post(path: &str, parts: &[&str]) -> Request<Payload> {
    let parts: Vec<Bytes> = parts.iter().map(|part| Bytes::copy_from_slice(part.as_bytes())).collect();
    let (send, receive) = tokio::sync::mpsc::channel(4);
    tokio::spawn(async move {
        for part in parts {
            let _ = send.send(Frame::data(part)).await;
        }
    });
    let request = Request::builder().method("POST").uri(path).header("host", "model.test");
    request.header("content-type", "application/json").body(frames(receive)).unwrap()
}

/// As Claude Code writes them: betas, cached parts, tools with schemas, thinking, pictures and results of tools.
fn session() -> String {
    json!({
        "model": "m", "max_tokens": 32000, "stream": true, "temperature": 1,
        "thinking": { "type": "enabled", "budget_tokens": 31999 },
        "tool_choice": { "type": "auto" }, "output_config": { "effort": "high" },
        "context_management": { "edits": [{ "type": "clear_thinking_20251015", "keep": "all" }] },
        "system": [{ "type": "text", "text": "You are an agent.", "cache_control": { "type": "ephemeral", "ttl": "1h" } }],
        "metadata": { "user_id": "user_0_account__session_1" },
        "tools": [
            { "name": "Bash", "description": "Runs a command", "input_schema": { "type": "object", "properties": {
                "container": { "type": "string" }, "mcp_servers": { "type": "array" } }, "required": ["command"] } },
            { "name": "ToolSearch", "description": "x", "input_schema": { "type": "object" }, "defer_loading": true },
            { "name": "mcp__docs__fetch", "description": "web_fetch", "input_schema": { "type": "object" } },
            { "type": "web_search_20250305", "name": "web_search", "max_uses": 8, "allowed_domains": ["docs.rs"] },
        ],
        "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "say {\"mcp_servers\":[{\"type\":\"url\"}]} \u{1f600}" },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo=" } },
                { "type": "document", "source": { "type": "base64", "media_type": "application/pdf", "data": "JVBERi0=" } },
            ] },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "hm", "signature": "c2ln" },
                { "type": "redacted_thinking", "data": "ZGF0YQ==" },
                { "type": "server_tool_use", "id": "s", "name": "web_search", "input": { "query": "x" } },
                { "type": "web_search_tool_result", "tool_use_id": "s", "content": [
                    { "type": "web_search_result", "url": "https://docs.rs", "title": "t", "encrypted_content": "x" }] },
                { "type": "tool_use", "id": "t", "name": "Write", "input": { "source": { "type": "url", "url": "x" } } },
            ] },
            { "role": "system", "content": [
                { "type": "tool_removal", "tool": { "type": "tool_reference", "name": "Bash" } },
                { "type": "tool_addition", "tool": { "type": "tool_definition", "definition": {
                    "name": "mcp__docs__read", "input_schema": { "type": "object" } } } }], "output_config": { "effort": "low" } },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "t", "is_error": true, "content": "container_upload" },
                { "type": "tool_result", "tool_use_id": "u", "content": [
                    { "type": "tool_reference", "tool_name": "mcp__docs__fetch" },
                    { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAAA" } }] },
            ] },
        ],
    })
    .to_string()
}

#[tokio::test]
async fn what_a_session_sends_arrives_whole() {
    let origin = Origin::start(&["model.test"]).await;
    let mut gate = Gate::start(&origin, json!([claude(&origin.tls.to_string(), json!({}))])).await;
    let mut sender = gate.https("model.test").await;
    let session = session();
    let (a, b) = session.split_at(session.len() / 2);
    for path in ["/v1/messages?beta=true", "/v1/messages/count_tokens?beta=true"] {
        for parts in [&[&*session][..], &[a, b], &[a, &b[..b.len() - 1], "}", "\n"]] {
            let told = told(sender.send_request(post(path, parts)).await.unwrap()).await;
            assert_eq!(told["length"], parts.concat().len());
            assert_eq!(told["headers"]["authorization"], format!("Bearer {ARRIVED}"));
            assert_eq!(gate.audit().await.verdict, Outcome::Allow);
        }
    }
}

#[tokio::test]
async fn what_makes_its_servers_act_is_refused_in_its_own_words() {
    let (address, mut told) = listener().await;
    let origin = Origin::start(&["model.test"]).await;
    let mut gate = Gate::start(&origin, json!([claude(&format!("http://{address}"), json!({}))])).await;
    let long = "x".repeat(100_000);
    for (body, why) in [
        (r#"{"mcp_servers":[{"type":"url","url":"https://x.example"}],"messages":[]}"#, "mcp_servers"),
        (r#"{"messages":[],"\u006dcp_servers":[{"type":"url","url":"https://x.example"}]}"#, "mcp_servers"),
        (r#"{"messages":[],"metadata":"@","container":"c"}"#, "container"),
        (r#"{"messages":[],"metadata":"@","fetch":"https://x.example"}"#, "by `fetch` in `server_tools`"),
        (r#"{"messages":[{"role":"user","content":[{"type":"image","source":{"url":"https://x"}}]}]}"#, "url"),
        (r#"{"messages":[{"role":"user","content":[{"type":"remote_file","id":"x"}]}]}"#, "remote_file"),
        (r#"{"messages":[],"betas":["mcp-client-2025-11-20"]}"#, "mcp-client-2025-11-20"),
        (r#"{"messages":[],"metadata":"@","tools":[{"type":"web_fetch_20250910","name":"web_fetch"}]}"#, "web_fetch"),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://x"}}]}]}"#,
            "url",
        ),
        (r#"{"messages":[],"tools":[],"tools":[{"type":"code_execution_20250825"}]}"#, "twice"),
        ("{\"messages\":[]} {\"mcp_servers\":[1]}", "follows"),
        ("\u{feff}{\"messages\":[]}", "JSON"),
        ("{\"messages\":[]", "too early"),
    ] {
        let body = body.replace('@', &long);
        let (a, b) = body.split_at(if body.is_char_boundary(body.len() / 2) { body.len() / 2 } else { 3 });
        for parts in [&[&*body][..], &[a, b], &[a, &b[..b.len() - 1], &b[b.len() - 1..]]] {
            let mut sender = gate.https("model.test").await;
            let response = sender.send_request(post("/v1/messages?beta=true", parts)).await.unwrap();
            assert_eq!(
                (response.status(), mark(&response)),
                (StatusCode::BAD_REQUEST, "denied; reason=model"),
                "{why}"
            );
            let error: Value = serde_json::from_str(&text(response).await).unwrap();
            assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!("invalid_request_error")));
            let message = error["error"]["message"].as_str().unwrap();
            assert!(message.starts_with("claude-bottle: refused: ") && message.contains(why), "{message}");
            gate.refused(why).await;
            drop(sender);
            // What did leave, if anything, is no request: its body is not at its end, and what came is less than the text.
            let seen = within("its connection ends", told.recv()).await.unwrap();
            let seen = String::from_utf8_lossy(&seen).into_owned();
            assert!(seen.is_empty() || seen.starts_with("POST /v1/messages?beta=true "), "{why}: {seen}");
            assert!(!seen.ends_with("0\r\n\r\n"), "{why}: a whole request");
            let text: String =
                seen.split("\r\n").skip_while(|line| !line.is_empty()).skip(1).skip(1).step_by(2).collect();
            assert!(body.starts_with(&text), "{why}: {text}");
            assert!(text.len() < body.len(), "{why}: a whole text");
        }
    }
    // By name, it may.
    let mut gate =
        Gate::start(&origin, json!([claude(&origin.tls.to_string(), json!({ "server_tools": ["web_fetch"] }))])).await;
    let mut sender = gate.https("model.test").await;
    let body = r#"{"messages":[],"tools":[{"type":"web_fetch_20250910","name":"web_fetch"}]}"#;
    assert_eq!(sender.send_request(post("/v1/messages", &[body])).await.unwrap().status(), 200);
    gate.audit().await;
    for (beta, status) in
        [("web-fetch-2025-09-10", 200), ("effort-2025-11-24", 200), ("effort-2025-11-24,mcp-client-2025-11-20", 400)]
    {
        let mut request = post("/v1/messages", &[body]);
        request.headers_mut().append("anthropic-beta", "claude-code-20250219".parse().unwrap());
        request.headers_mut().append("anthropic-beta", beta.parse().unwrap());
        let mut sender = gate.https("model.test").await;
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), status, "{beta}");
        if status == 400 {
            let said = text(response).await;
            assert!(said.contains("mcp-client-2025-11-20") && said.contains("invalid_request_error"), "{said}");
        }
        gate.audit().await;
    }
    // Some servers read `_` as `-`.
    for name in ["anthropic_beta", "Anthropic_Beta", "anthropic.beta", "content_encoding"] {
        let mut request = post("/v1/messages", &[body]);
        request.headers_mut().insert(
            hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap(),
            "mcp-client-2025-04-04".parse().unwrap(),
        );
        let response = gate.https("model.test").await.send_request(request).await.unwrap();
        assert_eq!((response.status().as_u16(), mark(&response)), (400, "denied; reason=malformed"), "{name}");
        gate.audit().await;
    }
    let packed = post("/v1/messages", &[body]);
    let (mut head, body) = packed.into_parts();
    head.headers.insert("content-encoding", "gzip".parse().unwrap());
    let response = sender.send_request(Request::from_parts(head, body)).await.unwrap();
    assert_eq!((response.status(), mark(&response)), (StatusCode::BAD_REQUEST, "denied; reason=model"));
}

/// An upstream that answers every request with this head and body, and ends.
async fn answering(head: String, body: Vec<u8>) -> SocketAddr {
    let listener = listen().await;
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer =
                [format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{head}\r\n").into_bytes(), body.clone()].concat();
            tokio::spawn(async move {
                let mut seen = Vec::new();
                // The requests of the test have a body in chunks.
                while !seen.ends_with(b"0\r\n\r\n") && stream.read_buf(&mut seen).await.unwrap_or_default() > 0 {}
                let _ = stream.write_all(&answer).await;
            });
        }
    });
    address
}

/// Whether its answer is encoded, has a length, or is decoded for the search of a credential.
#[tokio::test]
async fn what_its_answers_say_they_used_is_told() {
    let events = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":12,",
        "\"cache_creation_input_tokens\":300,\"cache_read_input_tokens\":4000,\"output_tokens\":1}}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":55}}\n\n",
    );
    let message =
        r#"{"type":"message","content":[{"usage":{"output_tokens":9}}],"usage":{"input_tokens":3,"output_tokens":4}}"#;
    let streamed = Some(TokenUsage { input: 312, cached: 4000, output: 55 });
    let whole = Some(TokenUsage { input: 3, cached: 0, output: 4 });
    let (stream, json) = ("text/event-stream; charset=utf-8", "application/json");
    for (kind, text, tokens) in [(stream, events, streamed), (json, message, whole), ("text/plain", message, None)] {
        for is_encoded in [false, true] {
            for has_length in [false, true] {
                let body =
                    if is_encoded { testing::encodings::gzip(text.as_bytes()) } else { text.as_bytes().to_vec() };
                let mut head = format!("content-type: {kind}\r\n");
                if is_encoded {
                    head.push_str("content-encoding: gzip\r\n");
                }
                if has_length {
                    head.push_str(&format!("content-length: {}\r\n", body.len()));
                }
                let address = answering(head, body).await;
                let origin = Origin::start(&["model.test"]).await;
                for change in [json!({}), json!({ "auth": null }), json!({ "auth": null, "role": null })] {
                    let route = claude(&format!("http://{address}"), change.clone());
                    let mut gate = Gate::start(&origin, json!([route])).await;
                    let mut sender = gate.https("model.test").await;
                    let response = sender.send_request(post("/v1/messages", &["{\"messages\":[]}"])).await.unwrap();
                    let passed = response.into_body().collect().await.unwrap().to_bytes();
                    let tokens = tokens.filter(|_| change["role"] != Value::Null || change.get("role").is_none());
                    let case = format!("{kind} {is_encoded} {has_length} {change}");
                    assert_eq!(gate.audit().await.tokens, tokens, "{case}");
                    let unpacked = change.get("auth").is_none() || !is_encoded;
                    assert!(!unpacked || passed == text.as_bytes(), "{case}: as it was");
                }
            }
        }
    }
}
