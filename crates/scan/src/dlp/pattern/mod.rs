//! Patterns of well-known credentials and numbers, found in a text as it streams. An open match has at most a few hundred
//! bytes, and where it began is known, so that it can be held back.

mod iban;
mod card;
mod check;
mod rules;
mod seed;

use super::byte_runs::{ByteClass, ByteRuns, DIGITS, LOWER, UPPER, byte_class};
use aho_corasick::automaton::StateID;
use card::CardReader;
use iban::IbanReader;
pub use rules::Rules;
use rules::{Letters, RULES};
use seed::SeedPhraseReader;

/// A pattern that was found, and its place in the text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatternMatch {
    pub name: &'static str,
    pub start: u64,
    pub end: u64,
}

/// Bytes that each reader is given at a time, before the next reader is.
const PART_BYTES: usize = 512;
/// Bytes of the text before that are kept: more than any beginning has, and those in which a word may name a number.
const RECENT_BYTES: usize = card::WORD_REACH_BYTES;
/// Bytes of the shortest credential.
const MIN_CREDENTIAL_BYTES: usize = 20;
/// What credentials are made of.
static CREDENTIAL: ByteClass = byte_class(&[UPPER, LOWER, DIGITS, b"_-.=+/\\ \r\n\t\",:'@>|"]);

pub struct PatternScanner {
    /// Bytes read.
    position: u64,
    /// State of the automaton for beginnings; `None`: the text has not begun.
    state: Option<StateID>,
    /// Beginnings whose end has not come. No bound is needed: all that take a byte which another one can begin behind
    /// have beginnings of three bytes or more, and no rule reads more than 600, so that at most 200 are open at one time.
    open: Vec<Candidate>,
    /// The last bytes read, for what stands before a beginning.
    recent: [u8; RECENT_BYTES],
    card: CardReader,
    iban: IbanReader,
    seed: SeedPhraseReader,
}

impl Default for PatternScanner {
    fn default() -> PatternScanner {
        let (card, iban, seed) = Default::default();
        PatternScanner { position: 0, state: None, open: Vec::new(), recent: [0; RECENT_BYTES], card, iban, seed }
    }
}

/// A beginning, and what follows it so far.
struct Candidate {
    /// Its index in [`RULES`].
    rule: usize,
    start: u64,
    body: Vec<u8>,
}

impl PatternScanner {
    pub fn push(&mut self, rules: &Rules, bytes: &[u8], hits: &mut Vec<PatternMatch>) {
        for part in bytes.chunks(PART_BYTES) {
            let at = self.position;
            self.credentials(rules, part, hits);
            self.card.push(part, &self.recent, at, hits);
            self.iban.push(part, at, hits);
            self.seed.push(rules, part, at, hits);
            let kept = part.len().min(RECENT_BYTES);
            self.recent.copy_within(kept.., 0);
            self.recent[RECENT_BYTES - kept..].copy_from_slice(&part[part.len() - kept..]);
        }
    }

    fn credentials(&mut self, rules: &Rules, part: &[u8], hits: &mut Vec<PatternMatch>) {
        let first = self.position;
        let start = rules.begins.start();
        let mut state = self.state.unwrap_or(start);
        let mut runs = ByteRuns::new(part, &CREDENTIAL, MIN_CREDENTIAL_BYTES);
        let mut n = 0;
        while n < part.len() {
            if !self.open.is_empty() {
                self.position = first + n as u64;
                self.grow(part[n], hits);
            } else if state == start {
                let next = runs.skip_to_run(n);
                if next > n {
                    n = next;
                    continue;
                }
            }
            state = rules.begins.step(state, part[n]);
            n += 1;
            if rules.begins.is_match(state) {
                self.position = first + n as u64;
                for rule in rules.begins.matches(state) {
                    self.begin(rule, &part[..n]);
                }
            }
        }
        self.position = first + part.len() as u64;
        self.state = Some(state);
    }

    pub fn finish(&mut self, rules: &Rules, hits: &mut Vec<PatternMatch>) {
        for candidate in std::mem::take(&mut self.open) {
            candidate.decide(self.position, hits);
        }
        let at = self.position;
        self.position += 1;
        self.card.push(&[0], &self.recent, at, hits);
        self.iban.push(&[0], at, hits);
        self.seed.push(rules, &[0], at, hits);
        self.state = None;
        self.recent = [0; RECENT_BYTES];
    }

    /// Bytes at the end of the text that may be the beginning of a finding.
    pub fn open_bytes(&self) -> usize {
        let starts = self.open.iter().map(|candidate| candidate.start);
        let starts = starts.chain(self.card.start()).chain(self.iban.start());
        starts.min().map_or(0, |start| (self.position - start.min(self.position)) as usize)
    }

    /// `read`: this part of the text, as far as it was read.
    #[cold]
    fn begin(&mut self, index: usize, read: &[u8]) {
        let rule = &RULES[index];
        let length = rule.begin.len();
        let start = self.position - length as u64;
        let before = match read.len().checked_sub(length + 1) {
            Some(at) => read[at],
            None => self.recent[RECENT_BYTES + read.len() - length - 1],
        };
        // A private key's first line may follow anything; other credentials are words of their own.
        if rule.letters != Letters::Lines && (before.is_ascii_alphanumeric() || before == b'_') {
            return;
        }
        self.open.push(Candidate { rule: index, start, body: Vec::new() });
    }

    fn grow(&mut self, byte: u8, hits: &mut Vec<PatternMatch>) {
        let mut at = 0;
        while at < self.open.len() {
            let candidate = &mut self.open[at];
            let rule = &RULES[candidate.rule];
            let fits = rule.letters.has(byte);
            if fits && candidate.body.len() < rule.length.1 {
                candidate.body.push(byte);
                if rule.letters != Letters::Lines || !check::is_private_key(&candidate.body) {
                    at += 1;
                    continue;
                }
                // A private key is known before it ends.
                hits.push(PatternMatch { name: rule.name, start: candidate.start, end: self.position + 1 });
                self.open.remove(at);
                continue;
            }
            let candidate = self.open.remove(at);
            if !fits {
                candidate.decide(self.position, hits);
            }
        }
    }
}

impl Candidate {
    fn decide(&self, end: u64, hits: &mut Vec<PatternMatch>) {
        let rule = &RULES[self.rule];
        // A sign that closes a sentence is no part of a credential.
        let body = match self.body.split_last() {
            Some((b'.' | b'-' | b'=', rest)) if self.body.len() > rule.length.1 => rest,
            _ => &self.body,
        };
        if rule.letters != Letters::Lines
            && (rule.length.0..=rule.length.1).contains(&body.len())
            && check::is_real(rule.check, rule.begin, body)
        {
            hits.push(PatternMatch { name: rule.name, start: self.start, end });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rules::Check;
    use super::*;

    fn hits(text: &str, part: usize) -> Vec<&'static str> {
        let rules = Rules::new().unwrap();
        let (mut patterns, mut hits) = (PatternScanner::default(), Vec::new());
        for part in text.as_bytes().chunks(part) {
            patterns.push(&rules, part, &mut hits);
        }
        patterns.finish(&rules, &mut hits);
        assert!(hits.iter().all(|hit| hit.start < hit.end));
        hits.into_iter().map(|hit| hit.name).collect()
    }

    #[test]
    fn each_word_that_names_a_card_makes_a_number_count() {
        for word in card::WORDS {
            let text = format!("{}: 4539148803436467\n", String::from_utf8_lossy(word));
            for part in [1, 7, 1000] {
                assert_eq!(hits(&text, part), ["a card number"], "{text}");
            }
        }
        for text in ["Card number: 4539148803436467, thanks", "{\"holderCard\":\"4539148803436467\"}"] {
            assert_eq!(hits(text, 1000), ["a card number"], "{text}");
        }
    }

    /// Letters without a plan, always the same ones.
    fn noise(count: usize, alphabet: &str) -> String {
        let mut state = 0x2545_f491_4f6c_dd1du64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            alphabet.as_bytes()[(state % alphabet.len() as u64) as usize] as char
        };
        (0..count).map(|_| next()).collect()
    }

    const WORD: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    #[test]
    fn every_rule_finds_what_it_describes() {
        for rule in RULES {
            assert!(
                rule.begin.len() + rule.length.0 >= MIN_CREDENTIAL_BYTES
                    && rule.begin.bytes().all(|byte| CREDENTIAL[usize::from(byte)])
            );
            assert!((0..=255).all(|byte| CREDENTIAL[usize::from(byte)] || !rule.letters.has(byte)));
            if matches!(rule.check, Check::Key | Check::Wallet) {
                continue;
            }
            let alphabet = match rule.letters {
                Letters::Hex => "0123456789abcdef",
                Letters::Upper => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
                Letters::Base58 => "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
                _ => WORD,
            };
            let mut body = noise(rule.length.0, alphabet);
            match rule.check {
                Check::Ends(end) => body.replace_range(body.len() - end.len().., end),
                Check::Holds(inner) => body.replace_range(10..10 + inner.len(), inner),
                _ => {}
            }
            let text = format!("key=\"{}{body}\", and so on", rule.begin);
            for part in [1, 17, 1000] {
                assert_eq!(hits(&text, part), [rule.name], "{text}");
            }
            assert!(hits(&format!("x{text}").replace("=\"", "=\"x"), 9).is_empty(), "{text}");
            assert!(hits(&text.replace(&body, &body[..rule.length.0 - 9]), 9).is_empty(), "{text}");
        }
    }

    /// What an attacker puts behind a beginning does not push it out.
    #[test]
    fn decoys_hide_no_credential() {
        let key =
            format!("-----BEGIN RSA PRIVATE KEY-----\n{}\nMIIEpAIBAAKCAQEA{}\n", "sk-".repeat(40), noise(300, WORD));
        for part in [1, 13, 1000] {
            assert_eq!(hits(&key, part), ["a private key"]);
            assert_eq!(hits("to AD12 GB33 DE75 DE75512108001245126199 now", part), ["a bank account"]);
        }
        let long = "1 ".repeat(100_000) + "; pay with 4539 1488 0343 6467 please";
        assert_eq!(hits(&long, 1000), ["a card number"]);
    }

    #[test]
    fn open_candidates_are_bounded_by_the_rules() {
        for rule in RULES {
            assert!(rule.length.1 <= 600, "{}", rule.begin);
            let breaks =
                (0..=255u8).any(|byte| rule.letters.has(byte) && !byte.is_ascii_alphanumeric() && byte != b'_');
            assert!(!breaks || rule.begin.len() >= 3, "{}", rule.begin);
        }
    }

    #[test]
    fn keys_wallets_seeds_and_numbers() {
        let key = format!("-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA{}\n", noise(120, WORD));
        for (text, wanted) in [
            (key.as_str(), "a private key"),
            (&key.replace('\n', "\\n"), "a private key"),
            (&key.replace("RSA", "OPENSSH"), "a private key"),
            ("wif 5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ.", "a wallet's private key"),
            ("seed: zoo legal winner thank year wave sausage worth useful olympic yellow oxygen", ""),
            ("pay with 4539 1488 0343 6467 please", "a card number"),
            ("pay with 3782-822463-10006 please", ""),
            ("card: 4539148803436467", "a card number"),
            ("id 4539148803436467", ""),
            ("card 4111111111111111", ""),
            ("to DE75512108001245126199 now", "a bank account"),
            ("to GB33 BUKB 2020 1555 5555 55 now", "a bank account"),
            ("to DE75512108001245126198 now", ""),
            ("-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", ""),
            ("-----BEGIN CERTIFICATE-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MIIEpAIBAAKCAQEA", ""),
            ("AKIAIOSFODNN7EXAMPLE", ""),
            ("ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", ""),
            ("sk_live_00000000000000000000000000", ""),
        ] {
            for part in [1, 13, 1000] {
                let found = hits(text, part);
                assert_eq!(found.first().copied().unwrap_or_default(), wanted, "{text}");
            }
        }
    }

    #[test]
    fn a_seed_phrase_is_known_by_its_sum_and_its_length() {
        let words: Vec<&str> = bip39::Mnemonic::from_entropy(&noise(16, WORD).into_bytes()).unwrap().words().collect();
        let lines: Vec<String> = words.iter().enumerate().map(|(n, word)| format!("{}. {word}\n", n + 1)).collect();
        for text in [words.join(" "), words.join(", "), format!("[\"{}\"]", words.join("\",\"")), lines.concat()] {
            assert_eq!(hits(&format!("It is: {text}!"), 7), ["a wallet's seed phrase"], "{text}");
        }
        let mut wrong = words.clone();
        wrong.swap(0, 1);
        assert!(hits(&wrong.join(" "), 7).is_empty());
        let list = bip39::Language::English.word_list().join("\n");
        assert!(hits(&list, 100).is_empty());
    }
}
