//! Private keys in PEM: told from a first line alone and from a key that is cut off, as documentation has it.

use policy::matchable::entropy_bits;

/// What follows `-----BEGIN ` and has no `PRIVATE KEY` by this many bytes is another thing.
const MAX_HEAD_BYTES: usize = 60;
/// Digits of base64 that are enough of a key that goes on. Documentation shows less.
const LONG_KEY_DIGITS: usize = 320;
/// Those of OpenSSH's shortest key: Ed25519, with a comment of at most five bytes.
const OPENSSH_KEY_DIGITS: usize = 312;
/// Digits of base64 that are enough of a key whose first bytes do not tell its length.
const OTHER_KEY_DIGITS: usize = 160;

/// Digits that a whole key may lack: one for each line.
const MAX_LOST_DIGITS: usize = 8;

/// What is known of a key so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyText {
    Open,
    Key,
    Other,
}

/// `text`: what follows `-----BEGIN `, as far as it came.
pub fn judge(text: &[u8]) -> KeyText {
    const HEAD: &[u8] = b"PRIVATE KEY";
    let Some(at) = text.windows(HEAD.len()).take(MAX_HEAD_BYTES).position(|part| part == HEAD) else {
        return if text.len() < MAX_HEAD_BYTES + HEAD.len() { KeyText::Open } else { KeyText::Other };
    };
    let body = &text[at + HEAD.len()..];
    let end = body.windows(8).position(|part| part == b"-----END");
    let body = &body[..end.unwrap_or(body.len())];
    let digits = digits_of(body);
    if digits.len() < wanted_digits(&digits) {
        return if end.is_none() { KeyText::Open } else { KeyText::Other };
    }
    if entropy_bits(&digits) >= 3.8 * digits.len() as f64 && !says_example(&digits) {
        KeyText::Key
    } else {
        KeyText::Other
    }
}

/// The digits of base64, without lines' ends as source code writes them and without the signs of a comment before a line.
fn digits_of(body: &[u8]) -> Vec<u8> {
    let mut digits = Vec::with_capacity(body.len());
    let (mut rest, mut begins_line) = (body, true);
    while let [byte, behind @ ..] = rest {
        rest = behind;
        match byte {
            b'\n' => begins_line = true,
            b'\\' if matches!(behind, [b'n' | b'r', ..]) => rest = &behind[1..],
            b'/' if begins_line => {}
            b'+' | b'/' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                begins_line = false;
                digits.push(*byte);
            }
            _ => {}
        }
    }
    digits
}

/// Digits of base64 that make these the beginning of a key. Its first bytes tell how long a key in DER is: a number of them
/// and, in `30 82`, two more bytes for the length.
fn wanted_digits(digits: &[u8]) -> usize {
    if digits.starts_with(b"b3BlbnNzaC1") {
        return OPENSSH_KEY_DIGITS;
    }
    let start = std::str::from_utf8(&digits[..digits.len().min(8)]).unwrap_or_default();
    let bytes = match wire::decode_base64(start).as_deref() {
        Some([0x30, short @ 0x20..=0x7f, ..]) => usize::from(*short) + 2,
        Some([0x30, 0x81, length, ..]) => usize::from(*length) + 3,
        Some([0x30, 0x82, high, low, ..]) => usize::from(u16::from_be_bytes([*high, *low])) + 4,
        _ => return OTHER_KEY_DIGITS,
    };
    // A line that begins with `/` has lost that digit.
    (bytes * 4).div_ceil(3).saturating_sub(MAX_LOST_DIGITS).min(LONG_KEY_DIGITS)
}

fn says_example(digits: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(digits).to_ascii_lowercase();
    ["example", "xxxxxxxx", "yourprivate", "placeholder"].iter().any(|mark| lower.contains(mark))
}
