//! Looks for hidden instructions in an answer while it passes. An answer that cannot be read passes on a route that only
//! warns of instructions, and does not pass on one that blocks them.

use crate::egress::inspect::plain_view::PlainView;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use policy::{Denial, Inspect, Reason};
use scan::answers::{Instructions, Kind};

/// Why an answer does not pass that must be read.
pub const UNREADABLE: &str = "the answer is encoded in a way that cannot be read";

pub struct InstructionWatch {
    instructions: Instructions,
    pub plain: PlainView,
    pub inspect: Inspect,
    /// Should the answer's head wait for the beginning of its body? Not for a stream of events, which must arrive as they
    /// happen.
    pub delays_head: bool,
}

impl InstructionWatch {
    /// `None`: nothing is looked for in this answer. The error says why the answer does not pass.
    pub fn new(inspect: Inspect, path: &str, headers: &HeaderMap) -> Result<Option<InstructionWatch>, String> {
        if inspect == Inspect::Off {
            return Ok(None);
        }
        let content_type = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
        let Some(kind) = Kind::of(content_type, path) else { return Ok(None) };
        let plain = match PlainView::of(headers) {
            Some(plain) => plain,
            None if inspect == Inspect::Block => return Err(UNREADABLE.to_owned()),
            None => return Ok(None),
        };
        let delays_head = inspect == Inspect::Block && kind != Kind::Events;
        Ok(Some(InstructionWatch { instructions: Instructions::new(kind), plain, inspect, delays_head }))
    }

    /// Is the rest of the answer of no interest?
    pub fn is_done(&self) -> bool {
        self.instructions.is_done()
    }

    /// What was found in `bytes` and what came before, if anything. The error says why the answer does not pass. `made`: raised
    /// by the bytes that were decoded.
    pub fn push(&mut self, bytes: &[u8], made: &mut usize) -> Result<Option<&'static str>, String> {
        let found = match self.plain.push(bytes, made) {
            Ok(plain) => self.instructions.push(&plain),
            Err(broken) if self.inspect == Inspect::Block => return Err(broken.0.to_owned()),
            Err(_) => self.finish(),
        };
        if self.is_done() {
            self.plain.stop_decoding();
        }
        Ok(found)
    }

    /// The answer is complete: what was found at its end, if anything.
    pub fn finish(&mut self) -> Option<&'static str> {
        let rest = self.plain.finish();
        self.instructions.push(&rest).or_else(|| self.instructions.finish())
    }
}

/// What the agent gets in place of an answer that holds instructions.
pub fn refusal(sign: &str) -> Denial {
    Denial::new(Reason::Answer, format!("the answer holds {sign}, and its route does not let that through"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{CONTENT_ENCODING, HeaderValue};

    #[test]
    fn events_and_downloads_are_not_waited_for() {
        let watch = |inspect, said: &'static str, encoding: &'static str| {
            let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(said))]);
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
            InstructionWatch::new(inspect, "/", &headers).map(|watch| watch.map(|watch| watch.delays_head))
        };
        assert_eq!(watch(Inspect::Block, "text/html", "gzip"), Ok(Some(true)));
        assert_eq!(watch(Inspect::Block, "text/event-stream", "identity"), Ok(Some(false)));
        assert_eq!(watch(Inspect::Warn, "text/html", "gzip"), Ok(Some(false)));
        for (inspect, said, encoding) in [
            (Inspect::Off, "text/html", "gzip"),
            (Inspect::Block, "image/png", "rot13"),
            (Inspect::Warn, "text/html", "rot13"),
        ] {
            assert_eq!(watch(inspect, said, encoding), Ok(None), "{said}");
        }
        assert!(watch(Inspect::Block, "text/html", "rot13").is_err());
    }
}
