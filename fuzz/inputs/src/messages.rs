//! A request's body to the model, and where it is cut. What passes is what another parser reads, too, and nothing in it
//! makes the model's servers act; no input panics.

use scan::messages::Messages;
use serde_json::Value;

pub fn run(input: &[u8]) {
    let Some((cut, body)) = input.split_first() else { return };
    let judge = |parts: &[&[u8]]| {
        let mut messages = Messages::new(&[]);
        parts.iter().try_for_each(|part| messages.push(part)).and_then(|()| messages.finish())
    };
    let verdict = judge(&[body]);
    let (a, b) = body.split_at(usize::from(*cut).min(body.len()));
    let pieces: Vec<&[u8]> = body.chunks(1).collect();
    for parts in [&[a, b][..], &pieces] {
        // Which of two faults is found first, and so the text, may depend on the parts.
        assert_eq!(judge(parts).is_ok(), verdict.is_ok(), "not the same in parts: {verdict:?}");
    }
    if verdict.is_ok() {
        // The other parser does not read every depth and every number; such bodies are not compared.
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            assert!(value.is_object() && !acts(&value), "it passes");
        }
    }
}

/// Does a body make the model's servers act, by what the API documents?
fn acts(body: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let servers = body.get("mcp_servers").is_some_and(|servers| !servers.is_null() && servers != &Value::Array(vec![]));
    let container = body.get("container").is_some_and(|container| !container.is_null());
    let tools = body.get("tools").and_then(Value::as_array).into_iter().flatten().any(|tool| {
        let kind = text(&tool["type"]);
        ["web_fetch", "code_execution", "mcp_", "tool_search"].iter().any(|server| kind.starts_with(server))
    });
    let blocks =
        body.get("messages").and_then(Value::as_array).into_iter().flatten().any(|turn| fetches(&turn["content"]));
    servers || container || tools || blocks
}

fn fetches(content: &Value) -> bool {
    content.as_array().into_iter().flatten().any(|block| {
        let kind = &block["source"]["type"];
        kind == "url" || kind == "file" || block["type"] == "container_upload" || fetches(&block["content"])
    })
}
