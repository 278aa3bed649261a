//! Encoders: how programs write bytes, for searches for what was encoded. The forms of base64 and base32 have only those
//! characters that are the same wherever in a larger text the bytes stand.

use wire::BASE64_ALPHABET;

const BASE58_ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

const BASE32_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The digits of `width` bits that `bytes` decide alone, when `phase` unknown bytes stand before them.
fn digits(bytes: &[u8], width: usize, phase: usize, alphabet: &[u8]) -> Vec<u8> {
    let first = (8 * phase).div_ceil(width);
    let end = 8 * (phase + bytes.len()) / width;
    let bit = |at: usize| bytes[at / 8 - phase] >> (7 - at % 8) & 1;
    let digit = |n: usize| (n * width..(n + 1) * width).fold(0usize, |sum, at| sum << 1 | usize::from(bit(at)));
    (first..end).map(|n| alphabet[digit(n)]).collect()
}

/// Base64 in its standard alphabet. `phase`: bytes before these in the same text, modulo three.
pub fn base64(bytes: &[u8], phase: usize) -> Vec<u8> {
    digits(bytes, 6, phase, BASE64_ALPHABET)
}

/// Base64 in its alphabet for URLs (RFC 4648, section 5).
pub fn base64_url(bytes: &[u8], phase: usize) -> Vec<u8> {
    let url_safe = |digit| match digit {
        b'+' => b'-',
        b'/' => b'_',
        digit => digit,
    };
    base64(bytes, phase).into_iter().map(url_safe).collect()
}

/// `phase`: bytes before these in the same text, modulo five.
pub fn base32(bytes: &[u8], phase: usize) -> Vec<u8> {
    digits(bytes, 5, phase, BASE32_ALPHABET)
}

/// The alphabets of base85: that of git and of Python's `b85encode`, Ascii85's, and ZeroMQ's.
pub const BASE85_ALPHABETS: [&[u8; 85]; 3] = [
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
    b"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstu",
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
];

/// The groups of five digits that `bytes` decide alone, when the first of its groups of four bytes begins behind `skipped`
/// of them.
pub fn base85(bytes: &[u8], skipped: usize, alphabet: &[u8; 85]) -> Vec<u8> {
    let group = |four: &[u8]| {
        let word = four.iter().fold(0usize, |word, byte| word << 8 | usize::from(*byte));
        (0..5).rev().map(move |at| alphabet[word / 85usize.pow(at) % 85])
    };
    bytes[skipped..].chunks_exact(4).flat_map(group).collect()
}

/// Bitcoin's base58 of the bytes as one number: no part of them has digits of its own.
pub fn base58(bytes: &[u8]) -> Vec<u8> {
    let mut digits: Vec<u8> = Vec::new();
    for byte in bytes {
        let mut carry = usize::from(*byte);
        for digit in &mut digits {
            carry += usize::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    digits.extend(vec![0; zeros]);
    digits.iter().rev().map(|digit| BASE58_ALPHABET[usize::from(*digit)]).collect()
}

/// Writes each byte by itself.
pub fn each(bytes: &[u8], write: impl Fn(u8) -> String) -> Vec<u8> {
    bytes.iter().flat_map(|byte| write(*byte).into_bytes()).collect()
}

pub fn hex(bytes: &[u8]) -> Vec<u8> {
    each(bytes, |byte| format!("{byte:02x}"))
}

pub fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

pub fn rot13(bytes: &[u8]) -> Vec<u8> {
    let turn = |byte: u8, first: u8| (byte - first + 13) % 26 + first;
    let turn = |byte: &u8| match byte {
        b'a'..=b'z' => turn(*byte, b'a'),
        b'A'..=b'Z' => turn(*byte, b'A'),
        _ => *byte,
    };
    bytes.iter().map(turn).collect()
}

/// As `encodeURIComponent` writes it, in upper case.
pub fn percent(bytes: &[u8]) -> Vec<u8> {
    // These stand as they are in a URL (RFC 3986, section 2.3).
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    each(bytes, |byte| if is_unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::encode_base64;

    #[test]
    fn what_a_form_says_stands_in_every_encoding_of_a_text_with_it() {
        let core = b"Xk29fLq8/Wm4+Zr7";
        for before in 0..6 {
            let text = [&b"abcdef"[..before], core, b"~and after"].concat();
            let coded = encode_base64(&text);
            let safe = coded.replace('+', "-").replace('/', "_");
            let form = String::from_utf8(base64(core, before % 3)).unwrap();
            assert!(coded.contains(&form) && form.len() >= 20, "{coded} {form}");
            assert!(safe.contains(&String::from_utf8(base64_url(core, before % 3)).unwrap()), "{safe}");
        }
        assert_eq!(base32(b"foobar", 0), b"MZXW6YTBO");
        // By Python: `b85encode` and `a85encode`; by base58's paper, and zeromq's.
        assert_eq!(base85(b"hello, there!", 0, BASE85_ALPHABETS[0]), b"Xk~0{Z!92mXk~I`");
        assert_eq!(base85(b"hello, there!", 0, BASE85_ALPHABETS[1]), b"BOu!rD_*#QBOu3q");
        assert_eq!(base85(b"\x86\x4f\xd2\x6f\xb5\x59\xf7\x5b", 0, BASE85_ALPHABETS[2]), b"HelloWorld");
        assert_eq!(base85(b"xx\x86\x4f\xd2\x6f\xb5", 2, BASE85_ALPHABETS[2]), b"Hello");
        assert_eq!(base58(b"Hello World!"), b"2NEpo7TZRRrLZSi2U");
        assert_eq!(base58(b"\0\0\x28\x7f\xb4\xcd"), b"11233QC4");
        assert_eq!(hex(b"\x00\xffA"), b"00ff41");
        assert_eq!(rot13(b"Hello-1"), b"Uryyb-1");
        assert_eq!(percent(b"a+/=b"), b"a%2B%2F%3Db");
    }
}
