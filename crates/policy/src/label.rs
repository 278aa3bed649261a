//! Names under a wildcard: whoever owns the zone sees what is asked for, even where nothing is ever sent. A label that
//! looks like data is none.

/// Bytes of a label.
const LONGEST: usize = 40;
/// Letters and digits in a row that no word explains.
const ROW: usize = 24;
/// The same, in all labels together.
const SUM: usize = 32;

/// Why the part of a name that a wildcard stands for may not be asked for; `None`: it reads like a name.
///
/// `labels`: without the part that the pattern fixes, as in `a.b` of `a.b.example.org` for `*.example.org`.
pub fn looks_like_data(labels: &str) -> Option<&'static str> {
    let mut sum = 0;
    for label in labels.split('.') {
        // An international name is words in an encoding.
        if label.starts_with("xn--") && label.len() <= LONGEST {
            continue;
        }
        let parts = label.split(['-', '_']);
        if label.len() > LONGEST && !parts.clone().all(is_word) {
            return Some("a label is too long for a name");
        }
        for part in parts.filter(|part| is_mixed(part)) {
            if part.len() >= ROW {
                return Some("a label looks like encoded data");
            }
            sum += part.len();
        }
    }
    (sum > SUM || labels.len() > 120).then_some("its labels look like encoded data")
}

fn is_word(part: &str) -> bool {
    let kind = |digits: bool| part.bytes().all(|byte| byte.is_ascii_digit() == digits);
    part.len() <= 16 && (kind(true) || kind(false))
}

/// Letters and digits by turns, or letters that nobody can say.
fn is_mixed(part: &str) -> bool {
    let bytes = part.as_bytes();
    let turns = bytes.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count();
    let silent = |byte: u8| byte.is_ascii_alphabetic() && !b"aeiouy".contains(&byte);
    let longest = bytes.split(|byte| !silent(*byte)).map(<[u8]>::len).max().unwrap_or(0);
    let unsaid = (part.len() >= ROW && longest >= 5) || (part.len() >= 12 && longest >= 6);
    part.len() >= 8 && (turns * 5 >= part.len() || unsaid || (part.len() >= ROW && turns >= 2))
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
