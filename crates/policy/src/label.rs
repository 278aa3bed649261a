//! Names under a wildcard: the owner of the zone sees every name that is asked for, even where nothing is ever sent. So a
//! name that looks like data is denied.

/// Bytes of a label that is not made of words.
const MAX_LABEL_BYTES: usize = 40;
/// Bytes of a part between dashes from which one that mixes letters and digits is data.
const MIN_ENCODED_BYTES: usize = 24;
/// Bytes of all such shorter parts of a name together.
const MAX_MIXED_BYTES: usize = 32;
/// Bytes of all labels together.
const MAX_NAME_BYTES: usize = 120;

/// Why these labels may not be asked for; `None`: they read like a name.
///
/// `labels`: what a wildcard stands for, as in `a.b` of `a.b.example.org` for `*.example.org`.
pub fn looks_like_data(labels: &str) -> Option<&'static str> {
    let mut sum = 0;
    for label in labels.split('.') {
        // An international name is words, encoded.
        if label.starts_with("xn--") && label.len() <= MAX_LABEL_BYTES {
            continue;
        }
        let parts = label.split(['-', '_']);
        if label.len() > MAX_LABEL_BYTES && !parts.clone().all(is_word) {
            return Some("a label is too long for a name");
        }
        for part in parts.filter(|part| is_mixed(part)) {
            if part.len() >= MIN_ENCODED_BYTES {
                return Some("a label looks like encoded data");
            }
            sum += part.len();
        }
    }
    (sum > MAX_MIXED_BYTES || labels.len() > MAX_NAME_BYTES).then_some("its labels look like encoded data")
}

/// Digits alone or letters alone, of a word's length.
fn is_word(part: &str) -> bool {
    let all_digits = |wanted: bool| part.bytes().all(|byte| byte.is_ascii_digit() == wanted);
    part.len() <= 16 && (all_digits(true) || all_digits(false))
}

/// Letters and digits in turn, or more consonants in a row than a word has.
fn is_mixed(part: &str) -> bool {
    let bytes = part.as_bytes();
    let turns = bytes.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count();
    let is_consonant = |byte: u8| byte.is_ascii_alphabetic() && !b"aeiouy".contains(&byte);
    let longest = bytes.split(|byte| !is_consonant(*byte)).map(<[u8]>::len).max().unwrap_or(0);
    let unpronounceable = (part.len() >= MIN_ENCODED_BYTES && longest >= 5) || (part.len() >= 12 && longest >= 6);
    part.len() >= 8 && (turns * 5 >= part.len() || unpronounceable || (part.len() >= MIN_ENCODED_BYTES && turns >= 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_data() {
        for name in [
            "docs",
            "static.crates",
            "d1a2b3c4e5f6g7",
            "cdn-prod-eu-central-1.assets",
            "my-company-prod-artifacts-eu-central-1-123456789012",
            "app-git-feature-branch-team",
            "r3---sn-4g5e6nsz",
            "ec2-203-0-113-7.eu-west-1.compute",
            "xn--bcher-kva",
            "i0.wp",
            "productionresultssa12.blob.core",
            "a1b2c3d4",
            "pipelines-actions-githubusercontent",
        ] {
            assert_eq!(looks_like_data(name), None, "{name}");
        }
        for name in [
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "3f2b8c1e9d474a6b8c0d5e7f",
            "mfrggzdfmztwq2lknnwg23tpobyxe43u",
            "gezdgnbvgy3tqojq.gezdgnbvgy3tqojq.gezdgnbvgy3tqojq",
            "3f2b8c1e9d47.4a6b8c0d5e7f.1a2b3c4d5e6f",
            "qzxwvkjhgfplmnbvcdsrtqwz",
            "aGVsbG8gdGhpcyBpcyBhIHNlY3JldCBvZiBvdXJz",
            &"words".repeat(9),
            &"ab.".repeat(41),
        ] {
            assert!(looks_like_data(name).is_some(), "{name}");
        }
    }
}
