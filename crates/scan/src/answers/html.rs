//! HTML as it streams by, read for what a person does not see: comments, elements hidden by style or attribute, and
//! attributes. Nothing is collected but a hidden text's latest part, a tag, and the names of open elements.

mod elements;
mod piece;
mod tag;

use super::Sign;
use super::invisible::Invisible;
use super::phrases;
use super::style::{self, Sheet};
use elements::Elements;
use piece::{Piece, aside};
use tag::{RAW, Tag, VOID};

/// Bytes of a tag.
const TAG: usize = 16 << 10;
/// Bytes of a numeric reference.
const REFERENCE: usize = 10;

/// Where HTML is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup {
    Page,
    /// In a text, where what follows a quote or a backtick is an example.
    Within,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Text,
    /// After `<`
    Tag,
    Comment,
    /// In an element whose content is no HTML, up to its end: so many bytes of that are there.
    Raw(usize),
}

pub struct Html {
    markup: Markup,
    at: At,
    tag: Vec<u8>,
    quote: Option<u8>,
    /// `</script`
    end: Vec<u8>,
    elements: Elements,
    piece: Piece,
    /// The text's latest byte.
    last: u8,
    reference: Option<Vec<u8>>,
    invisible: Invisible,
    sheet: Sheet,
}

impl Html {
    pub fn new(markup: Markup) -> Html {
        Html {
            markup,
            at: At::Text,
            tag: Vec::new(),
            quote: None,
            end: Vec::new(),
            elements: Elements::default(),
            piece: Piece::default(),
            last: b'\n',
            reference: None,
            invisible: Invisible::default(),
            sheet: Sheet::default(),
        }
    }

    pub fn push(&mut self, bytes: &[u8]) -> Option<Sign> {
        let mut at = 0;
        while at < bytes.len() {
            if self.at == At::Text && self.reference.is_none() && self.invisible.is_idle() {
                let plain = bytes[at..].iter().position(|b| matches!(b, b'<' | b'&')).unwrap_or(bytes.len() - at);
                if plain > 0 {
                    let text = &bytes[at..at + plain];
                    self.last = text[plain - 1];
                    at += plain;
                    if let Some(sign) = self.text(text) {
                        return Some(sign);
                    }
                    continue;
                }
            }
            let sign = match self.at {
                At::Text => self.within_text(bytes[at]),
                At::Tag => self.within_tag(bytes[at]),
                At::Comment => self.within_comment(bytes[at]),
                At::Raw(count) => self.within_raw(bytes[at], count),
            };
            at += 1;
            if sign.is_some() {
                return sign;
            }
        }
        None
    }

    pub fn finish(&mut self) -> Option<Sign> {
        self.piece.judge()
    }

    /// Of an element, as it is shown or not.
    fn text(&mut self, text: &[u8]) -> Option<Sign> {
        if self.elements.hide() { self.piece.gather(text) } else { None }
    }

    fn within_text(&mut self, byte: u8) -> Option<Sign> {
        let sign = match &mut self.reference {
            Some(reference) if byte == b';' => {
                let c = tag::numeric(reference);
                self.reference = None;
                c.and_then(|c| self.invisible.step(c))
            }
            // A number may begin with any number of zeros.
            Some(reference) if byte == b'0' && matches!(&reference[..], b"#0" | b"#x0" | b"#X0") => None,
            Some(reference) if reference.len() < REFERENCE && byte.is_ascii_alphanumeric() | (byte == b'#') => {
                reference.push(byte);
                None
            }
            _ => {
                self.reference = (byte == b'&').then(Vec::new);
                if self.reference.is_none() { self.invisible.step(char::from(byte & 0x7f)) } else { None }
            }
        };
        let example = self.markup == Markup::Within && matches!(self.last, b'"' | b'\'' | b'`');
        if byte == b'<' && !example {
            self.at = At::Tag;
            self.tag.clear();
            self.quote = None;
            return sign;
        }
        self.last = byte;
        sign.or_else(|| self.text(&[byte]))
    }

    fn within_tag(&mut self, byte: u8) -> Option<Sign> {
        if self.tag.is_empty() && !(byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'!' | b'?')) {
            self.at = At::Text;
            self.last = b'<';
            let sign = self.text(b"<");
            return sign.or_else(|| self.within_text(byte));
        }
        match self.quote {
            Some(quote) if quote == byte => self.quote = None,
            Some(_) => {}
            None if byte == b'>' => {
                self.at = At::Text;
                self.last = b'>';
                return self.met();
            }
            // Of a tag that is too long, nobody looks for its end again and again.
            None if matches!(byte, b'"' | b'\'')
                && self.tag.len() < TAG
                && self.tag.trim_ascii_end().ends_with(b"=") =>
            {
                self.quote = Some(byte);
            }
            None => {}
        }
        if self.tag.len() < TAG {
            self.tag.push(byte);
        }
        if self.tag == b"!--" {
            self.at = At::Comment;
            // What was hidden before it is another text.
            return self.piece.judge();
        }
        None
    }

    fn within_comment(&mut self, byte: u8) -> Option<Sign> {
        if byte == b'>' && self.piece.ends_with(b"--") {
            self.at = At::Text;
            return self.piece.judge();
        }
        self.piece.gather(&[byte])
    }

    fn within_raw(&mut self, byte: u8, count: usize) -> Option<Sign> {
        let byte = byte.to_ascii_lowercase();
        let count = if byte == self.end[count] { count + 1 } else { usize::from(byte == b'<') };
        self.at = At::Raw(count);
        if self.end == b"</style" {
            self.sheet.push(char::from(byte));
        }
        if count == self.end.len() {
            self.sheet.end();
            self.tag = self.end[1..].to_vec();
            (self.at, self.quote) = (At::Tag, None);
        }
        None
    }

    /// A whole tag.
    fn met(&mut self) -> Option<Sign> {
        let raw = std::mem::take(&mut self.tag);
        match Tag::read(&raw)? {
            Tag::End(name) => {
                let over = self.elements.close(&name);
                self.seen(over)
            }
            Tag::Start { name, attributes, closed } => {
                let sign = attributes.iter().find_map(|(key, value)| aside(&name, key, value));
                if sign.is_some() {
                    return sign;
                }
                if name == "input" && attributes.iter().any(|(key, value)| key == "type" && value == "hidden") {
                    let value = attributes.iter().find(|(key, _)| key == "value");
                    return value.and_then(|(_, value)| phrases::hidden(value));
                }
                let hides = name == "template" || attributes.iter().any(|(key, value)| self.hides(key, value));
                let over = self.elements.imply(&name);
                let sign = self.seen(over);
                if !closed && !VOID.contains(&name.as_str()) {
                    self.enter(name, hides);
                }
                sign
            }
        }
    }

    fn hides(&self, key: &str, value: &str) -> bool {
        match key {
            "hidden" => value != "until-found",
            "style" => style::hides(value),
            "class" if !self.sheet.is_empty() => {
                value.split_whitespace().any(|class| self.sheet.hides(&format!(".{class}")))
            }
            "id" if !self.sheet.is_empty() => self.sheet.hides(&format!("#{}", value.trim())),
            _ => false,
        }
    }

    fn enter(&mut self, name: String, hides: bool) {
        if RAW.contains(&name.as_str()) {
            self.end = format!("</{name}").into_bytes();
            self.at = At::Raw(0);
        } else {
            self.elements.enter(name, hides);
        }
    }

    /// Over: the hidden text is whole.
    fn seen(&mut self, over: bool) -> Option<Sign> {
        if over { self.piece.judge() } else { None }
    }
}

#[cfg(test)]
#[path = "html_tests.rs"]
mod tests;
