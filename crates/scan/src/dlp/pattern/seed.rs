//! Seed phrases of wallets (BIP-39, English): twelve to twenty-four words of the list in a row, no more and no fewer, and
//! the sum right. The list has ordinary words in it, so words beside a phrase that are in the list as well hide it.

use super::super::byte_runs::{ByteClass, ByteRuns, DIGITS, LOWER, UPPER, byte_class};
use super::{PatternMatch, Rules, published};

/// Words of the longest phrase.
const MAX_WORDS: usize = 24;
/// Bytes of twelve words of three letters, with blanks between them.
const MIN_PHRASE_BYTES: usize = 12 * 4 - 1;
/// What words are made of, and what may stand between them.
static PHRASE: ByteClass = byte_class(&[UPPER, LOWER, DIGITS, b" \n\r\t,\"'.)"]);

#[derive(Default)]
pub struct SeedPhraseReader {
    /// The word that is read, in lower case; no word of the list has nine letters.
    word: [u8; 9],
    length: usize,
    /// The words of the list in a row before it, by their number.
    row: Vec<usize>,
    /// The row has more words than any phrase.
    long: bool,
    /// Where the row begins.
    start: u64,
    /// The byte before the next one.
    last: u8,
}

impl SeedPhraseReader {
    /// `at`: bytes of the text before these.
    pub fn push(&mut self, rules: &Rules, bytes: &[u8], at: u64, hits: &mut Vec<PatternMatch>) {
        let mut runs = ByteRuns::new(bytes, &PHRASE, MIN_PHRASE_BYTES);
        let mut n = 0;
        loop {
            if self.length == 0 && self.row.is_empty() {
                n = runs.skip_to_run_behind(n, &mut self.last);
            }
            let Some(byte) = bytes.get(n) else { return };
            self.push_byte(rules, *byte, at + n as u64 + 1, hits);
            n += 1;
        }
    }

    /// `at`: bytes of the text, with this one.
    #[inline]
    fn push_byte(&mut self, rules: &Rules, byte: u8, at: u64, hits: &mut Vec<PatternMatch>) {
        if byte.is_ascii_alphabetic() {
            if self.length < self.word.len() {
                self.word[self.length] = byte | 0x20;
                self.length += 1;
            }
            self.last = byte;
            return;
        }
        if self.length > 0 {
            self.end_word(rules, at, hits);
        }
        let between = match byte {
            b' ' | b'\n' | b'\r' | b'\t' | b',' | b'"' | b'\'' | b'0'..=b'9' => true,
            b'.' | b')' => self.last.is_ascii_digit(),
            _ => false,
        };
        if !between && !self.row.is_empty() {
            self.end_row(at - 1, hits);
        }
        self.last = byte;
    }

    /// A word has ended: is it of the list?
    fn end_word(&mut self, rules: &Rules, at: u64, hits: &mut Vec<PatternMatch>) {
        match rules.word(&self.word[..self.length]) {
            Some(_) if self.row.len() == MAX_WORDS => self.long = true,
            Some(index) => {
                if self.row.is_empty() {
                    self.start = at - 1 - self.length as u64;
                }
                self.row.push(index);
            }
            None if self.row.is_empty() => {}
            None => self.end_row(at - 1 - self.length as u64, hits),
        }
        self.length = 0;
    }

    /// The row has ended: is it a phrase?
    fn end_row(&mut self, at: u64, hits: &mut Vec<PatternMatch>) {
        if !self.long && matches!(self.row.len(), 12 | 15 | 18 | 21 | 24) {
            let list = bip39::Language::English.word_list();
            let words: Vec<&str> = self.row.iter().map(|index| list[*index]).collect();
            let mut distinct = self.row.clone();
            distinct.sort_unstable();
            distinct.dedup();
            let words = words.join(" ");
            if distinct.len() * 4 >= self.row.len() * 3
                && !published::is_phrase(&words)
                && bip39::Mnemonic::parse_in_normalized(bip39::Language::English, &words).is_ok()
            {
                hits.push(PatternMatch { name: "a wallet's seed phrase", is_hint: false, start: self.start, end: at });
            }
        }
        self.row.clear();
        self.long = false;
    }
}
