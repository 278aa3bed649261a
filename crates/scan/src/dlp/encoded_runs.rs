//! Runs of base64 and of hex digits, decoded as they stream. A run that is too short to carry a value is not decoded.

use super::byte_runs::{ByteClass, ByteRuns, DIGITS, LOWER, UPPER, byte_class};

/// Digits that a run has before it is decoded.
const MIN_RUN_DIGITS: usize = 24;

/// Digits of a run that are decoded from each of its first digits, because its text may begin behind the run's beginning.
/// Behind so many, a text that does not begin at a multiple of four digits is not found in encodings of its own.
const REALIGNED_DIGITS: usize = 1024;

/// Decodes runs of base64 in both alphabets: each from its first digit, and the beginning of each also from the second,
/// third and fourth.
pub struct Base64Runs {
    /// Digits of the run so far.
    run: usize,
    first: [u8; MIN_RUN_DIGITS],
    phases: Vec<PhaseDecoder>,
}

#[derive(Default, Clone)]
struct PhaseDecoder {
    word: u32,
    have: u32,
}

/// A byte that ends a run.
const OTHER: u8 = 255;
/// A byte that may stand between digits.
const SEPARATOR: u8 = 254;

const SEXTET_OF: [u8; 256] = {
    let mut table = [OTHER; 256];
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
    // A line may end anywhere in a run.
    table[b'\r' as usize] = SEPARATOR;
    table[b'\n' as usize] = SEPARATOR;
    table
};
static BASE64: ByteClass = byte_class(&[UPPER, LOWER, DIGITS, b"+-/_\r\n"]);

impl Base64Runs {
    /// `phases`: how many of a run's first digits it is decoded from.
    pub fn new(phases: usize) -> Base64Runs {
        Base64Runs { run: 0, first: [0; MIN_RUN_DIGITS], phases: vec![PhaseDecoder::default(); phases] }
    }

    /// Appends what is decoded: one text for each phase.
    pub fn push(&mut self, bytes: &[u8], into: &mut [Vec<u8>]) {
        let mut runs = ByteRuns::new(bytes, &BASE64, MIN_RUN_DIGITS);
        let mut at = 0;
        loop {
            if self.run == 0 {
                at = runs.skip_to_run(at);
            }
            let Some(byte) = bytes.get(at) else { return };
            let digit = SEXTET_OF[usize::from(*byte)];
            if digit >= SEPARATOR {
                if digit == OTHER && self.run > 0 {
                    self.finish(into);
                }
                at += 1;
                continue;
            }
            let rest = &bytes[at..];
            let length = rest.iter().position(|byte| SEXTET_OF[usize::from(*byte)] >= SEPARATOR).unwrap_or(rest.len());
            self.take(&rest[..length], into);
            at += length;
        }
    }

    /// The run has ended: its last group may have fewer digits.
    pub fn finish(&mut self, into: &mut [Vec<u8>]) {
        if self.run >= MIN_RUN_DIGITS {
            for (phase, into) in self.phases.iter_mut().zip(into) {
                phase.finish(into);
            }
        }
        self.run = 0;
        self.phases.fill(PhaseDecoder::default());
    }

    fn take(&mut self, digits: &[u8], into: &mut [Vec<u8>]) {
        let mut digits = digits;
        if self.run < MIN_RUN_DIGITS {
            let (begun, rest) = digits.split_at(digits.len().min(MIN_RUN_DIGITS - self.run));
            for byte in begun {
                self.first[self.run] = SEXTET_OF[usize::from(*byte)];
                self.run += 1;
            }
            if self.run < MIN_RUN_DIGITS {
                return;
            }
            for (skip, (phase, into)) in self.phases.iter_mut().zip(&mut *into).enumerate() {
                phase.decode(self.first[skip..].iter().copied(), into);
            }
            digits = rest;
        }
        let near = digits.len().min(REALIGNED_DIGITS.saturating_sub(self.run));
        self.run = self.run.saturating_add(digits.len());
        for (skip, (phase, into)) in self.phases.iter_mut().zip(into).enumerate() {
            let digits = if skip == 0 { digits } else { &digits[..near] };
            phase.decode(digits.iter().map(|byte| SEXTET_OF[usize::from(*byte)]), into);
        }
    }
}

impl PhaseDecoder {
    /// Two digits more stand for a byte, three for two. What follows is another text.
    fn finish(&mut self, into: &mut Vec<u8>) {
        let bytes = self.have.saturating_sub(1) as usize;
        let word = self.word << (6 * (4 - self.have));
        into.extend_from_slice(&word.to_be_bytes()[1..1 + bytes]);
        into.push(b'\n');
    }

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

/// Decodes pairs of hex digits, with the separators that programs write between them.
#[derive(Default)]
pub struct HexRuns {
    half: Option<u8>,
    pairs: usize,
    first: [u8; MIN_RUN_DIGITS / 2],
}

/// The value of a hex digit, or one of the markers.
const NIBBLE_OF: [u8; 256] = {
    let mut table = [OTHER; 256];
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
    n = 0;
    while n < SEPARATORS.len() {
        table[SEPARATORS[n] as usize] = SEPARATOR;
        n += 1;
    }
    // `0x41`: the zero is no digit.
    table[b'x' as usize] = HEX_PREFIX;
    table[b'X' as usize] = HEX_PREFIX;
    table
};
/// The letter behind a zero that is no digit.
const HEX_PREFIX: u8 = 253;
const SEPARATORS: &[u8] = b" :-,\\\r\n\t;%\"'";
static HEX: ByteClass = byte_class(&[DIGITS, b"abcdefABCDEFxX", SEPARATORS]);

impl HexRuns {
    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) {
        let mut runs = ByteRuns::new(bytes, &HEX, MIN_RUN_DIGITS);
        let mut at = 0;
        loop {
            if self.pairs == 0 && self.half.is_none() {
                at = runs.skip_to_run(at);
            }
            let Some(byte) = bytes.get(at) else { return };
            at += 1;
            match (NIBBLE_OF[usize::from(*byte)], self.half) {
                (OTHER, None) => self.pairs = 0,
                (SEPARATOR, None) => {}
                (HEX_PREFIX, _) => self.half = None,
                (OTHER | SEPARATOR, Some(_)) => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_decoded_in_every_split() {
        let text = b"data: aGVsbG8sIHRoaXMgaXMgYSBsb25nIHRl\r\neHQ=, short aGVsbG8= x";
        for part in [1, 5, 100] {
            let (mut base, mut out) = (Base64Runs::new(1), vec![Vec::new()]);
            text.chunks(part).for_each(|part| base.push(part, &mut out));
            assert!(out[0].starts_with(b"hello, this is a long te"), "{}", String::from_utf8_lossy(&out[0]));
        }
        let (mut base, mut out) = (Base64Runs::new(4), vec![Vec::new(); 4]);
        base.push(b"/xaGVsbG8sIHRoaXMgaXMgYSBsb25nIHRleHQ", &mut out);
        assert!(out[2].starts_with(b"hello, this"));
        for text in [
            "68656c6c6f2c2074686973206973",
            "68:65:6c:6c:6f:2c:20:74:68:69:73:20:69:73",
            "\\x68\\x65\\x6c\\x6c\\x6f\\x2c\\x20\\x74\\x68\\x69\\x73\\x20\\x69\\x73",
            "0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x2c, 0x20, 0x74, 0x68, 0x69, 0x73, 0x20, 0x69, 0x73",
        ] {
            let (mut hex, mut out) = (HexRuns::default(), Vec::new());
            text.as_bytes().chunks(3).for_each(|part| hex.push(part, &mut out));
            assert_eq!(out, b"hello, this is", "{text}");
        }
    }
}
