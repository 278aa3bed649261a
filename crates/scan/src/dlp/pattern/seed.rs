//! SeedPhraseReader phrases of wallets (BIP-39, English): twelve to twenty-four words of the list in a row, no more and no fewer, and
//! the sum right. Ordinary words are in the list, too: a row that goes on, or was part of a sentence, is none.

use super::super::byte_runs::{ByteClass, ByteRuns, DIGITS, LOWER, UPPER, byte_class};
use super::{PatternMatch, Rules};

const LONGEST: usize = 24;
/// Bytes of twelve words of three letters, and between them.
const LEAST: usize = 12 * 4 - 1;
/// Target words are made of, and what may stand between them.
static TEXT: ByteClass = byte_class(&[UPPER, LOWER, DIGITS, b" \n\r\t,\"'.)"]);

#[derive(Default)]
pub struct SeedPhraseReader {
    /// In lower case; no word of the list has nine letters.
    word: [u8; 9],
    length: usize,
    row: Vec<usize>,
    /// It had more words than any phrase.
    long: bool,
    start: u64,
    last: u8,
}

impl SeedPhraseReader {
    /// `at`: bytes of the text before these.
    pub fn push(&mut self, rules: &Rules, bytes: &[u8], at: u64, hits: &mut Vec<PatternMatch>) {
        let mut runs = ByteRuns::new(bytes, &TEXT, LEAST);
        let mut n = 0;
        loop {
            if self.length == 0 && self.row.is_empty() {
                n = runs.skip_to_run_behind(n, &mut self.last);
            }
            let Some(byte) = bytes.get(n) else { return };
            self.next(rules, *byte, at + n as u64 + 1, hits);
            n += 1;
        }
    }

    /// `at`: bytes of the text with this one.
    #[inline]
    fn next(&mut self, rules: &Rules, byte: u8, at: u64, hits: &mut Vec<PatternMatch>) {
        if byte.is_ascii_alphabetic() {
            if self.length < self.word.len() {
                self.word[self.length] = byte | 0x20;
                self.length += 1;
            }
            self.last = byte;
            return;
        }
        if self.length > 0 {
            self.count(rules, at, hits);
        }
        let between = match byte {
            b' ' | b'\n' | b'\r' | b'\t' | b',' | b'"' | b'\'' | b'0'..=b'9' => true,
            b'.' | b')' => self.last.is_ascii_digit(),
            _ => false,
        };
        if !between && !self.row.is_empty() {
            self.end(at - 1, hits);
        }
        self.last = byte;
    }

    fn count(&mut self, rules: &Rules, at: u64, hits: &mut Vec<PatternMatch>) {
        match rules.word(&self.word[..self.length]) {
            Some(_) if self.row.len() == LONGEST => self.long = true,
            Some(index) => {
                if self.row.is_empty() {
                    self.start = at - 1 - self.length as u64;
                }
                self.row.push(index);
            }
            None if self.row.is_empty() => {}
            None => self.end(at - 1 - self.length as u64, hits),
        }
        self.length = 0;
    }

    fn end(&mut self, at: u64, hits: &mut Vec<PatternMatch>) {
        if !self.long && matches!(self.row.len(), 12 | 15 | 18 | 21 | 24) {
            let list = bip39::Language::English.word_list();
            let words: Vec<&str> = self.row.iter().map(|index| list[*index]).collect();
            let mut distinct = self.row.clone();
            distinct.sort_unstable();
            distinct.dedup();
            if distinct.len() * 4 >= self.row.len() * 3
                && bip39::Mnemonic::parse_in_normalized(bip39::Language::English, &words.join(" ")).is_ok()
            {
                hits.push(PatternMatch { name: "a wallet's seed phrase", start: self.start, end: at });
            }
        }
        self.row.clear();
        self.long = false;
    }
}
