//! HTML as it streams by, read for what a person does not see: comments, elements hidden by style or attribute, and
//! attributes. Only the latest part of a hidden text, a tag, and the names of open elements are kept. Not known are style
//! sheets of other files, scripts, and what a tag says behind its first 16 KiB.

mod elements;
mod hidden_text;
mod tag;

use super::Sign;
use super::invisible::Invisible;
use super::phrases;
use super::style::{self, Sheet};
use elements::Elements;
use hidden_text::{HiddenText, attribute_sign};
use tag::{RAW, Tag, VOID};

/// Bytes of a tag that are read; the rest is skipped.
const MAX_TAG_BYTES: usize = 16 << 10;
/// Bytes of a numeric reference, without further zeros that it begins with.
const MAX_REFERENCE_BYTES: usize = 10;

/// What the HTML is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup {
    /// A page that is all HTML.
    Page,
    /// A text with HTML in it, where a tag behind a quote or a backtick is an example.
    Within,
}

/// What the next byte stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HtmlState {
    Text,
    /// Behind `<`.
    Tag,
    Comment,
    /// An element whose content is no HTML, and how many bytes of its end tag were read.
    Raw(usize),
}

pub struct Html {
    markup: Markup,
    state: HtmlState,
    /// The tag so far, without `<`.
    tag: Vec<u8>,
    /// The quote that is open in it.
    quote: Option<u8>,
    /// The end tag that is waited for, such as `</script`.
    end: Vec<u8>,
    elements: Elements,
    /// The hidden text or the comment.
    piece: HiddenText,
    /// The last byte of text.
    last: u8,
    /// A numeric reference so far, without `&`.
    reference: Option<Vec<u8>>,
    invisible: Invisible,
    sheet: Sheet,
}

impl Html {
    pub fn new(markup: Markup) -> Html {
        Html {
            markup,
            state: HtmlState::Text,
            tag: Vec::new(),
            quote: None,
            end: Vec::new(),
            elements: Elements::default(),
            piece: HiddenText::default(),
            last: b'\n',
            reference: None,
            invisible: Invisible::default(),
            sheet: Sheet::default(),
        }
    }

    pub fn push(&mut self, bytes: &[u8]) -> Option<Sign> {
        let mut at = 0;
        while at < bytes.len() {
            if self.state == HtmlState::Text && self.reference.is_none() && self.invisible.is_idle() {
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
            let sign = match self.state {
                HtmlState::Text => self.within_text(bytes[at]),
                HtmlState::Tag => self.within_tag(bytes[at]),
                HtmlState::Comment => self.within_comment(bytes[at]),
                HtmlState::Raw(count) => self.within_raw(bytes[at], count),
            };
            at += 1;
            if sign.is_some() {
                return sign;
            }
        }
        None
    }

    pub fn finish(&mut self) -> Option<Sign> {
        self.piece.finish()
    }

    /// Reads an element's text, which is shown or not.
    fn text(&mut self, text: &[u8]) -> Option<Sign> {
        if self.elements.is_hidden() { self.piece.push(text) } else { None }
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
            Some(reference)
                if reference.len() < MAX_REFERENCE_BYTES && byte.is_ascii_alphanumeric() | (byte == b'#') =>
            {
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
            self.state = HtmlState::Tag;
            self.tag.clear();
            self.quote = None;
            return sign;
        }
        self.last = byte;
        sign.or_else(|| self.text(&[byte]))
    }

    fn within_tag(&mut self, byte: u8) -> Option<Sign> {
        if self.tag.is_empty() && !(byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'!' | b'?')) {
            self.state = HtmlState::Text;
            self.last = b'<';
            let sign = self.text(b"<");
            return sign.or_else(|| self.within_text(byte));
        }
        match self.quote {
            Some(quote) if quote == byte => self.quote = None,
            Some(_) => {}
            None if byte == b'>' => {
                self.state = HtmlState::Text;
                self.last = b'>';
                return self.end_tag();
            }
            // In a tag that is too long quotes are not followed: its end is the next `>`.
            None if matches!(byte, b'"' | b'\'')
                && self.tag.len() < MAX_TAG_BYTES
                && self.tag.trim_ascii_end().ends_with(b"=") =>
            {
                self.quote = Some(byte);
            }
            None => {}
        }
        if self.tag.len() < MAX_TAG_BYTES {
            self.tag.push(byte);
        }
        if self.tag == b"!--" {
            self.state = HtmlState::Comment;
            // A hidden text before the comment ends here.
            return self.piece.finish();
        }
        None
    }

    fn within_comment(&mut self, byte: u8) -> Option<Sign> {
        if byte == b'>' && self.piece.ends_with(b"--") {
            self.state = HtmlState::Text;
            return self.piece.finish();
        }
        self.piece.push(&[byte])
    }

    fn within_raw(&mut self, byte: u8, count: usize) -> Option<Sign> {
        let byte = byte.to_ascii_lowercase();
        let count = if byte == self.end[count] { count + 1 } else { usize::from(byte == b'<') };
        self.state = HtmlState::Raw(count);
        if self.end == b"</style" {
            self.sheet.push(char::from(byte));
        }
        if count == self.end.len() {
            self.sheet.end();
            self.tag = self.end[1..].to_vec();
            (self.state, self.quote) = (HtmlState::Tag, None);
        }
        None
    }

    /// Reads a whole tag.
    fn end_tag(&mut self) -> Option<Sign> {
        let raw = std::mem::take(&mut self.tag);
        match Tag::read(&raw)? {
            Tag::End(name) => {
                let over = self.elements.close(&name);
                self.end_hidden(over)
            }
            Tag::Start { name, attributes, closed } => {
                let sign = attributes.iter().find_map(|(key, value)| attribute_sign(&name, key, value));
                if sign.is_some() {
                    return sign;
                }
                if name == "input" && attributes.iter().any(|(key, value)| key == "type" && value == "hidden") {
                    let value = attributes.iter().find(|(key, _)| key == "value");
                    return value.and_then(|(_, value)| phrases::hidden(value));
                }
                let hides = name == "template" || attributes.iter().any(|(key, value)| self.hides(key, value));
                let over = self.elements.imply(&name);
                let sign = self.end_hidden(over);
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
            self.state = HtmlState::Raw(0);
        } else {
            self.elements.enter(name, hides);
        }
    }

    /// `is_over`: what was hidden ends here.
    fn end_hidden(&mut self, is_over: bool) -> Option<Sign> {
        if is_over { self.piece.finish() } else { None }
    }
}

#[cfg(test)]
#[path = "html_tests.rs"]
mod tests;
