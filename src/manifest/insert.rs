//! One route as text: read alone, and put into a home manifest in place. Everything else in the file stays as it is written,
//! comments and order included.

use super::json::{Member, Node, Span, Value};
use super::{Route, route, routes, source};
use crate::exit::UserError;
use std::path::Path;

/// Columns of one level, where the manifest shows none.
const USUAL_INDENT: &str = "  ";

/// Reads the text of one route. `file`: the manifest in which it could stand; errors name it.
///
/// # Errors
/// `UserError` for what is no route.
pub fn read_route(file: &Path, text: &str) -> Result<Route, UserError> {
    let node = source::parse(file, text)?;
    let draft = route::read(file, &node)?;
    let mut all = routes::complete(file, vec![draft])?;
    all.pop().ok_or_else(|| UserError::new("no route"))
}

/// The manifest's text with one route more in a bottle: behind its others, or in front of the one in this line.
///
/// # Errors
/// `UserError` where the text is no manifest with that bottle.
pub fn insert_route(file: &Path, text: &str, into: &Place, route: &str) -> Result<String, UserError> {
    let root = source::parse(file, text)?;
    let no_bottle = || UserError::new(format!("{}: no bottle `{}`", source::shown(file), into.bottle));
    let bottle =
        member(&root, "bottles").and_then(|bottles| member(&bottles.node, into.bottle)).ok_or_else(no_bottle)?;
    let egress = member(&bottle.node, "egress");
    let list = egress.and_then(|egress| member(&egress.node, "routes"));
    let edit = match (list, egress) {
        (Some(list), _) => in_list(text, list, into.before_line, route),
        (None, Some(egress)) => {
            in_object(text, &egress.node, "routes", |indent, step| format!("[\n{indent}{step}{route}\n{indent}]"))
        }
        (None, None) => in_object(text, &bottle.node, "egress", |indent, step| {
            format!("{{\n{indent}{step}\"routes\": [\n{indent}{step}{step}{route}\n{indent}{step}]\n{indent}}}")
        }),
    };
    let Some(edits) = edit else {
        return Err(UserError::new(format!("{}: bottle `{}` has no list of routes", source::shown(file), into.bottle)));
    };
    let mut new = text.to_owned();
    for (at, inserted) in edits.into_iter().rev() {
        new.insert_str(at, &inserted);
    }
    Ok(new)
}

/// Where a route goes in a manifest.
pub struct Place<'a> {
    pub bottle: &'a str,
    /// The line of the bottle's own route in front of which it goes.
    pub before_line: Option<u32>,
}

fn member<'a>(node: &'a Node, key: &str) -> Option<&'a Member> {
    match &node.value {
        Value::Object(members) => members.iter().find(|member| member.key == key),
        _ => None,
    }
}

/// Where what is to be inserted, from the front to the back.
type Edits = Vec<(usize, String)>;

fn in_list(text: &str, list: &Member, before_line: Option<u32>, route: &str) -> Option<Edits> {
    let Value::Array(nodes) = &list.node.value else { return None };
    if let Some(next) = nodes.iter().find(|node| before_line == Some(node.at.line)) {
        let indent = indent_of(text, next.span.start);
        let gap = if is_first_in_line(text, next.span.start) { format!(",\n{indent}") } else { ", ".to_owned() };
        return Some(vec![(next.span.start, format!("{route}{gap}"))]);
    }
    match nodes.last() {
        Some(last) => Some(behind(text, last.span, list.node.span.end - 1, route)),
        None => {
            let indent = indent_of(text, list.at_offset());
            let step = step_of(text);
            Some(vec![(list.node.span.start + 1, format!("\n{indent}{step}{route}\n{indent}"))])
        }
    }
}

/// A new member, the last of its object.
fn in_object(text: &str, object: &Node, key: &str, value: impl FnOnce(&str, &str) -> String) -> Option<Edits> {
    let Value::Object(members) = &object.value else { return None };
    let step = step_of(text);
    match members.last() {
        Some(last) => {
            let indent = indent_of(text, last.at_offset());
            let value = value(&indent, &step);
            let span = Span { start: last.at_offset(), end: last.node.span.end };
            Some(behind(text, span, object.span.end - 1, &format!("\"{key}\": {value}")))
        }
        None => {
            let outer = indent_of(text, object.span.start);
            let indent = format!("{outer}{step}");
            let value = value(&indent, &step);
            Some(vec![(object.span.start + 1, format!("\n{indent}\"{key}\": {value}\n{outer}"))])
        }
    }
}

/// Puts an item behind the last one of a list or an object that ends at `end`. A comment that follows the last one in its
/// line stays with it.
fn behind(text: &str, last: Span, end: usize, item: &str) -> Edits {
    let rest = &text[last.end..end];
    let has_comma = has_comma(rest);
    if !is_first_in_line(text, last.start) {
        return vec![(last.end, format!(", {item}"))];
    }
    let gap = format!("\n{}", indent_of(text, last.start));
    let line = rest.find(['\n', '\r']).map(|length| &rest[..length]);
    match line.filter(|line| line.matches("/*").count() == line.matches("*/").count()) {
        Some(line) => {
            let mut edits = vec![(last.end + line.len(), format!("{gap}{item}{}", if has_comma { "," } else { "" }))];
            if !has_comma {
                edits.insert(0, (last.end, ",".to_owned()));
            }
            edits
        }
        None => vec![(last.end, format!(",{gap}{item}"))],
    }
}

/// Whether a comma follows, outside of comments.
fn has_comma(rest: &str) -> bool {
    let mut rest = rest;
    while let Some(at) = rest.find([',', '/']) {
        let found = &rest[at..];
        if found.starts_with(',') {
            return true;
        }
        let (skipped, end) = if found.starts_with("/*") { (2, "*/") } else { (1, "\n") };
        let Some(length) = found[skipped..].find(end) else { return false };
        rest = &found[skipped + length + end.len()..];
    }
    false
}

impl Member {
    fn at_offset(&self) -> usize {
        self.key_span.start
    }
}

/// The text between the beginning of the line and `at`.
fn line_before(text: &str, at: usize) -> &str {
    let before = &text[..at];
    &before[before.rfind(['\n', '\r']).map_or(0, |end| end + 1)..]
}

/// The blanks with which the line of `at` begins.
fn indent_of(text: &str, at: usize) -> String {
    let line = line_before(text, at);
    line.chars().take_while(|c| matches!(c, ' ' | '\t')).collect()
}

fn is_first_in_line(text: &str, at: usize) -> bool {
    line_before(text, at).chars().all(|c| matches!(c, ' ' | '\t'))
}

/// The first indentation of the file.
fn step_of(text: &str) -> String {
    let indents = text.lines().map(|line| line.chars().take_while(|c| matches!(c, ' ' | '\t')).collect::<String>());
    indents.into_iter().find(|indent| !indent.is_empty()).unwrap_or_else(|| USUAL_INDENT.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: &str = r#"{ "host": "new.org", "paths": ["/x"] }"#;

    fn inserted(text: &str, before_line: Option<u32>) -> String {
        let place = Place { bottle: "box", before_line };
        insert_route(Path::new("/m.json"), text, &place, ROUTE).unwrap()
    }

    /// The text without what was inserted is the text before, and the manifest has one route more.
    fn assert_inserted(text: &str, before_line: Option<u32>, hosts: &[&str]) -> String {
        let new = inserted(text, before_line);
        let count = |text: &str| text.matches("new.org").count();
        assert_eq!(count(&new), count(text) + 1, "{new}");
        let root = source::parse(Path::new("/m.json"), &new).unwrap();
        let found = root.plain();
        let found: Vec<&str> = found["bottles"]["box"]["egress"]["routes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|route| route["host"].as_str().unwrap())
            .collect();
        assert_eq!(found, hosts, "{new}");
        for comment in text.match_indices("//").map(|(at, _)| text[at..].lines().next().unwrap()) {
            assert!(new.contains(comment), "{comment}: {new}");
        }
        new
    }

    #[test]
    fn a_route_goes_behind_the_others_and_comments_stay() {
        let text = r#"{
  // mine
  "bottles": {
    "box": {
      "egress": { "routes": [
        { "host": "a.org" }, // why
        { "host": "b.org" } // the last
      ] }
    }
  },
  "agents": {}
}
"#;
        let new = assert_inserted(text, None, &["a.org", "b.org", "new.org"]);
        assert!(new.contains("{ \"host\": \"b.org\" }, // the last\n        { \"host\": \"new.org\""), "{new}");
        let new = assert_inserted(text, Some(6), &["new.org", "a.org", "b.org"]);
        assert!(new.contains(
            "[\n        { \"host\": \"new.org\", \"paths\": [\"/x\"] },\n        { \"host\": \"a.org\" }, // why"
        ));
        assert_inserted(text, Some(99), &["a.org", "b.org", "new.org"]);
    }

    #[test]
    fn whatever_the_file_looks_like() {
        for text in [
            r#"{"bottles":{"box":{}}}"#,
            r#"{"bottles":{"box":{"egress":{}}}}"#,
            r#"{"bottles":{"box":{"egress":{"routes":[]}}}}"#,
            "{\"bottles\":{\"box\":{\"egress\":{\"routes\":[ // none\n ]}}}}",
            "{\"bottles\":{\"box\":{ /* empty */ }}}",
            "{\r\n\t\"bottles\": {\r\n\t\t\"box\": {\r\n\t\t\t\"supervise\": true,\r\n\t\t},\r\n\t},\r\n}",
            "\u{feff}{\"bottles\":{\"box\":{\"env\":{\"A\":\"b\"}}}}",
        ] {
            assert_inserted(text, None, &["new.org"]);
        }
        for text in [
            r#"{"bottles":{"box":{"egress":{"routes":[{"host":"a.org"}]}}}}"#,
            r#"{"bottles":{"box":{"egress":{"routes":[{"host":"a.org"},]}}}}"#,
            "{\"bottles\":{\"box\":{\"egress\":{\"routes\":[\n{\"host\":\"a.org\"} /* x, */ , // y\n]}}}}",
        ] {
            assert_inserted(text, None, &["a.org", "new.org"]);
        }
    }

    #[test]
    fn no_other_bottle_is_changed() {
        let place = Place { bottle: "other", before_line: None };
        let why = insert_route(Path::new("/m.json"), r#"{"bottles":{"box":{}}}"#, &place, ROUTE).unwrap_err();
        assert_eq!(why.what, "/m.json: no bottle `other`");
    }

    #[test]
    fn one_route_is_read_alone() {
        let file = Path::new("/m.json");
        assert_eq!(read_route(file, ROUTE).unwrap().policy.host.as_str(), "new.org");
        for (text, word) in [
            (r#"{"host":"a.org","methods":["*"]}"#, "spelled out"),
            (r#"{"host":"gate.bottle"}"#, "the gate's own"),
            (r#"{"host":"a.org"},{"host":"b.org"}"#, "after the end"),
            (r#"[]"#, "wanted an object"),
            (r#"{"host":"a.org","colour":1}"#, "colour"),
        ] {
            let why = read_route(file, text).unwrap_err().what;
            assert!(why.contains(word), "{text}: {why}");
        }
    }
}
