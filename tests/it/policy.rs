//! The policy against servers: what passes is covered in every way a server may read it, what is refused is escaped by
//! no spelling. `PROPTEST_CASES=1000000` asks for more than the few hundred cases of an ordinary run.

pub mod oracle;
mod servers;
#[cfg(feature = "gate")]
mod through;

use claude_bottle::policy::{Ask, Denial, Pass, Policy, Route};
use oracle::{escape, fits};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};
use servers::QUERIES;

const WORDS: [&str; 7] = ["a", "b", "team", "app", "secret", "Kay", "v1"];

/// A route as the gate's document has it.
fn route(mut value: Value) -> Route {
    let whole = value.as_object_mut().unwrap();
    let defaults = json!({ "host": "x.test", "port": 443, "methods": ["GET"], "paths": ["/**"], "origin": "m:1" });
    for (key, default) in defaults.as_object().unwrap() {
        whole.entry(key).or_insert(default.clone());
    }
    serde_json::from_value(value).unwrap()
}

fn decide(policy: &Policy, target: &str) -> Result<Pass, Denial> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let ask = Ask { host: "x.test", port: 443, method: "GET", path, query, headers: &[] };
    let answer = policy.decide(&ask);
    assert_eq!(answer, policy.decide(&ask), "not the same twice");
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

/// What some server reads as this word, and what only looks like it.
fn spelled(word: &'static str) -> impl Strategy<Value = String> {
    (0..word.len(), select(vec!["", "", "", "%", "%25", "wide", "case"])).prop_map(move |(at, how)| {
        let (before, rest) = word.split_at(at);
        let (letter, after) = rest.split_at(1);
        let byte = letter.as_bytes()[0];
        match how {
            "%" => format!("{before}%{byte:02x}{after}"),
            "%25" => format!("{before}%25{byte:02X}{after}"),
            "wide" => format!("{before}{}{after}", encoded(u32::from(byte) + 0xfee0)),
            "case" => format!("{before}{}{after}", letter.to_ascii_uppercase()),
            _ => word.to_owned(),
        }
    })
}

fn encoded(code: u32) -> String {
    char::from_u32(code).unwrap().to_string().bytes().map(|byte| format!("%{byte:02X}")).collect()
}

const TRICKS: [&str; 48] = [
    "//",
    "/./",
    "/../",
    "/..",
    "/.",
    ".",
    "..",
    "...",
    "%2f",
    "%2F",
    "%2f%2f",
    "%5c",
    "\\",
    ";",
    ";x",
    ";/",
    "%3b",
    "%3Bx",
    "..;",
    ";..",
    "%2e",
    "%2e%2e",
    "%252e",
    "%252f",
    "%255c",
    "%25",
    "%c0%ae",
    "%c0%af",
    "%e0%80%af",
    "%u002e",
    "%u2215",
    "%ef%bc%8e",
    "%ef%bc%8f",
    "%EF%BC%BC",
    "%E2%80%A5",
    "%ef%bc%852e",
    "\u{ff0f}",
    "%20",
    "%20.",
    " ",
    "%00",
    "%0a",
    "%3f",
    "%23x",
    "%ff",
    "\u{e9}",
    "%C3%A9",
    "%",
];

/// Words with separators between them, most of them plain, and tricks in between.
fn path() -> impl Strategy<Value = String> {
    let word = select(WORDS.to_vec()).prop_flat_map(spelled);
    let joint = prop_oneof![12 => Just("/".to_owned()), 2 => select(TRICKS.to_vec()).prop_map(str::to_owned)];
    let odd = prop_oneof![
        10 => Just(String::new()),
        2 => select(TRICKS.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => any::<u8>().prop_map(|byte| format!("%{byte:02x}")),
    ];
    (vec((joint, odd.clone(), word, odd), 0..5), select(vec!["", "", "/", ";", ".", "%2f", "%20"])).prop_map(
        |(parts, end)| {
            let path: String =
                parts.into_iter().map(|(joint, odd, word, more)| format!("{joint}{odd}{word}{more}")).collect();
            if path.is_empty() { "/".to_owned() } else { path + end }
        },
    )
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
        let ask = Ask { host: &host, port: 443, method: &text, path: "/", query: Some(&target), headers: &headers };
        prop_assert!(policy.decide(&ask).is_err());
        let _ = claude_bottle::policy::plain_name(&host);
        let _ = claude_bottle::policy::PathPattern::try_from(path);
        let _ = claude_bottle::policy::HostPattern::try_from(host);
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

fn query() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        6 => select(vec!["s", "q"]).prop_map(str::to_owned),
        3 => select(vec![
            "S", "%73", "%53", "s[]", "s%5b", "s[x", "s%00", "s%00x", "%20s", "+s", "%2573", "s.", "s%zz", "%ff", "%ef%bd%93", "x",
            "", "s;", "s%3b",
        ]).prop_map(str::to_owned),
    ];
    let value = select(vec![
        "yes", "no", "%79es", "YES", "", "yes%00", "yes;no", "yes;s=no", "no;s=yes", "yes%", "yes%ff", "y+s", "yes,no",
        "=", "a%26s=no",
    ]);
    let pair = (key, value).prop_map(|(key, value)| if value.is_empty() { key } else { format!("{key}={value}") });
    (vec(pair, 0..4), select(vec!["&", "&", "&", ";", "&&"])).prop_map(|(pairs, joint)| pairs.join(joint))
}

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
