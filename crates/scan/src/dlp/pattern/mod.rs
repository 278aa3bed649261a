//! Patterns of well-known credentials and numbers, found in a text as it streams. An open match has at most a few hundred
//! bytes, and where it began is known, so that it can be held back.

mod address;
mod card;
mod check;
mod iban;
mod key;
mod published;
mod rules;
mod seed;
mod shape;
mod table;

use super::Subject;
use address::AddressPart;
use card::CardReader;
use check::Check;
use iban::IbanReader;
use key::KeyText;
pub use rules::Rules;
use rules::{MAX_BEFORE_BYTES, is_key};
use seed::SeedPhraseReader;
use table::{KeywordPlace, RULES};

/// A pattern that was found, and its place in the text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatternMatch {
    pub name: &'static str,
    pub is_hint: bool,
    pub start: u64,
    pub end: u64,
}

impl PatternMatch {
    pub fn subject(&self) -> Subject {
        if self.is_hint { Subject::Hint(self.name) } else { Subject::Pattern(self.name) }
    }
}

/// Bytes that each reader is given at a time, before the next reader is.
const PART_BYTES: usize = 512;
/// Bytes of the text before that are kept: what a rule may want before its keyword, and what may name a number.
const RECENT_BYTES: usize =
    if MAX_BEFORE_BYTES > card::WORD_REACH_BYTES { MAX_BEFORE_BYTES } else { card::WORD_REACH_BYTES };
/// Bytes between two judgements of a private key.
const KEY_STEP_BYTES: usize = 64;
/// Bytes of a credential, behind those that every one of its kind has, that tell too little of it.
const MAX_TOLD_BYTES: usize = 10;
/// Keywords of one rule whose credentials have not ended, at most: each costs time at every byte. No honest text has more,
/// so that the first of more counts as found: what follows it could hide a real one.
const MAX_OPEN_OF_RULE: usize = 8;
/// Bytes of the id of a key of AWS.
const AWS_ID_BYTES: usize = 20;
/// What may stand behind a word in a program, but not behind a password.
const BEHIND_CODE: &[u8] = b"([{$";

pub struct PatternScanner {
    /// Escapes were taken out of the text, or what looked like some, and parts of it left out: the id of a key is not asked
    /// for its signature, which the text around it is.
    is_unescaped: bool,
    /// Bytes read.
    position: u64,
    /// Keywords whose credentials have not ended, at most [`MAX_OPEN_OF_RULE`] of a rule.
    open: Vec<Candidate>,
    /// The last bytes read, and the part that is read.
    window: Vec<u8>,
    card: CardReader,
    iban: IbanReader,
    seed: SeedPhraseReader,
}

impl Default for PatternScanner {
    fn default() -> PatternScanner {
        let (card, iban, seed) = Default::default();
        PatternScanner {
            is_unescaped: false,
            position: 0,
            open: Vec::new(),
            window: vec![0; RECENT_BYTES],
            card,
            iban,
            seed,
        }
    }
}

/// What follows a keyword, while it has the shape of the rule.
struct Candidate {
    /// Its number in [`RULES`].
    rule: usize,
    /// Bytes of its beginning that every credential of the rule has.
    fixed: usize,
    /// Where the finding begins; `None`: not yet.
    start: Option<u64>,
    /// The step of the shape, and how many bytes it has taken.
    step: usize,
    count: u16,
    text: Vec<u8>,
    part: AddressPart,
    /// The end of the text before it, for the id of a key in an address.
    before: Vec<u8>,
}

/// What a byte makes of a candidate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CandidateState {
    Open,
    Over,
    /// It is whole, and the byte no part of it.
    Ended,
    /// The byte made it one, whatever follows.
    Begun,
}

impl PatternScanner {
    /// For a text that escapes were taken out of.
    pub fn of_unescaped() -> PatternScanner {
        PatternScanner { is_unescaped: true, ..PatternScanner::default() }
    }

    pub fn push(&mut self, rules: &Rules, bytes: &[u8], hits: &mut Vec<PatternMatch>) {
        for part in bytes.chunks(PART_BYTES) {
            let at = self.position;
            self.window.extend_from_slice(part);
            self.credentials(rules, hits);
            let recent = &self.window[..RECENT_BYTES];
            self.card.push(part, recent, at, hits);
            self.iban.push(part, at, hits);
            self.seed.push(rules, part, at, hits);
            self.window.drain(..part.len());
        }
    }

    fn credentials(&mut self, rules: &Rules, hits: &mut Vec<PatternMatch>) {
        let window = std::mem::take(&mut self.window);
        let first = self.position;
        let mut at = RECENT_BYTES;
        rules.keyword_ends(&window, RECENT_BYTES, |end| {
            self.read(rules, &window[at..end], hits);
            at = end;
            self.position = first + (end - RECENT_BYTES) as u64;
            self.begin(rules, &window[end - MAX_BEFORE_BYTES..end], hits);
        });
        self.read(rules, &window[at..], hits);
        self.position = first + (window.len() - RECENT_BYTES) as u64;
        self.window = window;
    }

    pub fn finish(&mut self, rules: &Rules, hits: &mut Vec<PatternMatch>) {
        for candidate in std::mem::take(&mut self.open) {
            if candidate.is_whole(rules) {
                candidate.decide(self.position, None, hits);
            }
        }
        let at = self.position;
        self.position += 1;
        self.card.push(&[0], &self.window, at, hits);
        self.card.finish(hits);
        self.iban.push(&[0], at, hits);
        self.seed.push(rules, &[0], at, hits);
        self.window.fill(0);
    }

    /// Bytes at the end of the text that may be the beginning of a finding.
    pub fn open_bytes(&self) -> usize {
        let starts = self.open.iter().filter_map(|candidate| candidate.start);
        let starts = starts.chain(self.card.start()).chain(self.iban.start());
        starts.min().map_or(0, |start| (self.position - start.min(self.position)) as usize)
    }

    /// May these bytes at the end alone be a credential, as what stands before them says, or most of one?
    pub fn is_telling(&self, rules: &Rules) -> bool {
        let is_telling = |candidate: &Candidate| {
            let is_behind_words = candidate.start.is_some() && rules.shape(candidate.rule).first > 0;
            is_behind_words || candidate.text.len() > candidate.fixed + MAX_TOLD_BYTES
        };
        self.open.iter().any(is_telling) || self.card.is_whole()
    }

    /// A keyword may end here. `read`: the last bytes of the text.
    fn begin(&mut self, rules: &Rules, read: &[u8], hits: &mut Vec<PatternMatch>) {
        let (position, is_unescaped, open) = (self.position, self.is_unescaped, &mut self.open);
        rules.keywords_at_end(read, |found| {
            let is_begun = found.behind > 0 || rules.shape(found.rule).first == 0;
            let start = is_begun.then_some(position - (found.behind as u64).min(position));
            let text = read[read.len() - found.behind..].to_vec();
            let part = address::part_of(RULES[found.rule].check, read, found.behind);
            if part == AddressPart::Public || (is_unescaped && part != AddressPart::None) {
                return;
            }
            let before =
                if part == AddressPart::None { Vec::new() } else { read[..read.len() - found.behind].to_vec() };
            if open.iter().filter(|other| other.rule == found.rule).count() >= MAX_OPEN_OF_RULE
                && let Some(first) = open.iter().position(|other| other.rule == found.rule)
            {
                hits.extend(open.remove(first).as_found(position));
            }
            open.push(Candidate { rule: found.rule, fixed: found.fixed, start, step: 0, count: 0, text, part, before });
        });
    }

    /// Reads bytes in which no keyword ends, but for the last one.
    #[inline]
    fn read(&mut self, rules: &Rules, bytes: &[u8], hits: &mut Vec<PatternMatch>) {
        for byte in bytes {
            if self.open.is_empty() {
                break;
            }
            let position = self.position;
            self.open.retain_mut(|candidate| match candidate.push(rules, *byte, position) {
                CandidateState::Open => true,
                CandidateState::Over => false,
                CandidateState::Ended => {
                    candidate.decide(position, Some(*byte), hits);
                    false
                }
                CandidateState::Begun => {
                    candidate.decide(position + 1, None, hits);
                    false
                }
            });
            self.position += 1;
        }
    }
}

impl Candidate {
    /// `position`: bytes of the text before this one.
    fn push(&mut self, rules: &Rules, byte: u8, position: u64) -> CandidateState {
        let shape = rules.shape(self.rule);
        while let Some(step) = shape.steps.get(self.step) {
            if step.has(byte) && step.has_room(self.count) {
                self.count += 1;
                if self.step >= shape.first {
                    self.start.get_or_insert(position);
                    self.text.push(byte);
                }
                let is_begun = step.most.is_none() && self.count >= step.least;
                return match is_begun {
                    true => CandidateState::Begun,
                    false if is_key(self.rule) => self.judge_key(),
                    false => CandidateState::Open,
                };
            }
            if self.count < step.least {
                return CandidateState::Over;
            }
            (self.step, self.count) = (self.step + 1, 0);
        }
        match self.part {
            AddressPart::None | AddressPart::Public => CandidateState::Ended,
            // What follows the id tells whether the address is signed.
            part if address::goes_on(part, byte) && self.text.len() < address::MAX_ADDRESS_BYTES => {
                self.text.push(byte);
                CandidateState::Open
            }
            _ => CandidateState::Ended,
        }
    }

    /// A private key is known before it ends.
    fn judge_key(&self) -> CandidateState {
        let is_due = self.text.len().is_multiple_of(KEY_STEP_BYTES) || self.text.ends_with(b"-----END");
        match if is_due { key::judge(&self.text) } else { KeyText::Open } {
            KeyText::Open => CandidateState::Open,
            KeyText::Key => CandidateState::Begun,
            KeyText::Other => CandidateState::Over,
        }
    }

    /// Bytes of the credential itself, without what was read of the address behind it.
    fn own_bytes(&self) -> usize {
        match self.part {
            AddressPart::Id | AddressPart::FieldId => AWS_ID_BYTES.min(self.text.len()),
            _ => self.text.len(),
        }
    }

    /// Is it the id of a key that no signature stands beside?
    fn is_secret_id(&self) -> bool {
        let (id, rest) = self.text.split_at(self.own_bytes());
        let is_cut = rest.first().is_some_and(u8::is_ascii_alphanumeric);
        !is_cut
            && check::is_real(Check::KeyId, id, self.fixed)
            && !address::is_signed(self.part, &self.before, &self.text)
    }

    /// A finding up to `end`, whatever it would have become. `None`: it has not begun.
    fn as_found(&self, end: u64) -> Option<PatternMatch> {
        let rule = &RULES[self.rule];
        let start = self.start?;
        Some(PatternMatch { name: rule.name, is_hint: rule.is_hint, start, end: end.max(start + 1) })
    }

    /// Does the text end where a credential of the shape may end?
    fn is_whole(&self, rules: &Rules) -> bool {
        let steps = &rules.shape(self.rule).steps;
        steps.get(self.step).is_none_or(|step| self.count >= step.least)
            && steps.iter().skip(self.step + 1).all(|step| step.least == 0)
    }

    /// It ends before `end`. `next`: the byte behind it; `None`: there is none, or it is not asked for.
    fn decide(&self, end: u64, next: Option<u8>, hits: &mut Vec<PatternMatch>) {
        let rule = &RULES[self.rule];
        let is_in_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let is_code = rule.place == KeywordPlace::Name && next.is_some_and(|next| BEHIND_CODE.contains(&next));
        let is_cut = is_code || (is_in_word(self.text.last()) && is_in_word(next.as_ref()));
        let is_real = match (self.part, is_key(self.rule)) {
            (AddressPart::Id | AddressPart::FieldId, _) => self.is_secret_id(),
            (_, true) => key::judge(&self.text) == KeyText::Key,
            _ => !is_cut && check::is_real(rule.check, &self.text, self.fixed),
        };
        let end = end.min(self.start.unwrap_or(end) + self.own_bytes() as u64);
        if let Some(start) = self.start.filter(|_| is_real) {
            hits.push(PatternMatch { name: rule.name, is_hint: rule.is_hint, start, end });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    fn hits(text: &str, part: usize) -> Vec<&'static str> {
        static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::new().unwrap());
        let (mut patterns, mut hits) = (PatternScanner::default(), Vec::new());
        for part in text.as_bytes().chunks(part) {
            patterns.push(&RULES, part, &mut hits);
        }
        patterns.finish(&RULES, &mut hits);
        assert!(hits.iter().all(|hit| hit.start < hit.end));
        hits.into_iter().map(|hit| hit.name).collect()
    }

    #[test]
    fn each_word_that_names_a_card_makes_a_number_count() {
        for word in [
            "card",
            "Card",
            "CARD",
            "visa",
            "cvv",
            "CVC",
            "\"pan\"",
            "creditCard",
            "card_number",
            "cardNumber",
            "cards",
        ] {
            let text = format!("{word}: 4539148803436467\n");
            for part in [1, 7, 1000] {
                assert_eq!(hits(&text, part), ["a card number"], "{text}");
            }
        }
        for text in ["Card number: 4539148803436467, thanks", "{\"holderCard\":\"4539148803436467\"}"] {
            assert_eq!(hits(text, 1000), ["a card number"], "{text}");
        }
        for word in ["cardinality", "discarded", "\"cardinality\"", "wildcard", "company", "span", "discard_id"] {
            assert!(hits(&format!("{word}: 4539148803436467\n"), 1000).is_empty(), "{word}");
        }
    }

    #[test]
    fn what_only_begins_tells_nothing() {
        let rules = Rules::new().unwrap();
        let is_telling = |text: &str| {
            let mut patterns = PatternScanner::default();
            patterns.push(&rules, text.as_bytes(), &mut Vec::new());
            patterns.is_telling(&rules)
        };
        for text in [
            "1234567890",
            "id: 4111111",
            "ghp_",
            "github_pat_",
            "sk-ant-api03-",
            "AKIA",
            "-----BEGIN ",
            "x password=",
            "x",
        ] {
            assert!(!is_telling(text), "{text}");
        }
        for text in ["password=Xk29fLq8", "ghp_A1b2C3d4E5f", "AKIAQ3EGRIXWZT5", "4539148803436467", "user://a:Xk29f"] {
            assert!(is_telling(text), "{text}");
        }
    }

    #[test]
    fn a_table_of_numbers_is_no_card() {
        let digits = noise(16 * 20_000, "0123456789");
        let rows: Vec<String> = digits
            .as_bytes()
            .chunks(16)
            .map(|row| {
                let groups: Vec<_> = row.chunks(4).map(String::from_utf8_lossy).collect();
                groups.join(" ") + "\n"
            })
            .collect();
        let found = rows.chunks(500).filter(|table| !hits(&table.concat(), 1000).is_empty()).count();
        assert_eq!(found, 0, "of 40 tables");
        for part in [1, 7, 1000] {
            let cards = "4539 1488 0343 6467\n4716 2210 5188 5662\n";
            assert_eq!(hits(cards, part), ["a card number"; 2]);
            assert!(hits("1234 5678 9012 3456\n4539 1488 0343 6467\n", part).is_empty());
            assert!(hits("4539 1488 0343 6467\n1234 5678 9012 3456\n", part).is_empty());
            assert_eq!(hits("1234 5678 9012 3456\ncard 4539 1488 0343 6467\n", part), ["a card number"]);
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

    /// A text of the shape, with as few bytes as it has.
    fn sample(shape: &shape::Shape, seed: &mut u64) -> String {
        let mut text = String::new();
        for step in &shape.steps {
            let fits: Vec<u8> = (33..127).filter(|byte| step.has(*byte)).collect();
            let words: Vec<u8> = fits.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
            let from = if words.is_empty() { fits } else { words };
            for _ in 0..step.least {
                *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push(if from.is_empty() { ' ' } else { char::from(from[(*seed >> 33) as usize % from.len()]) });
            }
        }
        text
    }

    /// A text with a credential of the rule.
    fn example_of(rule: &table::Rule, seed: &mut u64) -> String {
        let keyword = rule.keywords.split(' ').next().unwrap().replace('?', "2").replace('␣', " ");
        let mut body = sample(&shape::Shape::parse(rule.shape).unwrap(), seed);
        match rule.check {
            Check::Ends(end) => body.replace_range(body.len() - end.len().., end),
            Check::Holds(inner) => body.replace_range(10..10 + inner.len(), inner),
            _ => {}
        }
        match rule.place {
            KeywordPlace::Begin => format!("key=\"{keyword}{body}\", and so on"),
            KeywordPlace::Inside(before) => {
                format!("key=\"{}{keyword}{body}\", and so on", sample(&shape::Shape::parse(before).unwrap(), seed))
            }
            KeywordPlace::Name => format!("{{\"{}\": \"{body}\"}}", keyword.to_uppercase()),
            KeywordPlace::Before => format!(" {keyword}{body} and so on"),
        }
    }

    #[test]
    fn every_rule_finds_what_it_describes() {
        let mut seed = 7;
        for rule in table::RULES {
            if matches!(rule.check, Check::Key | Check::Wallet | Check::Password | Check::Secret) {
                continue;
            }
            for _ in 0..20 {
                let text = example_of(rule, &mut seed);
                let is_found = [1, 17, 1000].map(|part| hits(&text, part).contains(&rule.name));
                // What the check asks for, and few random texts of the shape lack.
                if rule.check != Check::Mixed {
                    assert_eq!(is_found, [true; 3], "{}: {text}", rule.name);
                }
                assert!(is_found[0] == is_found[1] && is_found[1] == is_found[2], "{text}");
            }
            let found = (0..200).filter(|_| hits(&example_of(rule, &mut seed), 1000).contains(&rule.name)).count();
            assert!(found >= 185, "{}: {found} of 200", rule.name);
        }
    }

    /// What is documented as an example does not count. A random key always does, whatever letters it has.
    #[test]
    fn an_example_is_known_by_a_list_and_a_random_key_is_none() {
        let mut seed = 11;
        let upper = shape::Shape::parse("[A-Z2-7]{16}").unwrap();
        for _ in 0..5000 {
            let key = format!("AKIA{}", sample(&upper, &mut seed));
            assert_eq!(hits(&format!("id {key}\n"), 1000), ["an AWS access key"], "{key}");
        }
        for _ in 0..2000 {
            let key = format!(
                "xoxb-{}-0000{}-{}",
                noise_of(12, "0123456789", &mut seed),
                noise_of(8, "0123456789", &mut seed),
                noise_of(24, WORD, &mut seed)
            );
            assert_eq!(hits(&format!("\"{key}\""), 1000), ["a Slack token"], "{key}");
        }
        for text in [
            "AKIAIOSFODNN7EXAMPLE",
            "AKIAXXXXXXXXXXXXXXXX",
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "sk_live_00000000000000000000000000",
            "xoxb-your-token-here-and-some-more-letters",
            "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
            "AIzaSyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe",
            "postgres://user:password@localhost/db",
            "https://user:your-password1@example.org/",
            "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
            "password = getpass.getpass1(prompt)",
            "password: ${DB_PASSWORD_2}",
            "api_key = os.environ[\"X1\"]",
        ] {
            assert!(hits(text, 1000).is_empty(), "{text}: {:?}", hits(text, 1000));
        }
    }

    /// An id alone opens nothing, and signed addresses have it for all to see. Beside its secret it stays a finding.
    #[test]
    fn a_signed_address_passes_and_a_secret_in_one_does_not() {
        let (id, secret) = ("AKIAQ3EGRIXWZT5N7YFK", ["wJ4lrXUtnFEMI9K7MDENGd", "bPxRfiCYq8Zt2LmP0a"].concat());
        let (hex, old) = (noise(64, "0123456789abcdef"), format!("{}%3D", noise(27, WORD)));
        let token = format!("IQoJb3JpZ2luX2VjE{}%2F%2F{}", noise(300, WORD), noise(700, WORD));
        let scope = "20261201%2Fus-east-1%2Fs3%2Faws4_request";
        let v4 = format!(
            "https://b.s3.amazonaws.com/a?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={id}%2F{scope}&X-Amz-Date=\
             20261201T000000Z&X-Amz-Expires=300&X-Amz-Security-Token={token}&X-Amz-SignedHeaders=host&X-Amz-Signature={hex}"
        );
        let v2 = format!("https://b.s3.amazonaws.com/a?AWSAccessKeyId={id}&Expires=1796083200&Signature={old}");
        let fields = format!(
            "{{\"X-Amz-Credential\": \"{id}/20261201/us-east-1/s3/aws4_request\", \"X-Amz-Signature\": \"{hex}\"}}"
        );
        let form = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let part = form("X-Amz-Credential", &format!("{id}/20261201/us-east-1/s3/aws4_request"));
        let passing = [
            v4.clone(),
            format!("/a?{}\n", v4.split_once('?').unwrap().1),
            v4.replace('&', "\\u0026"),
            v4.replace('&', "&amp;"),
            format!("{{\"url\":\"{v4}\",\"n\":1}}"),
            v2.clone(),
            format!("/a?Signature={old}&Expires=1796083200&AWSAccessKeyId={id}"),
            fields,
            part.clone() + &form("X-Amz-Signature", &hex),
            format!(
                "https://storage.googleapis.com/b/a?GoogleAccessId=a@p.iam.gserviceaccount.com&Expires=1&Signature={old}"
            ),
            format!(
                "https://storage.googleapis.com/b/a?X-Goog-Credential=a%40p.iam.gserviceaccount.com%2F{scope}&X-Goog-Signature={}",
                noise(512, "0123456789abcdef")
            ),
            format!("https://a.blob.core.windows.net/c/f?sv=2024-11-04&sr=b&sp=r&sig={old}"),
            format!("https://maps.googleapis.com/maps/api/js?key=AIza{}&v=3", noise(35, WORD)),
        ];
        for text in &passing {
            for part in [1, 7, 10_000] {
                let found: Vec<_> =
                    hits(text, part).into_iter().filter(|name| !name.contains("shared access")).collect();
                assert!(found.is_empty(), "{text}: {found:?}");
            }
        }
        for (text, wanted) in [
            (format!("id={id}"), "an AWS access key"),
            (format!("?X-Amz-Credential={id}&x=1"), "an AWS access key"),
            (format!("?X-Amz-Credential={id}%2F{scope}&X-Amz-Date=1"), "an AWS access key"),
            (format!("?AWSAccessKeyId={id}&Expires=1"), "an AWS access key"),
            (format!("?AWSAccessKeyId={id}&Signature={secret}"), "an AWS access key"),
            (format!("{v2}&s={secret}"), "an AWS access key"),
            (format!("{v4}&s=/{secret}"), "an AWS access key"),
            (format!("{v4}&s={secret}/x"), "an AWS access key"),
            (
                format!("https://b.org/{secret}?X-Amz-Credential={id}%2F{scope}&X-Amz-Signature={hex}"),
                "an AWS access key",
            ),
            (format!("{v4}&s={}", secret.replace('9', "%2F")), "an AWS access key"),
            (v4.replace(&hex, &secret), "an AWS access key"),
            (part, "an AWS access key"),
            (format!("{v4}\naws_secret_access_key={secret}\n"), "an AWS secret key"),
            (format!("x-amz-security-token: IQoJb3JpZ2luX2VjE{}\n", noise(200, WORD)), "an AWS session token"),
            (format!("key=AIza{}", noise(35, WORD)), "a Google key"),
            (format!("{{\"key\":\"AIza{}\"}}", noise(35, WORD)), "a Google key"),
        ] {
            for part in [1, 7, 10_000] {
                assert!(hits(&text, part).contains(&wanted), "{text}: {:?}", hits(&text, part));
            }
        }
    }

    /// Each beginning of a credential costs time at every byte, so few are open at one time, and the last ones count.
    #[test]
    fn many_beginnings_cost_no_more_than_few() {
        let rules = Rules::new().unwrap();
        for begin in ["-eyJ", "-sk-", " -----BEGIN ", "://a:", ".pat-na1-", "-xoxp-"] {
            let mut patterns = PatternScanner::default();
            for _ in 0..500 {
                patterns.push(&rules, begin.as_bytes(), &mut Vec::new());
                let kinds: std::collections::BTreeSet<usize> = patterns.open.iter().map(|open| open.rule).collect();
                assert!(patterns.open.len() <= MAX_OPEN_OF_RULE * kinds.len().max(1) && kinds.len() < 8, "{begin}");
            }
        }
        // Nor do they hide what stands before them.
        let key = format!("sk-{}T3BlbkFJ{}", noise(20, WORD), noise(20, WORD));
        let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n{{}}{}\n", noise(64, WORD), noise(64, WORD));
        for count in 0..20 {
            assert!(!hits(&format!("{key}{} ", "-sk-".repeat(count)), 7).is_empty(), "{count}");
            let hidden =
                pem.replace("{}", &" -----BEGIN \n".repeat(count)) + &format!("{}\n", noise(64, WORD)).repeat(8);
            assert!(!hits(&format!("{hidden}-----END RSA PRIVATE KEY-----\n"), 1000).is_empty(), "{count}");
        }
        let token = format!("{}eyJ{}.eyJ{}", "-eyJ".repeat(100), noise(40, WORD), noise(60, WORD));
        assert_eq!(hits(&format!("{token} "), 1000).last(), Some(&"a JSON web token"));
    }

    /// An example is filled up with one letter; a credential with such letters beside it is one.
    #[test]
    fn letters_in_a_row_excuse_no_credential_beside_them() {
        let key = format!("sk-{}T3BlbkFJ{}", noise(20, WORD), noise(20, WORD));
        for text in [format!("{key}-xxxxxxxxx "), format!("{key}xxxxxxxxxxxx ")] {
            assert_eq!(hits(&text, 7).first(), Some(&"an OpenAI key"), "{text}");
        }
        assert!(hits("sk-xxxxxxxxxxxxxxxxxxxxT3BlbkFJxxxxxxxxxxxxxxxxxxxx ", 7).is_empty());
        assert!(hits("ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx ", 7).is_empty());
    }

    #[test]
    fn what_is_published_for_tests_is_no_finding() {
        let from_hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        // The entropies of BIP-39's test vectors.
        for entropy in [
            "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
            "80808080808080808080808080808080",
            "9e885d952ad362caeb4efe34a8e91bd2",
            "6610b25967cdcca9d59875f5cb50b0ea75433311869e930b",
            "68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c",
            "f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f",
        ] {
            let phrase = bip39::Mnemonic::from_entropy(&from_hex(entropy)).unwrap().to_string();
            assert!(hits(&format!("seed: {phrase}\n"), 7).is_empty(), "{phrase}");
        }
        let key = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
        assert!(hits(&format!("key {key}\n"), 7).is_empty());
        assert_eq!(hits(&format!("key {}\n", key.replace("PHi", "PHj")), 7), ["a wallet's private key"]);
        for number in
            ["4000002500003155", "4000 0000 0000 9995", "4917 6100 0000 0000", "6011601160116611", "343434343434343"]
        {
            assert!(hits(&format!("card number: {number}\n"), 7).is_empty(), "{number}");
        }
    }

    fn noise_of(count: u16, alphabet: &str, seed: &mut u64) -> String {
        sample(&shape::Shape::parse(&format!("[{alphabet}]{{{count}}}")).unwrap(), seed)
    }

    #[test]
    fn what_stands_around_a_password_tells_it() {
        let uuid = "3f2b8c1e-9d47-4a6b-8c0d-5e7f1a2b3c4d";
        for (text, wanted) in [
            ("postgres://app:Xk29fLq8Wm@db.internal:5432/app", "a password in an address"),
            ("DATABASE_URL=mysql://root:q8Rt2LmPw9@10.0.0.7/x", "a password in an address"),
            ("redis://:Xk29fLq8Wm4Z@cache:6379/0", "a password in an address"),
            ("password = \"Xk29fLq8Wm4Z\"", "a password by its name"),
            ("DB_PASSWORD=Xk29fLq8Wm4Z\n", "a password by its name"),
            ("{\"dbPassword\": \"q8Rt2LmPw9\"}", "a password by its name"),
            ("<password>Xk29fLq8Wm4Z</password>", "a password by its name"),
            ("client_secret: q8Rt2LmPw9Xk4Zc7Bn\n", "a secret by its name"),
            ("db.internal:5432:app:app:Xk29fLq8Wm4Z\n", "a password for a database"),
            ("machine git.internal login me password Xk29fLq8Wm4Z\n", "a password for a host"),
            ("machine git.internal\n  login me\n  password Xk29fLq8Wm4Z\n", "a password for a host"),
            (&format!("//registry.internal/:_authToken={uuid}"), "an npm token"),
            ("//registry.internal/:_authToken=q8Rt2LmPw9Xk4Zc7Bnq8Rt2L", "a registry's token"),
            ("{\"auths\":{\"r.internal\":{\"auth\":\"bWU6WGsyOWZMcThXbTRa\"}}}", "a registry's password"),
            ("Authorization: Bearer q8Rt2LmPw9Xk4Zc7Bnq8Rt2L", "a bearer's token"),
        ] {
            for part in [1, 5, 1000] {
                assert!(hits(text, part).contains(&wanted), "{text}: {:?}", hits(text, part));
            }
        }
    }

    /// What an attacker puts behind a beginning does not push it out.
    #[test]
    fn decoys_hide_no_credential() {
        let key =
            format!("-----BEGIN RSA PRIVATE KEY-----\n{}\nMIIEpAIBAAKCAQEA{}\n", "sk-".repeat(40), noise(300, WORD));
        for part in [1, 13, 1000] {
            assert!(hits(&key, part).contains(&"a private key"));
            assert_eq!(hits("to AD12 GB33 DE75 DE75512108001245126199 now", part), ["a bank account"]);
        }
        let long = "1 ".repeat(100_000) + "; pay with 4539 1488 0343 6467 please";
        assert_eq!(hits(&long, 1000), ["a card number"]);
    }

    #[test]
    fn keys_wallets_seeds_and_numbers() {
        let key = format!("-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA{}\n", noise(340, WORD));
        let cut = format!("/// -----BEGIN RSA PRIVATE KEY-----\n/// MIIEpAIBAAKCAQEA{}\n/// ...\n", noise(160, WORD));
        let small = format!("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI{}\n", noise(43, WORD));
        // Ed25519 without a comment, and P-256 with a line that begins like a comment.
        let openssh = format!("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1{}\n-----END", noise(301, WORD));
        let ec =
            format!("-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG{}\n/{}\n-----END", noise(52, WORD), noise(119, WORD));
        for (text, wanted) in [
            (openssh.as_str(), "a private key"),
            (&ec, "a private key"),
            (key.as_str(), "a private key"),
            (&key.replace('\n', "\\n"), "a private key"),
            (&key.replace("RSA", "OPENSSH"), "a private key"),
            (&small, "a private key"),
            (&small.replace('\n', "\\n"), "a private key"),
            (&cut, ""),
            (&format!("{cut}-----END RSA PRIVATE KEY-----"), ""),
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
            ("PWD=/tmp/tmp.AbC12dEf3G\n", ""),
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
