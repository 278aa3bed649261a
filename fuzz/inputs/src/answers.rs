//! An answer with a credential in it, and where it is cut. In whatever parts it comes, the credential is overwritten at its
//! length, and nothing else is; and the reader of hidden instructions does not panic.

use bytes::Bytes;
use scan::answers::{Instructions, Kind, Masked, Needles};
use std::sync::Arc;
use testing::encodings::{base64, each, hex};

/// Spellings that do not depend on what stands around them.
const SPELLINGS: [fn(&str) -> String; 6] = [
    |text| text.to_owned(),
    hex,
    |text| each(text, |byte| format!("%{byte:02X}")),
    |text| each(text, |byte| format!("\\u{byte:04x}")),
    |text| each(text, |byte| format!("&#{byte};")),
    |text| text.chars().rev().collect(),
];

const KINDS: [Kind; 6] = [Kind::Html, Kind::Plain, Kind::Json, Kind::Card, Kind::Events, Kind::Unknown];

pub fn run(input: &[u8]) {
    let Some((&[length, kind, spelling, part, at], rest)) = input.split_first_chunk() else { return };
    let (token, text) = rest.split_at((12 + usize::from(length) % 40).min(rest.len()));
    // Bytes that a header can carry, without the star that overwrites.
    let token: String = token.iter().map(|byte| char::from(b'+' + byte % 80)).collect();
    let spelled = SPELLINGS[usize::from(spelling) % SPELLINGS.len()](&token);
    let (before, after) = text.split_at(usize::from(at).min(text.len()));
    let text = [before, spelled.as_bytes(), after].concat();
    let parts: Vec<&[u8]> = text.chunks(usize::from(part).max(1)).collect();
    if let Some(needles) = Needles::of([token.as_bytes()].into_iter()).map(Arc::new) {
        let (whole, split) = (mask(&needles, &[&text]), mask(&needles, &parts));
        assert_eq!(whole, split, "not the same in parts");
        assert_eq!(whole.len(), text.len());
        assert!(whole.iter().zip(&text).all(|(out, byte)| out == byte || *out == b'*'), "something else was changed");
        for gone in [&spelled, &token, &base64(&token)] {
            assert!(!whole.windows(gone.len()).any(|part| part == gone.as_bytes()), "it comes out");
        }
    }
    let mut reader = Instructions::new(KINDS[usize::from(kind) % KINDS.len()]);
    for part in &parts {
        reader.push(part);
    }
    reader.finish();
}

fn mask(needles: &Arc<Needles>, parts: &[&[u8]]) -> Vec<u8> {
    let mut masked = Masked::new(needles.clone());
    let mut out = Vec::new();
    for part in parts {
        out.extend_from_slice(&masked.push(Bytes::copy_from_slice(part)));
    }
    out.extend_from_slice(&masked.finish());
    out
}
