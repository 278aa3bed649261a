//! Spellings of a secret as programs write it, made independently of what looks for them: for the tests of both directions.

use wire::encode_base64;

pub type Spell = fn(&[u8]) -> Vec<u8>;

fn joined(secret: &[u8], between: &str, write: impl Fn(u8) -> String) -> Vec<u8> {
    secret.iter().map(|byte| write(*byte)).collect::<Vec<_>>().join(between).into_bytes()
}

fn every(secret: &[u8], write: impl Fn(u8) -> String) -> Vec<u8> {
    joined(secret, "", write)
}

/// Letters, digits and what is in `kept` stay as they are.
fn special(secret: &[u8], kept: &str, write: impl Fn(u8) -> String) -> Vec<u8> {
    let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte);
    every(secret, |byte| if is_kept(byte) { char::from(byte).to_string() } else { write(byte) })
}

fn wrapped(text: &[u8], width: usize, wrap: &str) -> Vec<u8> {
    text.chunks(width).collect::<Vec<_>>().join(wrap.as_bytes())
}

fn named(byte: u8) -> String {
    match byte {
        b'/' => "&sol;".to_owned(),
        b'+' => "&plus;".to_owned(),
        b'"' => "&quot;".to_owned(),
        _ => char::from(byte).to_string(),
    }
}

fn coded(secret: &[u8]) -> Vec<u8> {
    let whole = encode_base64(secret);
    whole.trim_end_matches('=').as_bytes()[..secret.len() * 8 / 6].to_vec()
}

/// As programs write a secret, each overwritten from its first byte to its last.
pub const SPELLINGS: [Spell; 62] = [
    |s| s.to_vec(),
    |s| s.to_ascii_uppercase(),
    |s| s.iter().rev().copied().collect(),
    |s| special(s, "", |b| format!("%{b:02X}")),
    |s| special(s, "/", |b| format!("%{b:02X}")),
    |s| special(s, "+$&=:@", |b| format!("%{b:02X}")),
    |s| special(s, "", |b| format!("%{b:02x}")),
    |s| special(s, "", |b| format!("%25{b:02X}")),
    |s| special(s, "", |b| format!("%2525{b:02X}")),
    |s| every(s, |b| format!("%{b:02X}")),
    |s| every(s, |b| format!("%{b:02x}")),
    |s| every(s, |b| format!("%u{b:04X}")),
    |s| special(s, "/", |b| format!("\\u{b:04x}")),
    |s| special(s, "", |b| format!("\\u{b:04X}")),
    |s| special(s, "", |b| format!("\\\\u{b:04X}")),
    |s| every(s, |b| format!("\\u{b:04x}")),
    |s| every(s, |b| format!("\\u{{{b:x}}}")),
    |s| every(s, |b| format!("\\U{b:08x}")),
    |s| every(s, |b| format!("\\x{b:02x}")),
    |s| every(s, |b| format!("\\x{b:02X}")),
    |s| every(s, |b| format!("\\x{{{b:x}}}")),
    |s| every(s, |b| format!("\\{b:03o}")),
    |s| special(s, "", |b| format!("\\{}", char::from(b))),
    |s| special(s, "+", |b| format!("\\{}", char::from(b))),
    |s| special(s, "", |b| format!("&#x{b:X};")),
    |s| special(s, "", |b| format!("&#x{b:x};")),
    |s| special(s, "", |b| format!("&#{b};")),
    |s| special(s, "", |b| format!("&#{b:03};")),
    |s| special(s, "", |b| format!("&#{b:07};")),
    |s| special(s, "", |b| format!("&amp;#{b};")),
    |s| special(s, "", |b| format!("\\u0026#x{b:X};")),
    |s| every(s, |b| format!("&#{b};")),
    |s| every(s, |b| format!("&#x{b:x};")),
    |s| every(s, named),
    |s| every(s, |b| named(b).replace('&', "&amp;")),
    |s| every(s, |b| format!("={b:02X}")),
    |s| special(s, "/+", |b| format!("={b:02X}")),
    |s| wrapped(s, 8, "=\r\n"),
    |s| wrapped(s, 8, "=\n"),
    |s| wrapped(s, 7, "\n"),
    |s| wrapped(s, 7, "\r\n        "),
    |s| wrapped(s, 9, " |\n|  "),
    |s| wrapped(s, 9, " \u{2502}\n\u{2502} "),
    |s| wrapped(s, 9, "'\n '"),
    |s| wrapped(s, 9, "\\n"),
    |s| wrapped(s, 9, "<wbr>"),
    |s| wrapped(s, 1, "\u{200b}"),
    |s| wrapped(s, 1, "\", \""),
    |s| wrapped(s, 1, "\0"),
    |s| wrapped(s, 1, "\0\0\0"),
    |s| joined(s, "", |b| format!("{b:02x}")),
    |s| joined(s, ":", |b| format!("{b:02X}")),
    |s| joined(s, ", ", |b| format!("0x{b:02x}")).split_off(2),
    |s| joined(s, ",", |b| b.to_string()),
    |s| joined(s, " ", |b| b.to_string()),
    |s| joined(s, ",\n        ", |b| b.to_string()),
    |s| {
        let fields = s.iter().enumerate().map(|(n, byte)| format!("\"{n}\":{byte}"));
        fields.collect::<Vec<_>>().join(",").split_off("\"0\":".len()).into_bytes()
    },
    |s| wrapped(s, 1, "   "),
    |s| wrapped(s, 1, "-"),
    |s| joined(s, " ", |b| format!("{b:03o}")),
    coded,
    |s| wrapped(&coded(s), 9, "\r\n"),
];
