//! The parts of a text that may hold a spelling, found without looking at every byte: runs in which each two neighbours are a
//! pair that a spelling has somewhere. Nearly every text breaks such a run before it is as long as a spelling, so a few pairs
//! in the middle of where one could stand rule it out.

use super::spelled::{AROUND_WRAP, INVISIBLE, LIST_SEPARATORS, LetterCase, NEWLINE_ESCAPES, Notation, Spelled, digits};
use crate::entities::ENTITIES;
use std::ops::Range;

/// What an escape may begin with.
pub const INTRODUCERS: &[u8] = b"%\\&=U";
const DIGITS: &[u8] = b"0123456789";
const HEX_DIGITS: &[u8] = b"0123456789abcdefABCDEF";
/// What escapes are written with, beside the names of characters.
const ESCAPE_BYTES: [&[u8]; 3] = [INTRODUCERS, HEX_DIGITS, b"uUxX#{};+"];
/// What an escape or a gap may end with, beside hex digits and what gaps are made of.
const ENDS: &[u8] = b";}>nr";
/// What stands between two numbers beside separators.
const LIST_PREFIXES: &[u8] = b"0xXoO%#$";
/// Bytes of a text whose pairs are looked at together.
const SAMPLE_BYTES: usize = 6;

/// This pair may be the beginning of a spelling.
const BEGINS: u8 = 1 << 7;

pub struct PairRuns {
    /// For each pair of bytes, the kinds of values that have it in a spelling.
    kinds: Box<[u8; 1 << 16]>,
    /// Bytes of the shortest spelling.
    least: usize,
}

impl PairRuns {
    pub fn new(all: &[Spelled]) -> PairRuns {
        let mut kinds = Box::new([0; 1 << 16]);
        for spelled in all {
            let mut pairs = Pairs { kinds: &mut kinds, kind: spelled.kind };
            match spelled.notation {
                Notation::Character => pairs.add_text(spelled),
                Notation::Hex | Notation::Decimal | Notation::Octal => pairs.add_list(spelled),
            }
        }
        PairRuns { kinds, least: all.iter().map(|spelled| spelled.value.len()).min().unwrap_or(0) }
    }

    pub fn add_beginning(&mut self, first: u8, second: u8) {
        self.kinds[index(first, second)] |= BEGINS;
    }

    /// May a spelling begin with these two bytes?
    pub fn may_begin(&self, first: u8, second: u8) -> bool {
        self.kinds[index(first, second)] & BEGINS != 0
    }

    /// The next run at or behind `from` in which a spelling may begin. `is_whole`: nothing follows the text; else the run at its
    /// end may be short.
    pub fn next(&self, text: &[u8], from: usize, is_whole: bool) -> Option<Range<usize>> {
        let step = self.least - SAMPLE_BYTES;
        let mut at = from + step;
        while let Some(sample) = text.get(at..).and_then(|rest| rest.first_chunk::<SAMPLE_BYTES>()) {
            let kinds = sample.windows(2).fold(!BEGINS, |kinds, pair| kinds & self.kinds[index(pair[0], pair[1])]);
            if kinds != 0 {
                let run = self.run_around(text, from, at, kinds);
                if run.len() >= self.least || run.end == text.len() {
                    return Some(run);
                }
            }
            at += step + 1;
        }
        // What is left is shorter than a spelling.
        let tail = from.max(text.len().saturating_sub(self.least - 1));
        if is_whole || tail >= text.len() {
            return None;
        }
        Some(self.run_around(text, tail, text.len() - 1, !BEGINS))
    }

    /// The run of pairs of any of these kinds around a place, at or behind `from`.
    fn run_around(&self, text: &[u8], from: usize, at: usize, kinds: u8) -> Range<usize> {
        let is_in = |pair: &&[u8]| self.kinds[index(pair[0], pair[1])] & kinds != 0;
        let before = text[from..=at].windows(2).rev().take_while(is_in).count();
        let behind = text[at..].windows(2).take_while(is_in).count();
        at - before..at + behind + 1
    }
}

fn index(first: u8, second: u8) -> usize {
    usize::from(u16::from_le_bytes([first, second]))
}

/// Adds the pairs of one value. More than its spellings have may be added, but no less: a pair that is not here hides a
/// spelling.
struct Pairs<'a> {
    kinds: &'a mut [u8; 1 << 16],
    kind: u8,
}

impl Pairs<'_> {
    fn add(&mut self, first: u8, second: u8) {
        self.kinds[index(first, second)] |= self.kind;
    }

    fn add_all(&mut self, firsts: &[u8], seconds: &[u8]) {
        for first in firsts {
            seconds.iter().for_each(|second| self.add(*first, *second));
        }
    }

    fn add_within(&mut self, text: &[u8]) {
        text.windows(2).for_each(|pair| self.add(pair[0], pair[1]));
    }

    /// A value of characters: each as it stands or in an escape, with gaps between them.
    fn add_text(&mut self, spelled: &Spelled) {
        let continuation: Vec<u8> = (0x80..=0xbf).collect();
        let gap = [AROUND_WRAP, b"\0\n,\\="].concat();
        let firsts = [&gap, INTRODUCERS, b"<\xc2\xe2\xef"].concat();
        let lasts = [&gap, HEX_DIGITS, ENDS, &continuation].concat();
        let own: Vec<u8> = spelled.value.iter().flat_map(|byte| spelled.case.forms(*byte)).collect();
        for pair in spelled.value.windows(2) {
            self.add_all(&spelled.case.forms(pair[0]), &spelled.case.forms(pair[1]));
        }
        self.add_all(&own, &firsts);
        self.add_all(&lasts, &own);
        self.add_all(&lasts, &firsts);
        let escape = ESCAPE_BYTES.concat();
        self.add_all(&escape, &escape);
        for (name, _) in ENTITIES {
            self.add_within(&[b"&", *name].concat());
            // A letter of a name may be in an escape.
            self.add_all(name, INTRODUCERS);
            self.add_all(&[HEX_DIGITS, b";}"].concat(), name);
        }
        for token in INVISIBLE.iter().chain(NEWLINE_ESCAPES.iter().map(|(escape, _)| escape)) {
            self.add_within(token);
        }
        self.add_all(&[&[0xe2], &continuation[..]].concat(), &continuation);
    }

    /// A value of numbers, with separators between them.
    fn add_list(&mut self, spelled: &Spelled) {
        let between = [LIST_SEPARATORS, LIST_PREFIXES].concat();
        self.add_all(&between, &between);
        if spelled.notation == Notation::Decimal {
            self.add_all(DIGITS, DIGITS);
            self.add_all(b"\"", DIGITS);
            self.add_all(DIGITS, b"\"");
        }
        let mut last = None;
        for byte in &spelled.value {
            let number = digits(*byte, spelled.notation);
            let digit = |digit: u8| LetterCase::Any.forms(digit);
            for pair in last.into_iter().chain(number.iter().copied()).collect::<Vec<_>>().windows(2) {
                self.add_all(&digit(pair[0]), &digit(pair[1]));
            }
            last = number.last().copied();
            self.add_all(&between, &digit(number[0]));
            self.add_all(&last.map_or_else(Vec::new, digit), &between);
        }
    }
}
