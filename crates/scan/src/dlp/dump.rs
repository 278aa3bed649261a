//! Dumps, read back as they stream: what `hexdump -C`, `xxd` and `od -tx1` write is bytes again, without its margins.

use memchr::memchr;

/// Reads lines of a dump: an offset, at most sixteen bytes in hex, and perhaps the bytes as text.
#[derive(Default)]
pub struct DumpReader {
    column: DumpColumn,
    /// Digits of the offset so far, then bytes.
    count: usize,
    /// The first digit of a byte.
    half: Option<u8>,
    /// Blanks since the last byte.
    blanks: usize,
}

#[derive(Default, PartialEq)]
enum DumpColumn {
    #[default]
    Offset,
    Bytes,
    /// Up to the end of the line, nothing is read.
    Rest,
}

impl DumpReader {
    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            rest = behind;
            if self.column == DumpColumn::Rest {
                // Most lines belong to no dump: their rest is skipped at once.
                if *byte != b'\n' {
                    let Some(end) = memchr(b'\n', behind) else { return };
                    rest = &behind[end + 1..];
                }
                *self = DumpReader::default();
                continue;
            }
            let digit = char::from(*byte).to_digit(16).map(|digit| digit as u8);
            match (&self.column, byte, digit) {
                (_, b'\n', _) => *self = DumpReader::default(),
                (DumpColumn::Offset, _, Some(_)) => self.count += 1,
                (DumpColumn::Offset, b':', _) if self.count >= 7 => {}
                (DumpColumn::Offset, b' ', _) if self.count >= 7 => {
                    self.column = DumpColumn::Bytes;
                    self.count = 0;
                }
                (DumpColumn::Bytes, b' ', _) if self.half.is_none() => {
                    self.blanks += 1;
                    if self.blanks > 2 {
                        self.column = DumpColumn::Rest;
                    }
                }
                (DumpColumn::Bytes, _, Some(digit)) => {
                    self.blanks = 0;
                    match self.half.take() {
                        None => self.half = Some(digit),
                        Some(half) => {
                            into.push(half << 4 | digit);
                            self.count += 1;
                            if self.count == 16 {
                                self.column = DumpColumn::Rest;
                            }
                        }
                    }
                }
                _ => self.column = DumpColumn::Rest,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_are_read_without_their_margins() {
        let classic = "00000000  68 65 6c 6c 6f 2c 20 74  68 69 73 20 69 73 20 61  |hello, this is a|\n00000010  20 64 75 6d 70                                    | dump|\n";
        let xxd = "00000000: 6865 6c6c 6f2c 2074 6869 7320 6973 2061  hello, this is a\n00000010: 2064 756d 70                              dump\n";
        let od = "0000000 68 65 6c 6c 6f 2c 20 74 68 69 73 20 69 73 20 61\n0000020 20 64 75 6d 70\n";
        for text in [classic, xxd, od] {
            let (mut dump, mut out) = (DumpReader::default(), Vec::new());
            text.as_bytes().chunks(7).for_each(|part| dump.push(part, &mut out));
            assert_eq!(String::from_utf8_lossy(&out), "hello, this is a dump", "{text}");
        }
    }
}
