//! What a reload changes, for the audit trail: whole routes, and of a token only its scheme.

use policy::Route;
use serde_json::{Value, json};
use wire::{Event, RouteSummary};

/// Keys that are shown even if they hold their default.
const ALWAYS_SHOWN: [&str; 5] = ["host", "port", "methods", "paths", "origin"];

pub fn changes(before: &[Route], after: &[Route]) -> Event {
    let mut unmatched: Vec<Option<&Route>> = before.iter().map(Some).collect();
    let (mut added, mut stayed) = (Vec::new(), Vec::new());
    for route in after {
        match unmatched.iter().position(|old| *old == Some(route)) {
            Some(index) => {
                unmatched[index] = None;
                stayed.push(index);
            }
            None => added.push(summary(route)),
        }
    }
    let removed = unmatched.into_iter().flatten().map(summary).collect();
    Event::Reloaded { added, removed, reordered: !stayed.is_sorted() }
}

/// The route without the keys that hold their default.
fn summary(route: &Route) -> RouteSummary {
    let members = |route: &Route| match serde_json::to_value(route) {
        Ok(Value::Object(members)) => members,
        _ => RouteSummary::new(),
    };
    let default = json!({ "host": "a.b", "port": 443, "methods": [], "paths": [], "origin": "" });
    let default = serde_json::from_value(default).map(|route| members(&route)).unwrap_or_default();
    let mut summary = members(route);
    summary.retain(|key, value| ALWAYS_SHOWN.contains(&key.as_str()) || default.get(key) != Some(value));
    if let Some(auth) = summary.get_mut("auth") {
        *auth = auth.get("scheme").cloned().unwrap_or_default();
    }
    summary
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
