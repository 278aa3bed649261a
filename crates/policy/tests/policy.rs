//! The policy against servers: what passes is covered in every way a server may read it, what is refused is escaped by
//! no spelling. `PROPTEST_CASES=1000000` asks for more than the few hundred cases of an ordinary run.

#![allow(clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

use policy::{Denial, Pass, Policy, Request};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use serde_json::json;
use testing::oracle::{escape, fits};
use testing::requests::{WORDS, path, query, route, spelled};
use testing::servers::QUERIES;

fn decide(policy: &Policy, target: &str) -> Result<Pass, Denial> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let request = Request { host: "x.test", port: 443, method: "GET", path, query, has_body: false, headers: &[] };
    let answer = policy.decide(&request);
    assert_eq!(answer, policy.decide(&request), "not the same twice");
    answer
}

/// A failure shows its smallest case; nothing is written into the repository.
fn cases() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

// ---- paths ----

/// `/`, words, `*`, and `**` at the end at times.
fn pattern() -> impl Strategy<Value = String> {
    let segment = prop_oneof![4 => select(WORDS.to_vec()), 1 => Just("*")];
    (vec(segment, 0..4), any::<bool>()).prop_map(|(mut segments, rest)| {
        if rest {
            segments.push("**");
        }
        format!("/{}", segments.join("/"))
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let line = (vec(pattern(), 1..3), prop_oneof![2 => Just("block"), 1 => Just("off"), 2 => Just("deny")]);
    vec(line, 1..4).prop_map(|lines| {
        let line = |(paths, what): (Vec<String>, &str)| match what {
            "deny" => route(json!({ "paths": paths, "deny": true })),
            dlp => route(json!({ "paths": paths, "dlp": dlp })),
        };
        Policy { routes: lines.into_iter().map(line).collect() }
    })
}

proptest! {
    #![proptest_config(cases())]

    /// No server is reached where the deciding route's own treatment does not lead it.
    #[test]
    fn what_passes_is_covered_in_every_reading(policy in policy(), path in path()) {
        if let Ok(pass) = decide(&policy, &path) {
            prop_assert_eq!(escape(&policy, &path, &pass), None);
        }
    }

    #[test]
    fn a_refusal_is_escaped_by_no_spelling(
        words in vec(select(WORDS.to_vec()).prop_flat_map(|word| (Just(word), spelled(word))), 1..4),
        joints in vec(select(vec!["/", "//", "%2f", "/;/", ";x=1/", "./", "%20/", "%252f", "/x/../", "/./"]), 4),
        end in select(vec!["", "/", "//", ";", ";x", "%3bx", ".", "%20", "%20.", "/.", "%3f", "%23a", "/;x", "%2f"]),
        rest in any::<bool>(),
    ) {
        let plain: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let mut pattern = format!("/{}", plain.join("/"));
        if rest {
            pattern.push_str("/**");
        }
        let policy = Policy { routes: vec![route(json!({ "paths": [pattern], "deny": true })), route(json!({}))] };
        let mut path = String::new();
        for (at, ((_, spelling), joint)) in words.iter().zip(&joints).enumerate() {
            path.push_str(if at == 0 { "/" } else { joint });
            path.push_str(spelling);
        }
        path.push_str(end);
        prop_assert!(decide(&policy, &path).is_err(), "{path} escapes {pattern}");
    }

    #[test]
    fn no_bytes_make_it_panic(target in any::<String>(), path in "/[ -~]{0,60}", host in any::<String>(), text in any::<String>()) {
        let policy = Policy { routes: vec![route(json!({ "query": { "a": "*" } })), route(json!({}))] };
        let _ = (decide(&policy, &target), decide(&policy, &path));
        let headers = [("x", text.as_bytes()), (text.as_str(), b"\xff".as_slice())];
        let request = Request { host: &host, port: 443, method: &text, path: "/", query: Some(&target), has_body: false, headers: &headers };
        prop_assert!(policy.decide(&request).is_err());
        let _ = policy::plain_name(&host);
        let _ = policy::PathPattern::try_from(path);
        let _ = policy::HostPattern::try_from(host);
    }
}

/// Or the properties above would hold for a policy that refuses everything.
#[test]
fn many_generated_requests_pass() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = (policy(), path());
    let count = 2000;
    let passed = (0..count).filter(|_| {
        let (policy, path) = strategy.new_tree(&mut runner).unwrap().current();
        decide(&policy, &path).is_ok()
    });
    let passed = passed.count();
    assert!((count / 20..count / 2).contains(&passed), "{passed} of {count}");
}

// ---- queries ----

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_server_finds_the_parameter_that_fits(query in query(), pattern in select(vec!["yes", "y*", "*s", "*"])) {
        let policy = Policy { routes: vec![route(json!({ "query": { "s": pattern } }))] };
        if decide(&policy, &format!("/?{query}")).is_ok() {
            for (server, get) in QUERIES {
                let found = get(&query, "s");
                prop_assert!(found.as_ref().is_some_and(|found| fits(pattern, found)), "{query}: {server} finds {found:?}");
            }
        }
    }

    #[test]
    fn no_server_finds_what_is_refused(query in query(), pattern in select(vec!["yes", "y*", "*s"])) {
        let deny = route(json!({ "query": { "s": pattern }, "deny": true }));
        let policy = Policy { routes: vec![deny, route(json!({}))] };
        if decide(&policy, &format!("/?{query}")).is_ok() {
            for (server, get) in QUERIES {
                let found = get(&query, "s");
                prop_assert!(!found.as_ref().is_some_and(|found| fits(pattern, found)), "{query}: {server} finds {found:?}");
            }
        }
    }
}
