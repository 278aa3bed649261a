//! Is a value worth looking for? One that is short, or that ordinary text is likely to contain, would be found everywhere.

/// Whose value it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The gate's alone: it leaves on no account.
    GateOnly,
    /// The agent was given it.
    Seen,
    /// Planted: nothing honest ever sends it.
    Canary,
}

/// Bytes: below this, no value is matched.
pub const SHORTEST: usize = 12;

/// `None`: it is looked for. Else why not, for the operator.
pub fn unfit(class: Class, value: &[u8]) -> Option<&'static str> {
    if value.len() < SHORTEST {
        return Some("too short");
    }
    if bits(value) < 30.0 || value.iter().filter(|byte| byte.is_ascii_alphanumeric()).count() < 10 {
        return Some("low entropy");
    }
    // What the agent was given may be a region, an address, a name: words that its honest requests are made of.
    if class == Class::Seen && !is_choppy(value) {
        return Some("reads like words");
    }
    None
}

/// Shannon's entropy of the whole value.
pub fn bits(value: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for byte in value {
        counts[usize::from(*byte)] += 1;
    }
    let length = value.len() as f64;
    counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count)).map(|n| n * (length / n).log2()).sum()
}

/// Some part of it, between separators, changes kind too often for words and numbers, or cannot be spoken.
fn is_choppy(value: &[u8]) -> bool {
    value.split(|byte| !byte.is_ascii_alphanumeric()).filter(|part| part.len() >= 8).any(|part| {
        let letters = part.iter().any(u8::is_ascii_alphabetic);
        let runs = 1 + part.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1]) && !is_capital(pair)).count();
        letters && (part.len() < 3 * runs || is_unspoken(part))
    })
}

fn kind(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        _ => 2,
    }
}

/// A capital letter begins a word.
fn is_capital(pair: &[u8]) -> bool {
    pair[0].is_ascii_uppercase() && pair[1].is_ascii_lowercase()
}

fn is_unspoken(part: &[u8]) -> bool {
    let silent = |byte: &u8| byte.is_ascii_alphabetic() && !b"aeiouyAEIOUY".contains(byte);
    part.split(|byte| !silent(byte)).any(|run| run.len() >= 6)
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
            "postgres://app:Xk29fLq8Wm@db.example.org:5432/app",
            "mfrggzdfmztwq2lk",
        ] {
            assert_eq!(unfit(Class::Seen, text.as_bytes()), None, "{text}");
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
            assert!(unfit(Class::Seen, text.as_bytes()).is_some(), "{text}");
        }
        // A token is a token, however it reads.
        assert_eq!(unfit(Class::GateOnly, b"gate-only-token-93c2d8"), None);
        assert!(unfit(Class::GateOnly, b"aaaaaaaaaaaaaaaaaaaaaaaa").is_some());
        assert!(unfit(Class::GateOnly, b"too-short").is_some());
    }
}
