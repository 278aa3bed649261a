//! Names of refs that a bottle hands out, and how they are written on the host.

use std::collections::BTreeSet;

/// Longest part of a ref's name, in bytes: a file's name with `.lock` behind it has at most 255.
const MAX_REF_PART_BYTES: usize = 200;

/// Does `git check-ref-format` take this name behind `refs/bottle/`?
pub fn is_ref_name(name: &[u8]) -> bool {
    let is_part = |part: &[u8]| !part.is_empty() && !part.starts_with(b".") && !part.ends_with(b".lock");
    let has_pair = |pair: &[u8]| name.windows(2).any(|two| two == pair);
    name.split(|byte| *byte == b'/').all(is_part)
        && !name.iter().any(|byte| *byte <= b' ' || b"\x7f~^:?*[\\".contains(byte))
        && !has_pair(b"..")
        && !has_pair(b"@{")
        && !name.ends_with(b".")
}

/// The name of a ref of a bottle, as it is written on the host: of `A-Z a-z 0-9 . _ / -`, which no shell reads as anything
/// else; each other byte is `%` and two digits. Two names never become one.
///
/// A part longer than a file's name may be is divided by `%/%`, which no other name contains.
pub fn plain_ref(name: &[u8]) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut part = 0;
    for &byte in name {
        match byte {
            b'/' => part = 0,
            _ if part >= MAX_REF_PART_BYTES => {
                plain.push_str("%/%");
                part = 1;
            }
            _ => {}
        }
        let before = plain.len();
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-' => plain.push(byte.into()),
            _ => plain.push_str(&format!("%{byte:02X}")),
        }
        if byte != b'/' {
            part += plain.len() - before;
        }
    }
    plain
}

/// Behind a part of a name that is another ref's whole name, or a whole name that is a folder of others. No name that
/// [`plain_ref`] writes contains it.
const BESIDE: &str = "%-";

/// These names, each changed so that git keeps it beside the others and those that are `taken`: it has no ref `fix/more`
/// beside `fix`. One that is taken itself stays, and so does every other that is in no ref's way.
pub fn names_beside(mut taken: BTreeSet<String>, names: impl Iterator<Item = String>) -> Vec<String> {
    names
        .map(|name| {
            let mut free = String::with_capacity(name.len());
            let parts: Vec<&str> = name.split('/').collect();
            for (depth, part) in parts.iter().enumerate() {
                free.push_str(part);
                let is_whole = depth + 1 == parts.len();
                let folder = format!("{free}/");
                let is_in_the_way = match is_whole {
                    true => taken.range(folder.clone()..).next().is_some_and(|other| other.starts_with(&folder)),
                    false => taken.contains(&free),
                };
                free.push_str(if is_in_the_way { BESIDE } else { "" });
                free.push_str(if is_whole { "" } else { "/" });
            }
            taken.insert(free.clone());
            free
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_name_is_in_the_way_of_another() {
        let beside = |taken: &[&str], names: &[&str]| {
            let taken = taken.iter().map(|name| (*name).to_owned()).collect();
            names_beside(taken, names.iter().map(|name| (*name).to_owned()))
        };
        assert_eq!(beside(&[], &["heads/a", "heads/b/c"]), ["heads/a", "heads/b/c"]);
        assert_eq!(beside(&["heads/a"], &["heads/a", "heads/ab/c"]), ["heads/a", "heads/ab/c"]);
        assert_eq!(beside(&["heads/a"], &["heads/a/b", "heads/a/c"]), ["heads/a%-/b", "heads/a%-/c"]);
        assert_eq!(beside(&["heads/a", "heads/a%-/b"], &["heads/a/b"]), ["heads/a%-/b"], "the same once more");
        assert_eq!(beside(&["heads/a/b"], &["heads/a"]), ["heads/a%-"]);
        assert_eq!(beside(&["heads/a/b", "heads/a%-"], &["heads/a"]), ["heads/a%-"]);
        assert_eq!(beside(&["heads/a"], &["heads"]), ["heads%-"]);
        assert_eq!(beside(&[], &["a", "a/b", "a/b/c"]), ["a", "a%-/b", "a%-/b%-/c"], "of one bundle");
    }

    #[test]
    fn a_fetched_ref_has_a_plain_name_of_its_own() {
        let plain = |name: &str| plain_ref(name.as_bytes());
        assert_eq!(plain("heads/fix/a-b_c.d"), "heads/fix/a-b_c.d");
        assert_eq!(plain("heads/a;touch${IFS}PWN"), "heads/a%3Btouch%24%7BIFS%7DPWN");
        assert_eq!(plain("heads/a%3B"), "heads/a%253B");
        let long = format!("heads/{}.x/é", "é".repeat(100));
        let names =
            ["heads/a;", "heads/a%3B", "heads/a%3b", "heads/@", "heads/é", "heads/e\u{301}", &long, &long[..150]];
        let written: Vec<String> = names.iter().map(|name| plain(name)).collect();
        assert_eq!(written.iter().collect::<HashSet<_>>().len(), names.len(), "{written:?}");
        for name in written {
            assert!(is_ref_name(name.as_bytes()), "{name}");
            assert!(name.split('/').all(|part| part.len() <= MAX_REF_PART_BYTES + 3), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/-%".contains(&byte)), "{name}");
        }
    }

    #[test]
    fn names_that_are_no_refs_are_left_out() {
        for name in ["", "a..b", "a b", ".a", "a/.b", "a.lock", "a/", "a//b", "a:b", "a*", "a@{b", "a.", "a\x07"] {
            assert!(!is_ref_name(name.as_bytes()), "{name}");
        }
    }
}
