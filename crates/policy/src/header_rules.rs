//! A route's rules for headers: each named one stands in the request once, and fits. Names that the gate itself writes or
//! takes off have no rule, so that what is judged is what is forwarded.

use super::header_names::{HeaderFields, same_header};
use super::value::ValuePattern;
use std::collections::BTreeMap;

/// By header name, in lower case.
pub type HeaderRules = BTreeMap<String, ValuePattern>;

/// For a route that allows: the name of the first rule that the headers do not fit.
pub(super) fn misfit<'r>(rules: &'r HeaderRules, fields: HeaderFields) -> Option<&'r str> {
    let fits = |(name, pattern): &(&String, &ValuePattern)| {
        let mut found = fields.iter().filter(|(given, _)| same_header(given, name));
        let (Some((given, value)), None) = (found.next(), found.next()) else { return false };
        given.eq_ignore_ascii_case(name) && std::str::from_utf8(value).is_ok_and(|value| pattern.matches(value))
    };
    rules.iter().find(|rule| !fits(rule)).map(|(name, _)| name.as_str())
}

/// For a route that denies: whether some server may see headers that fit every rule, also as members of a list.
pub(super) fn may_fit(rules: &HeaderRules, fields: HeaderFields) -> bool {
    rules.iter().all(|(name, pattern)| {
        fields.iter().filter(|(given, _)| same_header(given, name)).any(|(_, value)| match std::str::from_utf8(value) {
            Ok(value) => {
                let member = |text: &str| pattern.may_match(text.trim().trim_matches('"'));
                pattern.may_match(value.trim()) || value.split(',').any(member) || value.split([',', ';']).any(member)
            }
            Err(_) => true,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(pairs: &[(&str, &str)]) -> HeaderRules {
        pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), ValuePattern::try_from((*text).to_owned()).unwrap()))
            .collect()
    }

    #[test]
    fn named_headers_are_there_once_and_fit() {
        let version = rules(&[("anthropic-version", "2023-06-01"), ("accept", "application/*")]);
        let ask = |more: &[(&'static str, &'static [u8])]| {
            let mut fields: Vec<(&str, &[u8])> =
                vec![("Anthropic-Version", b"2023-06-01"), ("accept", b"application/json")];
            fields.extend(more);
            misfit(&version, &fields).map(str::to_owned)
        };
        assert_eq!(ask(&[]), None);
        assert_eq!(ask(&[("x", b"\xff"), ("x", b"2")]), None);
        assert_eq!(ask(&[("anthropic-version", b"2023-06-01")]).as_deref(), Some("anthropic-version"));
        assert_eq!(ask(&[("anthropic_version", b"2099-01-01")]).as_deref(), Some("anthropic-version"));
        assert_eq!(ask(&[("ACCEPT", b"application/xml")]).as_deref(), Some("accept"));
        let alone = |name: &'static str, value: &'static [u8]| {
            misfit(&version, &[("accept", b"application/x"), (name, value)]).is_none()
        };
        assert!(alone("anthropic-version", b"2023-06-01"));
        assert!(!alone("anthropic_version", b"2023-06-01"));
        assert!(!alone("anthropic-version", b"2023-06-01, 2099-01-01"));
        assert!(!alone("anthropic-version", b"2023-06-01\xff") && !alone("anthropic-version", b""));
        assert_eq!(misfit(&rules(&[]), &[]), None);
    }

    #[test]
    fn a_refusal_is_not_escaped() {
        let deny = rules(&[("anthropic-beta", "mcp-client-*")]);
        for (name, value) in [
            ("anthropic-beta", &b"mcp-client-2025-04-04"[..]),
            ("Anthropic_Beta", b"MCP-Client-x"),
            ("anthropic-beta", b"a, mcp-client-x ,b"),
            ("anthropic-beta", b"\"mcp-client-x\";q=1"),
            ("anthropic-beta", b"\xff"),
        ] {
            assert!(may_fit(&deny, &[("a", b"b"), (name, value)]), "{value:?}");
        }
        assert!(
            !may_fit(&deny, &[]) && !may_fit(&deny, &[("anthropic-beta", b"x-mcp-client-x"), ("b", b"mcp-client-x")])
        );
    }
}
