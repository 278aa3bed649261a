//! Generated requests: words with tricks between them, as clients and attackers spell them, and routes to hold them to.

use policy::Route;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

pub const WORDS: [&str; 7] = ["a", "b", "team", "app", "secret", "Kay", "v1"];

/// A route as the gate's document has it.
pub fn route(mut value: Value) -> Route {
    let whole = value.as_object_mut().unwrap();
    let defaults = json!({ "host": "x.test", "port": 443, "methods": ["GET"], "paths": ["/**"], "origin": "m:1" });
    for (key, default) in defaults.as_object().unwrap() {
        whole.entry(key).or_insert(default.clone());
    }
    serde_json::from_value(value).unwrap()
}

/// What some server reads as this word, and what only looks like it.
pub fn spelled(word: &'static str) -> impl Strategy<Value = String> {
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

pub fn encoded(code: u32) -> String {
    char::from_u32(code).unwrap().to_string().bytes().map(|byte| format!("%{byte:02X}")).collect()
}

pub const TRICKS: [&str; 48] = [
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
pub fn path() -> impl Strategy<Value = String> {
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

pub fn query() -> impl Strategy<Value = String> {
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
