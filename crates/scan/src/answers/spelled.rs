//! Matches a value at one place of a text, each of its bytes in any spelling: as it stands, in an escape, or as a number in a
//! list. Between two bytes a line may be wrapped, and separators and the NULs of UTF-16 may stand.

use super::escape::{ByteRead, MAX_ESCAPE_DEPTH, is_introducer, read_byte};
use memchr::memchr;

/// Bytes of a text that one value may cover; a wider spread one is not masked.
const MAX_SPAN_BYTES: usize = 16 << 10;
/// Bytes between two bytes of a value.
const MAX_GAP_BYTES: usize = 96;
/// Blanks between two bytes in one line.
const MAX_BLANKS: usize = 3;
/// Digits of the index of a number.
const MAX_INDEX_DIGITS: usize = 5;
/// Bytes of a value before its first line wrap: with fewer, each line of a stream that ends like the value begins would wait
/// for the next line.
const MIN_BEFORE_WRAP: usize = 3;
/// Bytes that stand for nothing between two others.
pub const INVISIBLE: [&[u8]; 9] = [
    b"<wbr>",
    b"<wbr/>",
    b"&shy;",
    b"&#8203;",
    b"&ZeroWidthSpace;",
    b"\xe2\x80\x8b",
    b"\xc2\xad",
    b"\xef\xbb\xbf",
    b"\xe2\x81\xa0",
];

/// What stands around a wrap beside line feeds, commas, backslashes and `=`; one of it may also separate two bytes.
pub const AROUND_WRAP: &[u8] = b" \t\r\"'|+>#*;-";
/// What stands between two numbers of a list.
pub const LIST_SEPARATORS: &[u8] = b" ,;:-|_.\t\r\n\"'\\[]()+b";
/// A line feed or carriage return in an escape, and whether it is a line feed.
pub const NEWLINE_ESCAPES: [(&[u8], bool); 12] = [
    (b"\\n", true),
    (b"\\r", false),
    (b"\\u000a", true),
    (b"\\u000A", true),
    (b"\\u000d", false),
    (b"\\u000D", false),
    (b"%0A", true),
    (b"%0a", true),
    (b"%0D", false),
    (b"%0d", false),
    (b"&#10;", true),
    (b"&#13;", false),
];

/// How the bytes of a value are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// As characters, escaped or not.
    Character,
    /// Two hex digits each; separators and prefixes may stand between them.
    Hex,
    /// Decimal numbers with separators between them, and the index of each where they are fields of an object.
    Decimal,
    /// Octal numbers of three digits with separators between them.
    Octal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterCase {
    Exact,
    Any,
}

impl LetterCase {
    /// How this byte of a value may stand in a text.
    pub fn forms(self, byte: u8) -> Vec<u8> {
        match self {
            LetterCase::Exact => vec![byte],
            LetterCase::Any => vec![byte.to_ascii_lowercase(), byte.to_ascii_uppercase()],
        }
    }
}

/// A value to match: a secret, or all of it in an encoding that no byte of it can be told in alone.
pub struct Spelled {
    pub value: Vec<u8>,
    pub notation: Notation,
    pub case: LetterCase,
    /// A bit for values of its kind.
    pub kind: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpelledMatch {
    No,
    /// Up to here.
    Full(usize),
    /// The text ends before it is decided.
    Open,
}

/// A text, and where a value may begin in it.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub text: &'a [u8],
    pub start: usize,
    /// Nothing follows the text.
    pub is_whole: bool,
}

/// Where a match may go on, as far as it is known.
#[derive(Default)]
struct Ways {
    at: Vec<usize>,
    is_open: bool,
}

impl Ways {
    fn add(&mut self, at: usize) {
        if !self.at.contains(&at) {
            self.at.push(at);
        }
    }
}

impl Spelled {
    pub fn match_at(&self, place: Place) -> SpelledMatch {
        let mut ways = Ways { at: vec![place.start], is_open: false };
        let mut is_open = false;
        for (n, byte) in self.value.iter().enumerate() {
            let mut behind = Ways::default();
            for at in ways.at.drain(..) {
                if at - place.start <= MAX_SPAN_BYTES {
                    self.read_one(place, at, *byte, &mut behind);
                }
            }
            is_open |= behind.is_open;
            if n + 1 == self.value.len() {
                ways = behind;
                break;
            }
            let mut next = Ways::default();
            for at in behind.at {
                self.cross_gap(place, at, n + 1, &mut next);
            }
            is_open |= next.is_open;
            if next.at.is_empty() {
                return if is_open && !place.is_whole { SpelledMatch::Open } else { SpelledMatch::No };
            }
            ways = next;
        }
        match ways.at.into_iter().max() {
            _ if is_open && !place.is_whole => SpelledMatch::Open,
            Some(end) => SpelledMatch::Full(end),
            None => SpelledMatch::No,
        }
    }

    /// Whether a byte of a text is this one of the value.
    pub fn is_same(&self, wanted: u8, byte: u8) -> bool {
        match self.case {
            LetterCase::Exact => wanted == byte,
            LetterCase::Any => wanted.eq_ignore_ascii_case(&byte),
        }
    }

    /// Adds the ends of all spellings of `byte` that begin at `at`.
    fn read_one(&self, place: Place, at: usize, byte: u8, ways: &mut Ways) {
        if self.notation == Notation::Character {
            return self.read_character(place, at, byte, ways);
        }
        let digits = digits(byte, self.notation);
        let rest = &place.text[at..];
        let shown = &rest[..rest.len().min(digits.len())];
        if !digits[..shown.len()].eq_ignore_ascii_case(shown) {
        } else if shown.len() < digits.len() {
            ways.is_open = true;
        } else {
            ways.add(at + digits.len());
        }
    }

    fn read_character(&self, place: Place, at: usize, byte: u8, ways: &mut Ways) {
        let depths = match place.text.get(at) {
            Some(first) if is_introducer(*first) => MAX_ESCAPE_DEPTH,
            _ => 0,
        };
        for depth in 0..=depths {
            match read_byte(place.text, at, depth, place.is_whole) {
                ByteRead::Byte(read, behind) if self.is_same(byte, read) => ways.add(behind),
                ByteRead::Byte(..) => {}
                ByteRead::End => ways.is_open = true,
            }
        }
    }

    /// Adds all places behind `at` where the next byte may begin, `matched` bytes into the value.
    fn cross_gap(&self, place: Place, at: usize, matched: usize, ways: &mut Ways) {
        match self.notation {
            Notation::Character => cross_text_gap(place.text, at, matched, ways),
            Notation::Hex | Notation::Decimal | Notation::Octal => self.cross_list_gap(place.text, at, ways),
        }
    }

    fn cross_list_gap(&self, text: &[u8], at: usize, ways: &mut Ways) {
        let is_separator = |byte: &u8| LIST_SEPARATORS.contains(byte);
        let rest = &text[at..text.len().min(at + MAX_GAP_BYTES)];
        let separators = rest.iter().take_while(|byte| is_separator(byte)).count();
        let mut end = at + separators;
        if separators > 0 || self.notation == Notation::Hex {
            ways.add(end);
        }
        let prefixes: &[&[u8]] = match self.notation {
            Notation::Hex => &[b"0x", b"x", b"0X", b"%", b"#", b"$"],
            Notation::Octal => &[b"0o", b"0", b"o"],
            _ => &[],
        };
        let behind = &text[end..];
        if let Some(prefix) = prefixes.iter().find(|prefix| behind.starts_with(prefix)) {
            end += prefix.len();
            ways.add(end);
        }
        if self.notation == Notation::Decimal && text[..end].ends_with(b"\"") {
            cross_index(text, end, ways);
        }
        ways.is_open |= end == text.len() || prefixes.iter().any(|prefix| prefix.starts_with(&text[end..]));
    }
}

/// The index of a number that is a field of an object, as of a typed array of JavaScript: `{"0":116,"1":111}`.
fn cross_index(text: &[u8], at: usize, ways: &mut Ways) {
    let behind = &text[at..];
    let digits = behind.iter().take(MAX_INDEX_DIGITS).take_while(|byte| byte.is_ascii_digit()).count();
    let rest = &behind[digits..];
    if digits > 0 && rest.starts_with(b"\":") {
        let end = at + digits + 2;
        ways.add(end + blanks(&text[end..]).min(1));
    }
    ways.is_open |= b"\":".starts_with(rest) || rest == b"\": ";
}

/// The bytes between two characters: nothing, NULs, what is not seen, quotes and a comma, or one line wrap with what
/// programs put around it.
fn cross_text_gap(text: &[u8], at: usize, matched: usize, ways: &mut Ways) {
    ways.add(at);
    let Some(&first) = text.get(at) else {
        ways.is_open = true;
        return;
    };
    let rest = &text[at..];
    match first {
        0 => {
            let nuls = rest.iter().take(3).take_while(|byte| **byte == 0).count();
            (1..=nuls).for_each(|count| ways.add(at + count));
            ways.is_open |= nuls == rest.len();
        }
        b'<' | b'&' | 0xc2 | 0xe2 | 0xef => {
            for token in INVISIBLE {
                if rest.starts_with(token) {
                    ways.add(at + token.len());
                }
                ways.is_open |= token.len() > rest.len() && token.starts_with(rest);
            }
        }
        _ => {}
    }
    let mut newlines = 0;
    let mut has_comma = false;
    let mut to = at;
    while to - at < MAX_GAP_BYTES {
        let behind = &text[to..];
        let length = match behind {
            [] => {
                ways.is_open |= matched >= MIN_BEFORE_WRAP || matches!(first, b'"' | b'\'');
                return;
            }
            [b'\n', ..] => {
                newlines += 1;
                1
            }
            [b'\\' | b'%' | b'=' | b'&', ..] => match newline_escape(behind) {
                Some((length, is_newline)) => {
                    newlines += usize::from(is_newline);
                    length
                }
                None if b"\\=".contains(&behind[0]) => 1,
                None => {
                    ways.is_open |= behind.len() < 6 && matched >= MIN_BEFORE_WRAP && !behind.contains(&b' ');
                    return;
                }
            },
            // Lines of boxes, and the sign that an editor shows at a wrap.
            [0xe2, 0x80..=0xbf, 0x80..=0xbf, ..] => 3,
            [0xe2] | [0xe2, 0x80..=0xbf] => {
                ways.is_open |= matched >= MIN_BEFORE_WRAP;
                return;
            }
            [b',', ..] => {
                has_comma = true;
                1
            }
            [byte, ..] if memchr(*byte, AROUND_WRAP).is_some() => 1,
            _ => return,
        };
        if newlines > 1 || (newlines == 1 && matched < MIN_BEFORE_WRAP) {
            return;
        }
        to += length;
        let is_separator = newlines == 0 && (to == at + 1 || (to - at <= MAX_BLANKS && blanks(rest) >= to - at));
        if newlines == 1 || is_separator || (has_comma && matches!(first, b'"' | b'\'') && to - at <= 8) {
            ways.add(to);
        }
    }
}

fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|byte| **byte == b' ').count()
}

/// The length of an escaped line feed or carriage return, and whether it is a line feed.
fn newline_escape(text: &[u8]) -> Option<(usize, bool)> {
    NEWLINE_ESCAPES
        .iter()
        .find(|(escape, _)| text.starts_with(escape))
        .map(|(escape, is_newline)| (escape.len(), *is_newline))
}

/// The digits of a byte.
pub fn digits(byte: u8, notation: Notation) -> Vec<u8> {
    let text = match notation {
        Notation::Hex => format!("{byte:02x}"),
        Notation::Octal => format!("{byte:03o}"),
        Notation::Character | Notation::Decimal => byte.to_string(),
    };
    text.into_bytes()
}
