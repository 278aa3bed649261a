//! The first line of a connection through the door, and the text of a manifest. No input panics; a line is understood in
//! one way only; what is JSON for others, too, is the same value.

use claude_bottle::manifest::json::{Node, Value, parse};
use claude_bottle::manifest::{FILE, load};
use std::path::Path;
use wire::{FirstLine, parse_first_line};

pub fn run(input: &[u8]) {
    if let Some(FirstLine::Connect { host, port }) = parse_first_line(input) {
        let plain = format!("CONNECT {host}:{port}");
        assert_eq!(parse_first_line(plain.as_bytes()), Some(FirstLine::Connect { host, port }));
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(node) = parse(text) else { return };
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
        assert_eq!(plain(&node), value);
    }
    // Only what is JSON at all: this goes over a file.
    thread_local! { static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder"); }
    FOLDER.with(|folder| {
        std::fs::write(folder.path().join(FILE), text).expect("a file");
        if let Ok(manifest) = load(folder.path(), Path::new("/nowhere")) {
            let _ = (manifest.faults().len(), manifest.choose("a"), manifest.choose(text));
        }
    });
}

fn plain(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => number.clone().into(),
        Value::String(text) => text.as_str().into(),
        Value::Array(nodes) => nodes.iter().map(plain).collect(),
        Value::Object(members) => members.iter().map(|member| (member.key.clone(), plain(&member.node))).collect(),
    }
}
