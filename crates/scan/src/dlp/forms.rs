//! What a value looks like in an encoding, without its neighbours: only those characters that are the same wherever in a
//! larger text the value stands.

/// An encoding by its name, for the agent, and what it makes of a value.
pub type Form = (&'static str, Vec<u8>);

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const THIRTY_TWO: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The digits of `width` bits that `bytes` decide alone, when `phase` bytes of unknown value stand before them.
fn digits(bytes: &[u8], width: usize, phase: usize, alphabet: &[u8]) -> Vec<u8> {
    let first = (8 * phase).div_ceil(width);
    let end = 8 * (phase + bytes.len()) / width;
    let bit = |at: usize| bytes[at / 8 - phase] >> (7 - at % 8) & 1;
    let digit = |n: usize| (n * width..(n + 1) * width).fold(0usize, |sum, at| sum << 1 | usize::from(bit(at)));
    (first..end).map(|n| alphabet[digit(n)]).collect()
}

/// As it stands behind a number of bytes that leaves this rest, divided by three.
pub fn base64(bytes: &[u8], phase: usize) -> Vec<u8> {
    digits(bytes, 6, phase, STANDARD)
}

pub fn base64_safe(bytes: &[u8], phase: usize) -> Vec<u8> {
    digits(bytes, 6, phase, SAFE)
}

fn base32(bytes: &[u8], phase: usize) -> Vec<u8> {
    digits(bytes, 5, phase, THIRTY_TWO)
}

pub fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| b"0123456789abcdef"[usize::from(digit)]).collect()
}

pub fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

fn rot13(bytes: &[u8]) -> Vec<u8> {
    let turn = |byte: u8, first: u8| (byte - first + 13) % 26 + first;
    let turn = |byte: &u8| match byte {
        b'a'..=b'z' => turn(*byte, b'a'),
        b'A'..=b'Z' => turn(*byte, b'A'),
        _ => *byte,
    };
    bytes.iter().map(turn).collect()
}

/// `encodeURIComponent`, upper case.
pub fn percent(bytes: &[u8]) -> Vec<u8> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let one = |byte: &u8| if plain(*byte) { vec![*byte] } else { format!("%{byte:02X}").into_bytes() };
    bytes.iter().flat_map(one).collect()
}

/// The inside of a JSON string, as programs commonly write it.
pub fn json(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = serde_json::to_vec(std::str::from_utf8(bytes).ok()?).ok()?;
    Some(text[1..text.len() - 1].to_vec())
}

/// Every form that is looked for in folded text: letters and digits only, all of one case. `core`: the part of a value
/// that stands for it.
pub fn all(core: &[u8]) -> Vec<Form> {
    let mut all = vec![("reversed", reversed(core)), ("rot13", rot13(core)), ("hex", hex(core))];
    let list = |write: fn(u8) -> String| core.iter().flat_map(|byte| write(*byte).into_bytes()).collect::<Vec<u8>>();
    all.push(("a list of numbers", list(|byte| byte.to_string())));
    all.push(("a list of octal numbers", list(|byte| format!("{byte:o}"))));
    all.push(("a list of octal numbers", list(|byte| format!("{byte:03o}"))));
    all.push(("a list of octal numbers", list(|byte| format!("{byte:04o}"))));
    all.push(("bits", core[..8].iter().flat_map(|byte| format!("{byte:08b}").into_bytes()).collect()));
    let upper = hex(core).to_ascii_uppercase();
    let wide: Vec<u8> = core.iter().flat_map(|byte| [*byte, 0]).collect();
    let backwards = reversed(core);
    all.push(("reversed hex", reversed(&hex(core))));
    all.push(("hex of reversed", hex(&backwards)));
    all.push(("hex in hex", hex(&hex(core))));
    for phase in 0..5 {
        all.push(("base32", base32(core, phase)));
    }
    for phase in 0..3 {
        let once = base64(core, phase);
        all.push(("reversed base64", reversed(&once)));
        all.push(("rot13 of base64", rot13(&once)));
        all.push(("hex of base64", hex(&once)));
        for outer in 0..3 {
            all.push(("base64 in base64", base64(&once, outer)));
        }
        all.push(("base64", once));
        all.push(("base64 of reversed", base64(&backwards, phase)));
        all.push(("base64 of rot13", base64(&rot13(core), phase)));
        all.push(("base64 of hex", base64(&hex(core), phase)));
        all.push(("base64 of hex", base64(&upper, phase)));
        all.push(("base64 of UTF-16", base64(&wide, phase)));
    }
    all
}

/// Forms of a whole value that can be overwritten where they stand, and the byte to do it with: what decodes them goes on
/// working.
pub fn whole(value: &[u8]) -> Vec<(Form, u8)> {
    let mut all = vec![(("plain", value.to_vec()), b'*'), (("reversed", reversed(value)), b'*')];
    all.push((("hex", hex(value)), b'0'));
    all.push((("percent-encoded", percent(value)), b'*'));
    if let Some(escaped) = json(value) {
        all.push((("escaped", escaped), b'*'));
    }
    for phase in 0..3 {
        all.push((("base64", base64(value, phase)), b'A'));
        all.push((("base64", base64_safe(value, phase)), b'A'));
    }
    all
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
            assert!(safe.contains(&String::from_utf8(base64_safe(core, before % 3)).unwrap()), "{safe}");
        }
        assert_eq!(base32(b"foobar", 0), b"MZXW6YTBO");
        assert_eq!(hex(b"\x00\xffA"), b"00ff41");
        assert_eq!(rot13(b"Hello-1"), b"Uryyb-1");
        assert_eq!(percent(b"a+/=b"), b"a%2B%2F%3Db");
        assert_eq!(json(b"a\"b\n").unwrap(), b"a\\\"b\\n");
    }
}
