//! Tells real credentials from those that a text shows as an example: by randomness, checksums, and words of examples.

use super::rules::Check;
use policy::matchable::entropy_bits;
use sha2::{Digest, Sha256};

/// Words and rows of letters that examples have in them, and random keys do not.
const EXAMPLE_MARKS: [&str; 14] = [
    "example",
    "xxxx",
    "yyyy",
    "....",
    "0000",
    "1111",
    "abcd",
    "1234567",
    "placeholder",
    "redacted",
    "your",
    "dummy",
    "notreal",
    "----",
];

/// Is this the rule's credential? `body`: what follows its beginning, of a length that fits.
pub fn is_real(check: Check, begin: &str, body: &[u8]) -> bool {
    match check {
        Check::Random => is_random(body),
        Check::Ends(end) => body.ends_with(end.as_bytes()) && is_random(&body[..body.len() - end.len()]),
        Check::Holds(inner) => body.windows(inner.len()).any(|part| part == inner.as_bytes()) && is_random(body),
        Check::Wallet => is_wallet_key(&[begin.as_bytes(), body].concat()),
        Check::Key => false,
    }
}

fn is_random(body: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(body).to_ascii_lowercase();
    let least = if body.iter().all(u8::is_ascii_hexdigit) { 2.8 } else { 3.2 };
    entropy_bits(body) >= least * body.len().min(40) as f64 && !EXAMPLE_MARKS.iter().any(|mark| lower.contains(mark))
}

/// Is this a private key, and enough of it to be one? `text`: what follows `-----BEGIN `, as far as it came.
pub fn is_private_key(text: &[u8]) -> bool {
    const HEAD: &[u8] = b"PRIVATE KEY";
    let Some(at) = text.windows(HEAD.len()).take(40).position(|part| part == HEAD) else { return false };
    let body = &text[at + HEAD.len()..];
    let digit = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let escaped: Vec<u8> = String::from_utf8_lossy(body).replace("\\n", "").replace("\\r", "").into_bytes();
    let digits: Vec<u8> = escaped.iter().filter(digit).copied().collect();
    digits.len() >= 64 && entropy_bits(&digits) >= 3.8 * digits.len() as f64 && has_no_example_mark(&digits)
}

fn has_no_example_mark(digits: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(digits).to_ascii_lowercase();
    !["example", "xxxx", "yourprivate", "placeholder"].iter().any(|mark| lower.contains(mark))
}

/// Is this Base58 of a version, a key, and the first four bytes of its double hash?
fn is_wallet_key(text: &[u8]) -> bool {
    const DIGITS: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = [0u8; 40];
    for digit in text {
        let Some(value) = DIGITS.iter().position(|other| other == digit) else { return false };
        let mut carry = value;
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = (carry & 255) as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    [37, 38].into_iter().any(|length| {
        let whole = &bytes[bytes.len() - length..];
        let (key, sum) = whole.split_at(length - 4);
        key[0] == 0x80 && Sha256::digest(Sha256::digest(key))[..4] == *sum
    })
}
