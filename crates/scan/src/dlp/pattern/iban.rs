//! Bank accounts (IBAN, ISO 13616): a country, its length, and the sum modulo 97. Those that handbooks print do not count.

use super::super::byte_runs::{ByteClass, ByteRuns, DIGITS, UPPER, byte_class};
use super::PatternMatch;

/// Bytes of the shortest account.
const MIN_IBAN_BYTES: usize = 15;
/// What accounts are made of.
static IBAN: ByteClass = byte_class(&[UPPER, DIGITS, b" "]);

/// Letters and digits of an account, by its country.
const LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AT", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"CH", 21),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"EE", 20),
    (b"ES", 24),
    (b"FI", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GR", 27),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"MC", 27),
    (b"MT", 31),
    (b"NL", 18),
    (b"NO", 15),
    (b"PL", 28),
    (b"PT", 25),
    (b"RO", 24),
    (b"SA", 24),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"TR", 26),
    (b"UA", 29),
];

/// Accounts that handbooks print as examples.
const EXAMPLES: [&[u8]; 8] = [
    b"DE89370400440532013000",
    b"GB82WEST12345698765432",
    b"GB29NWBK60161331926819",
    b"FR1420041010050500013M02606",
    b"NL91ABNA0417164300",
    b"ES9121000418450200051332",
    b"CH9300762011623852957",
    b"BE68539007547034",
];

/// Finds accounts. A capital letter may begin one behind any byte that is no part of a word, so also inside another
/// candidate: at most one for each of its groups of four.
#[derive(Default)]
pub struct IbanReader {
    open: Vec<IbanCandidate>,
    /// The byte before the next one.
    last: u8,
}

struct IbanCandidate {
    text: Vec<u8>,
    /// Letters and digits of an account of its country; 0: the country is not known yet.
    length: usize,
    start: u64,
    /// Letters and digits since the last blank.
    group: usize,
}

/// What a byte makes of a candidate.
enum CandidateState {
    Open,
    Over,
    Found,
}

impl IbanReader {
    /// Where the first candidate begins that has its country and checksum.
    pub fn start(&self) -> Option<u64> {
        self.open.iter().find(|candidate| candidate.text.len() >= 4).map(|candidate| candidate.start)
    }

    /// `at`: bytes of the text before these.
    pub fn push(&mut self, bytes: &[u8], at: u64, hits: &mut Vec<PatternMatch>) {
        let mut runs = ByteRuns::new(bytes, &IBAN, MIN_IBAN_BYTES);
        let mut n = 0;
        loop {
            if self.open.is_empty() {
                n = runs.skip_to_run_behind(n, &mut self.last);
            }
            let Some(byte) = bytes.get(n) else { return };
            self.push_byte(*byte, at + n as u64, hits);
            n += 1;
        }
    }

    /// `at`: bytes of the text before this one.
    fn push_byte(&mut self, byte: u8, at: u64, hits: &mut Vec<PatternMatch>) {
        self.open.retain_mut(|candidate| match candidate.push(byte) {
            CandidateState::Open => true,
            CandidateState::Over => false,
            CandidateState::Found => {
                hits.push(PatternMatch { name: "a bank account", is_hint: false, start: candidate.start, end: at });
                false
            }
        });
        if byte.is_ascii_uppercase() && !self.last.is_ascii_alphanumeric() && self.last != b'_' {
            self.open.push(IbanCandidate { text: vec![byte], length: 0, start: at, group: 1 });
        }
        self.last = byte;
    }
}

impl IbanCandidate {
    fn push(&mut self, byte: u8) -> CandidateState {
        let count = self.text.len();
        let fits = match count {
            1 => byte.is_ascii_uppercase(),
            2 | 3 => byte.is_ascii_digit(),
            _ => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        };
        if count >= 4 && count == self.length {
            let ends = !byte.is_ascii_alphanumeric() && byte != b'_';
            return if ends && is_iban(&self.text) { CandidateState::Found } else { CandidateState::Over };
        }
        if fits {
            self.text.push(byte);
            self.group += 1;
            if count == 1 {
                match LENGTHS.iter().find(|(country, _)| country[..] == self.text[..]) {
                    Some((_, length)) => self.length = *length,
                    None => return CandidateState::Over,
                }
            }
            return CandidateState::Open;
        }
        if byte == b' ' && self.group == 4 {
            self.group = 0;
            return CandidateState::Open;
        }
        CandidateState::Over
    }
}

fn is_iban(text: &[u8]) -> bool {
    let turned = text[4..].iter().chain(&text[..4]);
    let rest = turned.fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    rest == 1 && digits * 2 > text.len() && !EXAMPLES.contains(&text)
}
