//! What two policies say differently, by requests that are made of their own patterns and judged by both.
//!
//! Each path that some route names is asked for, and what two of them have in common, by every method that is named and by
//! one that is not. A request that a third pattern cuts out of two others is not among them.

use super::{Dlp, HeaderFields, HostPattern, NO_OTHER_PARAMETER, PathPattern, Policy, Reads, Request, Route};
use std::collections::BTreeSet;
use std::fmt;

/// Requests that are judged; what is beyond is left out, and said to be.
const MAX_SAMPLES: usize = 20_000;
/// Names of a path that a `**` stands for, at most.
const MAX_REST: usize = 6;
/// How a name begins that stands where a pattern takes any.
const ANY_NAME: &str = "sample";
/// A method that stands for all that no route names.
const OTHER_METHOD: &str = "OTHER";

/// Everything that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    pub lines: Vec<Difference>,
    /// There were too many requests to ask all of them.
    pub is_partial: bool,
}

/// Requests that the two policies treat differently, in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub host: HostPattern,
    pub port: u16,
    /// Empty: every method that no route names, or every method where the gate does not read requests.
    pub methods: Vec<String>,
    /// A pattern; empty where the gate does not read requests.
    pub path: String,
    pub before: Effect,
    pub after: Effect,
}

/// What a policy does about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Refused,
    /// It passes as on this route, of which host, methods, paths and rules do not count.
    Passes(Box<Route>),
}

/// One request to ask both policies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Sample {
    /// The pattern that it stands for.
    label: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
}

/// How the policies differ: empty where they treat all samples alike.
pub fn diff(before: &Policy, after: &Policy) -> Differences {
    let mut found = Differences::default();
    let mut asked = 0;
    let routes = || before.routes.iter().chain(&after.routes);
    let places: BTreeSet<(HostPattern, u16)> = routes().map(|route| (route.host.clone(), route.port)).collect();
    let label = unused(routes().flat_map(|route| route.host.as_str().split('.')));
    for (pattern, port) in places {
        let host = match pattern.as_str().strip_prefix('*') {
            Some(tail) => format!("{label}{tail}"),
            None => pattern.as_str().to_owned(),
        };
        let here = |policy: &Policy| -> Vec<Route> {
            let here = policy.routes.iter().filter(|route| route.port == port && route.host.matches(&host));
            here.map(|route| Route { origin: String::new(), ..route.clone() }).collect()
        };
        let (old, new) = (here(before), here(after));
        if old == new {
            continue;
        }
        let both: Vec<&Route> = old.iter().chain(&new).collect();
        let methods = methods(&both);
        for sample in samples(&both, &changed(&old, &new)) {
            for method in &methods {
                asked += 1;
                if asked > MAX_SAMPLES {
                    found.is_partial = true;
                    return found;
                }
                let headers: Vec<(&str, &[u8])> =
                    sample.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
                let headers: HeaderFields = &headers;
                let query = sample.query.as_deref();
                let request =
                    Request { host: &host, port, method, path: &sample.path, query, has_body: false, headers };
                let (was, is) = (Effect::of(before, &request), Effect::of(after, &request));
                if was != is {
                    let is_read = was.reads() == Reads::Http && is.reads() == Reads::Http;
                    let is_named = is_read && method != OTHER_METHOD;
                    found.add(Difference {
                        host: pattern.clone(),
                        port,
                        methods: if is_named { vec![method.clone()] } else { Vec::new() },
                        path: if is_read { sample.label.clone() } else { String::new() },
                        before: was,
                        after: is,
                    });
                }
            }
        }
    }
    found
}

/// A name that none of the words is.
fn unused<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: BTreeSet<&str> = words.collect();
    let mut names = (0..=words.len()).map(|number| match number {
        0 => ANY_NAME.to_owned(),
        number => format!("{ANY_NAME}{number}"),
    });
    names.find(|name| !words.contains(name.as_str())).unwrap_or_else(|| ANY_NAME.to_owned())
}

impl Differences {
    /// Adds it to a line of the same kind, where there is one.
    fn add(&mut self, new: Difference) {
        let same = |line: &&mut Difference| {
            (&line.host, line.port, &line.path) == (&new.host, new.port, &new.path)
                && line.methods.is_empty() == new.methods.is_empty()
                && line.before == new.before
                && line.after == new.after
        };
        match self.lines.iter_mut().find(same) {
            Some(line) => {
                for method in new.methods {
                    if !line.methods.contains(&method) {
                        line.methods.push(method);
                    }
                }
            }
            None => self.lines.push(new),
        }
    }
}

impl Effect {
    fn reads(&self) -> Reads {
        match self {
            Effect::Refused => Reads::Http,
            Effect::Passes(route) => route.reads(),
        }
    }

    fn of(policy: &Policy, request: &Request) -> Effect {
        match policy.judge_typed(request) {
            Err(_) => Effect::Refused,
            Ok(pass) => {
                let route = &policy.routes[pass.route];
                // Of the methods counts whether a WebSocket passes, which shows no method.
                let methods = if route.allows_websockets() { vec!["POST".to_owned()] } else { Vec::new() };
                let host = HostPattern::try_from("route.example".to_owned()).unwrap_or_else(|_| route.host.clone());
                Effect::Passes(Box::new(Route {
                    host,
                    methods,
                    paths: Vec::new(),
                    origin: String::new(),
                    query: Default::default(),
                    headers: Default::default(),
                    ..route.clone()
                }))
            }
        }
    }
}

/// All that the routes name, what git uses, and one more.
fn methods(routes: &[&Route]) -> Vec<String> {
    let mut methods: Vec<String> = Vec::new();
    let git = routes.iter().any(|route| route.git.is_some()).then_some(["GET", "POST"]);
    let named = routes.iter().flat_map(|route| {
        let listed = route.requests().into_iter().map(|(methods, _)| methods);
        listed.flat_map(|methods| methods.split(' ').map(str::to_owned).collect::<Vec<_>>())
    });
    for method in named.chain(git.into_iter().flatten().map(str::to_owned)) {
        if !method.is_empty() && !methods.contains(&method) {
            methods.push(method);
        }
    }
    methods.push(OTHER_METHOD.to_owned());
    methods
}

/// The routes that only one side has. All, where they stand in another order: then any two can matter.
fn changed<'a>(old: &'a [Route], new: &'a [Route]) -> Vec<&'a Route> {
    let (gone, stayed): (Vec<&Route>, Vec<&Route>) = old.iter().partition(|route| !new.contains(route));
    let (came, stayed_here): (Vec<&Route>, Vec<&Route>) = new.iter().partition(|route| !old.contains(route));
    match stayed == stayed_here {
        true => gone.into_iter().chain(came).collect(),
        false => old.iter().chain(new).collect(),
    }
}

/// Every reading of every path that the routes name.
fn patterns(routes: &[&Route]) -> BTreeSet<String> {
    let paths = routes.iter().flat_map(|route| route.requests()).flat_map(|(_, paths)| paths);
    let parsed = paths.filter_map(|path| PathPattern::try_from(path).ok());
    parsed.flat_map(|pattern| pattern.readings().to_vec()).collect()
}

/// The requests for these routes of one host and port, without their methods: what the changed ones name, and what each of
/// them has in common with another. A request that no changed route matches is treated as before.
fn samples(routes: &[&Route], changed: &[&Route]) -> BTreeSet<Sample> {
    let (all, mut patterns) = (patterns(routes), patterns(changed));
    let common: Vec<String> =
        patterns.iter().flat_map(|one| all.iter().filter_map(|other| common(one, other))).collect();
    patterns.extend(common);
    // Where no request is read, any will do.
    patterns.insert("/**".to_owned());
    let name = unused(all.iter().flat_map(|pattern| pattern.split('/')));
    let longest = all.iter().map(|pattern| pattern.split('/').count()).max().unwrap_or_default();
    let rules = routes.iter().map(|route| rules_of(route));
    let rules: BTreeSet<_> = rules.chain([(None, Vec::new())]).collect();
    let has_git = routes.iter().any(|route| route.git.is_some());
    let mut samples = BTreeSet::new();
    for pattern in &patterns {
        for path in paths(pattern, longest, &name) {
            for (query, headers) in &rules {
                samples.insert(Sample {
                    label: pattern.clone(),
                    path: path.clone(),
                    query: query.clone(),
                    headers: headers.clone(),
                });
            }
            if has_git {
                let git = |end: &str, query: Option<&str>| {
                    let end = if path.ends_with(end) { "" } else { end };
                    let at = |path: &str| format!("{}{end}", path.trim_end_matches('/'));
                    let query = query.map(str::to_owned);
                    Sample { label: at(pattern), path: at(&path), query, headers: Vec::new() }
                };
                samples.insert(git("/info/refs", Some("service=git-upload-pack")));
                samples.insert(git("/git-upload-pack", None));
            }
        }
    }
    samples
}

/// What both patterns match; `None`: nothing.
fn common(one: &str, other: &str) -> Option<String> {
    let (mut mine, mut theirs) = (one.split('/').skip(1), other.split('/').skip(1));
    let mut path = String::new();
    loop {
        let segment = match (mine.next(), theirs.next()) {
            (None, None) | (Some("**"), None) | (None, Some("**")) => return Some(path),
            (Some("**"), Some(segment)) => {
                let rest = std::iter::once(segment).chain(theirs);
                return Some(rest.fold(path, |path, segment| path + "/" + segment));
            }
            (Some(segment), Some("**")) => {
                let rest = std::iter::once(segment).chain(mine);
                return Some(rest.fold(path, |path, segment| path + "/" + segment));
            }
            (Some("*"), Some(segment)) | (Some(segment), Some("*")) if !segment.is_empty() => segment,
            (Some(a), Some(b)) if a == b => a,
            _ => return None,
        };
        path = path + "/" + segment;
    }
}

/// Paths that the pattern matches: with `name` for `*`, and with none up to some of it for `**`. `longest`: parts of the
/// longest pattern there is.
fn paths(pattern: &str, longest: usize, name: &str) -> Vec<String> {
    let named = |text: &str| {
        let names = text.split('/').map(|segment| if segment == "*" { name } else { segment });
        names.collect::<Vec<_>>().join("/")
    };
    let Some(folder) = pattern.strip_suffix("/**") else { return vec![named(pattern)] };
    let more = (longest + 1).saturating_sub(folder.split('/').count()).clamp(2, MAX_REST);
    let mut path = named(folder);
    let mut paths = vec![if path.is_empty() { "/".to_owned() } else { path.clone() }];
    for _ in 0..more {
        path = path + "/" + name;
        paths.push(path.clone());
    }
    paths
}

/// A query and headers that the rules of a route take.
fn rules_of(route: &Route) -> (Option<String>, Vec<(String, String)>) {
    let value = |pattern: &str| pattern.replace('*', ANY_NAME);
    let named = route.query.iter().filter(|(name, _)| name.as_str() != NO_OTHER_PARAMETER);
    let query: Vec<String> =
        named.map(|(name, pattern)| format!("{}={}", encoded(name), encoded(&value(pattern.as_str())))).collect();
    let headers = route.headers.iter().map(|(name, pattern)| (name.clone(), value(pattern.as_str()))).collect();
    ((!query.is_empty()).then(|| query.join("&")), headers)
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

impl fmt::Display for Difference {
    /// `+ GET https://a.org/x`, as what is new; `-` for what is gone, `~` for what passes otherwise than before.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match (&self.before, &self.after) {
            (Effect::Refused, _) => '+',
            (_, Effect::Refused) => '-',
            _ => '~',
        };
        let route = match (&self.before, &self.after) {
            (_, Effect::Passes(route)) | (Effect::Passes(route), _) => route,
            _ => return Ok(()),
        };
        let shown = Route { host: self.host.clone(), port: self.port, ..(**route).clone() };
        write!(f, "{sign} ")?;
        if route.reads() == Reads::Http {
            let methods =
                if self.methods.is_empty() { "every other method".to_owned() } else { self.methods.join(" ") };
            write!(f, "{methods} {}{}", shown.base_url(), self.path)?;
        } else {
            write!(f, "anything to {}", shown.base_url())?;
        }
        if let (Effect::Passes(before), Effect::Passes(after)) = (&self.before, &self.after) {
            write!(f, ": {}", changed_keys(before, after))?;
        } else {
            for word in extras(route) {
                write!(f, ", {word}")?;
            }
        }
        Ok(())
    }
}

/// What passing on this route means beside that a request passes.
fn extras(route: &Route) -> Vec<&'static str> {
    let all = [
        (route.auth.is_some(), "with a credential of the gate's"),
        (route.agent_auth, "with credentials of the agent's own"),
        (route.private, "also at a private address"),
        (route.dlp != Dlp::Block, "although something is found in it"),
    ];
    all.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect()
}

/// In which keys two routes differ, in words.
fn changed_keys(before: &Route, after: &Route) -> String {
    let all = [
        (before.auth != after.auth, "auth"),
        (before.dlp != after.dlp, "dlp"),
        (before.agent_auth != after.agent_auth, "agent_auth"),
        (before.reads() != after.reads(), "intercept or protocol"),
        (before.private != after.private, "private"),
        (before.proxy != after.proxy, "proxy"),
        (before.connect_to != after.connect_to, "connect_to"),
        (before.upstream_ca != after.upstream_ca, "upstream_ca"),
        (before.git != after.git, "git"),
        (before.role != after.role, "role"),
        (before.server_tools != after.server_tools, "server_tools"),
        (before.inspect_responses != after.inspect_responses, "inspect_responses"),
        (before.bodies != after.bodies, "bodies"),
        (before.ranges != after.ranges, "ranges"),
        (before.methods != after.methods, "WebSockets"),
    ];
    let keys: Vec<&str> = all.into_iter().filter(|(is, _)| *is).map(|(_, key)| key).collect();
    format!("another {}", keys.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::decide::tests::policy;
    use super::*;

    fn lines(before: &str, after: &str) -> Vec<String> {
        let found = diff(&policy(before), &policy(after));
        assert!(!found.is_partial);
        found.lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_comes_and_goes_is_said_in_urls() {
        let one = r#"{"host":"a.org","paths":["/x/*"]}"#;
        let two = r#"{"host":"*.b.org","port":8443,"methods":["POST"],"agent_auth":true}"#;
        assert_eq!(lines(&format!("[{one}]"), &format!("[{one}]")), [""; 0]);
        assert_eq!(lines("[]", &format!("[{one}]")), ["+ GET HEAD OPTIONS https://a.org/x/*"]);
        assert_eq!(lines(&format!("[{one}]"), "[]"), ["- GET HEAD OPTIONS https://a.org/x/*"]);
        assert_eq!(
            lines(&format!("[{one}]"), &format!("[{one},{two}]")),
            ["+ POST https://*.b.org:8443/**, with credentials of the agent's own"]
        );
        assert_eq!(
            lines("[]", r#"[{"host":"db.org","port":5432,"protocol":"tcp"}]"#),
            ["+ anything to tcp://db.org:5432"]
        );
    }

    #[test]
    fn another_treatment_is_a_difference() {
        let token = r#""auth":{"scheme":"bearer","token":"token:env:T"}"#;
        assert_eq!(
            lines(r#"[{"host":"a.org"}]"#, &format!(r#"[{{"host":"a.org",{token},"dlp":"off"}}]"#)),
            ["~ GET HEAD OPTIONS https://a.org/**: another auth, dlp"]
        );
    }

    #[test]
    fn the_order_and_what_two_patterns_share_count() {
        let (deny, allow) =
            (r#"{"host":"a.org","paths":["/a/*"],"deny":true}"#, r#"{"host":"a.org","paths":["/*/b"]}"#);
        assert_eq!(
            lines(&format!("[{deny},{allow}]"), &format!("[{allow},{deny}]")),
            ["+ GET HEAD OPTIONS https://a.org/a/b"]
        );
        let deny = r#"{"host":"a.org","paths":["/*/*"],"deny":true}"#;
        let all = r#"{"host":"a.org"}"#;
        assert_eq!(
            lines(&format!("[{deny}]"), &format!("[{deny},{all}]"))[0],
            "+ GET HEAD OPTIONS https://a.org/**",
            "paths that the deny does not match"
        );
    }

    /// A name that stands for any must be none that a route names.
    #[test]
    fn samples_are_no_names_of_a_route() {
        let named = r#"{"host":"sample.a.org","paths":["/sample/**","/sample1"]}"#;
        let added = r#"{"host":"*.a.org","paths":["/*/**"]}"#;
        let found = lines(&format!("[{named}]"), &format!("[{named},{added}]"));
        assert!(found.contains(&"+ GET HEAD OPTIONS https://sample.a.org/*/**".to_owned()), "{found:?}");
        assert!(found.contains(&"+ GET HEAD OPTIONS https://*.a.org/*/**".to_owned()), "{found:?}");
    }

    #[test]
    fn rules_about_queries_and_headers_are_met() {
        let narrow = r#"{"host":"a.org","paths":["/x"],"query":{"q":"repo:team/*"},"headers":{"x-kind":"a*"}}"#;
        assert_eq!(lines("[]", &format!("[{narrow}]")), ["+ GET HEAD OPTIONS https://a.org/x"]);
        assert_eq!(
            lines(&format!("[{narrow}]"), &format!(r#"[{narrow},{{"host":"a.org","paths":["/x"]}}]"#)),
            ["+ GET HEAD OPTIONS https://a.org/x"]
        );
    }

    #[test]
    fn a_fetch_of_git_is_asked_for() {
        let found = lines("[]", r#"[{"host":"a.org","paths":["/team/app.git"],"methods":["GET"],"git":"fetch"}]"#);
        assert!(found.contains(&"+ GET https://a.org/team/app.git/info/refs".to_owned()), "{found:?}");
        assert!(found.contains(&"+ POST https://a.org/team/app.git/git-upload-pack".to_owned()), "{found:?}");
    }

    #[test]
    fn a_huge_policy_ends_and_says_that_it_is_partial() {
        let routes: Vec<String> =
            (0..40).map(|n| format!(r#"{{"host":"a.org","paths":["/{n}/*/**","/*/{n}/**"]}}"#)).collect();
        let before = policy(&format!("[{}]", routes.join(",")));
        let after = Policy { routes: before.routes.iter().rev().cloned().collect() };
        assert!(diff(&before, &after).is_partial);
    }
}
