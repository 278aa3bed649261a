//! The shapes of an answer: whole, or a stream fed by a task.

use bytes::Bytes;
use hyper::Response;
use hyper::body::{Body, Frame, SizeHint};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

pub type Reply = Response<Stream>;

/// A body of chunks; it ends when the sender is dropped.
pub struct Stream(mpsc::Receiver<Bytes>, Option<u64>);

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn size_hint(&self) -> SizeHint {
        self.1.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

pub fn whole(status: u16, kind: &str, body: Bytes) -> Reply {
    let (sender, receiver) = mpsc::channel(1);
    let length = body.len() as u64;
    let _ = sender.try_send(body);
    build(status, kind, Stream(receiver, Some(length)))
}

pub fn json(status: u16, value: &Value) -> Reply {
    whole(status, "application/json", value.to_string().into())
}

/// An error as the Messages API shapes it.
pub fn error(status: u16, kind: &str, message: &str) -> Reply {
    json(status, &json!({ "type": "error", "error": { "type": kind, "message": message } }))
}

pub fn stream(kind: &str) -> (mpsc::Sender<Bytes>, Reply) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, build(200, kind, Stream(receiver, None)))
}

fn build(status: u16, kind: &str, body: Stream) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    if let Ok(kind) = kind.parse() {
        reply.headers_mut().insert("content-type", kind);
    }
    reply
}
