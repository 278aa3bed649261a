//! Filters for the messages that an upstream sends: each message is filtered like the body of an answer of its own.

use crate::egress::inspect::answer::AnswerFilter;
use crate::egress::live::allowed::AllowedRequest;
use hyper::http::response;

pub struct MessageFilters {
    allowed: AllowedRequest,
    /// The upstream's answer to the request for the WebSocket, with the headers that the agent gets.
    head: response::Parts,
}

impl MessageFilters {
    pub fn new(allowed: AllowedRequest, head: response::Parts) -> MessageFilters {
        MessageFilters { allowed, head }
    }

    /// The filter of one message. The error says why no message may pass.
    pub fn for_message(&self) -> Result<AnswerFilter, String> {
        AnswerFilter::new("GET", &self.allowed, &mut self.head.clone()).map_err(|unpassable| unpassable.why)
    }
}
