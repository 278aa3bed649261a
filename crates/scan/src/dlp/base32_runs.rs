//! Runs of base32, decoded as they stream. A value is known in base32 as it stands; what is compressed must be decoded.

use super::byte_runs::{ByteClass, ByteRuns, DigitValues, RunGap, byte_class};

/// Digits that a run has before it is decoded.
const MIN_RUN_DIGITS: usize = 24;
/// How many of a run's digits are none of hex: long numbers and sums in capitals are not base32.
const MIN_OTHER_DIGITS: usize = 3;
/// Digits that are kept of a run that looks like hex so far, as zeros before a file's first bytes do. Whole groups.
const MAX_KEPT_DIGITS: usize = 4096;
/// Digits of a group, which stands for five bytes.
const GROUP_DIGITS: usize = 8;

/// An alphabet of base32 (RFC 4648, sections 6 and 7).
pub struct Base32Alphabet {
    values: DigitValues,
    /// The digits, and ends of lines, which may stand between them.
    class: ByteClass,
}

pub static BASE32: Base32Alphabet = Base32Alphabet::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
pub static BASE32_HEX: Base32Alphabet = Base32Alphabet::new(b"0123456789ABCDEFGHIJKLMNOPQRSTUV");

impl Base32Alphabet {
    const fn new(digits: &'static [u8; 32]) -> Base32Alphabet {
        Base32Alphabet { values: DigitValues::new(digits), class: byte_class(&[digits, b"\r\n"]) }
    }
}

pub struct Base32Runs {
    alphabet: &'static Base32Alphabet,
    /// The digits of a run that is not decoded yet.
    kept: Vec<u8>,
    /// How many digits of the run are none of hex, counted until it is decoded.
    others: usize,
    /// The run is long enough, and looks like base32.
    is_decoded: bool,
    value: u64,
    digits: usize,
    gap: RunGap,
}

impl Base32Runs {
    pub fn new(alphabet: &'static Base32Alphabet) -> Base32Runs {
        let (kept, gap) = (Vec::new(), RunGap::default());
        Base32Runs { alphabet, kept, others: 0, is_decoded: false, value: 0, digits: 0, gap }
    }

    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) {
        let mut runs = ByteRuns::new(bytes, &self.alphabet.class, MIN_RUN_DIGITS);
        let mut at = 0;
        loop {
            if self.kept.is_empty() && !self.is_decoded {
                let next = runs.skip_to_run(at);
                self.gap.pass(&bytes[at..next], std::slice::from_mut(into));
                at = next;
            }
            let Some(byte) = bytes.get(at) else { return };
            at += 1;
            match self.alphabet.values.of(*byte) {
                Some(digit) if self.is_decoded => self.decode(digit, into),
                Some(_) => self.keep(*byte, into),
                None if matches!(byte, b'\r' | b'\n') => {}
                None => {
                    self.finish(into);
                    self.gap.pass(&[*byte], std::slice::from_mut(into));
                }
            }
        }
    }

    /// The run has ended: appends what its last digits stand for, which are no whole group.
    pub fn finish(&mut self, into: &mut Vec<u8>) {
        let bits = self.digits * 5;
        let value = self.value >> (bits % 8);
        into.extend_from_slice(&value.to_be_bytes()[8 - bits / 8..]);
        match (self.is_decoded, self.kept.is_empty()) {
            (true, _) => self.gap.begin(),
            (false, false) => self.gap.pass(b"a", std::slice::from_mut(into)),
            (false, true) => {}
        }
        *self = Base32Runs { gap: self.gap, ..Base32Runs::new(self.alphabet) };
    }

    fn keep(&mut self, byte: u8, into: &mut Vec<u8>) {
        if self.kept.len() == MAX_KEPT_DIGITS {
            self.kept.drain(..MAX_KEPT_DIGITS / 2);
        }
        self.kept.push(byte);
        self.others += usize::from(!byte.is_ascii_hexdigit());
        if self.kept.len() >= MIN_RUN_DIGITS && self.others >= MIN_OTHER_DIGITS {
            self.is_decoded = true;
            for byte in std::mem::take(&mut self.kept) {
                self.alphabet.values.of(byte).into_iter().for_each(|digit| self.decode(digit, into));
            }
        }
    }

    fn decode(&mut self, digit: u8, into: &mut Vec<u8>) {
        self.value = self.value << 5 | u64::from(digit);
        self.digits += 1;
        if self.digits == GROUP_DIGITS {
            into.extend_from_slice(&self.value.to_be_bytes()[3..]);
            (self.value, self.digits) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_decoded_in_every_split_and_other_digits_are_not() {
        // By Python: `b32encode` and `b32hexencode`.
        for (alphabet, text, wanted) in [
            (
                &BASE32,
                "x NBSWY3DPFQQHI2DJOMQGS4ZAME\r\nQHIZLYOQQG6ZRAORUGKIDCMFZWK===",
                "hello, this is a text of the b",
            ),
            (
                &BASE32_HEX,
                "\"D1IMOR3F5GG78Q39ECG6ISP0C4G78PBOEGG6UPH0EHK6A832C5PMA===\"",
                "hello, this is a text of the b",
            ),
            (&BASE32, "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709", ""),
            (&BASE32_HEX, "01234567890123456789012345678901234567890123456789", ""),
            (&BASE32, "A WHOLE SENTENCE IN CAPITAL LETTERS", ""),
            // Fifteen zero bytes before the text, and nine more: digits of hex alone.
            (
                &BASE32,
                "AAAAAAAAAAAAAAAAAAAAAAAANBSWY3DPFQQHI2DJOMQGS4ZA",
                "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0hello, this is ",
            ),
            (
                &BASE32_HEX,
                "000000000000000000000000D1IMOR3F5GG78Q39ECG6ISP0",
                "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0hello, this is ",
            ),
        ] {
            for part in [1, 7, 1000] {
                let (mut runs, mut out) = (Base32Runs::new(alphabet), Vec::new());
                text.as_bytes().chunks(part).for_each(|part| runs.push(part, &mut out));
                assert!(out.starts_with(wanted.as_bytes()) && out.is_empty() == wanted.is_empty(), "{text} by {part}");
            }
        }
    }
}
