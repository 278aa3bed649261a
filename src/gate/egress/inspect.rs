//! What requests and answers carry, looked at on its way: the one seam between what moves bytes and what reads them.

use super::{Egress, Passage};
use claude_bottle::policy::Denial;
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::http::{request, response};

/// Looks at one request, from its head to its end. What it gives back may leave at once; never more bytes than it got, and
/// all of them by the end.
#[derive(Default)]
pub struct Inspector {}

impl Inspector {
    /// Looks at the head as the agent sent it.
    pub fn new(_egress: &Egress, _host: &str, _pass: &Passage, _head: &request::Parts) -> Result<Inspector, Denial> {
        Ok(Inspector {})
    }

    pub fn push(&mut self, bytes: Bytes) -> Result<Bytes, Denial> {
        Ok(bytes)
    }

    /// Looks without holding: what a WebSocket carries, frame by frame, on its way to the upstream.
    pub fn watch(&mut self, _bytes: &[u8]) -> Result<(), Denial> {
        Ok(())
    }

    pub fn trailers(&mut self, _trailers: &HeaderMap) -> Result<(), Denial> {
        Ok(())
    }

    /// The body is whole: what was kept of it.
    pub fn finish(&mut self) -> Result<Bytes, Denial> {
        Ok(Bytes::new())
    }
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
