//! What a decision is held to: the routes, tried naively on what each server would look up.

use crate::servers::{PATHS, QUERIES};
use policy::{NO_OTHER_PARAMETER, Pass, Policy, Route};

/// Segment by segment; a pattern without percent-encodings.
fn covers(pattern: &str, found: &str) -> bool {
    let mut given = found.split('/').skip(1);
    for wanted in pattern.split('/').skip(1) {
        match (wanted, given.next()) {
            ("**", _) => return true,
            ("*", Some(segment)) if !segment.is_empty() => {}
            (wanted, Some(segment)) if wanted == segment => {}
            _ => return false,
        }
    }
    given.next().is_none()
}

/// A pattern with at most one `*`.
pub fn fits(pattern: &str, value: &str) -> bool {
    match pattern.split_once('*') {
        Some((before, after)) => value.strip_prefix(before).is_some_and(|rest| rest.ends_with(after)),
        None => pattern == value,
    }
}

/// Routes whose query fits in nobody's eyes are left out by the caller. Refusals know no case and no slash at the end.
fn first<'p>(routes: &[&'p Route], found: &str) -> Option<&'p Route> {
    let bare = |path: &str| format!("/{}", path.to_ascii_lowercase().trim_matches('/'));
    let hit = |route: &&&Route| {
        route.paths.iter().map(|pattern| pattern.as_str()).any(|pattern| match route.deny {
            true => covers(&bare(pattern), &bare(found)),
            false => covers(pattern, found),
        })
    };
    routes.iter().find(hit).copied()
}

/// In words, how a request that passed would reach what its route does not lead to. For one host, port and method.
pub fn escape(policy: &Policy, target: &str, pass: &Pass) -> Option<String> {
    let chosen = &policy.routes[pass.route];
    if chosen.deny {
        return Some("a route that refuses lets it pass".to_owned());
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    for (name, pattern) in chosen.query.iter().filter(|(name, _)| *name != NO_OTHER_PARAMETER) {
        for (server, get) in QUERIES {
            let found = get(query, name);
            if !found.as_ref().is_some_and(|found| fits(pattern.as_str(), found)) {
                return Some(format!("{server} finds {found:?} for `{name}`"));
            }
        }
    }
    let routes: Vec<&Route> =
        policy.routes.iter().filter(|route| route.query.is_empty() || route.query == chosen.query).collect();
    for (server, read) in PATHS {
        let Some(found) = read(path) else { continue };
        if !first(&routes, &found).is_some_and(|route| !route.deny && route.dlp == chosen.dlp) {
            return Some(format!("{server} reads `{found}`"));
        }
    }
    None
}
