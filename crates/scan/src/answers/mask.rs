//! A stream in which every spelling of a secret is overwritten. Only what may still become a spelling is held back, so that
//! an event of a stream passes as soon as it is there.

use super::escape::{ByteRead, MAX_ESCAPE_DEPTH, is_introducer, read_byte};
use super::pair_runs::{INTRODUCERS, PairRuns};
use super::spelled::{AROUND_WRAP, LetterCase, Notation, Place, Spelled, SpelledMatch, digits};
use crate::encode::{base32, base64, base64_url, reversed};
use crate::entities::ENTITIES;
use bytes::Bytes;
use std::sync::Arc;

/// Bytes of the shortest secret that is looked for: a shorter one stands in many honest texts.
const MIN_SECRET_BYTES: usize = 12;

/// Bytes from which a part of a secret counts as told: a quarter of it, within these bounds.
const MIN_TELLING_BYTES: usize = 10;
const MAX_TELLING_BYTES: usize = 32;

/// What is looked for: some secrets in every spelling. There is no `Debug`: it would show them.
pub struct Needles {
    all: Vec<Spelled>,
    runs: PairRuns,
    /// Indexes of those that may begin with each byte.
    by_first: Vec<Vec<usize>>,
    /// Bytes of the shortest.
    shortest: usize,
}

impl Needles {
    /// `None`: there is nothing to look for.
    pub fn of<'a>(secrets: impl Iterator<Item = &'a [u8]>) -> Option<Needles> {
        let secrets: Vec<&[u8]> = secrets.filter(|secret| secret.len() >= MIN_SECRET_BYTES).collect();
        let shortest = secrets.iter().map(|secret| secret.len()).min()?;
        let all: Vec<Spelled> = secrets.into_iter().flat_map(values_of).collect();
        let (mut runs, mut by_first) = (PairRuns::new(&all), vec![Vec::new(); 256]);
        for (n, spelled) in all.iter().enumerate() {
            for (first, second) in beginnings(spelled) {
                runs.add_beginning(first, second);
                let known: &mut Vec<usize> = &mut by_first[usize::from(first)];
                if known.last() != Some(&n) {
                    known.push(n);
                }
            }
        }
        Some(Needles { all, runs, by_first, shortest })
    }

    /// Bytes of a spelling that tell too little of any secret: fewer than are looked for by themselves.
    pub fn untelling_bytes(&self) -> usize {
        ((self.shortest / 4).clamp(MIN_TELLING_BYTES, MAX_TELLING_BYTES) - 1).min(self.shortest / 2)
    }

    /// The text with every spelling overwritten; `None`: there is none in it.
    pub fn mask(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.mask_decided(text, true).0
    }

    /// Overwrites every spelling that stays one whatever follows, and gives the bytes that are decided: the rest may be the
    /// beginning of a spelling, or of a longer one. `is_whole`: nothing follows, and all is decided.
    fn mask_decided(&self, text: &[u8], is_whole: bool) -> (Option<Vec<u8>>, usize) {
        let mut masked: Option<Vec<u8>> = None;
        let mut at = 0;
        while let Some(run) = self.runs.next(text, at, is_whole) {
            at = run.start;
            while at < run.end {
                match self.match_at(Place { text, start: at, is_whole }) {
                    SpelledMatch::No => at += 1,
                    SpelledMatch::Full(end) => {
                        masked.get_or_insert_with(|| text.to_vec())[at..end].fill(b'*');
                        at = end;
                    }
                    SpelledMatch::Open => return (masked, at),
                }
            }
        }
        (masked, text.len())
    }

    /// The longest spelling at a place.
    fn match_at(&self, place: Place) -> SpelledMatch {
        let Place { text, start, .. } = place;
        if text.get(start + 1).is_some_and(|second| !self.runs.may_begin(text[start], *second)) {
            return SpelledMatch::No;
        }
        let first = FirstByte::read(place);
        let mut longest = SpelledMatch::No;
        for n in &self.by_first[usize::from(place.text[place.start])] {
            let spelled = &self.all[*n];
            if !first.may_begin(spelled) {
                continue;
            }
            match (spelled.match_at(place), longest) {
                (SpelledMatch::Open, _) => return SpelledMatch::Open,
                (SpelledMatch::Full(end), SpelledMatch::Full(other)) if end <= other => {}
                (full @ SpelledMatch::Full(_), _) => longest = full,
                (SpelledMatch::No, _) => {}
            }
        }
        longest
    }
}

/// A secret, and all of it in the encodings in which its bytes do not stand alone.
fn values_of(secret: &[u8]) -> Vec<Spelled> {
    let characters = |value: Vec<u8>, case, kind| Spelled { value, notation: Notation::Character, case, kind };
    let mut all =
        vec![characters(secret.to_vec(), LetterCase::Any, 1), characters(reversed(secret), LetterCase::Any, 1 << 1)];
    all.extend((0..5).map(|phase| characters(base32(secret, phase), LetterCase::Any, 1 << 2)));
    for (notation, kind) in [(Notation::Hex, 1 << 3), (Notation::Octal, 1 << 3), (Notation::Decimal, 1 << 4)] {
        all.push(Spelled { value: secret.to_vec(), notation, case: LetterCase::Exact, kind });
    }
    for phase in 0..3 {
        let (inner, url) = (base64(secret, phase), base64_url(secret, phase));
        if url != inner {
            all.push(characters(url, LetterCase::Exact, 1 << 5));
        }
        all.push(characters(inner, LetterCase::Exact, 1 << 5));
    }
    all
}

/// The first byte at a place in all ways that it can be read. Most beginnings are none, which this tells once for all values.
struct FirstByte {
    /// As it stands, then out of escapes; `None`: the text ends before it is decided.
    read: [Option<u8>; MAX_ESCAPE_DEPTH + 1],
}

impl FirstByte {
    fn read(Place { text, start, is_whole }: Place) -> FirstByte {
        let mut read = [Some(text[start]); MAX_ESCAPE_DEPTH + 1];
        if is_introducer(text[start]) {
            for (depth, read) in read.iter_mut().enumerate().skip(1) {
                *read = match read_byte(text, start, depth, is_whole) {
                    ByteRead::Byte(byte, _) => Some(byte),
                    ByteRead::End => None,
                };
            }
        }
        FirstByte { read }
    }

    fn may_begin(&self, spelled: &Spelled) -> bool {
        let is_wanted = |byte: u8| spelled.is_same(spelled.value[0], byte);
        match spelled.notation {
            Notation::Character => self.read.iter().any(|read| read.is_none_or(is_wanted)),
            Notation::Hex | Notation::Decimal | Notation::Octal => true,
        }
    }
}

/// The first two bytes that a spelling may have.
fn beginnings(spelled: &Spelled) -> Vec<(u8, u8)> {
    let cases = |byte: u8| spelled.case.forms(byte);
    let (first, second) = (spelled.value[0], spelled.value[1]);
    if spelled.notation != Notation::Character {
        let shown = digits(first, spelled.notation);
        let seconds: Vec<u8> = shown.get(1).map_or_else(|| (0..=255).collect(), |digit| vec![*digit]);
        let both = |byte: u8| LetterCase::Any.forms(byte);
        let pairs = seconds.into_iter().flat_map(both).map(|second| (shown[0], second));
        return pairs.flat_map(|(first, second)| both(first).into_iter().map(move |first| (first, second))).collect();
    }
    let mut all = Vec::new();
    let seconds = [&cases(second)[..], INTRODUCERS, AROUND_WRAP, b"\0<,", &[0xc2, 0xe2, 0xef]].concat();
    for byte in cases(first) {
        all.extend(seconds.iter().map(|second| (byte, *second)));
    }
    // The byte itself, or the beginning of an escape that is escaped.
    for byte in cases(first).into_iter().chain(INTRODUCERS.iter().copied()) {
        let high = char::from_digit(u32::from(byte >> 4), 16).map_or(0, |digit| digit as u8);
        for high in [high, high.to_ascii_uppercase()] {
            all.extend([(b'%', high), (b'=', high)]);
        }
        if byte.is_ascii_punctuation() {
            all.push((b'\\', byte));
        }
        let names = ENTITIES.iter().filter(|(_, entity)| *entity == byte);
        all.extend(names.map(|(name, _)| (b'&', name[0])));
    }
    all.extend([(b'%', b'u'), (b'%', b'U'), (b'&', b'#'), (b'U', b'+')]);
    all.extend(b"xuU0123".iter().map(|kind| (b'\\', *kind)));
    // An escape may begin with an escaped byte in each place: `%2\u0035`.
    all.extend(INTRODUCERS.iter().flat_map(|first| INTRODUCERS.iter().map(|second| (*first, *second))));
    all
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
        let (masked, decided) = self.needles.mask_decided(&bytes, false);
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

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
