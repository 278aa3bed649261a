//! An answer as it reads without its encoding, for what only looks at it while it passes.

use crate::egress::inspect::headers::encodings;
use hyper::HeaderMap;
use scan::codec::{Broken, Decoder};
use std::borrow::Cow;

pub struct PlainView {
    /// `None`: what is pushed is not encoded.
    decoder: Option<Decoder>,
}

impl PlainView {
    /// `None`: the answer is encoded in a way that is not known.
    pub fn of(headers: &HeaderMap) -> Option<PlainView> {
        let decoder = Decoder::new(&encodings(headers))?;
        Some(PlainView { decoder: (!decoder.is_identity()).then_some(decoder) })
    }

    /// What is pushed from now on was decoded by the caller, or is not looked at.
    pub fn stop_decoding(&mut self) {
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

    /// The plain text of more of the answer. `made`: raised by the bytes that were decoded.
    pub fn push<'a>(&mut self, bytes: &'a [u8], made: &mut usize) -> Result<Cow<'a, [u8]>, Broken> {
        let Some(decoder) = &mut self.decoder else { return Ok(Cow::Borrowed(bytes)) };
        let mut plain = Vec::new();
        let pushed = decoder.push(bytes, &mut plain);
        *made += plain.len();
        pushed.map(|()| Cow::Owned(plain))
    }

    /// The answer is complete: the rest of its plain text. One that was cut off is cut off for its reader as well.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        if let Some(decoder) = &mut self.decoder {
            let _ = decoder.finish(&mut rest);
        }
        rest
    }
}
