//! One answer's text, read as it streams for instructions that it hides: by its kind, up to [`MAX_READ_BYTES`].

use super::glyphs::Glyphs;
use super::html::{Html, Markup};
use super::json::Descriptions;
use super::plain::Plain;
use super::{Kind, Sign};

/// Bytes of an answer's text that are read. No agent reads more at once; what is behind them is not searched.
const MAX_READ_BYTES: usize = 8 << 20;
/// Bytes that have to come before the kind is decided.
const SNIFFED_BYTES: usize = 64;
/// Bytes of one event's data that are read; the rest of a longer event is not searched.
const MAX_EVENT_BYTES: usize = 1 << 20;

pub struct Instructions {
    glyphs: Glyphs,
    reader: TextReader,
    /// Bytes read.
    position: usize,
}

/// Reads one kind of text.
enum TextReader {
    /// The kind that the server says, and what came so far.
    Undecided(Kind, Vec<u8>),
    Html(Box<Html>),
    Plain(Box<Plain>),
    Json(Box<Descriptions>),
    Events(EventReader),
    /// Nothing to read, or nothing more.
    Done,
}

impl Instructions {
    pub fn new(kind: Kind) -> Instructions {
        Instructions { glyphs: Glyphs::default(), reader: TextReader::Undecided(kind, Vec::new()), position: 0 }
    }

    /// What comes next is not read.
    pub fn is_done(&self) -> bool {
        matches!(self.reader, TextReader::Done)
    }

    /// Reads more of the text. Gives the first sign, once.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Sign> {
        if let TextReader::Undecided(kind, start) = &mut self.reader {
            start.extend_from_slice(bytes);
            if start.len() < SNIFFED_BYTES {
                return None;
            }
            let (kind, start) = (*kind, std::mem::take(start));
            return self.begin(kind, &start);
        }
        self.read(bytes)
    }

    pub fn finish(&mut self) -> Option<Sign> {
        let begun = match &mut self.reader {
            TextReader::Undecided(kind, start) => {
                let (kind, start) = (*kind, std::mem::take(start));
                self.begin(kind, &start)
            }
            _ => None,
        };
        let sign = begun.or_else(|| self.glyphs.finish()).or_else(|| match &mut self.reader {
            TextReader::Html(html) => html.finish(),
            TextReader::Plain(plain) => plain.finish(),
            _ => None,
        });
        self.reader = TextReader::Done;
        sign
    }

    fn begin(&mut self, kind: Kind, start: &[u8]) -> Option<Sign> {
        self.reader = match kind.sniffed(start) {
            None => TextReader::Done,
            Some(Kind::Html) => TextReader::Html(Box::new(Html::new(Markup::Page))),
            Some(Kind::Json) => TextReader::Json(Box::new(Descriptions::new())),
            Some(Kind::Card) => TextReader::Json(Box::new(Descriptions::of_a_card())),
            Some(Kind::Events) => TextReader::Events(EventReader::default()),
            Some(Kind::Plain | Kind::Unknown) => TextReader::Plain(Box::new(Plain::new())),
        };
        self.read(start)
    }

    fn read(&mut self, bytes: &[u8]) -> Option<Sign> {
        let bytes = &bytes[..bytes.len().min(MAX_READ_BYTES - self.position)];
        if self.is_done() {
            return None;
        }
        self.position += bytes.len();
        let sign = self.glyphs.push(bytes).or_else(|| match &mut self.reader {
            TextReader::Html(html) => html.push(bytes),
            TextReader::Plain(plain) => plain.push(bytes),
            TextReader::Json(descriptions) => descriptions.push(bytes),
            TextReader::Events(line) => line.push(bytes),
            TextReader::Undecided(..) | TextReader::Done => None,
        });
        if sign.is_some() || self.position >= MAX_READ_BYTES {
            self.reader = TextReader::Done;
        }
        sign
    }
}

/// Reads `text/event-stream` line by line: each line of data is JSON of its own.
#[derive(Default)]
struct EventReader {
    /// The first bytes of the line, as far as they may be `data:`.
    start: Vec<u8>,
    /// For the line's data; `None`: the line has none.
    descriptions: Option<Descriptions>,
    /// Bytes of its data so far.
    length: usize,
}

impl EventReader {
    fn push(&mut self, bytes: &[u8]) -> Option<Sign> {
        bytes.split_inclusive(|byte| *byte == b'\n').find_map(|part| self.part(part))
    }

    fn part(&mut self, mut part: &[u8]) -> Option<Sign> {
        let ends = part.ends_with(b"\n");
        let wanted = b"data:".len().saturating_sub(self.start.len());
        if wanted > 0 {
            let (start, rest) = part.split_at(wanted.min(part.len()));
            self.start.extend_from_slice(start);
            part = rest;
            self.descriptions = (self.start == b"data:").then(Descriptions::new);
        }
        self.length += part.len();
        let sign = match &mut self.descriptions {
            Some(descriptions) if self.length <= MAX_EVENT_BYTES => descriptions.push(part),
            _ => None,
        };
        if ends {
            *self = EventReader::default();
        }
        sign
    }
}

#[cfg(test)]
#[path = "instructions_tests.rs"]
mod tests;
