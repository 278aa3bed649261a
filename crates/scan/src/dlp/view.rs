//! One way to read a text that gives a text again: a decoder, and the scanner of what it makes.

use super::base32_runs::Base32Runs;
use super::dump::DumpReader;
use super::encoded_lines::EncodedLines;
use super::encoded_runs::HexRuns;
use super::number_runs::NumberRuns;
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
    /// Decoded by the scanner, for all views of base64 at once.
    Base64,
    Base32(Base32Runs),
    Hex(HexRuns),
    Dump(DumpReader),
    Lines(EncodedLines),
    Numbers(NumberRuns),
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
            ViewDecoder::Base32(base32) => base32.push(bytes, into),
            ViewDecoder::Hex(hex) => hex.push(bytes, into),
            ViewDecoder::Dump(dump) => dump.push(bytes, into),
            ViewDecoder::Lines(lines) => lines.push(bytes, into),
            ViewDecoder::Numbers(numbers) => numbers.push(bytes, into),
        }
        !into.is_empty()
    }

    /// The text has ended: appends what was undecided. True: it was encoded.
    pub fn finish(&mut self, into: &mut Vec<u8>) -> bool {
        match self {
            ViewDecoder::Escapes(unescaper) => {
                unescaper.finish(into);
                return false;
            }
            ViewDecoder::Base64 | ViewDecoder::Hex(_) => {}
            ViewDecoder::Base32(base32) => base32.finish(into),
            ViewDecoder::Dump(dump) => dump.finish(into),
            ViewDecoder::Lines(lines) => lines.finish(into),
            ViewDecoder::Numbers(numbers) => numbers.finish(into),
        }
        !into.is_empty()
    }
}
