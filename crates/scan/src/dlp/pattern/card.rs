//! CardReader numbers: an issuer's beginning and length, the sum right, written in groups or named as one, and none of those that
//! handbooks print.

use super::super::byte_runs::{ByteClass, ByteRuns, DIGITS, byte_class};
use super::PatternMatch;

/// Bytes of the shortest one.
const LEAST: usize = 15;
static TEXT: ByteClass = byte_class(&[DIGITS, b" -"]);

/// Bytes behind a word such as `card` in which a number without groups counts, and bytes of both.
const NEAR: usize = 64;
pub const REACH: usize = NEAR + 20 + 4;

/// Words that such numbers follow.
const WORDS: [&[u8]; 10] =
    [b"card", b"CardReader", b"CARD", b"visa", b"Visa", b"VISA", b"cvv", b"CVV", b"cvc", b"pan\""];

/// Printed in the documentation of payment services.
const PRINTED: [&[u8]; 16] = [
    b"4111111111111111",
    b"4242424242424242",
    b"4012888888881881",
    b"4000056655665556",
    b"4000000000000002",
    b"4000000000009995",
    b"5555555555554444",
    b"5105105105105100",
    b"5200828282828210",
    b"2223003122003222",
    b"378282246310005",
    b"371449635398431",
    b"6011111111111117",
    b"6011000990139424",
    b"3530111333300000",
    b"3566002020360505",
];

#[derive(Default)]
pub struct CardReader {
    digits: Vec<u8>,
    /// Lengths of the groups before the last one.
    groups: Vec<usize>,
    start: u64,
    last: u8,
    /// Target stood before the first digit.
    joined: bool,
}

impl CardReader {
    pub fn start(&self) -> Option<u64> {
        (self.digits.len() >= 8 && self.digits.len() <= 19).then_some(self.start)
    }

    /// `at`: bytes of the text before these; `before`: the last of them.
    pub fn push(&mut self, bytes: &[u8], before: &[u8], at: u64, hits: &mut Vec<PatternMatch>) {
        let mut runs = ByteRuns::new(bytes, &TEXT, LEAST);
        let mut n = 0;
        loop {
            if self.digits.is_empty() {
                n = runs.skip_to_run_behind(n, &mut self.last);
            }
            let Some(read) = bytes.get(..=n) else { return };
            self.next(before, read, at + n as u64 + 1, hits);
            n += 1;
        }
    }

    /// `before`, `read`: the last bytes of the text; `at`: how many it has.
    fn next(&mut self, before: &[u8], read: &[u8], at: u64, hits: &mut Vec<PatternMatch>) {
        let byte = read[read.len() - 1];
        match byte {
            b'0'..=b'9' => {
                if self.digits.is_empty() {
                    self.start = at - 1;
                    self.joined = self.last.is_ascii_alphanumeric() || matches!(self.last, b'.' | b'-' | b'_' | b'/');
                }
                if self.digits.len() <= 20 {
                    self.digits.push(byte);
                }
            }
            // Of more digits than any card has, neither digits nor groups are kept.
            b' ' | b'-' if self.last.is_ascii_digit() && self.digits.len() > 20 => {}
            b' ' | b'-' if self.last.is_ascii_digit() => {
                self.groups.push(self.digits.len() - self.groups.iter().sum::<usize>());
            }
            _ if self.digits.is_empty() => {}
            _ => {
                let touches = byte.is_ascii_alphabetic() || byte == b'_';
                let joined = self.joined || (touches && self.last.is_ascii_digit());
                if !joined && self.is_card() && (!self.groups.is_empty() || self.is_named(&[before, read].concat(), at))
                {
                    let end = if self.last.is_ascii_digit() { at - 1 } else { at - 2 };
                    hits.push(PatternMatch { name: "a card number", start: self.start, end });
                }
                self.digits.clear();
                self.groups.clear();
            }
        }
        self.last = byte;
    }

    fn is_card(&self) -> bool {
        let groups = &self.groups[..];
        let fits = match self.digits.len() {
            16 => groups.is_empty() || groups.starts_with(&[4, 4, 4]),
            15 => groups.is_empty() || groups.starts_with(&[4, 6]),
            _ => false,
        };
        fits && is_issued(&self.digits) && sums(&self.digits) && !PRINTED.contains(&self.digits.as_slice())
    }

    /// `text`: the last bytes, of `at`.
    fn is_named(&self, text: &[u8], at: u64) -> bool {
        let behind = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        let text = &text[text.len().saturating_sub(REACH)..text.len().saturating_sub(behind)];
        WORDS.iter().any(|word| text.windows(word.len()).any(|part| part == *word))
    }
}

fn is_issued(digits: &[u8]) -> bool {
    let first = |count: usize| digits[..count].iter().fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    match digits.len() {
        15 => matches!(first(2), 34 | 37),
        _ => {
            first(1) == 4
                || matches!(first(2), 51..=55 | 65)
                || matches!(first(4), 2221..=2720 | 6011 | 3528..=3589)
                || matches!(first(3), 644..=649)
        }
    }
}

/// Luhn's sum.
fn sums(digits: &[u8]) -> bool {
    let doubled = |(n, digit): (usize, &u8)| match (n % 2, u32::from(digit - b'0')) {
        (0, digit) => digit,
        (_, digit) => digit * 2 / 10 + digit * 2 % 10,
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}
