//! Filters for what an upstream sends through a WebSocket: each message, and the payload of each control frame, is filtered
//! like the body of an answer of its own.

use crate::egress::inspect::answer::AnswerFilter;
use crate::egress::live::allowed::AllowedRequest;
use hyper::http::response;
use scan::dlp::ValueSearch;

pub struct MessageFilters {
    allowed: AllowedRequest,
    /// The answer to the request for the WebSocket, filtered as the agent gets it.
    head: response::Parts,
}

impl MessageFilters {
    pub fn new(allowed: AllowedRequest, head: response::Parts) -> MessageFilters {
        MessageFilters { allowed, head }
    }

    /// The filter of one message, or of one control frame. The error says why no message may pass.
    pub fn for_message(&self) -> Result<AnswerFilter, String> {
        AnswerFilter::new("GET", &self.allowed, &mut self.head.clone()).map_err(|unpassable| unpassable.why)
    }

    /// The search of all control frames as one text, for a credential in pieces.
    pub fn across_control_frames(&self) -> Option<ValueSearch> {
        self.allowed.injection().map(|injection| ValueSearch::of_fields(injection.vault.clone()))
    }
}
