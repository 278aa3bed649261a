//! A text without the names in it: parameters' names, keys, tags, the head of a form's part. What was cut up and sent as
//! many values is one again.

/// Bytes of a name; what is longer is a value.
const LONGEST: usize = 96;

#[derive(Default)]
pub struct Values {
    word: Vec<u8>,
    /// The word has ended; what follows says whether it is a name.
    closed: bool,
    at: At,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Behind the end of a line.
    #[default]
    Start,
    Text,
    /// Too long for a name.
    Value,
    /// Inside `<…>`: bytes so far.
    Tag(usize),
    /// To the end of the line.
    Line,
}

impl Values {
    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            rest = behind;
            self.next(*byte, into);
            // The rest of a word, or of what is skipped, at once.
            let count = match self.at {
                At::Text if !self.word.is_empty() && !self.closed => {
                    let room = LONGEST - self.word.len();
                    let count = rest.iter().take(room).position(|byte| !is_name(*byte)).unwrap_or(rest.len().min(room));
                    self.word.extend_from_slice(&rest[..count]);
                    count
                }
                At::Value => {
                    let count = rest.iter().position(|byte| !is_name(*byte)).unwrap_or(rest.len());
                    into.extend_from_slice(&rest[..count]);
                    count
                }
                At::Line => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
                _ => 0,
            };
            rest = &rest[count..];
        }
    }

    pub fn finish(&mut self, into: &mut Vec<u8>) {
        into.append(&mut self.word);
        *self = Values::default();
    }

    fn next(&mut self, byte: u8, into: &mut Vec<u8>) {
        match (self.at, byte) {
            (At::Line, b'\n') => self.at = At::Start,
            (At::Line, _) | (At::Tag(_), b'>') => {
                if byte == b'>' {
                    self.at = At::Text;
                }
            }
            (At::Tag(count), _) => self.at = if count > 256 { At::Text } else { At::Tag(count + 1) },
            (_, b'=' | b':') => {
                // The head of a form's part says nothing of its content.
                let head = self.word.len() > 8 && self.word[..8].eq_ignore_ascii_case(b"content-");
                self.word.clear();
                self.closed = false;
                self.at = if head { At::Line } else { At::Text };
            }
            (_, b'<') => {
                self.flush(into);
                self.at = At::Tag(0);
            }
            (At::Value, _) if is_name(byte) || byte >= 0x80 => into.push(byte),
            // A form's boundary.
            (At::Start, b'-') if self.word.is_empty() => {
                self.word.push(byte);
                self.at = At::Start;
            }
            (At::Start, b'-') if self.word == b"-" => {
                self.word.clear();
                self.at = At::Line;
            }
            _ if is_name(byte) => {
                if self.closed {
                    self.flush(into);
                }
                self.at = At::Text;
                self.word.push(byte);
                if self.word.len() > LONGEST {
                    self.flush(into);
                    self.at = At::Value;
                }
            }
            (_, b'"' | b'\'' | b' ' | b'\t') => {
                self.closed = !self.word.is_empty();
                self.at = At::Text;
            }
            _ => {
                self.flush(into);
                if byte >= 0x80 {
                    into.push(byte);
                }
                self.at = if byte == b'\n' { At::Start } else { At::Text };
            }
        }
    }

    fn flush(&mut self, into: &mut Vec<u8>) {
        into.append(&mut self.word);
        self.closed = false;
    }
}

const NAMES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'[' | b']' | b'+' | b'/');
        byte += 1;
    }
    table
};

#[inline]
fn is_name(byte: u8) -> bool {
    NAMES[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_out() {
        for (text, wanted) in [
            ("a=one-&b2=two&c[0]=three", "one-twothree"),
            (r#"{"a":"one","b" : "two", "c": ["three"]}"#, "onetwo[three]"),
            ("<a x='1'>one</a>\n<b>two</b>", "onetwo"),
            ("a: one\nb: two\n", "onetwo"),
            ("--boundary\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--boundary--\r\ntwo\n", "onetwo"),
            ("one,two\nthree", "onetwothree"),
        ] {
            for part in [1, 4, 100] {
                let (mut values, mut out) = (Values::default(), Vec::new());
                text.as_bytes().chunks(part).for_each(|part| values.push(part, &mut out));
                values.finish(&mut out);
                assert_eq!(String::from_utf8_lossy(&out), wanted, "{text}");
            }
        }
    }
}
