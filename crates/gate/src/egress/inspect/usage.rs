//! Reads the tokens that an answer of the model's says were used, while it passes. It changes nothing of the answer: one that
//! cannot be read tells nothing.

use crate::egress::inspect::headers::encodings;
use crate::egress::live::allowed::AllowedRequest;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Method};
use policy::Role;
use scan::codec::Decoder;
use scan::messages::{Framing, UsageReader};
use wire::TokenUsage;

pub struct UsageWatch {
    reader: UsageReader,
    /// `None`: what is pushed is not encoded.
    decoder: Option<Decoder>,
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
        let decoder = Decoder::new(&encodings(headers))?;
        let decoder = (!decoder.is_identity()).then_some(decoder);
        Some(UsageWatch { reader: UsageReader::new(framing), decoder })
    }

    /// What is pushed from now on was decoded by the caller.
    pub fn expect_decoded(&mut self) {
        self.decoder = None;
    }

    /// Is what is pushed decoded here?
    pub fn decodes(&self) -> bool {
        self.decoder.is_some()
    }

    /// Memory that the decoder's windows take.
    pub fn window_bytes(&self) -> usize {
        self.decoder.as_ref().map_or(0, Decoder::window_bytes)
    }

    /// Returns the bytes that were decoded; `None` where the rest cannot be decoded.
    pub fn push(&mut self, bytes: &[u8]) -> Option<usize> {
        let Some(decoder) = &mut self.decoder else {
            self.reader.push(bytes);
            return Some(0);
        };
        let mut decoded = Vec::new();
        decoder.push(bytes, &mut decoded).ok()?;
        self.reader.push(&decoded);
        Some(decoded.len())
    }

    /// The answer is complete.
    pub fn finish(&mut self) {
        let mut rest = Vec::new();
        // What was cut off says what it says until there.
        if self.decoder.as_mut().is_some_and(|decoder| decoder.finish(&mut rest).is_ok()) {
            self.reader.push(&rest);
        }
    }

    pub fn tokens(&self) -> Option<TokenUsage> {
        self.reader.usage()
    }
}
