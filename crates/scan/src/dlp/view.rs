//! One way to read a text that gives a text again: a decoder, and the scanner of what it makes.

use super::dump::DumpReader;
use super::encoded_runs::HexRuns;
use super::text_scanner::TextScanner;
use super::unescape::Unescaper;

pub struct View {
    /// What the encoding is called, for the agent.
    pub how: &'static str,
    pub decoder: ViewDecoder,
    /// The end of its text, as long as nothing is scanned.
    pub before: Vec<u8>,
    /// Bytes that are still scanned, though nothing was decoded in them.
    pub awake: usize,
    /// `None`: nothing was decoded yet.
    pub scanner: Option<Box<TextScanner>>,
}

pub enum ViewDecoder {
    Escapes(Unescaper),
    /// Decoded for all views of base64 at once, by the scanner.
    Base64,
    Hex(HexRuns),
    Dump(DumpReader),
}

impl View {
    pub fn new(how: &'static str, decoder: ViewDecoder) -> View {
        View { how, decoder, before: Vec::new(), awake: 0, scanner: None }
    }
}

impl ViewDecoder {
    /// Appends the decoded text to `into`. True: something in these bytes was encoded.
    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> bool {
        match self {
            ViewDecoder::Escapes(unescaper) => return unescaper.push(bytes, into),
            ViewDecoder::Base64 => {}
            ViewDecoder::Hex(hex) => hex.push(bytes, into),
            ViewDecoder::Dump(dump) => dump.push(bytes, into),
        }
        !into.is_empty()
    }
}
