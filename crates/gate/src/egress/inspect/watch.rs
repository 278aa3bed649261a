//! An answer that is looked at for hidden instructions, beside its way to the agent. Where that is only told, an answer
//! that cannot be read passes; where it is refused, it does not.

use crate::egress::inspect::headers::encodings;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use policy::{Denial, Inspect, Reason};
use scan::answers::{Instructions, Kind};
use scan::codec::{Decoder, PART};

/// Why an answer does not pass that has to be read.
pub const UNREADABLE: &str = "the answer is encoded in a way that cannot be read";

pub struct Watch {
    instructions: Instructions,
    /// None: what it is shown is plain.
    decoder: Option<Decoder>,
    pub inspect: Inspect,
    /// Events are to arrive as they happen.
    pub waits: bool,
}

impl Watch {
    /// `None`: there is nothing to look for. The error is why the answer does not pass.
    pub fn new(inspect: Inspect, path: &str, headers: &HeaderMap) -> Result<Option<Watch>, String> {
        if inspect == Inspect::Off {
            return Ok(None);
        }
        let said = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
        let Some(kind) = Kind::of(said, path) else { return Ok(None) };
        let decoder = match Decoder::new(&encodings(headers)) {
            Some(decoder) => (!decoder.is_identity()).then_some(decoder),
            None if inspect == Inspect::Block => {
                return Err(UNREADABLE.to_owned());
            }
            None => return Ok(None),
        };
        let waits = inspect == Inspect::Block && kind != Kind::Events;
        Ok(Some(Watch { instructions: Instructions::new(kind), decoder, inspect, waits }))
    }

    /// It is shown what was decoded elsewhere.
    pub fn plain(&mut self) {
        self.decoder = None;
    }

    pub fn is_done(&self) -> bool {
        self.instructions.is_done()
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<&'static str>, String> {
        let Some(decoder) = &mut self.decoder else { return Ok(self.instructions.push(bytes)) };
        let mut plain = Vec::new();
        for part in bytes.chunks(8 * PART) {
            if self.instructions.is_done() {
                break;
            }
            if let Err(broken) = decoder.push(part, &mut plain) {
                return if self.inspect == Inspect::Block { Err(broken.0.to_owned()) } else { Ok(self.finish()) };
            }
            if let Some(sign) = self.instructions.push(&plain) {
                return Ok(Some(sign));
            }
            plain.clear();
        }
        Ok(None)
    }

    pub fn finish(&mut self) -> Option<&'static str> {
        let mut rest = Vec::new();
        if let Some(decoder) = &mut self.decoder {
            // Where it is cut, so it is for whoever reads it.
            let _ = decoder.finish(&mut rest);
        }
        self.instructions.push(&rest).or_else(|| self.instructions.finish())
    }
}

/// What the agent is told in place of such an answer.
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
            Watch::new(inspect, "/", &headers).map(|watch| watch.map(|watch| watch.waits))
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
