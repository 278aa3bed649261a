//! `POST /v1/messages`: the script's turn in the API's own shapes, streamed or whole.
//!
//! A request without tools is one that Claude Code makes beside the conversation (a title, a probe): it gets a
//! fitting answer and uses up no turn.

use crate::reply::{self, Reply};
use crate::script::{Script, Turn};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(1);

pub async fn answer(script: &Arc<Script>, body: &[u8]) -> Reply {
    let Ok(request) = serde_json::from_slice::<Value>(body) else {
        return reply::error(400, "invalid_request_error", "the body is not JSON");
    };
    let turn = match request["tools"].as_array() {
        Some(tools) if !tools.is_empty() => script.turn(said(&request)),
        _ => Turn { text: beside(&request), ..Turn::default() },
    };
    if let Some(status) = turn.status {
        let kind = match status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        return reply::error(status, kind, "as scripted");
    }
    let message = message(&request, &turn);
    if request["stream"] != json!(true) {
        if let Some(hold) = &turn.hold {
            script.wait(hold).await;
        }
        return reply::json(200, &message);
    }
    let (sender, reply) = reply::stream("text/event-stream");
    let script = script.clone();
    tokio::spawn(async move {
        let (before, after) = events(&message);
        for event in before {
            let _ = sender.send(event).await;
        }
        if let Some(hold) = &turn.hold {
            script.wait(hold).await;
        }
        for event in after {
            let _ = sender.send(event).await;
        }
    });
    reply
}

/// How often the model has spoken in this conversation.
fn said(request: &Value) -> usize {
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    messages.iter().filter(|message| message["role"] == "assistant").count()
}

/// The answer to a request beside the conversation: what its schema asks for, else one word.
fn beside(request: &Value) -> String {
    let schema = &request["output_config"]["format"]["schema"];
    if schema.is_object() { fitting(schema).to_string() } else { "Scripted".into() }
}

/// The smallest value of a JSON schema's shape.
fn fitting(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|all| all.first()) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            Value::Object(
                properties.iter().map(|(name, schema)| (name.clone(), fitting(schema))).collect::<Map<_, _>>(),
            )
        }
        Some("array") => json!([]),
        Some("boolean") => json!(false),
        Some("number" | "integer") => json!(0),
        _ => json!("Scripted"),
    }
}

fn message(request: &Value, turn: &Turn) -> Value {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut content = Vec::new();
    if !turn.text.is_empty() || turn.tool.is_none() {
        content.push(json!({ "type": "text", "text": turn.text }));
    }
    if let Some(tool) = &turn.tool {
        let id = format!("toolu_scripted_{number:04}");
        content.push(json!({ "type": "tool_use", "id": id, "name": tool.name, "input": tool.input }));
    }
    json!({
        "id": format!("msg_scripted_{number:04}"), "type": "message", "role": "assistant", "model": request["model"],
        "content": content, "stop_reason": if turn.tool.is_some() { "tool_use" } else { "end_turn" },
        "stop_sequence": null,
        "usage": { "input_tokens": 10, "output_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0 },
    })
}

/// The events of a stream: up to the middle of the first block, and the rest.
fn events(message: &Value) -> (Vec<Bytes>, Vec<Bytes>) {
    let mut start = message.clone();
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    let mut before = vec![event("message_start", json!({ "message": start }))];
    let mut after = Vec::new();
    for (index, block) in message["content"].as_array().into_iter().flatten().enumerate() {
        let (empty, halves) = if block["type"] == "text" {
            let (first, second) = split(block["text"].as_str().unwrap_or_default());
            let delta = |text| json!({ "type": "text_delta", "text": text });
            (json!({ "type": "text", "text": "" }), [delta(first), delta(second)])
        } else {
            let input = block["input"].to_string();
            let (first, second) = split(&input);
            let delta = |text| json!({ "type": "input_json_delta", "partial_json": text });
            let mut empty = block.clone();
            empty["input"] = json!({});
            (empty, [delta(first), delta(second)])
        };
        let [first, second] =
            halves.map(|delta| event("content_block_delta", json!({ "index": index, "delta": delta })));
        let side = if index == 0 { &mut before } else { &mut after };
        side.push(event("content_block_start", json!({ "index": index, "content_block": empty })));
        side.push(first);
        after.push(second);
        after.push(event("content_block_stop", json!({ "index": index })));
    }
    let delta = json!({ "stop_reason": message["stop_reason"], "stop_sequence": null });
    after.push(event("message_delta", json!({ "delta": delta, "usage": { "output_tokens": 10 } })));
    after.push(event("message_stop", json!({})));
    (before, after)
}

fn event(kind: &str, mut data: Value) -> Bytes {
    data["type"] = json!(kind);
    format!("event: {kind}\ndata: {data}\n\n").into()
}

fn split(text: &str) -> (&str, &str) {
    let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    text.split_at(middle)
}
