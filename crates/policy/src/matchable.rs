//! Which values can be looked for in requests. One that is short, or that ordinary text is likely to contain, would be found
//! everywhere.

/// Which party may know a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretClass {
    /// The gate alone. It must not leave in any request of the agent's.
    GateOnly,
    /// The agent, to which it was given.
    AgentVisible,
    /// No party uses it. It is planted, and no honest request has it.
    Canary,
}

/// A shorter value is not looked for.
pub const MIN_VALUE_BYTES: usize = 12;

/// Bits of entropy; a value with less is not looked for.
const MIN_ENTROPY_BITS: f64 = 30.0;
/// Letters and digits; a value with fewer is not looked for.
const MIN_ALPHANUMERIC: usize = 10;

/// Why a value cannot be looked for, in words for the operator; `None`: it can.
pub fn unmatchable_because(class: SecretClass, value: &[u8]) -> Option<&'static str> {
    if value.len() < MIN_VALUE_BYTES {
        return Some("too short");
    }
    let alphanumeric = value.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
    if entropy_bits(value) < MIN_ENTROPY_BITS || alphanumeric < MIN_ALPHANUMERIC {
        return Some("low entropy");
    }
    // A value that the agent was given may be a region, an address, a name: words that its honest requests are made of.
    if class == SecretClass::AgentVisible && !looks_random(value) {
        return Some("reads like words");
    }
    None
}

/// Shannon's entropy of the whole value, by the counts of its own bytes.
pub fn entropy_bits(value: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for byte in value {
        counts[usize::from(*byte)] += 1;
    }
    let length = value.len() as f64;
    counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count)).map(|n| n * (length / n).log2()).sum()
}

/// Whether some part between separators changes between kinds of characters too often for words and numbers, or has more
/// consonants in a row than a word.
pub fn looks_random(value: &[u8]) -> bool {
    value.split(|byte| !byte.is_ascii_alphanumeric()).filter(|part| part.len() >= 8).any(|part| {
        let letters = part.iter().any(u8::is_ascii_alphabetic);
        let runs = 1 + part.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1]) && !begins_word(pair)).count();
        letters && (part.len() < 3 * runs || is_unpronounceable(part))
    })
}

/// Digit, lower case, or upper case.
fn kind(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        _ => 2,
    }
}

/// A capital letter before a small one, as at the beginning of a word.
fn begins_word(pair: &[u8]) -> bool {
    pair[0].is_ascii_uppercase() && pair[1].is_ascii_lowercase()
}

fn is_unpronounceable(part: &[u8]) -> bool {
    let is_consonant = |byte: &u8| byte.is_ascii_alphabetic() && !b"aeiouyAEIOUY".contains(byte);
    part.split(|byte| !is_consonant(byte)).any(|run| run.len() >= 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_from_words() {
        for text in [
            "Xk29fLq8Wm4Z",
            "zy-api04-w3Nf7KcTv5Hd8Qm2",
            "3f2b8c1e-9d47-4a6b-8c0d-5e7f1a2b3c4d",
            "qzxwvkjhgfplmnbv",
            "hunter2-S3cr3tP4ssw0rd",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            // In pieces: this file is one of those that a test sends as an honest request.
            concat!("postgres://app:", "Xk29fLq8Wm@db.example.org:5432/app"),
            "mfrggzdfmztwq2lk",
        ] {
            assert_eq!(unmatchable_because(SecretClass::AgentVisible, text.as_bytes()), None, "{text}");
        }
        for text in [
            "eu-central-1",
            "eu-central-1-production",
            "someone@example.org",
            "https://api.example.org/v1/things",
            "correct-horse-battery-staple",
            "/home/agent/workspace",
            "hunter2hunter2",
            "CamelCaseNameOfThings",
            "123456789012",
            "aaaaaaaaaaaaaaaaaaaaaaaa",
            "Xk29fLq8",
            "2026-11-25T13:36:15Z",
            "!!!!????----====",
        ] {
            assert!(unmatchable_because(SecretClass::AgentVisible, text.as_bytes()).is_some(), "{text}");
        }
        // A token is a token, however it reads.
        assert_eq!(unmatchable_because(SecretClass::GateOnly, b"gate-only-token-93c2d8"), None);
        assert!(unmatchable_because(SecretClass::GateOnly, b"aaaaaaaaaaaaaaaaaaaaaaaa").is_some());
        assert!(unmatchable_because(SecretClass::GateOnly, b"too-short").is_some());
    }
}
