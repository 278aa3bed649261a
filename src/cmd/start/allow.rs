//! `--allow HOST[:PORT][/PATH][=METHODS]`: routes for this one session, read as a manifest's are.

use crate::exit::UserError;
use crate::manifest::{self, Bottle, FILE};
use crate::plan::{SessionRoute, SessionRoutes};
use crate::state::Home;
use crate::supervise::signed;
use crate::text::one_line;
use policy::{Addition, Position};
use serde_json::json;
use std::collections::BTreeMap;

const EXAMPLE: &str = "write it as in `--allow api.example.org/v1/items=GET,POST`";

/// The routes of what was typed, behind those of the bottle.
///
/// # Errors
/// `UserError` for what is no route, and for one that contradicts the bottle's.
pub fn session_routes(typed: &[String], home: &Home, bottle: &Bottle) -> Result<SessionRoutes, UserError> {
    let mut routes = SessionRoutes::default();
    let mut policy = bottle.policy();
    for text in typed {
        let bad = |error: UserError| {
            // Of the place in a manifest, which this is not, nothing is said.
            let why = error.what.rsplit_once(".json:1: ").map_or(error.what.as_str(), |(_, why)| why);
            UserError::new(format!("`--allow {}`: {why}", one_line(text))).hint(EXAMPLE)
        };
        let read = manifest::read_route(&home.path().join(FILE), &manifest_text(text)).map_err(bad)?;
        let mut route = read.policy;
        policy.inherit(&mut route);
        let addition = Addition { route, position: Position::Last };
        let route = signed(SessionRoute::new(None, addition, BTreeMap::new()));
        policy = policy.with(&route.addition).map_err(|why| bad(UserError::new(why)))?;
        routes.add(route);
    }
    Ok(routes)
}

/// What was typed as a route of a manifest.
fn manifest_text(typed: &str) -> String {
    let is_methods = |text: &str| {
        !text.is_empty() && text.split(',').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase()))
    };
    let (target, methods) = match typed.rsplit_once('=') {
        Some((target, methods)) if is_methods(methods) => (target, Some(methods)),
        _ => (typed, None),
    };
    let (authority, path) = target.split_at(target.find('/').unwrap_or(target.len()));
    let mut route = json!({ "host": authority });
    if let Some((host, port)) = authority.rsplit_once(':') {
        // What is no number is an error of the host's, which has the colon.
        if let Ok(port) = port.parse::<u16>() {
            route = json!({ "host": host, "port": port });
        }
    }
    if !path.is_empty() {
        route["paths"] = json!([path]);
    }
    if let Some(methods) = methods {
        route["methods"] = methods.split(',').collect();
    }
    route.to_string()
}

#[cfg(test)]
mod tests {
    use super::manifest_text;

    #[test]
    fn what_is_typed_is_a_route() {
        for (typed, wanted) in [
            ("a.org", r#"{"host":"a.org"}"#),
            ("a.org:8443", r#"{"host":"a.org","port":8443}"#),
            ("a.org/x/*", r#"{"host":"a.org","paths":["/x/*"]}"#),
            ("a.org:80/x=GET,POST", r#"{"host":"a.org","methods":["GET","POST"],"paths":["/x"],"port":80}"#),
            ("a.org=DELETE", r#"{"host":"a.org","methods":["DELETE"]}"#),
            ("a.org/x=1", r#"{"host":"a.org","paths":["/x=1"]}"#),
            ("a.org:x", r#"{"host":"a.org:x"}"#),
            ("a.org:99999", r#"{"host":"a.org:99999"}"#),
            ("https://a.org", r#"{"host":"https:","paths":["//a.org"]}"#),
            ("me@a.org", r#"{"host":"me@a.org"}"#),
        ] {
            assert_eq!(manifest_text(typed), wanted, "{typed}");
        }
    }
}
