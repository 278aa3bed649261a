//! Runs of base64 and of hex digits, decoded as they stream. A run that is too short to carry anything is none.

use memchr::memchr;

/// Digits before anything is decoded.
const LEAST: usize = 24;

/// Digits of a run in which its text is looked for at every beginning: it may start later than the run does, but hardly
/// much later.
const NEAR: usize = 4096;

/// Base64 of both alphabets, runs of it: each is decoded from its first digit, and the beginning of each also from the
/// second, third and fourth.
pub struct Base64 {
    run: usize,
    first: [u8; LEAST],
    phases: Vec<Phase>,
}

#[derive(Default, Clone)]
struct Phase {
    word: u32,
    have: u32,
}

const NONE: u8 = 255;
const BREAK: u8 = 254;

const DIGITS: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut n = 0;
    while n < 26 {
        table[b'A' as usize + n] = n as u8;
        table[b'a' as usize + n] = n as u8 + 26;
        n += 1;
    }
    n = 0;
    while n < 10 {
        table[b'0' as usize + n] = n as u8 + 52;
        n += 1;
    }
    table[b'+' as usize] = 62;
    table[b'-' as usize] = 62;
    table[b'/' as usize] = 63;
    table[b'_' as usize] = 63;
    // Lines are broken anywhere.
    table[b'\r' as usize] = BREAK;
    table[b'\n' as usize] = BREAK;
    table
};

impl Base64 {
    /// `phases`: from how many of a run's first digits it is decoded.
    pub fn new(phases: usize) -> Base64 {
        Base64 { run: 0, first: [0; LEAST], phases: vec![Phase::default(); phases] }
    }

    /// One text for each phase.
    pub fn push(&mut self, bytes: &[u8], into: &mut [Vec<u8>]) {
        let mut rest = bytes;
        while let Some(byte) = rest.first() {
            let digit = DIGITS[usize::from(*byte)];
            if digit >= BREAK {
                if digit == NONE && self.run > 0 {
                    self.run = 0;
                    self.phases.fill(Phase::default());
                }
                rest = &rest[1..];
                continue;
            }
            let length = rest.iter().position(|byte| DIGITS[usize::from(*byte)] >= BREAK).unwrap_or(rest.len());
            let (digits, behind) = rest.split_at(length);
            // Most runs are words.
            let ends = behind.first().is_some_and(|byte| DIGITS[usize::from(*byte)] == NONE);
            if !ends || self.run + length >= LEAST {
                self.take(digits, into);
            }
            rest = behind;
        }
    }

    fn take(&mut self, digits: &[u8], into: &mut [Vec<u8>]) {
        let mut digits = digits;
        if self.run < LEAST {
            let (begun, rest) = digits.split_at(digits.len().min(LEAST - self.run));
            for byte in begun {
                self.first[self.run] = DIGITS[usize::from(*byte)];
                self.run += 1;
            }
            if self.run < LEAST {
                return;
            }
            for (skip, (phase, into)) in self.phases.iter_mut().zip(&mut *into).enumerate() {
                phase.decode(self.first[skip..].iter().copied(), into);
            }
            digits = rest;
        }
        let near = digits.len().min(NEAR.saturating_sub(self.run));
        self.run = self.run.saturating_add(digits.len());
        for (skip, (phase, into)) in self.phases.iter_mut().zip(into).enumerate() {
            let digits = if skip == 0 { digits } else { &digits[..near] };
            phase.decode(digits.iter().map(|byte| DIGITS[usize::from(*byte)]), into);
        }
    }
}

impl Phase {
    fn decode(&mut self, digits: impl Iterator<Item = u8>, into: &mut Vec<u8>) {
        for digit in digits {
            self.word = self.word << 6 | u32::from(digit);
            self.have += 1;
            if self.have == 4 {
                into.extend_from_slice(&self.word.to_be_bytes()[1..]);
                self.have = 0;
            }
        }
    }
}

/// Pairs of hex digits, with what people put between them.
#[derive(Default)]
pub struct Hex {
    half: Option<u8>,
    pairs: usize,
    first: [u8; LEAST / 2],
}

/// The value of a hex digit, or what else a byte is to a run of them.
const NIBBLES: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut n = 0;
    while n < 10 {
        table[b'0' as usize + n] = n as u8;
        n += 1;
    }
    n = 0;
    while n < 6 {
        table[b'a' as usize + n] = n as u8 + 10;
        table[b'A' as usize + n] = n as u8 + 10;
        n += 1;
    }
    let between = b" :-,\\\r\n\t;%\"'";
    n = 0;
    while n < between.len() {
        table[between[n] as usize] = BREAK;
        n += 1;
    }
    // `0x41`: the nought is no digit.
    table[b'x' as usize] = MARK;
    table[b'X' as usize] = MARK;
    table
};
const MARK: u8 = 253;

impl Hex {
    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) {
        for byte in bytes {
            match (NIBBLES[usize::from(*byte)], self.half) {
                (NONE, None) => self.pairs = 0,
                (BREAK, None) => {}
                (MARK, _) => self.half = None,
                (NONE | BREAK, Some(_)) => {
                    self.half = None;
                    self.pairs = 0;
                }
                (digit, None) => self.half = Some(digit),
                (digit, Some(half)) => {
                    self.half = None;
                    self.take(half << 4 | digit, into);
                }
            }
        }
    }

    fn take(&mut self, byte: u8, into: &mut Vec<u8>) {
        match self.first.get_mut(self.pairs) {
            Some(place) => {
                *place = byte;
                self.pairs += 1;
                if self.pairs == self.first.len() {
                    into.extend_from_slice(&self.first);
                }
            }
            None => into.push(byte),
        }
    }
}

/// Dumps as `hexdump -C`, `xxd` and `od -tx1` write them: a place, at most sixteen bytes in hex, and perhaps how they read.
#[derive(Default)]
pub struct Dump {
    at: Column,
    /// Digits of the place, then bytes.
    count: usize,
    half: Option<u8>,
    blanks: usize,
}

#[derive(Default, PartialEq)]
enum Column {
    #[default]
    Place,
    Bytes,
    Rest,
}

impl Dump {
    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            rest = behind;
            if self.at == Column::Rest {
                // Most lines are no dump's.
                if *byte != b'\n' {
                    let Some(end) = memchr(b'\n', behind) else { return };
                    rest = &behind[end + 1..];
                }
                *self = Dump::default();
                continue;
            }
            let digit = char::from(*byte).to_digit(16).map(|digit| digit as u8);
            match (&self.at, byte, digit) {
                (_, b'\n', _) => *self = Dump::default(),
                (Column::Place, _, Some(_)) => self.count += 1,
                (Column::Place, b':', _) if self.count >= 7 => {}
                (Column::Place, b' ', _) if self.count >= 7 => {
                    self.at = Column::Bytes;
                    self.count = 0;
                }
                (Column::Bytes, b' ', _) if self.half.is_none() => {
                    self.blanks += 1;
                    if self.blanks > 2 {
                        self.at = Column::Rest;
                    }
                }
                (Column::Bytes, _, Some(digit)) => {
                    self.blanks = 0;
                    match self.half.take() {
                        None => self.half = Some(digit),
                        Some(half) => {
                            into.push(half << 4 | digit);
                            self.count += 1;
                            if self.count == 16 {
                                self.at = Column::Rest;
                            }
                        }
                    }
                }
                _ => self.at = Column::Rest,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_decoded_in_every_split() {
        let text = b"data: aGVsbG8sIHRoaXMgaXMgYSBsb25nIHRl\r\neHQ=, short aGVsbG8= x";
        for part in [1, 5, 100] {
            let (mut base, mut out) = (Base64::new(1), vec![Vec::new()]);
            text.chunks(part).for_each(|part| base.push(part, &mut out));
            assert!(out[0].starts_with(b"hello, this is a long te"), "{}", String::from_utf8_lossy(&out[0]));
        }
        let (mut base, mut out) = (Base64::new(4), vec![Vec::new(); 4]);
        base.push(b"/xaGVsbG8sIHRoaXMgaXMgYSBsb25nIHRleHQ", &mut out);
        assert!(out[2].starts_with(b"hello, this"));
        for text in [
            "68656c6c6f2c2074686973206973",
            "68:65:6c:6c:6f:2c:20:74:68:69:73:20:69:73",
            "\\x68\\x65\\x6c\\x6c\\x6f\\x2c\\x20\\x74\\x68\\x69\\x73\\x20\\x69\\x73",
            "0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x2c, 0x20, 0x74, 0x68, 0x69, 0x73, 0x20, 0x69, 0x73",
        ] {
            let (mut hex, mut out) = (Hex::default(), Vec::new());
            text.as_bytes().chunks(3).for_each(|part| hex.push(part, &mut out));
            assert_eq!(out, b"hello, this is", "{text}");
        }
    }

    #[test]
    fn dumps_are_read_without_their_margins() {
        let classic = "00000000  68 65 6c 6c 6f 2c 20 74  68 69 73 20 69 73 20 61  |hello, this is a|\n00000010  20 64 75 6d 70                                    | dump|\n";
        let xxd = "00000000: 6865 6c6c 6f2c 2074 6869 7320 6973 2061  hello, this is a\n00000010: 2064 756d 70                              dump\n";
        let od = "0000000 68 65 6c 6c 6f 2c 20 74 68 69 73 20 69 73 20 61\n0000020 20 64 75 6d 70\n";
        for text in [classic, xxd, od] {
            let (mut dump, mut out) = (Dump::default(), Vec::new());
            text.as_bytes().chunks(7).for_each(|part| dump.push(part, &mut out));
            assert_eq!(String::from_utf8_lossy(&out), "hello, this is a dump", "{text}");
        }
    }
}
