//! Card numbers: an issuer's beginning and length, the sum right, and written in groups or behind a word that names a card.
//! Those that handbooks print do not count, nor does a number that other digits stand beside, or one in groups near another
//! that is no card's: tables have many of those.

use super::super::byte_runs::{ByteClass, ByteRuns, DIGITS, byte_class};
use super::{PatternMatch, published};

/// Bytes of the shortest card number.
const MIN_CARD_BYTES: usize = 15;
/// Digits of the longest card number. Of a longer number nothing more is kept.
const MAX_CARD_DIGITS: usize = 19;
/// What card numbers are made of.
static CARD: ByteClass = byte_class(&[DIGITS, b" -"]);

/// Bytes behind a word such as `card` in which a number without groups counts.
const NAMED_WITHIN_BYTES: usize = 64;
/// Bytes of the word, the number and what is between.
pub const WORD_REACH_BYTES: usize = NAMED_WITHIN_BYTES + 20 + 4;

/// Words that name a card, in lower case.
pub const WORDS: [&[u8]; 5] = [b"card", b"visa", b"cvv", b"cvc", b"pan"];
/// What may stand in one word before and behind those.
const WORD_BEGINS: [&[u8]; 7] = [b"", b"credit", b"debit", b"bank", b"payment", b"pay", b"charge"];
const WORD_ENDS: [&[u8]; 6] = [b"", b"s", b"no", b"num", b"number", b"holder"];

/// Bytes from a number in groups to another one in which the one tells of the other.
const NEAR_BYTES: u64 = 64;

#[derive(Default)]
pub struct CardReader {
    digits: Vec<u8>,
    /// Lengths of the groups before the last one.
    groups: Vec<usize>,
    start: u64,
    /// The byte before the next one.
    last: u8,
    /// The first digit follows a letter, or a sign within a word.
    joined: bool,
    /// A number in groups, which counts if none that is no card's follows near it.
    pending: Option<PatternMatch>,
    /// Up to here, numbers in groups do not count.
    table_end: u64,
}

impl CardReader {
    /// Where an open number begins that may still be a card's.
    pub fn start(&self) -> Option<u64> {
        let open = (self.digits.len() >= 8 && self.digits.len() <= MAX_CARD_DIGITS).then_some(self.start);
        self.pending.map(|pending| pending.start).or(open)
    }

    /// Is it a number as long and in groups as a card's?
    pub fn is_whole(&self) -> bool {
        self.pending.is_some() || self.is_grouped_as_card()
    }

    /// The text has ended.
    pub fn finish(&mut self, hits: &mut Vec<PatternMatch>) {
        hits.extend(self.pending.take());
        self.table_end = 0;
    }

    /// `before`: the last bytes of the text before these; `at`: how many bytes are before these.
    pub fn push(&mut self, bytes: &[u8], before: &[u8], at: u64, hits: &mut Vec<PatternMatch>) {
        let mut runs = ByteRuns::new(bytes, &CARD, MIN_CARD_BYTES);
        let mut n = 0;
        loop {
            if self.digits.is_empty() {
                n = runs.skip_to_run_behind(n, &mut self.last);
            }
            if self.pending.is_some_and(|pending| pending.end + NEAR_BYTES < at + n as u64) {
                hits.extend(self.pending.take());
            }
            let Some(read) = bytes.get(..=n) else { return };
            self.push_byte(before, read, at + n as u64 + 1, hits);
            n += 1;
        }
    }

    /// Reads the last byte of `read`, which follows `before`. `at`: bytes of the text, with this one.
    fn push_byte(&mut self, before: &[u8], read: &[u8], at: u64, hits: &mut Vec<PatternMatch>) {
        let byte = read[read.len() - 1];
        match byte {
            b'0'..=b'9' => {
                if self.digits.is_empty() {
                    self.start = at - 1;
                    self.joined = self.last.is_ascii_alphanumeric() || matches!(self.last, b'.' | b'-' | b'_' | b'/');
                }
                if self.digits.len() <= MAX_CARD_DIGITS + 1 {
                    self.digits.push(byte);
                }
            }
            // More digits than any card has: neither digits nor groups are kept.
            b' ' | b'-' if self.last.is_ascii_digit() && self.digits.len() > MAX_CARD_DIGITS + 1 => {}
            b' ' | b'-' if self.last.is_ascii_digit() => {
                self.groups.push(self.digits.len() - self.groups.iter().sum::<usize>());
            }
            _ if self.digits.is_empty() => {}
            _ => {
                let touches = byte.is_ascii_alphabetic() || byte == b'_';
                let joined = self.joined || (touches && self.last.is_ascii_digit());
                if !joined && self.is_grouped_as_card() {
                    let end = if self.last.is_ascii_digit() { at - 1 } else { at - 2 };
                    self.judge(&[before, read].concat(), end, at, hits);
                }
                self.digits.clear();
                self.groups.clear();
            }
        }
        self.last = byte;
    }

    /// Decides about a number that is grouped as a card's. `text`: the last bytes of the text, of which there are `at`.
    fn judge(&mut self, text: &[u8], end: u64, at: u64, hits: &mut Vec<PatternMatch>) {
        let is_card = is_issued(&self.digits) && has_luhn_sum(&self.digits);
        if is_card && published::is_card(&self.digits) {
            return;
        }
        let found = PatternMatch { name: "a card number", is_hint: false, start: self.start, end };
        if is_card && self.is_named(text, at) {
            hits.push(found);
            return;
        }
        if self.groups.is_empty() {
            return;
        }
        if !is_card {
            self.pending = None;
            self.table_end = end + NEAR_BYTES;
        } else if self.start >= self.table_end {
            hits.extend(self.pending.replace(found));
        }
    }

    fn is_grouped_as_card(&self) -> bool {
        let groups = &self.groups[..];
        match self.digits.len() {
            16 => groups.is_empty() || groups.starts_with(&[4, 4, 4]),
            15 => groups.is_empty() || groups.starts_with(&[4, 6]),
            _ => false,
        }
    }

    /// Does a word name it? `text`: the last bytes of the text, of which there are `at`.
    fn is_named(&self, text: &[u8], at: u64) -> bool {
        let behind = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        let text = &text[text.len().saturating_sub(WORD_REACH_BYTES)..text.len().saturating_sub(behind)];
        let is_word = |from: usize, word: &[u8]| {
            let end = from + word.len();
            let is_met = text.get(from..end).is_some_and(|part| part.eq_ignore_ascii_case(word));
            is_met && is_end_of_word(&text[..from], text[from]) && is_start_of_word(&text[end..])
        };
        WORDS.iter().any(|word| (0..text.len()).any(|from| is_word(from, word)))
    }
}

/// May a word begin with `first` behind this text?
fn is_end_of_word(before: &[u8], first: u8) -> bool {
    let letters = before.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let letters = &before[before.len() - letters..];
    let is_capital = first.is_ascii_uppercase() && letters.last().is_some_and(u8::is_ascii_lowercase);
    is_capital || WORD_BEGINS.iter().any(|begin| letters.eq_ignore_ascii_case(begin))
}

/// May a word end before this text?
fn is_start_of_word(behind: &[u8]) -> bool {
    let letters = behind.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let is_capital =
        behind.first().is_some_and(u8::is_ascii_uppercase) && behind.get(1).is_some_and(u8::is_ascii_lowercase);
    is_capital || WORD_ENDS.iter().any(|end| behind[..letters].eq_ignore_ascii_case(end))
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

/// Is Luhn's sum right?
fn has_luhn_sum(digits: &[u8]) -> bool {
    let doubled = |(n, digit): (usize, &u8)| match (n % 2, u32::from(digit - b'0')) {
        (0, digit) => digit,
        (_, digit) => digit * 2 / 10 + digit * 2 % 10,
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}
