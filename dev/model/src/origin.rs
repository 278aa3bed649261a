//! Plain pages of an allowed host: a greeting, what the server was asked, many bytes, a stream of events.

use crate::Asked;
use crate::reply::{self, Reply};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// More than any test asks for at once.
const LARGEST: usize = 1 << 30;
const CHUNK: usize = 64 * 1024;

pub fn answer(asked: &Asked) -> Reply {
    match asked.path.as_str() {
        "/hello" => reply::whole(200, "text/plain", "hello\n".into()),
        "/echo" => {
            let headers: Map<String, Value> =
                asked.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            let body = String::from_utf8_lossy(&asked.body);
            reply::json(
                200,
                &json!({ "method": asked.method.as_str(), "query": asked.query, "headers": headers, "body": body }),
            )
        }
        "/sse" => events(),
        path => match path.strip_prefix("/bytes/").and_then(|count| count.parse().ok()) {
            Some(count) if count <= LARGEST => bytes(count),
            _ => reply::error(404, "not_found_error", "there is nothing here"),
        },
    }
}

/// Five events, each sent alone.
fn events() -> Reply {
    let (sender, reply) = reply::stream("text/event-stream");
    tokio::spawn(async move {
        for number in 1..=5 {
            let _ = sender.send(format!("data: {number}\n\n").into()).await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    });
    reply
}

fn bytes(count: usize) -> Reply {
    let (sender, mut reply) = reply::stream("application/octet-stream");
    reply.headers_mut().insert("content-length", count.into());
    tokio::spawn(async move {
        let chunk = Bytes::from(vec![b'x'; CHUNK]);
        let mut left = count;
        while left > 0 {
            let length = left.min(CHUNK);
            if sender.send(chunk.slice(..length)).await.is_err() {
                return;
            }
            left -= length;
        }
    });
    reply
}
