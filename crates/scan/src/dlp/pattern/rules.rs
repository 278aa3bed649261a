//! The rules, made ready to be looked for: one table of bits over the ends of all keywords, and the shapes.

use super::super::byte_runs::{ByteClass, ByteRuns, byte_class};
use super::super::needles::WordIndex;
use super::check::Check;
use super::shape::Shape;
use super::table::{KeywordPlace, RULES, Rule};

/// Bytes at its end that a keyword is known by. No keyword is shorter.
const KEYWORD_SUFFIX_BYTES: usize = 3;
/// Bytes of the longest keyword, with what a rule wants before it and the byte before that.
pub const MAX_BEFORE_BYTES: usize = 128;
/// Bytes of the shortest credential with what stands before it. What is part of a shorter row of such bytes is none.
const MIN_CREDENTIAL_BYTES: usize = 12;
/// What credentials, and what stands before them, are made of: blanks, lines' ends, and all signs of ASCII.
static CREDENTIAL: ByteClass = {
    let mut class = byte_class(&[b"\t\r\n"]);
    let mut byte = 32;
    while byte < 127 {
        class[byte] = true;
        byte += 1;
    }
    class
};
/// Bytes of an open candidate: no more are held back for one.
pub const MAX_CANDIDATE_BYTES: usize = 1000;
/// What stands between a name and its value: the rest of the name, what closes it, the sign, and what opens the value.
const GAP: &str = r#"[\w.-]{0,24}[\]\\"'`) \t]{0,4}[=:>|]{1,3}[ \t\\"'`=>(]{0,6}\K"#;

/// The rules, made ready to be looked for.
pub struct Rules {
    /// Which keywords end with three bytes, in lower case.
    index: WordIndex,
    keywords: Vec<Keyword>,
    /// By the rule's number in [`RULES`].
    shapes: Vec<RuleShapes>,
    /// Where in the English list of BIP-39 the words with these first two letters begin.
    starts: Vec<u16>,
}

struct Keyword {
    text: Vec<u8>,
    rule: usize,
}

struct RuleShapes {
    before: Option<Shape>,
    behind: Shape,
}

/// A keyword was found where a rule wants it.
pub struct KeywordMatch {
    pub rule: usize,
    /// Bytes of the candidate that stand before the keyword's end; 0: it begins behind the keyword.
    pub behind: usize,
    /// Bytes of its beginning that every credential of the rule has.
    pub fixed: usize,
}

impl Rules {
    pub fn new() -> Result<Rules, String> {
        let list = bip39::Language::English.word_list();
        let starts = (0..=26 * 26).map(|pair| list.partition_point(|word| pair_of(word.as_bytes()) < pair) as u16);
        let (mut keywords, mut shapes) = (Vec::new(), Vec::new());
        for (index, rule) in RULES.iter().enumerate() {
            let before = match rule.place {
                KeywordPlace::Inside(before) => Some(Shape::parse(before)?),
                _ => None,
            };
            let behind = match rule.place {
                KeywordPlace::Name => Shape::parse(&format!("{GAP}{}", rule.shape))?,
                _ => Shape::parse(rule.shape)?,
            };
            let longest = before.as_ref().map_or(0, Shape::longest);
            for text in spellings(rule) {
                let fits = text.len() >= KEYWORD_SUFFIX_BYTES && text.len() + longest < MAX_BEFORE_BYTES;
                if !fits || text.len() + longest + behind.longest() > MAX_CANDIDATE_BYTES {
                    return Err(format!("the rule for {} is too long or too short", rule.name));
                }
                keywords.push(Keyword { text, rule: index });
            }
            shapes.push(RuleShapes { before, behind });
        }
        let suffixes = keywords.iter().map(|keyword| word(&keyword.text[keyword.text.len() - KEYWORD_SUFFIX_BYTES..]));
        let index = WordIndex::new(suffixes);
        Ok(Rules { index, keywords, shapes, starts: starts.collect() })
    }

    /// The shape of what follows the keyword of a rule.
    #[inline]
    pub fn shape(&self, rule: usize) -> &Shape {
        &self.shapes[rule].behind
    }

    /// Calls `found` with each end of three bytes in `text[from..]` that a keyword may have. `text`: with the two bytes
    /// before.
    #[inline]
    pub fn keyword_ends(&self, text: &[u8], from: usize, mut found: impl FnMut(usize)) {
        let mut runs = ByteRuns::new(text, &CREDENTIAL, MIN_CREDENTIAL_BYTES);
        let mut at = from - MIN_CREDENTIAL_BYTES;
        while at < text.len() {
            at = runs.skip_to_run(at);
            let mut last = 0;
            while let Some(byte) = text.get(at).filter(|byte| CREDENTIAL[usize::from(**byte)]) {
                last = (last << 8 | u64::from(byte.to_ascii_lowercase())) & 0xff_ffff;
                at += 1;
                if self.index.may_have(last) && at > from {
                    found(at);
                }
            }
            at += 1;
        }
    }

    /// The keywords that `text` ends with, where their rules want them.
    pub fn keywords_at_end(&self, text: &[u8], mut found: impl FnMut(KeywordMatch)) {
        let suffix = word(&text[text.len() - KEYWORD_SUFFIX_BYTES..]);
        for keyword in self.index.all(suffix).map(|index| &self.keywords[index]) {
            let Some(start) = text.len().checked_sub(keyword.text.len()).filter(|start| *start > 0) else { continue };
            let written = &text[start..];
            let rule = &RULES[keyword.rule];
            let is_exact = matches!(rule.place, KeywordPlace::Begin | KeywordPlace::Inside(_));
            let is_written = match is_exact {
                true => *written == keyword.text[..],
                false => written.eq_ignore_ascii_case(&keyword.text),
            };
            if !is_written {
                continue;
            }
            let (start, fixed) = match (&self.shapes[keyword.rule].before, rule.place) {
                (Some(before), _) => match before.start_before(&text[1..start]) {
                    Some(at) => (at + 1, 0),
                    None => continue,
                },
                (None, KeywordPlace::Begin) => (start, keyword.text.len()),
                (None, _) => (start, 0),
            };
            let before = text[start - 1];
            let begins_word = match rule.place {
                KeywordPlace::Before => true,
                KeywordPlace::Name => {
                    !before.is_ascii_alphanumeric() || (before.is_ascii_lowercase() && text[start].is_ascii_uppercase())
                }
                KeywordPlace::Begin | KeywordPlace::Inside(_) => !before.is_ascii_alphanumeric() && before != b'_',
            };
            if begins_word {
                let behind = if is_exact { text.len() - start } else { 0 };
                found(KeywordMatch { rule: keyword.rule, behind, fixed });
            }
        }
    }

    /// The number of a word in the list of BIP-39, if it is in there. `word`: in lower case.
    #[inline]
    pub fn word(&self, word: &[u8]) -> Option<usize> {
        if !(3..=8).contains(&word.len()) {
            return None;
        }
        let pair = pair_of(word);
        let (start, end) = (usize::from(self.starts[pair]), usize::from(self.starts[pair + 1]));
        let list = &bip39::Language::English.word_list()[start..end];
        list.binary_search_by(|other| other.as_bytes().cmp(word)).ok().map(|at| start + at)
    }
}

/// The keywords of a rule in all their spellings.
fn spellings(rule: &Rule) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for keyword in rule.keywords.split(' ') {
        let keyword = keyword.replace('␣', " ");
        match (rule.place, keyword.strip_suffix('?')) {
            (KeywordPlace::Name, _) if keyword.contains('_') => {
                all.extend(["_", "-", ".", ""].map(|sign| keyword.replace('_', sign).into_bytes()));
            }
            (_, Some(begin)) => {
                let letters = (0..128u8).filter(u8::is_ascii_alphanumeric);
                all.extend(letters.map(|letter| [begin.as_bytes(), &[letter]].concat()));
            }
            _ => all.push(keyword.into_bytes()),
        }
    }
    all
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(byte.to_ascii_lowercase()))
}

fn pair_of(word: &[u8]) -> usize {
    usize::from(word[0] - b'a') * 26 + usize::from(word[1] - b'a')
}

/// Is the rule's credential a private key in lines, which [`key`](super::key) reads?
pub fn is_key(rule: usize) -> bool {
    RULES[rule].check == Check::Key
}
