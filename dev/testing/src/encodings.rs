//! How a value may be written: what the gate has to see through, in its tests and for its fuzz target.

use std::io::Write;
use wire::encode_base64;

pub fn each(text: &str, write: impl Fn(u8) -> String) -> String {
    text.bytes().map(write).collect()
}

pub fn base64(text: &str) -> String {
    encode_base64(text.as_bytes())
}

pub fn hex(text: &str) -> String {
    each(text, |byte| format!("{byte:02x}"))
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn base32(text: &str) -> String {
    let bits: String = text.bytes().map(|byte| format!("{byte:08b}")).collect();
    let digit = |five: &[u8]| {
        let five = format!("{:0<5}", String::from_utf8_lossy(five));
        char::from(b"abcdefghijklmnopqrstuvwxyz234567"[usize::from_str_radix(&five, 2).unwrap()])
    };
    bits.as_bytes().chunks(5).map(digit).collect()
}

pub fn rot13(text: &str) -> String {
    let turn = |c: char, first: u8| char::from((c as u8 - first + 13) % 26 + first);
    let turn = |c: char| match c {
        'a'..='z' => turn(c, b'a'),
        'A'..='Z' => turn(c, b'A'),
        c => c,
    };
    text.chars().map(turn).collect()
}

pub type Encoding = (&'static str, fn(&str) -> String);

pub const ENCODINGS: &[Encoding] = &[
    ("plain", |t| t.to_owned()),
    ("upper case", |t| t.to_ascii_uppercase()),
    ("percent", |t| each(t, |b| format!("%{b:02x}"))),
    ("percent twice", |t| each(t, |b| format!("%25{b:02X}"))),
    ("base64", base64),
    ("base64, url", |t| base64(&format!("a{t}")).replace('+', "-").replace('/', "_").replace('=', "")),
    ("base64 twice", |t| base64(&base64(t))),
    ("base32", base32),
    ("hex", hex),
    ("hex with colons", |t| each(t, |b| format!("{b:02X}:"))),
    ("hex of base64", |t| hex(&base64(t))),
    ("numbers", |t| each(t, |b| format!("{b},"))),
    ("octal", |t| each(t, |b| format!("\\{b:03o}"))),
    ("reversed", |t| t.chars().rev().collect()),
    ("rot13", rot13),
    ("JSON escapes", |t| each(t, |b| format!("\\u{b:04x}"))),
    ("HTML entities", |t| each(t, |b| format!("&#{b};"))),
    ("dots between", |t| each(t, |b| format!("{}.", char::from(b)))),
    ("zero width", |t| each(t, |b| format!("{}\u{200b}", char::from(b)))),
    ("fullwidth", |t| each(t, |b| char::from_u32(u32::from(b) + 0xfee0).unwrap().to_string())),
    ("gzip in base64", |t| encode_base64(&gzip(t.as_bytes()))),
];

/// The beginning of a zstd frame (RFC 8878): a window of 8 MiB, full of one letter.
pub fn zstd_window() -> Vec<u8> {
    const BLOCK_BYTES: u32 = 128 << 10;
    let block = [&(BLOCK_BYTES << 3 | 1 << 1).to_le_bytes()[..3], b"a"].concat();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, 13 << 3], block.repeat((8 << 20) / BLOCK_BYTES as usize).as_slice()].concat()
}
