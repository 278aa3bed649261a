//! Reads the tokens that an answer of the model's says were used, while it passes. It changes nothing of the answer: one that
//! cannot be read tells nothing.

use crate::egress::inspect::plain_view::PlainView;
use crate::egress::live::allowed::AllowedRequest;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Method};
use policy::Role;
use scan::messages::{Framing, UsageReader};
use wire::TokenUsage;

pub struct UsageWatch {
    reader: UsageReader,
    pub plain: PlainView,
}

impl UsageWatch {
    /// `None`: the answer is not one of the model's to a message, or cannot be read.
    pub fn new(method: &str, allowed: &AllowedRequest, headers: &HeaderMap) -> Option<UsageWatch> {
        if allowed.rule().role != Some(Role::Claude) || method != Method::POST {
            return None;
        }
        let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let framing = match content_type.split(';').next()?.trim() {
            "application/json" => Framing::Json,
            "text/event-stream" => Framing::Events,
            _ => return None,
        };
        Some(UsageWatch { reader: UsageReader::new(framing), plain: PlainView::of(headers)? })
    }

    /// False where the rest cannot be decoded. `made`: raised by the bytes that were decoded.
    pub fn push(&mut self, bytes: &[u8], made: &mut usize) -> bool {
        self.plain.push(bytes, made).map(|plain| self.reader.push(&plain)).is_ok()
    }

    /// The answer is complete.
    pub fn finish(&mut self) {
        self.reader.push(&self.plain.finish());
    }

    pub fn tokens(&self) -> Option<TokenUsage> {
        self.reader.usage()
    }
}
