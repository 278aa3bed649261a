//! Headers, by a route's rules: each named one is there once and fits. Names that the gate itself writes or takes off
//! have no rule: what is judged is what is forwarded.

use super::headers::{CLAIMS, CREDENTIALS, HOPS, OVERRIDES, same_header};
use super::value::ValuePattern;
use std::collections::BTreeMap;

/// By name, in lower case.
pub type HeaderRules = BTreeMap<String, ValuePattern>;

/// A request's headers as they go on: name and value.
pub type Fields<'a> = &'a [(&'a str, &'a [u8])];

/// Does the gate write this header or take it off, whatever the agent sends? Any case; `_` and `-` are one.
pub fn is_ours(name: &str) -> bool {
    HOPS.into_iter().chain(CREDENTIALS).chain(OVERRIDES).chain(CLAIMS).any(|ours| same_header(name, ours))
}

/// The first rule that the headers do not fit, for a route that allows.
pub(super) fn misfit<'r>(rules: &'r HeaderRules, fields: Fields) -> Option<&'r str> {
    let fits = |(name, pattern): &(&String, &ValuePattern)| {
        let mut found = fields.iter().filter(|(one, _)| same_header(one, name));
        let (Some((one, value)), None) = (found.next(), found.next()) else { return false };
        one.eq_ignore_ascii_case(name) && std::str::from_utf8(value).is_ok_and(|value| pattern.matches(value))
    };
    rules.iter().find(|rule| !fits(rule)).map(|(name, _)| name.as_str())
}

/// For a route that refuses: may a server see every one of these, also as one of a list?
pub(super) fn may_fit(rules: &HeaderRules, fields: Fields) -> bool {
    rules.iter().all(|(name, pattern)| {
        fields.iter().filter(|(one, _)| same_header(one, name)).any(|(_, value)| match std::str::from_utf8(value) {
            Ok(value) => {
                let listed = |one: &str| pattern.may_match(one.trim().trim_matches('"'));
                pattern.may_match(value.trim()) || value.split(',').any(listed) || value.split([',', ';']).any(listed)
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

    #[test]
    fn what_the_gate_writes_has_no_rule() {
        assert!(
            is_ours("Authorization") && is_ours("x_http_method") && !is_ours("accept") && !is_ours("anthropic-version")
        );
    }
}
