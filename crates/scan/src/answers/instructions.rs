//! One answer's text, read for instructions that it hides: by its kind, as it streams, up to a bound.

use super::glyphs::Glyphs;
use super::html::{Html, Markup};
use super::json::Descriptions;
use super::plain::Plain;
use super::{Kind, Sign};

/// Bytes of an answer's text that are read: what lies behind them no agent reads at once.
const READ: usize = 8 << 20;
/// Bytes that are waited for before a kind is decided.
const START: usize = 64;
/// Bytes of a line of events that are taken for JSON.
const DATA: usize = 1 << 20;

pub struct Instructions {
    glyphs: Glyphs,
    form: Form,
    read: usize,
}

enum Form {
    /// What came so far.
    Unknown(Kind, Vec<u8>),
    Html(Box<Html>),
    Plain(Box<Plain>),
    Json(Box<Descriptions>),
    Events(Line),
    /// Nothing to read, or nothing more.
    Done,
}

impl Instructions {
    pub fn new(kind: Kind) -> Instructions {
        Instructions { glyphs: Glyphs::default(), form: Form::Unknown(kind, Vec::new()), read: 0 }
    }

    /// Whatever comes is not looked at.
    pub fn is_done(&self) -> bool {
        matches!(self.form, Form::Done)
    }

    /// The first sign, once.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Sign> {
        if let Form::Unknown(kind, start) = &mut self.form {
            start.extend_from_slice(bytes);
            if start.len() < START {
                return None;
            }
            let (kind, start) = (*kind, std::mem::take(start));
            return self.begin(kind, &start);
        }
        self.next(bytes)
    }

    pub fn finish(&mut self) -> Option<Sign> {
        let begun = match &mut self.form {
            Form::Unknown(kind, start) => {
                let (kind, start) = (*kind, std::mem::take(start));
                self.begin(kind, &start)
            }
            _ => None,
        };
        let sign = begun.or_else(|| self.glyphs.finish()).or_else(|| match &mut self.form {
            Form::Html(html) => html.finish(),
            Form::Plain(plain) => plain.finish(),
            _ => None,
        });
        self.form = Form::Done;
        sign
    }

    fn begin(&mut self, kind: Kind, start: &[u8]) -> Option<Sign> {
        self.form = match kind.sniffed(start) {
            None => Form::Done,
            Some(Kind::Html) => Form::Html(Box::new(Html::new(Markup::Page))),
            Some(Kind::Json) => Form::Json(Box::new(Descriptions::new())),
            Some(Kind::Card) => Form::Json(Box::new(Descriptions::of_a_card())),
            Some(Kind::Events) => Form::Events(Line::default()),
            Some(Kind::Plain | Kind::Unknown) => Form::Plain(Box::new(Plain::new())),
        };
        self.next(start)
    }

    fn next(&mut self, bytes: &[u8]) -> Option<Sign> {
        let bytes = &bytes[..bytes.len().min(READ - self.read)];
        if self.is_done() {
            return None;
        }
        self.read += bytes.len();
        let sign = self.glyphs.push(bytes).or_else(|| match &mut self.form {
            Form::Html(html) => html.push(bytes),
            Form::Plain(plain) => plain.push(bytes),
            Form::Json(descriptions) => descriptions.push(bytes),
            Form::Events(line) => line.push(bytes),
            Form::Unknown(..) | Form::Done => None,
        });
        if sign.is_some() || self.read >= READ {
            self.form = Form::Done;
        }
        sign
    }
}

/// One line of `text/event-stream`: each event's data is JSON of its own.
#[derive(Default)]
struct Line {
    start: Vec<u8>,
    descriptions: Option<Descriptions>,
    length: usize,
}

impl Line {
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
            Some(descriptions) if self.length <= DATA => descriptions.push(part),
            _ => None,
        };
        if ends {
            *self = Line::default();
        }
        sign
    }
}

#[cfg(test)]
#[path = "instructions_tests.rs"]
mod tests;
