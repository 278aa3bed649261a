//! Lists of bytes written as decimal numbers, decoded as they stream: `[104, 101]`, as JSON has a buffer, `{"0":104,"1":101}`,
//! as it has an array of bytes, `["104", "101"]`, `[104 101]`, and bytes with a sign.

use super::byte_runs::{ByteClass, ByteRuns, DIGITS, byte_class};

/// Numbers that a list has before it is decoded.
const MIN_NUMBERS: usize = 12;
/// Bytes of the shortest list that matters: numbers of one digit, and what stands between them.
const MIN_LIST_BYTES: usize = 2 * MIN_NUMBERS - 1;
static LIST: ByteClass = byte_class(&[DIGITS, b"-, \t\r\n\":"]);

#[derive(Default)]
pub struct NumberRuns {
    /// The number under way, without its sign.
    number: Option<u16>,
    is_negative: bool,
    /// The number in quotation marks before, which is an index if a colon follows; and whether it has a sign.
    quoted: Option<(u16, bool)>,
    /// The first bytes of the list; what follows [`MIN_NUMBERS`] is decoded at once.
    first: Vec<u8>,
}

impl NumberRuns {
    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) {
        let mut runs = ByteRuns::new(bytes, &LIST, MIN_LIST_BYTES);
        let mut at = 0;
        loop {
            if self.first.is_empty() && self.number.is_none() && self.quoted.is_none() {
                at = runs.skip_to_run(at);
            }
            let Some(byte) = bytes.get(at) else { return };
            at += 1;
            match byte {
                b'0'..=b'9' => {
                    let number = self.number.unwrap_or(0).saturating_mul(10);
                    self.number = Some(number.saturating_add(u16::from(byte - b'0')));
                }
                b'"' if self.number.is_some() => {
                    self.quoted = self.number.take().map(|number| (number, self.is_negative));
                    self.is_negative = false;
                }
                b':' if self.quoted.take().is_some() => {}
                _ => {
                    self.end_number(into);
                    self.is_negative = *byte == b'-';
                    // A time of day has colons, too.
                    if !LIST[usize::from(*byte)] || *byte == b':' {
                        self.first.clear();
                    }
                }
            }
        }
    }

    /// The text ends here, and its last number with it.
    pub fn finish(&mut self, into: &mut Vec<u8>) {
        self.end_number(into);
        *self = NumberRuns::default();
    }

    fn end_number(&mut self, into: &mut Vec<u8>) {
        let number = self.number.take().map(|number| (number, self.is_negative)).or_else(|| self.quoted.take());
        let Some((number, is_negative)) = number else { return };
        let byte = match (u8::try_from(number), is_negative) {
            (Ok(byte), false) => byte,
            (Ok(byte @ ..=128), true) => byte.wrapping_neg(),
            _ => return self.first.clear(),
        };
        if self.first.len() == MIN_NUMBERS {
            into.push(byte);
            return;
        }
        self.first.push(byte);
        if self.first.len() == MIN_NUMBERS {
            into.extend_from_slice(&self.first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_decoded_in_every_split() {
        for text in [
            "{\"data\":[104,101,108,108,111,44,32,116,104,105,115,32,105,115]}",
            "{\"0\":104,\"1\":101,\"2\":108,\"3\":108,\"4\":111,\"5\":44,\"6\":32,\"7\":116,\"8\":104,\"9\":105,\"10\":115,\"11\":32,\"12\":105,\"13\":115}",
            "[\"104\", \"101\", \"108\", \"108\", \"111\", \"44\", \"32\", \"116\", \"104\", \"105\", \"115\", \"32\", \"105\", \"115\"]",
            "[104 101 108 108 111 44 32 116 104 105 115 32 105 115]",
            "x 1000, 104, 101,\n108, 108, 111, 44, 32, 116, 104, 105, 115, 32, 105, 115",
        ] {
            for part in [1, 5, 1000] {
                let (mut list, mut out) = (NumberRuns::default(), Vec::new());
                text.as_bytes().chunks(part).for_each(|part| list.push(part, &mut out));
                list.finish(&mut out);
                assert_eq!(out, b"hello, this is", "{text} by {part}");
            }
        }
        let (mut list, mut out) = (NumberRuns::default(), Vec::new());
        list.push(b"[31, -117, 8, 0, 0, 0, 0, 0, -128, -1, 1, 2, 3]", &mut out);
        assert_eq!(out, [31, 139, 8, 0, 0, 0, 0, 0, 128, 255, 1, 2, 3]);
    }
}
