//! The test's own port: what was asked, what to say next, what to let go on.
//!
//! `GET /_requests[?least=N]` waits for N requests and lists all; `DELETE /_requests` forgets them; `PUT /_script`
//! begins another script; `POST /_release/NAME` ends a hold.

use crate::reply::{self, Reply};
use crate::{Asked, Model};
use serde_json::json;
use std::sync::Arc;

pub async fn answer(model: Arc<Model>, asked: Asked) -> Reply {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/_requests") => {
            let least = asked.query.strip_prefix("least=").and_then(|least| least.parse().ok()).unwrap_or(0);
            reply::whole(200, "application/jsonl", model.recorder.lines(least).await.into())
        }
        ("DELETE", "/_requests") => {
            model.recorder.forget();
            reply::json(200, &json!({}))
        }
        ("PUT", "/_script") => match model.script.replace(&asked.body) {
            Ok(()) => reply::json(200, &json!({})),
            Err(e) => reply::error(400, "invalid_request_error", &e.to_string()),
        },
        ("POST", path) => match path.strip_prefix("/_release/") {
            Some(hold) => {
                model.script.release(hold);
                reply::json(200, &json!({}))
            }
            None => reply::error(404, "not_found_error", "no such control"),
        },
        _ => reply::error(404, "not_found_error", "no such control"),
    }
}
