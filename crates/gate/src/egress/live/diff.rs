//! What became different from one policy to the next, for the audit trail: routes, and no more of a token than its scheme.

use policy::Route;
use serde_json::{Value, json};
use wire::{Event, RouteSummary};

/// Said of every route.
const ALWAYS: [&str; 5] = ["host", "port", "methods", "paths", "origin"];

pub fn changes(before: &[Route], after: &[Route]) -> Event {
    let mut gone: Vec<Option<&Route>> = before.iter().map(Some).collect();
    let (mut added, mut stayed) = (Vec::new(), Vec::new());
    for route in after {
        match gone.iter().position(|one| *one == Some(route)) {
            Some(index) => {
                gone[index] = None;
                stayed.push(index);
            }
            None => added.push(rule(route)),
        }
    }
    let removed = gone.into_iter().flatten().map(rule).collect();
    Event::Reloaded { added, removed, reordered: !stayed.is_sorted() }
}

/// Without what it would say by default.
fn rule(route: &Route) -> RouteSummary {
    let written = |route: &Route| match serde_json::to_value(route) {
        Ok(Value::Object(members)) => members,
        _ => RouteSummary::new(),
    };
    let plain = json!({ "host": "a.b", "port": 443, "methods": [], "paths": [], "origin": "" });
    let plain = serde_json::from_value(plain).map(|route| written(&route)).unwrap_or_default();
    let mut rule = written(route);
    rule.retain(|key, value| ALWAYS.contains(&key.as_str()) || plain.get(key) != Some(value));
    if let Some(auth) = rule.get_mut("auth") {
        *auth = auth.get("scheme").cloned().unwrap_or_default();
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(host: &str, more: Value) -> Route {
        let mut route = json!({
            "host": host, "port": 443, "methods": ["GET"], "paths": ["/**"], "origin": "claude-bottle.json:1",
        });
        if let (Some(route), Value::Object(more)) = (route.as_object_mut(), more) {
            route.extend(more);
        }
        serde_json::from_value(route).unwrap()
    }

    #[test]
    fn only_what_differs_and_no_token() {
        let auth = |token: &str| json!({ "auth": { "scheme": "bearer", "token": token }, "private": true });
        let (a, b, c) = (route("a.org", json!({})), route("b.org", auth("one")), route("b.org", auth("two")));
        let same = Event::Reloaded { added: vec![], removed: vec![], reordered: false };
        assert_eq!(changes(&[a.clone(), b.clone()], &[a.clone(), b.clone()]), same);
        let Event::Reloaded { added, removed, reordered: false } = changes(&[a.clone(), b.clone()], &[a.clone(), c])
        else {
            panic!()
        };
        let wanted = json!({
            "host": "b.org", "port": 443, "methods": ["GET"], "paths": ["/**"], "origin": "claude-bottle.json:1",
            "auth": "bearer", "private": true,
        });
        assert_eq!((json!(added), json!(removed)), (json!([wanted]), json!([wanted])));
        let Event::Reloaded { added, removed, reordered } = changes(&[a.clone(), b.clone()], &[b, a.clone(), a]) else {
            panic!()
        };
        assert!(reordered && removed.is_empty() && added.len() == 1);
    }
}
