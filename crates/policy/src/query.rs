//! A route's rules for the query: each named parameter stands in the request once, and fits. A query that servers take apart
//! differently fits no route that allows, and every route that denies.

use super::normalise::{hex_byte, unescape};
use super::proxy_headers::{HeaderEffect, effect_of};
use super::value::{ValuePattern, fold};
use std::collections::{BTreeMap, BTreeSet};

/// By parameter name, decoded. The name [`NO_OTHER_PARAMETER`], with an empty pattern, allows no parameter beside those
/// named.
pub type QueryRules = BTreeMap<String, ValuePattern>;

/// See [`QueryRules`].
pub const NO_OTHER_PARAMETER: &str = "*";

/// Whether the query can stand in a request line as it is: by RFC 3986, or because browsers leave it so.
pub(super) fn is_encoded(query: &str) -> bool {
    query.bytes().all(|byte| byte > b' ' && byte != 0x7f && !b"\"#<>".contains(&byte))
}

/// For a route that allows: the name of the first rule that the query does not fit.
pub(super) fn misfit<'r>(rules: &'r QueryRules, query: &str) -> Option<&'r str> {
    let no_other = rules.contains_key(NO_OTHER_PARAMETER);
    let named = |name: &str| name != NO_OTHER_PARAMETER && rules.contains_key(name);
    if no_other
        && (query.contains(';')
            || !pairs(query, &['&']).all(|(key, _)| decode_strictly(key).is_some_and(|key| named(&key))))
    {
        return Some(NO_OTHER_PARAMETER);
    }
    rules
        .iter()
        .filter(|(name, _)| *name != NO_OTHER_PARAMETER)
        .find(|(name, pattern)| !fits_once(name, pattern, query))
        .map(|(name, _)| name.as_str())
}

/// Whether the parameter is there exactly once, as any server reads the query, and fits.
fn fits_once(name: &str, pattern: &ValuePattern, query: &str) -> bool {
    let mut found = 0;
    for pair in parts(query, &['&']) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decode_strictly(key).as_deref() == Some(name) {
            // Some servers end a value at `;`, others drop the pair.
            let fits = |value: String| !value.contains('\0') && pattern.matches(&value);
            if value.contains(';') || !decode_strictly(value).is_some_and(fits) {
                return false;
            }
            found += 1;
        } else if pair.split(';').any(|part| may_name(part.split('=').next().unwrap_or_default(), name)) {
            return false;
        }
    }
    found == 1
}

/// For a route that denies: whether some server may see parameters that fit every rule.
pub(super) fn may_fit(rules: &QueryRules, query: &str) -> bool {
    let hit = |name: &str, pattern: &ValuePattern, (key, value): (&str, &str)| {
        may_name(key, name) && may_match(pattern, value)
    };
    rules.iter().all(|(name, pattern)| {
        pairs(query, &['&']).chain(pairs(query, &['&', ';'])).any(|pair| hit(name, pattern, pair))
    })
}

/// The methods that some framework may take from the query in place of the request line's (`_method=DELETE`), each once, in
/// upper case. What cannot be read is none that passes.
pub fn overriding_methods(query: &str) -> BTreeSet<String> {
    let readable = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).trim().to_ascii_uppercase();
    let spaced = |text: &str| decodings(&text.replace('+', " "));
    pairs(query, &['&', ';'])
        .filter(|(key, _)| spaced(key).iter().any(|key| is_method_parameter(&String::from_utf8_lossy(key))))
        .flat_map(|(_, value)| spaced(value).iter().map(readable).collect::<Vec<_>>())
        .filter(|method| !method.is_empty())
        .collect()
}

/// Whether some framework takes the method from the parameter of this name, decoded: the words of a header that overrides it,
/// or `_method`. `method` alone is an API's own.
pub fn is_method_parameter(name: &str) -> bool {
    bracket_readings(&fold(name)).iter().any(|name| is_method_name(name.trim()))
}

fn is_method_name(name: &str) -> bool {
    let bare = name.trim_start_matches(|character: char| !character.is_ascii_alphanumeric());
    let names_method = |name: &str| name.contains("method") || name.contains("verb");
    names_method(bare)
        && effect_of(name) == Some(HeaderEffect::Override)
        && (bare.len() < name.len() || !["method", "verb"].contains(&bare))
}

/// Whether some server may read a value that fits out of this, still encoded one.
fn may_match(pattern: &ValuePattern, value: &str) -> bool {
    if has_broken_encoding(value) {
        return true;
    }
    [value.to_owned(), value.replace('+', " ")].into_iter().any(|value| {
        decodings(&value).into_iter().any(|bytes| match String::from_utf8(bytes) {
            Ok(value) => pattern.may_match(&value),
            Err(_) => true,
        })
    })
}

/// An empty query has no parts.
fn parts<'q>(query: &'q str, separators: &'q [char]) -> impl Iterator<Item = &'q str> {
    let query = if query.is_empty() { None } else { Some(query) };
    query.into_iter().flat_map(move |query| query.split(separators))
}

/// Keys and values, still encoded.
fn pairs<'q>(query: &'q str, separators: &'q [char]) -> impl Iterator<Item = (&'q str, &'q str)> {
    parts(query, separators).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// The text as every server decodes it; `None` where they differ.
fn decode_strictly(text: &str) -> Option<String> {
    if has_broken_encoding(text) {
        return None;
    }
    String::from_utf8(unescape(&text.replace('+', " "))).ok()
}

fn has_broken_encoding(text: &str) -> bool {
    text.match_indices('%').any(|(at, _)| text.as_bytes().get(at + 1..at + 3).and_then(hex_byte).is_none())
}

/// The text decoded once, twice, and so on, four times at most.
fn decodings(text: &str) -> Vec<Vec<u8>> {
    let mut all = vec![unescape(text)];
    while let Some(text) = all.last().and_then(|bytes| std::str::from_utf8(bytes).ok())
        && all.len() < 4
        && text.contains('%')
    {
        let next = unescape(text);
        all.push(next);
    }
    all
}

/// The names that servers make of this one, up to a NUL: they cut at `[`, but where no `]` follows, PHP reads `[` as `_`, and
/// some take `[` at the beginning away.
fn bracket_readings(name: &str) -> Vec<String> {
    let name = name.split('\0').next().unwrap_or_default();
    let Some((before, after)) = name.split_once('[') else { return vec![name.to_owned()] };
    let mut readings = vec![before.to_owned()];
    if !after.contains(']') {
        // Before version 8, PHP replaces the first one alone.
        readings.extend([format!("{before}_{after}"), name.replace('[', "_")]);
    }
    if before.trim().is_empty() {
        readings.push(after.split(['[', ']']).next().unwrap_or_default().to_owned());
    }
    readings
}

/// Whether some server takes this key, still encoded, for the name. PHP trims, and reads `.` and ` ` as `_`; a server in C
/// cuts at NUL; others ignore case, or decode twice.
fn may_name(key: &str, name: &str) -> bool {
    let loosely = |name: &str| -> Vec<String> {
        let readings = bracket_readings(&fold(name));
        readings.iter().map(|name| name.trim().replace(['.', ' '], "_")).collect()
    };
    let names = loosely(name);
    has_broken_encoding(key)
        || decodings(&key.replace('+', " ")).into_iter().any(|bytes| match String::from_utf8(bytes) {
            Ok(key) => loosely(&key).iter().any(|key| names.contains(key)),
            Err(_) => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(pairs: &[(&str, &str)]) -> QueryRules {
        pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), ValuePattern::try_from((*text).to_owned()).unwrap()))
            .collect()
    }

    #[test]
    fn named_parameters_are_there_once_and_fit() {
        let one = rules(&[("service", "git-upload-pack")]);
        for yes in [
            "service=git-upload-pack",
            "a=b&service=git-upload-pack&c",
            "%73ervice=git%2Dupload%2dpack",
            "q=100%&service=git-upload-pack",
            "page[]=1&service=git-upload-pack",
            "größe=1&service=git-upload-pack",
        ] {
            assert_eq!(misfit(&one, yes), None, "{yes}");
        }
        for no in [
            "",
            "service",
            "service=",
            "service=git-receive-pack",
            "service=git-upload-pack&service=git-upload-pack",
            "service=git-upload-pack&Service=x",
            "service=git-upload-pack;service=x",
            "service=git-upload-pack&a=b;service=x",
            "service=git-upload-pack;x=1",
            "service=git-upload-pack&service[]=x",
            "service=git-upload-pack&service[a]=x",
            "service=git-upload-pack&service%5B=x",
            "service=git-upload-pack&service%00=x",
            "service=git-upload-pack&%2573ervice=x",
            "service=git-upload-pack&+service=x",
            "service=git-upload-pack&%EF%BD%93ervice=x",
            "service=git-upload-pack&s%ff=x",
            "service=git-upload-pack&s%zz=x",
            "service=git-upload-pack&%u0073ervice=x",
            "Service=git-upload-pack",
            "service=git-upload-pack%00",
            "service=git-upload-pack%",
            "service=git-upload-pack%ff",
        ] {
            assert_eq!(misfit(&one, no), Some("service"), "{no}");
        }
        assert_eq!(misfit(&rules(&[("q", "a b"), ("uploads", "")]), "q=a+b&uploads"), None);
        assert_eq!(misfit(&rules(&[("uploads", "")]), "uploads=1"), Some("uploads"));
        assert_eq!(misfit(&rules(&[("a_b", "1")]), "a_b=1&a.b=2"), Some("a_b"));
        assert_eq!(misfit(&rules(&[]), "a=%zz;%00&a"), None);
        let user = rules(&[("user_id", "ok*")]);
        for no in
            ["user[id=evil", "user%5Bid=evil", "user[id=ok", "user%255bid=evil", "[user_id]=evil", "user_id[=evil"]
        {
            assert_eq!(misfit(&user, &format!("user_id=ok&{no}")), Some("user_id"), "{no}");
            assert!(no.ends_with("ok") || may_fit(&rules(&[("user_id", "evil")]), no), "{no}");
        }
        assert_eq!(misfit(&user, "user_id=ok&user[id]=1"), None);
    }

    #[test]
    fn a_method_in_brackets_is_one() {
        for name in ["_method", "_method[a]", "[_method]", "[_method", "[method", "_[method", "x_http[method"] {
            assert!(is_method_parameter(name), "{name}");
        }
        for name in ["method", "shipping[method]", "method[a]", "shipping[method"] {
            assert!(!is_method_parameter(name), "{name}");
        }
    }

    #[test]
    fn a_method_that_is_asked_for_often_is_judged_once() {
        let methods = overriding_methods("_method=get&a=1&_method=+GET;_method=%47et&_method=PUT&_method=");
        assert_eq!(Vec::from_iter(methods), ["GET", "PUT"]);
    }

    #[test]
    fn nothing_else_may_be_there() {
        let closed = rules(&[("*", ""), ("a", "*")]);
        assert_eq!(misfit(&closed, "a=1"), None);
        for no in ["a=1&b=2", "a=1&", "&a=1", "a=1;b", "a=1&b%zz", "b"] {
            assert_eq!(misfit(&closed, no), Some("*"), "{no}");
        }
        assert_eq!(misfit(&closed, ""), Some("a"));
        assert_eq!(misfit(&rules(&[("*", "")]), ""), None);
    }

    #[test]
    fn a_refusal_is_not_escaped() {
        let deny = rules(&[("visibility", "public")]);
        for hit in [
            "visibility=public",
            "a&VISIBILITY=Public",
            "visibility=private&visibility=public",
            "visibility[]=public",
            "visibility=public;x",
            "a;visibility=public",
            "visibility=%70ublic",
            "visibility=%2570ublic",
            "visibility=public%00x",
            "visibility=%zz",
            "visibility=%ff",
            "visi%zz=public",
            "visibility=%EF%BD%90ublic",
        ] {
            assert!(may_fit(&deny, hit), "{hit}");
        }
        for miss in ["", "visibility=private", "x=public", "visibility", "visibility2=public"] {
            assert!(!may_fit(&deny, miss), "{miss}");
        }
        assert!(!may_fit(&rules(&[("a", "1"), ("b", "1")]), "a=1") && may_fit(&rules(&[("a b", "c d")]), "a+b=c+d"));
    }
}
