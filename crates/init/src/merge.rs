//! Merges JSON settings of ours into the agent's own file. Pure.

use serde_json::{Map, Value};

/// Merges `ours` into `theirs`: objects key by key; null takes a key away, and any other value wins (RFC 7396).
fn merge(theirs: Map<String, Value>, ours: Map<String, Value>) -> Map<String, Value> {
    let mut merged = theirs;
    for (key, value) in ours {
        let before = merged.remove(&key);
        let value = match (before, value) {
            (_, Value::Null) => continue,
            (Some(Value::Object(theirs)), Value::Object(ours)) => Value::Object(merge(theirs, ours)),
            (_, Value::Object(ours)) => Value::Object(merge(Map::new(), ours)),
            (_, ours) => ours,
        };
        merged.insert(key, value);
    }
    merged
}

/// The text of the merged file. `theirs` counts as empty if it is absent or no JSON object. `None` if `ours` is no object.
pub fn merge_text(theirs: Option<&[u8]>, ours: &[u8]) -> Option<Vec<u8>> {
    let Value::Object(ours) = serde_json::from_slice(ours).ok()? else {
        return None;
    };
    let theirs = match theirs.map(serde_json::from_slice) {
        Some(Ok(Value::Object(theirs))) => theirs,
        _ => Map::new(),
    };
    let mut text = serde_json::to_vec_pretty(&Value::Object(merge(theirs, ours))).ok()?;
    text.push(b'\n');
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(theirs: Option<&str>, ours: &str) -> Option<Value> {
        merge_text(theirs.map(str::as_bytes), ours.as_bytes()).map(|text| serde_json::from_slice(&text).unwrap())
    }

    #[test]
    fn our_keys_win_and_theirs_stay() {
        let theirs = r#"{"a":1,"deep":{"x":1,"y":[1,2],"z":{"k":1}},"theirs":true,"shape":{"k":1},"other":1}"#;
        let ours = r#"{"a":2,"deep":{"y":[3],"z":null},"shape":5,"other":{"b":{"c":null}},"none":null}"#;
        assert_eq!(
            merged(Some(theirs), ours),
            Some(serde_json::json!({"a":2,"deep":{"x":1,"y":[3]},"theirs":true,"shape":5,"other":{"b":{}}}))
        );
    }

    #[test]
    fn a_broken_file_of_theirs_is_replaced() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        for theirs in [None, Some(""), Some("{"), Some("[1]"), Some("\u{0}"), Some(deep.as_str())] {
            assert_eq!(merged(theirs, r#"{"a":1}"#), Some(serde_json::json!({"a":1})));
        }
        assert_eq!(merged(None, "[1]"), None);
        assert_eq!(merged(None, "{"), None);
    }
}
