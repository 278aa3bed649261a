//! The routes that would have let refused requests pass: narrow, in groups, and proven by judging each request anew. Pure.

use super::Candidate;
use super::registry::registry;
use policy::{Addition, PathPattern, Policy, Position, Request, Route, risks};
use serde::Serialize;
use std::collections::BTreeMap;
use wire::Change;

/// Names in one folder from which the folder is suggested in their place, where it is only read.
const MIN_NAMES_OF_FOLDER: usize = 4;
/// Paths of requests that are told of a route.
const MAX_EXAMPLES: usize = 3;
const READING_METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

#[derive(Debug, Default)]
pub struct Suggestions {
    pub routes: Vec<Suggestion>,
    pub unanswered: Vec<Unanswered>,
}

/// A route, and the refusals that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    pub addition: Addition,
    /// Whose shape the requests have.
    pub registry: Option<&'static str>,
    pub refused: u64,
    /// When the last was refused, UTC, RFC 3339.
    pub last: String,
    pub examples: Vec<String>,
    pub risks: Vec<String>,
}

/// Refusals that no route is suggested for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unanswered {
    pub change: Change,
    pub refused: u64,
    pub why: String,
}

/// One candidate that is refused still.
struct Refused<'a> {
    candidate: &'a Candidate,
    request: Request<'a>,
}

/// `policy`: that of today. What passes by it is left out.
pub fn suggest(policy: &Policy, candidates: &[Candidate]) -> Suggestions {
    let mut found = Suggestions::default();
    let mut refused = Vec::new();
    for candidate in candidates {
        let Some(request) = request(candidate) else {
            let why = "`claude-bottle approve` lets a push pass once".to_owned();
            found.unanswered.push(unanswered(candidate, why));
            continue;
        };
        if policy.judge_typed(&request).is_err() {
            refused.push(Refused { candidate, request });
        }
    }
    let mut groups: BTreeMap<String, Vec<Suggestion>> = BTreeMap::new();
    for one in &refused {
        let pattern = match &one.candidate.change {
            Change::Egress { path, .. } if path.contains('*') => PathPattern::try_from(path.clone()).ok(),
            _ => None,
        };
        match policy.least(&one.request, pattern.as_ref()) {
            Ok(addition) => add(groups.entry(group_of(&addition)).or_default(), one, addition),
            Err(why) => found.unanswered.push(unanswered(one.candidate, why)),
        }
    }
    for group in groups.into_values() {
        found.routes.extend(merged(group));
    }
    prove(policy, &refused, &mut found);
    found.routes.sort_by_key(|one| std::cmp::Reverse(one.refused));
    found
}

fn request(candidate: &Candidate) -> Option<Request<'_>> {
    let Change::Egress { host, port, method, path } = &candidate.change else { return None };
    let path = candidate.example.path.as_deref().unwrap_or(path);
    Some(Request::recorded(host, *port, method, path))
}

fn unanswered(candidate: &Candidate, why: String) -> Unanswered {
    Unanswered { change: candidate.change.clone(), refused: candidate.count, why }
}

/// Routes of one text differ in methods and paths alone.
fn group_of(addition: &Addition) -> String {
    let bare = Route { methods: Vec::new(), paths: Vec::new(), ..addition.route.clone() };
    serde_json::to_string(&Addition { route: bare, position: addition.position.clone() }).unwrap_or_default()
}

/// Adds a request to its group: to the registry whose shape it has, else to the route of its path.
fn add(group: &mut Vec<Suggestion>, one: &Refused, mut addition: Addition) {
    let Candidate { count, last, .. } = one.candidate;
    let Request { host, method, path, .. } = one.request;
    let example = format!("{method} {path}");
    let is_plain_get = ["GET", "HEAD"].contains(&method) && addition.route.git.is_none();
    let known = registry(host, path).filter(|_| is_plain_get && addition.position == Position::Last);
    if let Some((_, patterns)) = &known {
        addition.route.methods = vec!["GET".to_owned(), "HEAD".to_owned()];
        addition.route.paths = patterns.iter().filter_map(|text| PathPattern::try_from(text.clone()).ok()).collect();
    }
    let registry = known.map(|(name, _)| name);
    // A route that reads and writes lets WebSockets pass, which one of each does not.
    let (paths, writes) = (&addition.route.paths, addition.route.can_write());
    let place = group.iter_mut().find(|suggestion| {
        let route = &suggestion.addition.route;
        suggestion.registry == registry
            && (registry.is_some() || (route.paths == *paths && route.can_write() == writes))
    });
    match place {
        Some(suggestion) => {
            let route = &mut suggestion.addition.route;
            add_new(&mut route.methods, addition.route.methods);
            add_new(&mut route.paths, addition.route.paths);
            let one = Suggestion { examples: vec![example], refused: *count, last: last.clone(), ..suggestion.clone() };
            absorb(suggestion, one);
        }
        None => group.push(Suggestion {
            addition,
            registry,
            refused: *count,
            last: last.clone(),
            examples: vec![example],
            risks: Vec::new(),
        }),
    }
}

fn add_new<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}

/// Counts the refusals of another suggestion to this one.
fn absorb(into: &mut Suggestion, other: Suggestion) {
    into.refused = into.refused.saturating_add(other.refused);
    into.last = std::mem::take(&mut into.last).max(other.last);
    add_new(&mut into.examples, other.examples);
    into.examples.truncate(MAX_EXAMPLES);
}

/// One route for each registry, which has all that its paths let pass, and one for each set of methods; folders in the place
/// of many names in them.
fn merged(group: Vec<Suggestion>) -> Vec<Suggestion> {
    let (mut all, others): (Vec<Suggestion>, Vec<Suggestion>) =
        group.into_iter().partition(|one| one.registry.is_some());
    for mut one in others {
        let place = |method: &String| READING_METHODS.iter().position(|reading| reading == method);
        one.addition
            .route
            .methods
            .sort_by_key(|method| (place(method).unwrap_or(READING_METHODS.len()), method.clone()));
        let route = &one.addition.route;
        let like = all.iter_mut().find(|other| match other.registry {
            Some(_) => includes(&other.addition.route, route),
            None => other.addition.route.methods == route.methods,
        });
        match like {
            None => all.push(one),
            Some(other) => {
                if other.registry.is_none() {
                    add_new(&mut other.addition.route.paths, std::mem::take(&mut one.addition.route.paths));
                }
                absorb(other, one);
            }
        }
    }
    for one in &mut all {
        fold_folders(&mut one.addition);
        one.risks = risks(&one.addition.route);
    }
    all
}

/// Whether the wide route lets pass all that the other does.
fn includes(wide: &Route, other: &Route) -> bool {
    other.methods.iter().all(|method| wide.methods.contains(method))
        && other.paths.iter().all(|path| wide.paths.iter().any(|wide| wide.includes(path)))
}

/// Puts a folder in the place of many names in it, on a route that only reads and passes none that denies.
fn fold_folders(addition: &mut Addition) {
    let route = &mut addition.route;
    if addition.position != Position::Last
        || route.git.is_some()
        || !route.methods.iter().all(|method| READING_METHODS.contains(&method.as_str()))
    {
        return;
    }
    let mut folders: BTreeMap<String, usize> = BTreeMap::new();
    let folder_of = |path: &PathPattern| path.as_str().rsplit_once('/').map(|(folder, _)| format!("{folder}/*"));
    for folder in route.paths.iter().filter_map(folder_of) {
        *folders.entry(folder).or_default() += 1;
    }
    for (folder, _) in folders.into_iter().filter(|(_, names)| *names >= MIN_NAMES_OF_FOLDER) {
        let Ok(pattern) = PathPattern::try_from(folder) else { continue };
        route.paths.retain(|path| !pattern.includes(path));
        route.paths.push(pattern);
    }
}

/// Judges each request by the policy with all suggested routes; what is refused still is told with the reason.
fn prove(policy: &Policy, refused: &[Refused], found: &mut Suggestions) {
    let mut amended = policy.clone();
    for suggestion in &found.routes {
        if let Ok(more) = amended.with(&suggestion.addition) {
            amended = more;
        }
    }
    for one in refused {
        let is_told = found.unanswered.iter().any(|told| told.change == one.candidate.change);
        if let Err(denial) = amended.judge_typed(&one.request)
            && !is_told
        {
            found.unanswered.push(unanswered(one.candidate, denial.text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trail::Trail;
    use policy::{Effect, UrlScheme, diff};
    use std::collections::BTreeSet;

    /// `GET a.org/x`, each refused once.
    fn refusals(asked: &[&str]) -> Vec<Candidate> {
        let mut trail = Trail::default();
        for asked in asked {
            let (method, rest) = asked.split_once(' ').unwrap();
            let (host, path) = rest.split_at(rest.find('/').unwrap());
            let line = serde_json::json!({
                "seq": 1, "time": "2026-01-01T00:00:00.000Z", "event": "request", "host": host, "port": 443, "method": method,
                "path": path, "verdict": "deny", "denial": "host", "reason": "why", "sent": 0, "received": 0, "ms": 0,
            });
            trail.add(line.to_string().as_bytes());
        }
        trail.candidates()
    }

    fn policy(routes: &str) -> Policy {
        let mut routes: Vec<serde_json::Value> = serde_json::from_str(routes).unwrap();
        for (number, route) in routes.iter_mut().enumerate() {
            for (key, default) in [
                ("port", serde_json::json!(443)),
                ("methods", serde_json::json!(["GET", "HEAD", "OPTIONS"])),
                ("paths", serde_json::json!(["/**"])),
                ("origin", serde_json::json!(format!("m:{number}"))),
            ] {
                route.as_object_mut().unwrap().entry(key).or_insert(default);
            }
        }
        Policy { routes: serde_json::from_value(routes.into()).unwrap() }
    }

    /// Methods, host and paths of each route, and how many refusals it answers.
    fn lines(policy: &Policy, asked: &[&str]) -> Vec<String> {
        let found = suggest(policy, &refusals(asked));
        let line = |one: &Suggestion| {
            let Addition { route, position } = &one.addition;
            let mut paths: Vec<&str> = route.paths.iter().map(PathPattern::as_str).collect();
            paths.sort_unstable();
            let before = match position {
                Position::Before(origin) => format!(" before {origin}"),
                Position::Last => String::new(),
            };
            let registry = one.registry.map(|name| format!(" [{name}]")).unwrap_or_default();
            format!(
                "{}x {} {} {}{registry}{before}",
                one.refused,
                route.methods.join(","),
                route.host.as_str(),
                paths.join(" ")
            )
        };
        let mut lines: Vec<String> = found.routes.iter().map(line).collect();
        lines.extend(found.unanswered.iter().map(|one| format!("none: {}", one.why)));
        lines.sort();
        lines
    }

    #[test]
    fn routes_are_narrow_and_in_groups() {
        for (asked, wanted) in [
            (&["GET a.org/x"][..], &["1x GET a.org /x"][..]),
            (&["GET a.org/x/1", "GET a.org/x/2", "GET a.org/y"], &["3x GET a.org /x/* /y"]),
            (&["GET a.org/x", "POST a.org/x", "POST a.org/y"], &["1x GET a.org /x", "2x POST a.org /x /y"]),
            (&["POST a.org/x", "HEAD a.org/x", "PUT a.org/x"], &["1x HEAD a.org /x", "2x POST,PUT a.org /x"]),
            (
                &["GET ok.org/secret/1", "GET ok.org/secret/2"],
                &["none: a route that denies refuses these paths, and is passed for one at a time: m:0"],
            ),
            (&["GET a.org/d/a", "GET a.org/d/b", "GET a.org/d/c", "GET a.org/d/e"], &["4x GET a.org /d/*"]),
            (
                &["POST a.org/d/a", "POST a.org/d/b", "POST a.org/d/c", "POST a.org/d/e"],
                &["4x POST a.org /d/a /d/b /d/c /d/e"],
            ),
            (&["GET a.org/x", "GET b.org/x"], &["1x GET a.org /x", "1x GET b.org /x"]),
            (&["GET ok.org/x"], &[]),
            (&["GET ok.org/secret/1"], &["1x GET ok.org /secret/1 before m:0"]),
            (&["POST git.org/app/git-receive-pack"], &["none: git push over https is never allowed"]),
        ] {
            let policy = policy(r#"[{"host":"ok.org","paths":["/secret/**"],"deny":true},{"host":"ok.org"}]"#);
            assert_eq!(lines(&policy, asked), wanted, "{asked:?}");
        }
    }

    #[test]
    fn registries_are_one_route() {
        let asked = [
            "GET npm.org/left-pad",
            "GET npm.org/@types/node",
            "GET npm.org/left-pad/-/left-pad-1.3.0.tgz",
            "POST npm.org/-/npm/v1/security/audits",
            "GET pypi.org/simple/requests/",
            "GET files.pypi.org/packages/ab/cd/0123/requests-2.0-py3-none-any.whl",
        ];
        assert_eq!(
            lines(&Policy::default(), &asked),
            [
                "1x GET,HEAD files.pypi.org /packages/** [PyPI]",
                "1x GET,HEAD pypi.org /simple/** [PyPI]",
                "1x POST npm.org /-/npm/v1/security/audits",
                "3x GET,HEAD npm.org /* /*/* /*/*/-/* /*/-/* [npm]",
            ]
        );
    }

    /// Together the routes let pass what was refused, and neither another method of a path nor a WebSocket.
    #[test]
    fn what_passes_is_what_was_refused() {
        let asked: Vec<String> = ["a.org/x", "a.org/y", "ok.org/new", "ok.org/x/y"]
            .iter()
            .flat_map(|url| ["GET", "HEAD", "POST", "PUT", "MOVE"].map(|method| format!("{method} {url}")))
            .chain(["OPTIONS a.org/z".to_owned(), "POST a.org/z".to_owned(), "PATCH ok.org/z".to_owned()])
            .collect();
        let policy =
            policy(r#"[{"host":"ok.org","paths":["/open"]},{"host":"ok.org","paths":["/in"],"methods":["PUT"]}]"#);
        let candidates = refusals(&asked.iter().map(String::as_str).collect::<Vec<_>>());
        let found = suggest(&policy, &candidates);
        let amended = found.routes.iter().fold(policy.clone(), |policy, one| policy.with(&one.addition).unwrap());
        let differences = diff(&policy, &amended);
        assert!(!differences.is_partial);
        let mut opened: Vec<String> = Vec::new();
        for line in &differences.lines {
            assert!(line.before == Effect::Refused && !line.methods.is_empty(), "{line}");
            opened.extend(line.methods.iter().map(|method| format!("{method} {}{}", line.host.as_str(), line.path)));
        }
        opened.sort();
        assert_eq!(opened, asked.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
        for get in candidates.iter().filter_map(request).filter(|request| request.method == "GET") {
            assert!(amended.judge_typed_as(&get, UrlScheme::SecureWebSocket).is_err(), "{get:?}");
        }
    }

    /// Every refusal is answered by a route, or told with the reason why not.
    #[test]
    fn each_refusal_passes_or_is_told() {
        let policy =
            policy(r#"[{"host":"ok.org","private":true,"paths":["/x"]},{"host":"*.ok.org","methods":["POST"]}]"#);
        let asked = [
            "GET ok.org/y",
            "GET www.ok.org/y",
            "DELETE ok.org/y",
            "GET localhost/x",
            "TRACE a.org/x",
            "GET a.org/a/info/refs",
        ];
        let candidates = refusals(&asked);
        let found = suggest(&policy, &candidates);
        let amended = found.routes.iter().fold(policy, |policy, one| policy.with(&one.addition).unwrap());
        let passes = candidates.iter().filter(|one| amended.judge_typed(&request(one).unwrap()).is_ok()).count();
        assert_eq!((passes, found.unanswered.len()), (4, 2), "{found:?}");
    }
}
