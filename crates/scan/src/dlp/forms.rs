//! What a value looks like in the encodings that it is looked for in.

use crate::encode::{
    BASE85_ALPHABETS, base32, base58, base64, base64_url, base85, each, hex, percent, reversed, rot13,
};

/// What an encoding is called, for the agent, and what it makes of a value.
pub type Form = (&'static str, Vec<u8>);

/// The inside of a JSON string, as programs commonly write it.
fn json(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = serde_json::to_vec(std::str::from_utf8(bytes).ok()?).ok()?;
    Some(text[1..text.len() - 1].to_vec())
}

/// Every form that is looked for in folded text, which has only letters and digits, all of one case. `core`: the part of a
/// value that stands for it, at least eight bytes.
pub fn all(core: &[u8]) -> Vec<Form> {
    let mut all = vec![("reversed", reversed(core)), ("rot13", rot13(core)), ("hex", hex(core))];
    all.push(("a list of numbers", each(core, |byte| byte.to_string())));
    all.push(("a list of octal numbers", each(core, |byte| format!("{byte:o}"))));
    all.push(("a list of octal numbers", each(core, |byte| format!("{byte:03o}"))));
    all.push(("a list of octal numbers", each(core, |byte| format!("{byte:04o}"))));
    all.push(("bits", each(&core[..8], |byte| format!("{byte:08b}"))));
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

/// The forms that want more of a value than its core: base85, of whose digits many are signs, and base58, which is made of
/// a whole text. That is `part` or a line of it, if the value has no other part.
pub fn of_part(part: &[u8], is_whole: bool) -> Vec<Form> {
    let phases = BASE85_ALPHABETS.into_iter().flat_map(|alphabet| (0..4).map(move |skipped| (skipped, alphabet)));
    let mut all: Vec<Form> = phases.map(|(skipped, alphabet)| ("base85", base85(part, skipped, alphabet))).collect();
    if is_whole {
        all.extend([("base58", base58(part)), ("base58", base58(&[part, b"\n"].concat()))]);
    }
    all
}

/// The value as it stands and the forms of [`all`], each in the letters that programs write it with: what has only small
/// letters or only capitals also in the others.
pub fn written(value: &[u8]) -> Vec<Vec<u8>> {
    let forms = all(value).into_iter().map(|(_, form)| form).chain([value.to_vec()]);
    let cases = |form: Vec<u8>| {
        let (lower, upper) = (form.to_ascii_lowercase(), form.to_ascii_uppercase());
        if form == lower || form == upper { vec![lower, upper] } else { vec![form] }
    };
    forms.flat_map(cases).collect()
}

/// Forms of a whole value that can be overwritten where they stand, each with the byte to do it with, which a decoder of the
/// form accepts.
pub fn whole(value: &[u8]) -> Vec<(Form, u8)> {
    let mut all = vec![(("plain", value.to_vec()), b'*'), (("reversed", reversed(value)), b'*')];
    all.push((("hex", hex(value)), b'0'));
    all.push((("percent-encoded", percent(value)), b'*'));
    if let Some(escaped) = json(value) {
        all.push((("escaped", escaped), b'*'));
    }
    for phase in 0..3 {
        all.push((("base64", base64(value, phase)), b'A'));
        all.push((("base64", base64_url(value, phase)), b'A'));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_escapes_what_it_has_to() {
        assert_eq!(json(b"a\"b\n").unwrap(), b"a\\\"b\\n");
    }
}
