//! Card numbers: an issuer's beginning and length, the sum right, written in groups or named as one, and none of those that
//! handbooks print.

use super::Hit;

/// Bytes behind a word such as `card` in which a number without groups counts.
const NEAR: u64 = 64;

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
pub struct Card {
    digits: Vec<u8>,
    /// Lengths of the groups before the last one.
    groups: Vec<usize>,
    start: u64,
    last: u8,
    /// What stood before the first digit.
    joined: bool,
    /// Where words were read that such numbers follow.
    expected: Vec<u64>,
}

impl Card {
    /// A word was read that such numbers follow.
    pub fn expect(&mut self, at: u64) {
        if self.expected.len() < 64 {
            self.expected.push(at);
        }
    }

    pub fn start(&self) -> Option<u64> {
        (self.digits.len() >= 8 && self.digits.len() <= 19).then_some(self.start)
    }

    /// `at`: bytes of the text before these.
    pub fn push(&mut self, bytes: &[u8], at: u64, hits: &mut Vec<Hit>) {
        let mut n = 0;
        while n < bytes.len() {
            if self.digits.is_empty() {
                let rest = &bytes[n..];
                let plain = rest.iter().position(u8::is_ascii_digit).unwrap_or(rest.len());
                n += plain;
                if plain > 0 {
                    self.last = bytes[n - 1];
                }
                if n == bytes.len() {
                    break;
                }
            }
            self.next(bytes[n], at + n as u64 + 1, hits);
            n += 1;
        }
        self.expected.retain(|word| at - (*word).min(at) <= 2 * NEAR);
    }

    /// `at`: bytes of the text with this one.
    fn next(&mut self, byte: u8, at: u64, hits: &mut Vec<Hit>) {
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
            b' ' | b'-' if self.last.is_ascii_digit() => {
                self.groups.push(self.digits.len() - self.groups.iter().sum::<usize>());
            }
            _ => {
                let touches = byte.is_ascii_alphabetic() || byte == b'_';
                let joined = self.joined || (touches && self.last.is_ascii_digit());
                let end = if self.last.is_ascii_digit() { at - 1 } else { at - 2 };
                if !joined && self.is_card(at) {
                    hits.push(Hit { name: "a card number", start: self.start, end });
                }
                self.digits.clear();
                self.groups.clear();
            }
        }
        self.last = byte;
    }

    fn is_card(&self, at: u64) -> bool {
        let groups = &self.groups[..];
        let grouped = match self.digits.len() {
            16 => groups.starts_with(&[4, 4, 4]),
            15 => groups.starts_with(&[4, 6]),
            _ => return false,
        };
        let near = |word: &u64| *word <= self.start && at - *word <= NEAR + 20;
        let named = groups.is_empty() && self.expected.iter().any(near);
        (grouped || named)
            && is_issued(&self.digits)
            && sums(&self.digits)
            && !PRINTED.contains(&self.digits.as_slice())
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
