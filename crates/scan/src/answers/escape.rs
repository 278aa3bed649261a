//! Reads one byte of a text, as it stands or out of an escape. What an escape is written with may be escaped itself, up to
//! [`MAX_ESCAPE_DEPTH`] deep: `%252F`, `\u0026#x2F;`, `&amp;sol;`.

use crate::entities::ENTITIES;

/// Escapes in one another.
pub const MAX_ESCAPE_DEPTH: usize = 3;
/// Digits of a number in an escape, leading zeros included.
const MAX_DIGITS: usize = 16;
/// Longest name of a reference.
const MAX_NAME_BYTES: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRead {
    /// A byte, and where the next one begins.
    Byte(u8, usize),
    /// The text ends before it is decided.
    End,
}

/// Why an escape was not read.
enum Broken {
    /// It is none.
    No,
    End,
}

/// A text that is read from `at` on.
#[derive(Clone, Copy)]
struct EscapeReader<'a> {
    text: &'a [u8],
    at: usize,
    /// How deep the escape's own characters may be escaped.
    depth: usize,
}

/// Can an escape begin with this byte?
pub fn is_introducer(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&' | b'=' | b'U')
}

/// `is_whole`: nothing follows the text.
pub fn read_byte(text: &[u8], at: usize, depth: usize, is_whole: bool) -> ByteRead {
    let Some(&first) = text.get(at) else { return ByteRead::End };
    let plain = ByteRead::Byte(first, at + 1);
    if depth == 0 || !is_introducer(first) {
        return plain;
    }
    let inner = read_byte(text, at, depth - 1, is_whole);
    let ByteRead::Byte(introducer, behind) = inner else { return inner };
    let mut reader = EscapeReader { text, at: behind, depth: depth - 1 };
    let read = match introducer {
        b'%' => reader.percent(is_whole),
        b'\\' => reader.backslash(is_whole),
        b'&' => reader.reference(is_whole),
        b'=' => reader.fixed(2, is_whole),
        b'U' => reader.code_point(is_whole),
        _ => return inner,
    };
    match read {
        Ok(code) => u8::try_from(code).map_or(inner, |byte| ByteRead::Byte(byte, reader.at)),
        Err(Broken::End) if !is_whole => ByteRead::End,
        Err(_) => inner,
    }
}

impl EscapeReader<'_> {
    fn next(&mut self, is_whole: bool) -> Result<u8, Broken> {
        match read_byte(self.text, self.at, self.depth, is_whole) {
            ByteRead::Byte(byte, behind) => {
                self.at = behind;
                Ok(byte)
            }
            ByteRead::End => Err(Broken::End),
        }
    }

    /// The number of exactly so many hex digits.
    fn fixed(&mut self, count: usize, is_whole: bool) -> Result<u32, Broken> {
        (0..count).try_fold(0, |code, _| Ok(code << 4 | digit(self.next(is_whole)?, 16)?))
    }

    /// The number in front of `end`.
    fn closed(&mut self, radix: u32, end: u8, is_whole: bool) -> Result<u32, Broken> {
        let mut code: u32 = 0;
        for _ in 0..=MAX_DIGITS {
            let byte = self.next(is_whole)?;
            if byte == end {
                return Ok(code);
            }
            code = code.saturating_mul(radix).saturating_add(digit(byte, radix)?);
        }
        Err(Broken::No)
    }

    fn percent(&mut self, is_whole: bool) -> Result<u32, Broken> {
        let before = *self;
        if matches!(self.next(is_whole)?, b'u' | b'U') {
            return self.fixed(4, is_whole);
        }
        *self = before;
        self.fixed(2, is_whole)
    }

    fn backslash(&mut self, is_whole: bool) -> Result<u32, Broken> {
        let kind = self.next(is_whole)?;
        match kind {
            b'x' | b'u' => {
                let before = *self;
                if self.next(is_whole)? == b'{' {
                    return self.closed(16, b'}', is_whole);
                }
                *self = before;
                self.fixed(if kind == b'x' { 2 } else { 4 }, is_whole)
            }
            b'U' => self.fixed(8, is_whole),
            b'0'..=b'3' => {
                let code = digit(kind, 8)?;
                (0..2).try_fold(code, |code, _| Ok(code << 3 | digit(self.next(is_whole)?, 8)?))
            }
            _ if kind.is_ascii_punctuation() => Ok(u32::from(kind)),
            _ => Err(Broken::No),
        }
    }

    fn reference(&mut self, is_whole: bool) -> Result<u32, Broken> {
        let mut name = [0; MAX_NAME_BYTES];
        for length in 0..MAX_NAME_BYTES {
            let before = *self;
            name[length] = self.next(is_whole)?;
            match name[length] {
                b'x' | b'X' if name[0] == b'#' && length == 1 => return self.closed(16, b';', is_whole),
                _ if name[0] == b'#' && length == 1 => {
                    *self = before;
                    return self.closed(10, b';', is_whole);
                }
                _ => {}
            }
            let mut known = ENTITIES.iter().filter(|(entity, _)| entity.starts_with(&name[..=length])).peekable();
            if known.peek().is_none() && name[0] != b'#' {
                return Err(Broken::No);
            }
            if name[length] == b';' {
                return known.next().map(|(_, byte)| u32::from(*byte)).ok_or(Broken::No);
            }
        }
        Err(Broken::No)
    }

    fn code_point(&mut self, is_whole: bool) -> Result<u32, Broken> {
        if self.next(is_whole)? == b'+' { self.fixed(4, is_whole) } else { Err(Broken::No) }
    }
}

fn digit(byte: u8, radix: u32) -> Result<u32, Broken> {
    char::from(byte).to_digit(radix).ok_or(Broken::No)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_read_out_of_each_escape() {
        for text in [
            "%2F",
            "%2f",
            "%u002F",
            r"\x2f",
            r"\u002F",
            r"\u{2f}",
            r"\U0000002f",
            r"\057",
            r"\/",
            "&#47;",
            "&#047;",
            "&#x2F;",
            "&#X0002f;",
            "&sol;",
            "=2F",
            "U+002F",
            "%252F",
            "%25252F",
            r"\\u002F",
            r"\u0026#x2F;",
            "&amp;sol;",
        ] {
            let bytes = text.as_bytes();
            let whole = ByteRead::Byte(b'/', bytes.len());
            let reads = |text, is_whole| (0..=MAX_ESCAPE_DEPTH).map(move |depth| read_byte(text, 0, depth, is_whole));
            assert!(reads(bytes, true).any(|read| read == whole), "{text}");
            for cut in 0..bytes.len() {
                assert!(reads(&bytes[..cut], false).any(|read| read == ByteRead::End), "{text} cut at {cut}");
            }
        }
        for text in ["%zz", r"\q", "&nope;", "=zz", "U-2F", "&#x2g;", "plain"] {
            assert_eq!(read_byte(text.as_bytes(), 0, 3, true), ByteRead::Byte(text.as_bytes()[0], 1), "{text}");
        }
    }
}
