//! A text without the names in it: parameters' names, keys, tags, the head of a form's part. A value that was cut up and
//! sent as many values is whole again.

use super::byte_runs::{ByteClass, DIGITS, LOWER, UPPER, byte_class};
use memchr::memchr;

/// Bytes of a name; what is longer is a value.
const MAX_NAME_BYTES: usize = 96;
/// Bytes of a tag; behind them the text goes on.
const MAX_TAG_BYTES: usize = 256;

static NAME: ByteClass = byte_class(&[UPPER, LOWER, DIGITS, b"_.-[]+/"]);
/// What may stand between a name and the sign behind it.
static BLANK: ByteClass = byte_class(&[b"\"' \t"]);
/// The signs behind a name, before a tag, and at the end of a line.
static SIGN: ByteClass = byte_class(&[b"=:<\n"]);

/// Takes the names out. What it gives is meant to be folded: beside values, it has signs and blanks.
#[derive(Default)]
pub struct ValueText {
    /// The last word, while it may still be a name.
    word: Vec<u8>,
    /// Blanks followed the word.
    closed: bool,
    /// Inside a word that is too long for a name.
    long: bool,
    position: LinePosition,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum LinePosition {
    /// At the beginning of a line.
    #[default]
    Start,
    Text,
    /// Inside `<…>`: bytes so far.
    Tag(usize),
    /// In a line that is left out up to its end.
    Line,
}

impl ValueText {
    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (count, next) = match self.position {
                LinePosition::Start => self.begin(rest),
                LinePosition::Text => self.text(rest, into),
                LinePosition::Tag(before) => {
                    let most = rest.len().min(MAX_TAG_BYTES - before);
                    match memchr(b'>', &rest[..most]) {
                        Some(end) => (end + 1, LinePosition::Text),
                        None if before + most == MAX_TAG_BYTES => (most, LinePosition::Text),
                        None => (most, LinePosition::Tag(before + most)),
                    }
                }
                LinePosition::Line => match memchr(b'\n', rest) {
                    Some(end) => (end + 1, LinePosition::Start),
                    None => (rest.len(), LinePosition::Line),
                },
            };
            self.position = next;
            rest = &rest[count..];
        }
    }

    pub fn finish(&mut self, into: &mut Vec<u8>) {
        into.append(&mut self.word);
        *self = ValueText::default();
    }

    /// Reads the beginning of a line, which may be a form's boundary. Gives the bytes read and the next position, as
    /// `text` does.
    fn begin(&mut self, text: &[u8]) -> (usize, LinePosition) {
        match (&self.word[..], text) {
            ([], [b'-']) => {
                self.word.push(b'-');
                (1, LinePosition::Start)
            }
            ([], [b'-', b'-', ..]) | ([b'-'], [b'-', ..]) => {
                self.word.clear();
                (0, LinePosition::Line)
            }
            _ => (0, LinePosition::Text),
        }
    }

    fn text(&mut self, rest: &[u8], into: &mut Vec<u8>) -> (usize, LinePosition) {
        let end = rest.iter().position(|byte| SIGN[usize::from(*byte)]);
        self.take(&rest[..end.unwrap_or(rest.len())], into);
        let Some(end) = end else { return (rest.len(), LinePosition::Text) };
        let next = match rest[end] {
            b'<' => LinePosition::Tag(0),
            b'\n' => LinePosition::Start,
            // The head of a form's part says nothing of its content.
            _ if self.word.len() > 8 && self.word[..8].eq_ignore_ascii_case(b"content-") => LinePosition::Line,
            _ => LinePosition::Text,
        };
        if matches!(rest[end], b'=' | b':') {
            self.word.clear();
        }
        into.append(&mut self.word);
        (self.closed, self.long) = (false, false);
        (end + 1, next)
    }

    /// Reads text without signs.
    fn take(&mut self, text: &[u8], into: &mut Vec<u8>) {
        let mut text = text;
        if self.long {
            let count = text.iter().position(|byte| !NAME[usize::from(*byte)]).unwrap_or(text.len());
            into.extend_from_slice(&text[..count]);
            text = &text[count..];
            self.long = text.is_empty();
        }
        let end = text.iter().rposition(|byte| !BLANK[usize::from(*byte)]).map_or(0, |last| last + 1);
        let (before, blanks) = text.split_at(end);
        let start = before.iter().rev().take(MAX_NAME_BYTES + 1).take_while(|byte| NAME[usize::from(**byte)]).count();
        let (before, word) = before.split_at(end - start);
        if !before.is_empty() || (self.closed && !word.is_empty()) {
            into.append(&mut self.word);
            into.extend_from_slice(before);
            self.closed = false;
        }
        self.word.extend_from_slice(word);
        self.closed |= !blanks.is_empty() && !self.word.is_empty();
        if self.word.len() > MAX_NAME_BYTES {
            into.append(&mut self.word);
            (self.long, self.closed) = (!self.closed, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fold::fold;
    use super::*;

    #[test]
    fn names_fall_out() {
        for (text, wanted) in [
            ("a=one-&b2=two&c[0]=three", "onetwothree"),
            (r#"{"a":"one","b" : "two", "c": ["three"]}"#, "onetwothree"),
            ("<a x='1'>one</a>\n<b>two</b>", "onetwo"),
            ("a: one\nb: two\n", "onetwo"),
            ("--boundary\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--boundary--\r\ntwo\n", "onetwo"),
            ("one,two\nthree", "onetwothree"),
            ("-one\n- two =three\n-=four", "onethreefour"),
            (&"long".repeat(25), &"long".repeat(25)),
            (&format!("{}=x&{}=y", "long".repeat(25), "name".repeat(24)), &format!("{}xy", "long".repeat(25))),
            (&format!("<{}>one", "x".repeat(MAX_TAG_BYTES)), "one"),
        ] {
            for part in [1, 4, 100, 1000] {
                let (mut values, mut out) = (ValueText::default(), Vec::new());
                text.as_bytes().chunks(part).for_each(|part| values.push(part, &mut out));
                values.finish(&mut out);
                assert_eq!(String::from_utf8_lossy(&fold(&out)), wanted, "{text} by {part}");
            }
        }
    }
}
