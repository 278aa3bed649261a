//! Escapes taken out of a text as it streams: percent, backslashes of many languages, HTML, quoted-printable. Bytes in,
//! bytes out, at most [`LONGEST`] of them kept.

use memchr::{memchr, memchr3};

/// Bytes of an escape.
const LONGEST: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `%41`, `%u0041`, `\x41`, `\u0041`, `\U00000041`, `\u{41}`, `\101`, `\n`, `\/`, `&#65;`, `&#x41;`, `&amp;`.
    Signs,
    /// `=41`, and `=` at the end of a line.
    Printable,
}

pub struct Escapes {
    kind: Kind,
    begun: Vec<u8>,
    /// The first half of a character outside the basic plane.
    high: u32,
}

enum Step {
    More,
    /// None of ours.
    No,
    Byte(u8),
    Char(u32),
    /// It stands for nothing.
    Nothing,
}

impl Escapes {
    pub fn new(kind: Kind) -> Escapes {
        Escapes { kind, begun: Vec::new(), high: 0 }
    }

    /// Gives the text without escapes to `into`; true: there was one.
    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> bool {
        let mut changed = false;
        let mut at = 0;
        while at < bytes.len() {
            if self.begun.is_empty() {
                let rest = &bytes[at..];
                let begins = match self.kind {
                    Kind::Signs => memchr3(b'%', b'\\', b'&', rest),
                    Kind::Printable => memchr(b'=', rest),
                };
                let plain = begins.unwrap_or(rest.len());
                into.extend_from_slice(&rest[..plain]);
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
            if byte == b'0' && matches!(&self.begun[..], b"&#0" | b"&#x0" | b"&#X0" | b"\\u{0") {
                continue;
            }
            self.begun.push(byte);
            changed |= self.settle(into);
        }
        changed
    }

    /// What was begun and never became an escape.
    pub fn finish(&mut self, into: &mut Vec<u8>) {
        into.append(&mut self.begun);
    }

    fn settle(&mut self, into: &mut Vec<u8>) -> bool {
        let step = match self.begun[0] {
            b'%' => percent(&self.begun[1..]),
            b'\\' => backslash(&self.begun[1..]),
            b'&' => html(&self.begun[1..]),
            _ => printable(&self.begun[1..]),
        };
        match step {
            Step::More if self.begun.len() < LONGEST => return false,
            Step::More | Step::No => {
                // Its first byte is only itself; another escape may begin right behind it.
                let rest = self.begun.split_off(1);
                into.append(&mut self.begun);
                return self.push(&rest, into);
            }
            Step::Byte(byte) => into.push(byte),
            Step::Char(code @ 0xd800..=0xdbff) => self.high = code,
            Step::Char(code @ 0xdc00..=0xdfff) => {
                write(0x10000 + ((self.high.max(0xd800) - 0xd800) << 10) + (code - 0xdc00), into);
            }
            Step::Char(code) => write(code, into),
            Step::Nothing => {}
        }
        self.begun.clear();
        true
    }
}

fn write(code: u32, into: &mut Vec<u8>) {
    if let Some(c) = char::from_u32(code) {
        into.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Exactly `count` digits of hex.
fn digits(text: &[u8], count: usize, done: fn(u32) -> Step) -> Step {
    let mut code = 0;
    for byte in text.iter().take(count) {
        match char::from(*byte).to_digit(16) {
            Some(digit) => code = code << 4 | digit,
            None => return Step::No,
        }
    }
    if text.len() < count { Step::More } else { done(code) }
}

fn byte(code: u32) -> Step {
    Step::Byte(code as u8)
}

fn percent(text: &[u8]) -> Step {
    match text {
        [b'u' | b'U', rest @ ..] => digits(rest, 4, Step::Char),
        _ => digits(text, 2, byte),
    }
}

fn backslash(text: &[u8]) -> Step {
    match text {
        [] => Step::More,
        [b'n', ..] => Step::Byte(b'\n'),
        [b'r', ..] => Step::Byte(b'\r'),
        [b't' | b'b' | b'f' | b'v', ..] => Step::Byte(b' '),
        [c @ (b'"' | b'\'' | b'/' | b'\\' | b'`' | b'$'), ..] => Step::Byte(*c),
        [b'\n', ..] => Step::Nothing,
        [b'x', rest @ ..] => digits(rest, 2, byte),
        [b'u', b'{', rest @ ..] => match rest.split_last() {
            Some((b'}', inner)) => digits(inner, inner.len(), Step::Char),
            _ if rest.len() > 6 => Step::No,
            _ => Step::More,
        },
        [b'u', rest @ ..] => digits(rest, 4, Step::Char),
        [b'U', rest @ ..] => digits(rest, 8, Step::Char),
        [b'0'..=b'3', rest @ ..] => match rest {
            [] => Step::More,
            [b'0'..=b'7'] => Step::More,
            [a @ b'0'..=b'7', b @ b'0'..=b'7', ..] => Step::Byte((text[0] - b'0') << 6 | (a - b'0') << 3 | (b - b'0')),
            _ => Step::No,
        },
        _ => Step::No,
    }
}

fn html(text: &[u8]) -> Step {
    const NAMES: [(&[u8], Step); 14] = [
        (b"amp;", Step::Byte(b'&')),
        (b"lt;", Step::Byte(b'<')),
        (b"gt;", Step::Byte(b'>')),
        (b"quot;", Step::Byte(b'"')),
        (b"apos;", Step::Byte(b'\'')),
        (b"lowbar;", Step::Byte(b'_')),
        (b"hyphen;", Step::Byte(b'-')),
        (b"dash;", Step::Byte(b'-')),
        (b"period;", Step::Byte(b'.')),
        (b"plus;", Step::Byte(b'+')),
        (b"sol;", Step::Byte(b'/')),
        (b"equals;", Step::Byte(b'=')),
        (b"nbsp;", Step::Byte(b' ')),
        (b"shy;", Step::Nothing),
    ];
    match text {
        [] | [b'#'] | [b'#', b'x' | b'X'] => Step::More,
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
                (None, _) => Step::No,
                (Some(_), false) => Step::More,
                (Some(code), true) => Step::Char(code),
            }
        }
        _ => {
            for (name, step) in NAMES {
                if name == text {
                    return step;
                }
                if name.starts_with(text) {
                    return Step::More;
                }
            }
            Step::No
        }
    }
}

fn printable(text: &[u8]) -> Step {
    match text {
        [] | [b'\r'] => Step::More,
        [b'\n', ..] | [b'\r', b'\n', ..] => Step::Nothing,
        _ => digits(text, 2, byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(kind: Kind, text: &str, part: usize) -> String {
        let (mut escapes, mut out) = (Escapes::new(kind), Vec::new());
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
                assert_eq!(plain(Kind::Signs, text, part), wanted, "{text} by {part}");
            }
        }
        assert_eq!(plain(Kind::Printable, "a=41=\r\nb=\nc=zz=", 1), "aAbc=zz=");
    }
}
