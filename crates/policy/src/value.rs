//! Patterns for the values of query parameters and headers: text in which `*` stands for any run of characters, also an
//! empty one. A literal `*` cannot be written.

use super::lookalike::to_ascii;
use serde::{Deserialize, Serialize};

/// The message of the error names it, too.
const MAX_PATTERN_BYTES: usize = 1000;

/// At most [`MAX_PATTERN_BYTES`] bytes, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ValuePattern(String);

impl ValuePattern {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it matches the whole value, in its case.
    pub fn matches(&self, value: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(rest) = value.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        let Some(mut rest) = rest.strip_suffix(last) else { return false };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        true
    }

    /// For routes that deny: as [`ValuePattern::matches`], but ignores case, takes look-alikes for ASCII, and also tries
    /// what a server in C reads, up to a NUL.
    pub(super) fn may_match(&self, value: &str) -> bool {
        let pattern = ValuePattern(self.0.to_ascii_lowercase());
        let value = fold(value);
        pattern.matches(&value) || value.split_once('\0').is_some_and(|(before, _)| pattern.matches(before))
    }
}

/// The text in lower case, with look-alikes of ASCII as ASCII.
pub(super) fn fold(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match to_ascii(c) {
            Some(ascii) => plain.push_str(&ascii),
            None => plain.push(c),
        }
    }
    plain.make_ascii_lowercase();
    plain
}

impl TryFrom<String> for ValuePattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let why = if text.len() > MAX_PATTERN_BYTES {
            "longer than 1000 bytes"
        } else if text.chars().any(char::is_control) {
            "no control character"
        } else {
            return Ok(ValuePattern(text));
        };
        Err(format!("bad pattern: {why}"))
    }
}

impl From<ValuePattern> for String {
    fn from(pattern: ValuePattern) -> String {
        pattern.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_run() {
        let pattern = |text: &str| ValuePattern::try_from(text.to_owned()).unwrap();
        for (text, yes, no) in [
            ("", &[""][..], &["a"][..]),
            ("*", &["", "a", "é*"], &[]),
            ("2023-06-01", &["2023-06-01"], &["2023-06-01 ", "2023-06-0", "x2023-06-01", ""]),
            ("a*", &["a", "ab"], &["", "ba", "A"]),
            ("*a", &["a", "ba"], &["ab", ""]),
            ("ab*ba", &["abba", "ab-ba"], &["aba", "ab", "abbax"]),
            ("a*b*c", &["abc", "a1b2c", "abbc"], &["acb", "ab", "ac", "abcd"]),
            ("*b*b*", &["bb", "abcb"], &["b"]),
            ("a**c", &["ac", "abc"], &["a"]),
        ] {
            for value in yes {
                assert!(pattern(text).matches(value), "{text}: {value}");
            }
            for value in no {
                assert!(!pattern(text).matches(value), "{text}: {value}");
            }
        }
        assert!(
            pattern("Admin*").may_match("ａDMIN-x") && pattern("a").may_match("A\0b") && !pattern("a").may_match("b")
        );
        assert!(
            ValuePattern::try_from("a\nb".to_owned()).is_err() && ValuePattern::try_from("a".repeat(1001)).is_err()
        );
    }
}
