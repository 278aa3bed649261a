//! Runs of base64 and of hex digits, decoded as they stream. A run that is too short to carry a value is not decoded.

use super::byte_runs::{ByteClass, ByteRuns, DIGITS, LOWER, RunGap, UPPER, byte_class};

/// Digits that a run has before it is decoded.
const MIN_RUN_DIGITS: usize = 24;

/// Digits of a run that are decoded from each of its first digits, because its text may begin behind the run's beginning.
/// Behind so many, a text that begins neither at a multiple of four digits nor with a line is not found in encodings of its
/// own.
const REALIGNED_DIGITS: usize = 1024;

/// Digits of the shortest line that a program wraps base64 at. The line behind a shorter one may begin a text.
const MIN_WRAPPED_DIGITS: usize = 60;

/// Decodes runs of base64 in both alphabets, also with `\n`, `\r` and `\/` in them as strings of JSON have them: each from its
/// first digit, the beginning of each also from the second, third and fourth, and from the beginning of a line before which the
/// digits were no whole groups: a word stood there.
pub struct Base64Runs {
    /// Digits of the run so far.
    run: usize,
    first: [u8; MIN_RUN_DIGITS],
    phases: Vec<PhaseDecoder>,
    /// Digits of the run before the line from which it is decoded once more. Where they are whole groups, that is what the
    /// first phase does.
    before_line: usize,
    line: PhaseDecoder,
    /// Digits of the run before the present line.
    line_start: usize,
    /// The byte before was a backslash.
    is_escaped: bool,
    gap: RunGap,
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
        let (first, phases) = ([0; MIN_RUN_DIGITS], vec![PhaseDecoder::default(); phases]);
        let (line, is_escaped, gap) = (PhaseDecoder::default(), false, RunGap::default());
        Base64Runs { run: 0, first, phases, before_line: 0, line, line_start: 0, is_escaped, gap }
    }

    /// How many texts come out.
    pub fn texts(&self) -> usize {
        self.phases.len() + 1
    }

    /// Is the end of a run that is decoded still to come?
    pub fn is_inside(&self) -> bool {
        self.run >= MIN_RUN_DIGITS
    }

    /// Appends what is decoded: a text for each phase, and that of the line.
    pub fn push(&mut self, bytes: &[u8], into: &mut [Vec<u8>]) {
        let mut runs = ByteRuns::new(bytes, &BASE64, MIN_RUN_DIGITS);
        let mut at = 0;
        loop {
            if self.run == 0 {
                let next = runs.skip_to_run(at);
                self.gap.pass(&bytes[at..next], into);
                at = next;
            }
            let Some(byte) = bytes.get(at) else { return };
            if std::mem::take(&mut self.is_escaped) {
                match byte {
                    b'n' | b'r' => self.end_line(into),
                    b'\\' => self.is_escaped = true,
                    b'/' => self.take(b"/", into),
                    // To be read again, without what was before it.
                    _ => {
                        self.finish(into);
                        continue;
                    }
                }
                at += 1;
                continue;
            }
            match SEXTET_OF[usize::from(*byte)] {
                OTHER if *byte == b'\\' && self.run > 0 => self.is_escaped = true,
                OTHER => {
                    self.finish(into);
                    self.gap.pass(&[*byte], into);
                }
                SEPARATOR => self.end_line(into),
                _ => {
                    let rest = &bytes[at..];
                    let is_end = |byte: &u8| SEXTET_OF[usize::from(*byte)] >= SEPARATOR;
                    let length = rest.iter().position(is_end).unwrap_or(rest.len());
                    self.take(&rest[..length], into);
                    at += length;
                    continue;
                }
            }
            at += 1;
        }
    }

    /// The run has ended: appends what its last digits stand for, which are no whole group.
    pub fn finish(&mut self, into: &mut [Vec<u8>]) {
        if self.is_inside() {
            self.gap.begin();
            let aligned = if self.run > REALIGNED_DIGITS { 1 } else { self.phases.len() };
            for (phase, into) in self.phases.iter_mut().zip(&mut *into).take(aligned) {
                phase.finish(into);
            }
            self.line.finish(&mut into[self.phases.len()]);
        } else if self.run > 0 {
            self.gap.pass(&UPPER[..1], into);
        }
        self.phases.fill(PhaseDecoder::default());
        self.line = PhaseDecoder::default();
        (self.run, self.before_line, self.line_start, self.is_escaped) = (0, 0, 0, false);
    }

    fn end_line(&mut self, into: &mut [Vec<u8>]) {
        let length = self.run - std::mem::replace(&mut self.line_start, self.run);
        if (1..MIN_WRAPPED_DIGITS).contains(&length) && !(self.run - self.before_line).is_multiple_of(4) {
            self.line.finish(&mut into[self.phases.len()]);
            self.before_line = self.run;
        }
    }

    fn take(&mut self, digits: &[u8], into: &mut [Vec<u8>]) {
        let (phases, line) = into.split_at_mut(self.phases.len());
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
            for (skip, (phase, into)) in self.phases.iter_mut().zip(&mut *phases).enumerate() {
                phase.decode(self.first[skip..].iter().copied(), into);
            }
            if !self.before_line.is_multiple_of(4) {
                self.line.decode(self.first[self.before_line..].iter().copied(), &mut line[0]);
            }
            digits = rest;
        }
        let near = digits.len().min(REALIGNED_DIGITS.saturating_sub(self.run));
        self.run = self.run.saturating_add(digits.len());
        for (skip, (phase, into)) in self.phases.iter_mut().zip(phases).enumerate() {
            let digits = if skip == 0 { digits } else { &digits[..near] };
            phase.decode(digits.iter().map(|byte| SEXTET_OF[usize::from(*byte)]), into);
        }
        if !self.before_line.is_multiple_of(4) {
            self.line.decode(digits.iter().map(|byte| SEXTET_OF[usize::from(*byte)]), &mut line[0]);
        }
    }
}

impl PhaseDecoder {
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

    /// Two digits stand for one byte, three for two.
    fn finish(&mut self, into: &mut Vec<u8>) {
        match self.have {
            2 => into.push((self.word >> 4) as u8),
            3 => into.extend_from_slice(&[(self.word >> 10) as u8, (self.word >> 2) as u8]),
            _ => {}
        }
        *self = PhaseDecoder::default();
    }
}

/// Decodes pairs of hex digits, with the separators that programs write between them.
#[derive(Default)]
pub struct HexRuns {
    half: Option<u8>,
    pairs: usize,
    first: [u8; MIN_RUN_DIGITS / 2],
    gap: RunGap,
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
                let next = runs.skip_to_run(at);
                self.gap.pass(&bytes[at..next], std::slice::from_mut(into));
                at = next;
            }
            let Some(byte) = bytes.get(at) else { return };
            at += 1;
            match (NIBBLE_OF[usize::from(*byte)], self.half) {
                (SEPARATOR, None) => {}
                (HEX_PREFIX, _) => self.half = None,
                (OTHER | SEPARATOR, _) => {
                    if self.pairs >= self.first.len() {
                        self.gap.begin();
                    }
                    // A digit alone is a word.
                    let between = if self.half.is_some() { UPPER[0] } else { *byte };
                    self.gap.pass(&[between], std::slice::from_mut(into));
                    (self.half, self.pairs) = (None, 0);
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
            let (mut base, mut out) = (Base64Runs::new(1), vec![Vec::new(); 2]);
            text.chunks(part).for_each(|part| base.push(part, &mut out));
            assert!(out[0].starts_with(b"hello, this is a long text"), "{}", String::from_utf8_lossy(&out[0]));
        }
        let (mut base, mut out) = (Base64Runs::new(4), vec![Vec::new(); 5]);
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
