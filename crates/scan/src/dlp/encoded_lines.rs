//! Lines that say how many bytes they hold, decoded as they stream: uuencode, and the base85 of `git diff --binary`, which
//! may also stand in a string with `\n` between its lines: it has no backslash of its own.

use super::byte_runs::DigitValues;
use memchr::{memchr2, memchr3};

/// Bytes of the longest line, which `git` writes: the letter and 65 digits of base85.
const MAX_LINE_BYTES: usize = 66;
/// The first byte and the length of a whole line of each format. One whole line begins a text, without the line that
/// programs write before it.
const WHOLE_UUENCODE_FIRST: u8 = b'M';
const WHOLE_UUENCODE_BYTES: usize = 61;
const WHOLE_GIT_FIRST: u8 = b'z';
const WHOLE_GIT_BYTES: usize = MAX_LINE_BYTES;
/// The lines that programs write first, and the format of those behind them.
const HEADS: [(&[u8], LineFormat); 3] =
    [(b"begin ", LineFormat::Uuencode), (b"literal ", LineFormat::Git), (b"delta ", LineFormat::Git)];

#[derive(Default)]
pub struct EncodedLines {
    /// A line may begin behind a quotation mark, too: in what was a string with escapes.
    has_strings: bool,
    line: Vec<u8>,
    /// The line is too long, or begins like none of these.
    is_other: bool,
    /// The byte before was a backslash.
    is_escaped: bool,
    /// The format of the line before; `None`: it was of neither.
    format: Option<LineFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum LineFormat {
    Uuencode,
    Git,
}

impl EncodedLines {
    /// `has_strings`: a line may begin behind a quotation mark, too, as in what was a string with escapes.
    pub fn new(has_strings: bool) -> EncodedLines {
        EncodedLines { has_strings, ..EncodedLines::default() }
    }

    fn end_of_line(&self, text: &[u8]) -> Option<usize> {
        if self.has_strings { memchr3(b'\n', b'\\', b'"', text) } else { memchr2(b'\n', b'\\', text) }
    }

    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            if std::mem::take(&mut self.is_escaped) {
                match byte {
                    b'n' => self.end_line(into),
                    b'r' => {}
                    _ => {
                        self.take(b'\\');
                        continue;
                    }
                }
                rest = behind;
                continue;
            }
            if self.is_other {
                // A line may be the first of a string.
                let Some(end) = self.end_of_line(rest) else { return };
                self.is_escaped = rest[end] == b'\\';
                self.is_other = self.is_escaped;
                rest = &rest[end + 1..];
                continue;
            }
            rest = behind;
            match byte {
                b'\\' => self.is_escaped = true,
                b'\n' => self.end_line(into),
                b'\r' => {}
                b'"' if self.line.is_empty() && self.format.is_none() => {}
                _ => self.take(*byte),
            }
        }
    }

    /// A byte of a line.
    fn take(&mut self, byte: u8) {
        if !self.is_other && self.may_hold(byte) {
            self.line.push(byte);
        } else {
            self.is_other = true;
            self.format = None;
            self.line.clear();
        }
    }

    /// The text ends here, and its last line with it.
    pub fn finish(&mut self, into: &mut Vec<u8>) {
        self.end_line(into);
    }

    fn may_hold(&self, byte: u8) -> bool {
        let first = self.line.first().copied().unwrap_or(byte);
        self.line.len() < MAX_LINE_BYTES
            && match self.format {
                Some(_) => true,
                None => match first {
                    WHOLE_UUENCODE_FIRST => (b' '..=b'`').contains(&byte),
                    WHOLE_GIT_FIRST => BASE85.of(byte).is_some(),
                    _ => self.may_be_head(byte),
                },
            }
    }

    fn may_be_head(&self, byte: u8) -> bool {
        let at = self.line.len();
        HEADS.iter().any(|(head, _)| {
            head[0] == *self.line.first().unwrap_or(&byte) && head.get(at).is_none_or(|wanted| *wanted == byte)
        })
    }

    fn end_line(&mut self, into: &mut Vec<u8>) {
        self.is_other = false;
        if self.line.is_empty() {
            self.format = None;
            return;
        }
        let line = std::mem::take(&mut self.line);
        if let Some((_, format)) = HEADS.iter().find(|(head, _)| line.starts_with(head)) {
            self.format = Some(*format);
            return;
        }
        let format = self.format.or(match (line.first(), line.len()) {
            (Some(&WHOLE_UUENCODE_FIRST), WHOLE_UUENCODE_BYTES) => Some(LineFormat::Uuencode),
            (Some(&WHOLE_GIT_FIRST), WHOLE_GIT_BYTES) => Some(LineFormat::Git),
            _ => None,
        });
        let decoded = match (format, &line[..]) {
            (Some(LineFormat::Uuencode), [length, digits @ ..]) => uudecode(*length, digits),
            (Some(LineFormat::Git), [length, digits @ ..]) => git_decode(*length, digits),
            _ => None,
        };
        self.format = decoded.is_some().then_some(format).flatten();
        into.extend(decoded.unwrap_or_default());
    }
}

/// POSIX, `uuencode`: the length and each digit are a number above that of a blank; `` ` `` stands for a blank, too.
/// Blanks at the end of a line may be missing.
fn uudecode(length: u8, digits: &[u8]) -> Option<Vec<u8>> {
    let value = |byte: u8| (b' '..=b'`').contains(&byte).then(|| u32::from(byte - b' ') & 63);
    let length = value(length)? as usize;
    let wanted = length.div_ceil(3) * 4;
    // Some programs write one more byte, a checksum.
    if length == 0 || digits.len() > wanted + 1 {
        return None;
    }
    let digits = digits.iter().copied().chain(std::iter::repeat(b' ')).take(wanted);
    let values = digits.map(value).collect::<Option<Vec<u32>>>()?;
    let groups = values.chunks(4).map(|group| group.iter().fold(0, |word, digit| word << 6 | digit));
    Some(groups.flat_map(|word| word.to_be_bytes().into_iter().skip(1)).take(length).collect())
}

/// A letter that is the length, 1 to 26 and 27 to 52, then groups of five digits of base85 for four bytes.
fn git_decode(length: u8, digits: &[u8]) -> Option<Vec<u8>> {
    let length = match length {
        b'A'..=b'Z' => length - b'A' + 1,
        b'a'..=b'z' => length - b'a' + 27,
        _ => return None,
    };
    let length = usize::from(length);
    if digits.len() != length.div_ceil(4) * 5 {
        return None;
    }
    let mut bytes = Vec::new();
    for group in digits.chunks(5) {
        bytes.extend_from_slice(&base85_word(group)?.to_be_bytes());
    }
    bytes.truncate(length);
    Some(bytes)
}

/// The digits of git's base85.
static BASE85: DigitValues =
    DigitValues::new(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~");

fn base85_word(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |word, byte| word.checked_mul(85)?.checked_add(u32::from(BASE85.of(*byte)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_decoded_in_every_split() {
        // By Python: `b2a_uu`, and `b85encode` behind git's letter for the length.
        for (text, wanted) in [
            ("begin 644 f\n-:&5L;&\\L('1H97)E(0\n`\nend\n", "hello, there!"),
            ("x\n-:&5L;&\\L('1H97)E(0\n", ""),
            ("{\"a\":\"x\\r\\nliteral 13\\nMXk~0{Z!92mXk~I`ApigX\\n\\nx\\n\"}", "hello, there!"),
            ("literal 13\nMXk~0{Z!92mXk~I`ApigX\n\nx\n", "hello, there!"),
        ] {
            for part in [1, 4, 100] {
                let (mut lines, mut out) = (EncodedLines::default(), Vec::new());
                text.as_bytes().chunks(part).for_each(|part| lines.push(part, &mut out));
                lines.finish(&mut out);
                assert_eq!(String::from_utf8_lossy(&out), wanted, "{text} by {part}");
            }
        }
    }
}
