//! Suggested routes, as they can be written into a manifest: each on a line, with why before it as a comment. What a bottle
//! chose of it is a host and paths that a route can name, and inert text on one line.

use super::trail::change_text;
use crate::plan::Source;
use crate::text::one_line;
use crate::trail::{Suggestion, Suggestions};
use policy::Position;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The suggestions for one bottle.
pub struct BottleSuggestions {
    pub bottle: String,
    pub suggestions: Suggestions,
    /// Where those values come from that a route names.
    pub values: BTreeMap<String, Source>,
}

/// Routes as text of a manifest, and comments.
pub fn suggestions(of: &BottleSuggestions) -> String {
    let BottleSuggestions { bottle, suggestions, values } = of;
    let mut text = String::new();
    let refused: u64 = suggestions.routes.iter().map(|one| one.refused).sum();
    let count = suggestions.routes.len();
    let _ = writeln!(
        text,
        "// bottle `{}`: {count} route{} for {refused} refusals",
        one_line(bottle),
        if count == 1 { "" } else { "s" }
    );
    for one in &suggestions.routes {
        let registry = one.registry.map(|name| format!("{name}, by the shape of its paths: ")).unwrap_or_default();
        let examples = one_line(&one.examples.join(", "));
        let _ = writeln!(text, "// {registry}{} refused, the last {}: {examples}", one.refused, one_line(&one.last));
        if let Position::Before(origin) = &one.addition.position {
            let _ =
                writeln!(text, "// LOOK TWICE: it must stand before the route that denies this: {}", one_line(origin));
        }
        for risk in &one.risks {
            let _ = writeln!(text, "// LOOK TWICE: {}", one_line(risk));
        }
        let _ = writeln!(text, "{},", one_line(&super::route(&one.addition.route, values)));
    }
    for one in &suggestions.unanswered {
        let change = change_text(&one.change);
        let _ = writeln!(text, "// no route: {change} ({} refused): {}", one.refused, one_line(&one.why));
    }
    text
}

/// Routes as objects of a manifest, and why.
pub fn suggestions_json(of: &BottleSuggestions) -> Value {
    let BottleSuggestions { bottle, suggestions, values } = of;
    let route = |one: &Suggestion| {
        let text = super::route(&one.addition.route, values);
        let before = match &one.addition.position {
            Position::Before(origin) => Some(origin),
            Position::Last => None,
        };
        json!({
            "route": serde_json::from_str::<Value>(&text).unwrap_or_default(),
            "before": before,
            "registry": one.registry,
            "refused": one.refused,
            "last": one.last,
            "examples": one.examples,
            "risks": one.risks,
        })
    };
    let routes: Vec<Value> = suggestions.routes.iter().map(route).collect();
    json!({ "bottle": bottle, "routes": routes, "unanswered": suggestions.unanswered })
}
