//! The spellings of a secret, and a stream in which they are overwritten. Only what may still become a spelling is held back,
//! so that an event of a stream passes as soon as it is there.

use crate::encode::{base64, base64_url, each, each_but_unreserved, hex, percent, reversed};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of the shortest secret that is looked for: a shorter one stands in many honest texts.
const MIN_SECRET_BYTES: usize = 12;
/// Bytes that are hashed together.
const GRAM_BYTES: usize = 4;

/// Every spelling of some secrets. There is no `Debug`: it would show them.
pub struct Needles {
    /// The spellings, the longest first.
    all: Vec<Vec<u8>>,
    /// Which bytes a spelling begins with.
    firsts: [bool; 256],
    /// Which hashes the grams in the spellings' beginnings have; each beginning is as long as the shortest spelling.
    grams: Box<[bool; 1 << 13]>,
    shortest: usize,
    longest: usize,
}

impl Needles {
    /// `None`: there is nothing to look for.
    pub fn of<'a>(secrets: impl Iterator<Item = &'a [u8]>) -> Option<Needles> {
        let all: BTreeSet<Vec<u8>> =
            secrets.filter(|secret| secret.len() >= MIN_SECRET_BYTES).flat_map(spellings).collect();
        let mut all: Vec<Vec<u8>> = all.into_iter().collect();
        all.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        let (longest, shortest) = (all.first()?.len(), all.last()?.len());
        let (mut firsts, mut grams) = ([false; 256], Box::new([false; 1 << 13]));
        for needle in &all {
            firsts[usize::from(needle[0])] = true;
            for gram in needle[..shortest].windows(GRAM_BYTES) {
                grams[hash(gram)] = true;
            }
        }
        Some(Needles { all, firsts, grams, shortest, longest })
    }

    /// Finds the first spelling at or behind `from`, the longest if there are many. Most of a text is stepped over: a gram
    /// that stands in no beginning rules out all beginnings around it.
    fn find(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        let reach = self.shortest - GRAM_BYTES;
        let mut at = from;
        while let Some(gram) = text.get(at + reach..at + self.shortest) {
            if self.grams[hash(gram)]
                && let Some(found) = (at..=at + reach).find_map(|start| self.spelling_at(text, start))
            {
                return Some(found);
            }
            at += reach + 1;
        }
        None
    }

    fn spelling_at(&self, text: &[u8], start: usize) -> Option<Range<usize>> {
        if !self.firsts[usize::from(text[start])] {
            return None;
        }
        let needle = self.all.iter().find(|needle| text[start..].starts_with(needle))?;
        Some(start..start + needle.len())
    }

    /// The text with every spelling overwritten; `None`: there is none in it.
    pub fn mask(&self, text: &[u8]) -> Option<Vec<u8>> {
        let (mut masked, mut from): (Option<Vec<u8>>, _) = (None, 0);
        while let Some(found) = self.find(text, from) {
            from = found.end;
            masked.get_or_insert_with(|| text.to_vec())[found].fill(b'*');
        }
        masked
    }

    /// Overwrites every spelling that stays one whatever follows, and gives the bytes that are decided: the rest may be the
    /// beginning of a spelling, or of a longer one.
    fn mask_decided(&self, text: &[u8]) -> (Option<Vec<u8>>, usize) {
        let (mut masked, mut from): (Option<Vec<u8>>, _) = (None, 0);
        loop {
            let open = self.open(text, from);
            match self.find(text, from) {
                Some(found) if found.start < open => {
                    from = found.end;
                    masked.get_or_insert_with(|| text.to_vec())[found].fill(b'*');
                }
                _ => return (masked, open),
            }
        }
    }

    /// Where the longest end of the text begins that may be the beginning of a spelling.
    fn open(&self, text: &[u8], from: usize) -> usize {
        let begins = |at: &usize| {
            let rest = &text[*at..];
            self.firsts[usize::from(rest[0])] && self.all.iter().any(|needle| needle.starts_with(rest))
        };
        let from = from.max(text.len().saturating_sub(self.longest));
        (from..text.len()).find(begins).unwrap_or(text.len())
    }
}

fn hash(gram: &[u8]) -> usize {
    let word = gram.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
    (word.wrapping_mul(0x9e37_79b9) >> 19) as usize
}

/// A stream in which the spellings are overwritten.
pub struct Masked {
    pub needles: Arc<Needles>,
    /// Bytes that may be the beginning of a spelling.
    held: Vec<u8>,
    /// Something was overwritten.
    pub found: bool,
}

impl Masked {
    pub fn new(needles: Arc<Needles>) -> Masked {
        Masked { needles, held: Vec::new(), found: false }
    }

    pub fn push(&mut self, bytes: Bytes) -> Bytes {
        let bytes = if self.held.is_empty() {
            bytes
        } else {
            let mut whole = std::mem::take(&mut self.held);
            whole.extend_from_slice(&bytes);
            Bytes::from(whole)
        };
        let (masked, decided) = self.needles.mask_decided(&bytes);
        self.held = bytes[decided..].to_vec();
        match masked {
            Some(masked) => {
                self.found = true;
                Bytes::from(masked).slice(..decided)
            }
            None => bytes.slice(..decided),
        }
    }

    pub fn finish(&mut self) -> Bytes {
        let held = std::mem::take(&mut self.held);
        match self.needles.mask(&held) {
            Some(masked) => {
                self.found = true;
                Bytes::from(masked)
            }
            None => Bytes::from(held),
        }
    }
}

/// A secret as it is, and as programs write what they were sent.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let quoted = |byte: u8| match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        _ => char::from(byte).to_string(),
    };
    let replaced = |text: &[u8], byte: u8, with: &str| {
        each(text, |b| if b == byte { with.to_owned() } else { char::from(b).to_string() })
    };
    let mut all = vec![
        secret.to_vec(),
        reversed(secret),
        percent(secret),
        each_but_unreserved(secret, |byte| format!("%{byte:02x}")),
        each(secret, |byte| format!("%{byte:02X}")),
        each(secret, |byte| format!("%{byte:02x}")),
        hex(secret),
        each(secret, |byte| format!("{byte:02X}")),
        each(secret, |byte| format!("\\u{byte:04x}")),
        each(secret, |byte| format!("\\u{byte:04X}")),
        each(secret, |byte| format!("\\x{byte:02x}")),
        each(secret, |byte| format!("&#{byte};")),
        each(secret, |byte| format!("&#x{byte:x};")),
        each(secret, |byte| if byte == b'/' { "\\/".to_owned() } else { quoted(byte) }),
        each(secret, quoted),
    ];
    for phase in 0..3 {
        let inner = base64(secret, phase);
        all.push(base64_url(secret, phase));
        all.push(replaced(&inner, b'/', "\\/"));
        all.push(replaced(&replaced(&inner, b'/', "%2F"), b'+', "%2B"));
        all.push(inner);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wire::encode_base64;

    const SECRET: &[u8] = b"tok/en+\"0f6d1c93b7a5";

    fn masked(parts: &[&[u8]]) -> Vec<u8> {
        let mut stream = Masked::new(Arc::new(Needles::of([SECRET].into_iter()).unwrap()));
        let mut out = Vec::new();
        for part in parts {
            out.extend_from_slice(&stream.push(Bytes::copy_from_slice(part)));
        }
        out.extend_from_slice(&stream.finish());
        out
    }

    #[test]
    fn every_spelling_is_overwritten_wherever_it_is_cut() {
        for spelling in spellings(SECRET) {
            let text = [b"{\"echo\":\"", &spelling[..], b"\"}"].concat();
            let wanted = [b"{\"echo\":\"", &vec![b'*'; spelling.len()][..], b"\"}"].concat();
            for at in 0..text.len() {
                let got = masked(&[&text[..at], &text[at..]]);
                assert_eq!(got, wanted, "{} cut at {at}", String::from_utf8_lossy(&spelling));
            }
        }
    }

    #[test]
    fn encoded_with_what_stands_around_it_nothing_of_use_is_left() {
        for before in ["", "a", "ab", "user:"] {
            let text = encode_base64(&[before.as_bytes(), SECRET, b"!!"].concat());
            let got = masked(&[text.as_bytes()]);
            let stars = got.iter().filter(|byte| **byte == b'*').count();
            assert!(stars * 6 / 8 >= SECRET.len() - 2, "{}", String::from_utf8_lossy(&got));
        }
    }

    #[test]
    fn what_is_no_beginning_is_not_held() {
        let mut stream = Masked::new(Arc::new(Needles::of([SECRET].into_iter()).unwrap()));
        assert_eq!(stream.push(Bytes::from_static(b"data: 1\n\n")), "data: 1\n\n");
        assert!(stream.held.is_empty());
        assert_eq!(stream.push(Bytes::from_static(b"data: tok/en")), "data: ");
        assert_eq!(stream.push(Bytes::from_static(b" is no more\n\n")), "tok/en is no more\n\n");
        assert!(!stream.found);
        assert!(Needles::of([&b"short"[..]].into_iter()).is_none());
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(before in "[a-z%\\\\]{0,9}", after in ".{0,9}", cuts in proptest::collection::vec(0usize..60, 0..5)) {
            let text = [before.as_bytes(), SECRET, &SECRET[..7], after.as_bytes()].concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(masked(&parts), masked(&[&text]));
            prop_assert!(!masked(&parts).windows(SECRET.len()).any(|part| part == SECRET));
        }
    }
}
