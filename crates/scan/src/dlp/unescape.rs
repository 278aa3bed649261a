//! Escapes taken out of a text as it streams: percent, backslashes of many languages, HTML, quoted-printable. At most
//! [`MAX_ESCAPE_BYTES`] are kept of a text.

use crate::entities::{ENTITIES, INVISIBLE};
use memchr::{memchr, memchr3};

/// Bytes of an escape, without further zeros that a number begins with.
const MAX_ESCAPE_BYTES: usize = 20;

/// Bytes behind an escape of a byte that no text has in which `+` is a blank. In a compressed file, every other byte is such a
/// one.
const FORM_REACH_BYTES: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EscapeSyntax {
    /// `%41`, `%u0041`, `\x41`, `\u0041`, `\U00000041`, `\u{41}`, `\x{41}`, `\101`, `\n`, `\/`, `&#65;`, `&#x41;`, `&amp;`.
    Code,
    /// `=41`, and `=` at the end of a line.
    QuotedPrintable,
}

pub struct Unescaper {
    syntax: EscapeSyntax,
    /// An escape that has begun.
    begun: Vec<u8>,
    /// The first half of a surrogate pair; 0: there is none.
    high: u32,
    /// Bytes in which `+` stands for a blank: a percent escape shortly before was of no text, so this is a file in a form.
    form_left: usize,
}

enum EscapeStep {
    /// More bytes decide.
    More,
    /// It is no escape.
    No,
    Byte(u8),
    Char(u32),
    /// The escape stands for nothing.
    Nothing,
}

impl Unescaper {
    pub fn new(syntax: EscapeSyntax) -> Unescaper {
        Unescaper { syntax, begun: Vec::new(), high: 0, form_left: 0 }
    }

    /// Appends the text without escapes to `into`. True: there was an escape.
    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> bool {
        let mut changed = false;
        let mut at = 0;
        while at < bytes.len() {
            if self.begun.is_empty() {
                let rest = &bytes[at..];
                let begins = match self.syntax {
                    EscapeSyntax::Code => memchr3(b'%', b'\\', b'&', rest),
                    EscapeSyntax::QuotedPrintable => memchr(b'=', rest),
                };
                let plain = begins.unwrap_or(rest.len());
                self.copy(&rest[..plain], into);
                at += plain;
                if at < bytes.len() {
                    self.begun.push(bytes[at]);
                    at += 1;
                }
                continue;
            }
            let byte = bytes[at];
            at += 1;
            // A number may begin with any number of zeros: one stands for all.
            if byte == b'0' && matches!(&self.begun[..], b"&#0" | b"&#x0" | b"&#X0" | b"\\u{0" | b"\\x{0") {
                continue;
            }
            self.begun.push(byte);
            changed |= self.resolve_escape(into);
        }
        changed
    }

    /// The text has ended: what had begun is no escape.
    pub fn finish(&mut self, into: &mut Vec<u8>) {
        into.append(&mut self.begun);
    }

    fn copy(&mut self, plain: &[u8], into: &mut Vec<u8>) {
        let (form, rest) = plain.split_at(plain.len().min(self.form_left));
        into.extend(form.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }));
        into.extend_from_slice(rest);
        self.form_left -= form.len();
    }

    fn resolve_escape(&mut self, into: &mut Vec<u8>) -> bool {
        let step = match self.begun[0] {
            b'%' => percent(&self.begun[1..]),
            b'\\' => backslash(&self.begun[1..]),
            b'&' => html(&self.begun[1..]),
            _ => printable(&self.begun[1..]),
        };
        match step {
            EscapeStep::More if self.begun.len() < MAX_ESCAPE_BYTES => return false,
            EscapeStep::More | EscapeStep::No => {
                // The first byte stands for itself; another escape may begin right behind it.
                let rest = self.begun.split_off(1);
                into.append(&mut self.begun);
                return self.push(&rest, into);
            }
            EscapeStep::Byte(byte) => {
                if self.begun[0] == b'%' && !(byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
                    self.form_left = FORM_REACH_BYTES;
                }
                into.push(byte);
            }
            EscapeStep::Char(code @ 0xd800..=0xdbff) => self.high = code,
            EscapeStep::Char(code @ 0xdc00..=0xdfff) => {
                push_char(0x10000 + ((self.high.max(0xd800) - 0xd800) << 10) + (code - 0xdc00), into);
            }
            EscapeStep::Char(code) => push_char(code, into),
            EscapeStep::Nothing => {}
        }
        self.begun.clear();
        true
    }
}

fn push_char(code: u32, into: &mut Vec<u8>) {
    if let Some(c) = char::from_u32(code) {
        into.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Reads exactly `count` hex digits.
fn digits(text: &[u8], count: usize, done: fn(u32) -> EscapeStep) -> EscapeStep {
    let mut code = 0;
    for byte in text.iter().take(count) {
        match char::from(*byte).to_digit(16) {
            Some(digit) => code = code << 4 | digit,
            None => return EscapeStep::No,
        }
    }
    if text.len() < count { EscapeStep::More } else { done(code) }
}

fn byte_step(code: u32) -> EscapeStep {
    EscapeStep::Byte(code as u8)
}

fn percent(text: &[u8]) -> EscapeStep {
    match text {
        [b'u' | b'U', rest @ ..] => digits(rest, 4, EscapeStep::Char),
        _ => digits(text, 2, byte_step),
    }
}

fn backslash(text: &[u8]) -> EscapeStep {
    match text {
        [] => EscapeStep::More,
        [b'n', ..] => EscapeStep::Byte(b'\n'),
        [b'r', ..] => EscapeStep::Byte(b'\r'),
        [b't', ..] => EscapeStep::Byte(b'\t'),
        [b'b', ..] => EscapeStep::Byte(8),
        [b'v', ..] => EscapeStep::Byte(11),
        [b'f', ..] => EscapeStep::Byte(12),
        [c @ (b'"' | b'\'' | b'/' | b'\\' | b'`' | b'$'), ..] => EscapeStep::Byte(*c),
        [b'\n', ..] => EscapeStep::Nothing,
        [b'u' | b'x', b'{', rest @ ..] => match rest.split_last() {
            Some((b'}', inner)) => digits(inner, inner.len(), EscapeStep::Char),
            _ if rest.len() > 6 => EscapeStep::No,
            _ => EscapeStep::More,
        },
        [b'x', rest @ ..] => digits(rest, 2, byte_step),
        [b'u', rest @ ..] => digits(rest, 4, EscapeStep::Char),
        [b'U', rest @ ..] => digits(rest, 8, EscapeStep::Char),
        [b'0'..=b'3', rest @ ..] => match rest {
            [] => EscapeStep::More,
            [b'0'..=b'7'] => EscapeStep::More,
            [a @ b'0'..=b'7', b @ b'0'..=b'7', ..] => {
                EscapeStep::Byte((text[0] - b'0') << 6 | (a - b'0') << 3 | (b - b'0'))
            }
            _ => EscapeStep::No,
        },
        _ => EscapeStep::No,
    }
}

fn html(text: &[u8]) -> EscapeStep {
    match text {
        [] | [b'#'] | [b'#', b'x' | b'X'] => EscapeStep::More,
        [b'#', number @ ..] => {
            let (radix, number) = match number {
                [b'x' | b'X', rest @ ..] => (16, rest),
                _ => (10, number),
            };
            let (closed, number) = match number.split_last() {
                Some((b';', inner)) => (true, inner),
                _ => (false, number),
            };
            let code = number
                .iter()
                .try_fold(0u32, |sum, byte| sum.checked_mul(radix)?.checked_add(char::from(*byte).to_digit(radix)?));
            match (code, closed) {
                (None, _) => EscapeStep::No,
                (Some(_), false) => EscapeStep::More,
                (Some(code), true) => EscapeStep::Char(code),
            }
        }
        _ => match ENTITIES.iter().find(|(name, _)| name.starts_with(text)) {
            Some((name, INVISIBLE)) if *name == text => EscapeStep::Nothing,
            Some((name, byte)) if *name == text => EscapeStep::Byte(*byte),
            Some(_) => EscapeStep::More,
            None => EscapeStep::No,
        },
    }
}

fn printable(text: &[u8]) -> EscapeStep {
    match text {
        [] | [b'\r'] => EscapeStep::More,
        [b'\n', ..] | [b'\r', b'\n', ..] => EscapeStep::Nothing,
        _ => digits(text, 2, byte_step),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(syntax: EscapeSyntax, text: &str, part: usize) -> String {
        let (mut escapes, mut out) = (Unescaper::new(syntax), Vec::new());
        for part in text.as_bytes().chunks(part) {
            escapes.push(part, &mut out);
        }
        escapes.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_come_out_in_every_split() {
        for (text, wanted) in [
            (r"a%41%2d%u0042b", "aA-Bb"),
            (r"\x41\u0042\U00000043\u{44}\105\n\/", "ABCDE\n/"),
            (r"&#65;&#x42;&amp;&lt;&nope;&", "AB&<&nope;&"),
            (r"100% of %zz %4 \q \u12 %%41 \", r"100% of %zz %4 \q \u12 %A \"),
            (r"\ud835\udc00", "\u{1d400}"),
            (r"\\u0041", r"\u0041"),
            (r"&#0000000000000065;&#x00000000000041;\u{00000000000041}", "AAA"),
        ] {
            for part in [1, 2, 3, 100] {
                assert_eq!(plain(EscapeSyntax::Code, text, part), wanted, "{text} by {part}");
            }
        }
        assert_eq!(plain(EscapeSyntax::QuotedPrintable, "a=41=\r\nb=\nc=zz=", 1), "aAbc=zz=");
    }
}
