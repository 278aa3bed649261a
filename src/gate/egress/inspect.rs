//! What requests and answers carry, looked at on its way: the one seam between what moves bytes and what reads them.

use super::{Egress, Passage};
use crate::messages::Messages;
use claude_bottle::policy::{Denial, Reason, Role};
use hyper::body::Bytes;
use hyper::header::CONTENT_ENCODING;
use hyper::http::{request, response};
use hyper::{HeaderMap, Method};

/// Looks at one request, from its head to its end. What it gives back may leave at once; never more bytes than it got, and
/// all of them by the end.
#[derive(Default)]
pub struct Inspector {
    model: Option<Model>,
}

impl Inspector {
    /// Looks at the head as the agent sent it.
    pub fn new(_egress: &Egress, _host: &str, passage: &Passage, head: &request::Parts) -> Result<Inspector, Denial> {
        let talks = passage.rule().role == Some(Role::Claude) && head.method == Method::POST;
        let model = talks.then(|| Model::new(passage, head)).transpose()?;
        Ok(Inspector { model })
    }

    pub fn push(&mut self, bytes: Bytes) -> Result<Bytes, Denial> {
        match &mut self.model {
            Some(model) => model.push(bytes),
            None => Ok(bytes),
        }
    }

    /// Looks without holding: what a WebSocket carries, frame by frame, on its way to the upstream.
    #[expect(dead_code, reason = "frames are not read yet")]
    pub fn watch(&mut self, _bytes: &[u8]) -> Result<(), Denial> {
        Ok(())
    }

    pub fn trailers(&mut self, _trailers: &HeaderMap) -> Result<(), Denial> {
        Ok(())
    }

    /// The body is whole: what was kept of it.
    pub fn finish(&mut self) -> Result<Bytes, Denial> {
        match &mut self.model {
            Some(model) => model.finish(),
            None => Ok(Bytes::new()),
        }
    }
}

/// A request to the model. Its last part is kept until all of it was read: the upstream never has a whole one that was
/// refused.
struct Model {
    messages: Messages,
    kept: Bytes,
}

impl Model {
    fn new(passage: &Passage, head: &request::Parts) -> Result<Model, Denial> {
        if head.headers.contains_key(CONTENT_ENCODING) {
            return Err(Denial::new(Reason::Model, "a compressed request to the model is not read"));
        }
        Ok(Model { messages: Messages::new(&passage.rule().server_tools), kept: Bytes::new() })
    }

    fn push(&mut self, bytes: Bytes) -> Result<Bytes, Denial> {
        self.messages.push(&bytes).map_err(refused)?;
        Ok(if bytes.is_empty() { bytes } else { std::mem::replace(&mut self.kept, bytes) })
    }

    fn finish(&mut self) -> Result<Bytes, Denial> {
        self.messages.finish().map_err(refused)?;
        Ok(std::mem::take(&mut self.kept))
    }
}

fn refused(why: String) -> Denial {
    Denial::new(Reason::Model, why)
}

/// Looks at one answer on its way to the agent. The error is why it ends here.
#[derive(Default)]
pub struct Filter {}

impl Filter {
    /// May change the head: what cannot keep its length says none.
    pub fn new(_egress: &Egress, _pass: &Passage, _head: &mut response::Parts) -> Filter {
        Filter {}
    }

    /// It lets everything pass as it is.
    pub fn is_still(&self) -> bool {
        true
    }

    pub fn push(&mut self, bytes: Bytes) -> Result<Bytes, String> {
        Ok(bytes)
    }

    /// What was kept.
    pub fn finish(&mut self) -> Result<Bytes, String> {
        Ok(Bytes::new())
    }
}
