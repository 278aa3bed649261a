//! The decision. In this order: host, port, git, method, path, query, headers; the first route that fits all of them
//! decides.
//!
//! What a denial says is for the agent: it names hosts, methods and paths, never files or tokens. The route it points
//! to is for the operator.

use super::fields::{self, Fields};
use super::git::Service;
use super::label::looks_like_data;
use super::normalise::{Readings, normalise};
use super::query::{self, NO_OTHER};
use super::{GitAccess, PathPattern, Policy, Role, Route};
use std::fmt;
use std::sync::LazyLock;

/// A request as it stands in the request line.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Lower case, no trailing dot.
    pub host: &'a str,
    pub port: u16,
    /// Upper case.
    pub method: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
    /// Those that go on: what the connection's own headers take off is not among them.
    pub headers: Fields<'a>,
}

/// Allowed, and by which route (its index in the policy).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    pub route: usize,
    /// The path, normalised.
    pub path: String,
}

/// Refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    pub reason: Reason,
    /// One line, lower case, without a full stop: safe to show to the agent.
    pub text: String,
    /// The deciding route or the nearest one.
    pub route: Option<usize>,
}

/// The machine-readable word of a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The host is on no route.
    Host,
    Port,
    /// The names of connection, TLS and request differ.
    Name,
    /// The name leads to a private address.
    Address,
    Git,
    Method,
    Path,
    Query,
    Header,
    /// A route with `deny` matched.
    Rule,
    /// It carries what must not leave.
    Dlp,
    /// It would make the model's own servers act.
    Model,
    /// Its answer hides instructions to the agent.
    Answer,
    /// The credential that the gate would add has ended.
    Token,
    /// The request is not one the gate can judge.
    Malformed,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Host => "host",
            Reason::Port => "port",
            Reason::Name => "name",
            Reason::Address => "address",
            Reason::Git => "git",
            Reason::Method => "method",
            Reason::Path => "path",
            Reason::Query => "query",
            Reason::Header => "header",
            Reason::Rule => "rule",
            Reason::Dlp => "dlp",
            Reason::Model => "model",
            Reason::Answer => "answer",
            Reason::Token => "token",
            Reason::Malformed => "malformed",
        })
    }
}

impl Denial {
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Denial { reason, text: text.into(), route: None }
    }

    pub fn near(mut self, route: usize) -> Self {
        self.route = Some(route);
        self
    }
}

/// The methods and paths of `role: "claude"`: what Claude Code asks of the model's host, and nothing that uploads a
/// file, makes a key, or writes outside the conversation.
const CLAUDE: &[(&[&str], &str)] = &[
    (&["POST"], "/v1/messages"),
    (&["POST"], "/v1/messages/count_tokens"),
    (&["GET"], "/v1/models"),
    (&["GET"], "/v1/models/*"),
    (&["GET", "HEAD"], "/api/hello"),
    (&["GET"], "/api/claude_code/**"),
    (&["GET"], "/api/claude_cli/**"),
    (&["GET"], "/api/oauth/**"),
    // What WebFetch asks before it fetches from a host.
    (&["GET"], "/api/web/domain_info"),
];

/// Methods and paths of a role, for pages that explain the policy.
pub fn rule_of(role: Role) -> &'static [(&'static [&'static str], &'static str)] {
    match role {
        Role::Claude => CLAUDE,
    }
}

/// One for each line of the rule, parsed once.
fn patterns_of(role: Role) -> &'static [PathPattern] {
    static PARSED: LazyLock<Vec<PathPattern>> = LazyLock::new(|| {
        CLAUDE.iter().filter_map(|(_, path)| PathPattern::try_from((*path).to_owned()).ok()).collect()
    });
    match role {
        Role::Claude => &PARSED,
    }
}

impl Ask<'_> {
    /// Is it one of the two requests of a git fetch?
    pub fn fetches_git(&self) -> bool {
        let readings = normalise(self.path);
        readings.is_ok_and(|readings| matches!(Service::of(&readings, self.method, self.query), Ok(Some(_))))
    }
}

impl Policy {
    /// The first two questions, which need no request: is there a route for this host and port? Its index; all routes
    /// of one host and port agree on how they are dialled.
    pub fn at(&self, host: &str, port: u16) -> Result<usize, Denial> {
        let mut other_port = None;
        let mut denied = None;
        for (index, route) in self.routes.iter().enumerate() {
            if !route.host.matches(host) {
                continue;
            }
            match (route.port == port, route.deny) {
                (true, false) => return self.named(index, host),
                (true, true) => denied = denied.or(Some(index)),
                (false, false) => other_port = other_port.or(Some(index)),
                (false, true) => {}
            }
        }
        if let Some(index) = denied {
            return Err(Denial::new(Reason::Rule, format!("host `{host}` is denied")).near(index));
        }
        Err(match other_port {
            Some(index) => {
                let text =
                    format!("port {port} of `{host}` is not on the allowlist, port {} is", self.routes[index].port);
                Denial::new(Reason::Port, text).near(index)
            }
            None => Denial::new(Reason::Host, format!("host `{host}` is not on the allowlist")),
        })
    }

    /// Of this route: but for what a wildcard lets in that is no name.
    fn named(&self, index: usize, host: &str) -> Result<usize, Denial> {
        let pattern = &self.routes[index].host;
        let labels = pattern.wild_part(host).and_then(looks_like_data);
        labels.map_or(Ok(index), |why| Err(Denial::new(Reason::Host, format!("host `{host}`: {why}")).near(index)))
    }

    /// The whole question.
    pub fn decide(&self, ask: &Ask) -> Result<Pass, Denial> {
        let first = self.at(ask.host, ask.port)?;
        if matches!(ask.method, "TRACE" | "TRACK" | "CONNECT") {
            let text = format!("method `{}` is never allowed", ask.method);
            return Err(Denial::new(Reason::Method, text).near(first));
        }
        let readings = match (ask.method, ask.path) {
            ("OPTIONS", "*") => Readings::server(),
            _ => normalise(ask.path).map_err(|why| Denial::new(Reason::Path, why).near(first))?,
        };
        if !ask.query.is_none_or(query::is_plain) {
            let text = "the query has a character that must be percent-encoded";
            return Err(Denial::new(Reason::Query, text).near(first));
        }
        let service = Service::of(&readings, ask.method, ask.query).map_err(|denial| denial.near(first))?;
        let mut chosen: Option<usize> = None;
        for reading in readings.all() {
            let route = self.first_match(ask, service, reading)?;
            let before = *chosen.get_or_insert(route);
            if before != route && !self.routes[before].treats_as(&self.routes[route]) {
                let text = format!("path `{}` is ambiguous: servers may read it as `{reading}`", readings.plain());
                return Err(Denial::new(Reason::Path, text).near(route));
            }
        }
        let route = chosen.unwrap_or(first);
        if self.routes[route].deny {
            let text = format!("`{} {}` of `{}` is denied", ask.method, readings.plain(), ask.host);
            return Err(Denial::new(Reason::Rule, text).near(route));
        }
        Ok(Pass { route, path: if ask.path == "*" { "*" } else { readings.plain() }.to_owned() })
    }

    fn first_match(&self, ask: &Ask, service: Option<Service>, path: &str) -> Result<usize, Denial> {
        let mut best = None;
        for (index, route) in self.routes.iter().enumerate() {
            if route.port != ask.port || !route.host.matches(ask.host) {
                continue;
            }
            let fit = route.judge(ask, service, path);
            if fit == Fit::All {
                return Ok(index);
            }
            if best.as_ref().is_none_or(|(_, before): &(usize, Fit)| fit.level() > before.level()) {
                best = Some((index, fit));
            }
        }
        let Ask { host, method, .. } = ask;
        let (reason, text) = match (service, best.as_ref().map_or(&Fit::None, |(_, fit)| fit)) {
            (_, Fit::Path(Misfit::Query(NO_OTHER))) => {
                (Reason::Query, format!("the query of `{path}` of `{host}` has more than the allowlist takes"))
            }
            (_, Fit::Path(Misfit::Query(name))) => {
                (Reason::Query, format!("query parameter `{name}` of `{path}` of `{host}` does not fit the allowlist"))
            }
            (_, Fit::Path(Misfit::Header(name))) => {
                (Reason::Header, format!("header `{name}` for `{path}` of `{host}` does not fit the allowlist"))
            }
            (Some(_), _) => (Reason::Git, format!("git access to `{path}` of `{host}` is not on the allowlist")),
            (None, Fit::Method) => (Reason::Path, format!("path `{path}` of `{host}` is not on the allowlist")),
            (None, _) => (Reason::Method, format!("method `{method}` is not allowed on `{host}`")),
        };
        Err(Denial { reason, text, route: best.map(|(index, _)| index) })
    }
}

/// How far a route fits, among those of the host and port.
#[derive(Debug, PartialEq, Eq)]
enum Fit<'r> {
    None,
    Method,
    Path(Misfit<'r>),
    All,
}

/// The rule that is in the way.
#[derive(Debug, PartialEq, Eq)]
enum Misfit<'r> {
    Query(&'r str),
    Header(&'r str),
}

impl Fit<'_> {
    fn level(&self) -> u8 {
        match self {
            Fit::None => 0,
            Fit::Method => 1,
            Fit::Path(_) => 2,
            Fit::All => 3,
        }
    }
}

impl Route {
    fn judge(&self, ask: &Ask, service: Option<Service>, path: &str) -> Fit<'_> {
        let query = ask.query.unwrap_or_default();
        if self.deny {
            return if self.may_match(ask.method, service, path)
                && query::may_fit(&self.query, query)
                && fields::may_fit(&self.headers, ask.headers)
            {
                Fit::All
            } else {
                Fit::None
            };
        }
        match self.line(ask.method, service, path) {
            Fit::All => {}
            less => return less,
        }
        let rest = query::misfit(&self.query, query).map(Misfit::Query);
        let rest = rest.or_else(|| fields::misfit(&self.headers, ask.headers).map(Misfit::Header));
        rest.map_or(Fit::All, Fit::Path)
    }

    /// Method and path.
    fn line(&self, method: &str, service: Option<Service>, path: &str) -> Fit<'_> {
        if let Some(service) = service {
            let fits = self.git == Some(GitAccess::Fetch)
                && method == service.method()
                && service.repository(path).is_some_and(|repository| {
                    self.paths.iter().any(|p| p.matches(path)) || self.covers(repository, PathPattern::matches)
                });
            return if fits { Fit::All } else { Fit::None };
        }
        if let Some(role) = self.role {
            let mut fit = Fit::None;
            for ((methods, _), pattern) in rule_of(role).iter().zip(patterns_of(role)) {
                if methods.contains(&method) {
                    fit = Fit::Method;
                    if pattern.matches(path) {
                        return Fit::All;
                    }
                }
            }
            return fit;
        }
        if !self.methods.iter().any(|one| one == method) {
            return Fit::None;
        }
        if self.paths.iter().any(|pattern| pattern.matches(path)) { Fit::All } else { Fit::Method }
    }

    /// A refusal must not depend on what many servers do not tell apart: cases, a slash at the end, `.git`.
    fn may_match(&self, method: &str, service: Option<Service>, path: &str) -> bool {
        let loosely = PathPattern::matches_loosely;
        let repository = service.and_then(|service| service.repository(path));
        self.methods.iter().any(|one| one == method)
            && (self.paths.iter().any(|pattern| loosely(pattern, path))
                || repository.is_some_and(|repository| self.covers(repository, loosely)))
    }

    /// A pattern may name the repository (with or without `.git`) or everything beneath a folder.
    fn covers(&self, repository: &str, matches: fn(&PathPattern, &str) -> bool) -> bool {
        let bare = repository.strip_suffix(".git").unwrap_or(repository);
        self.paths.iter().any(|pattern| matches(pattern, repository) || matches(pattern, bare))
    }

    /// Is it all one which of two routes lets a request pass?
    fn treats_as(&self, other: &Route) -> bool {
        let treatment = |route: &Route| Route {
            host: self.host.clone(),
            methods: Vec::new(),
            paths: Vec::new(),
            origin: String::new(),
            query: Default::default(),
            headers: Default::default(),
            ..route.clone()
        };
        treatment(self) == treatment(other) && self.takes_websockets() == other.takes_websockets()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn policy(routes: &str) -> Policy {
        let mut value: serde_json::Value = serde_json::from_str(routes).unwrap();
        for (index, route) in value.as_array_mut().unwrap().iter_mut().enumerate() {
            let route = route.as_object_mut().unwrap();
            for (key, default) in [
                ("port", serde_json::json!(443)),
                ("methods", serde_json::json!(["GET", "HEAD", "OPTIONS"])),
                ("paths", serde_json::json!(["/**"])),
                ("origin", serde_json::json!(format!("m:{index}"))),
            ] {
                route.entry(key).or_insert(default);
            }
        }
        Policy { routes: serde_json::from_value(value).unwrap() }
    }

    /// `GET host[:port]/path`, then ` | name: value` for each header → the route's index, or the reason.
    fn ask(policy: &Policy, text: &str) -> Result<usize, String> {
        let mut parts = text.split(" | ");
        let (method, url) = parts.next().unwrap().split_once(' ').unwrap();
        let headers: Vec<_> = parts.map(|part| part.split_once(": ").unwrap()).collect();
        let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name, value.as_bytes())).collect();
        let (authority, rest) = url.split_at(url.find(['/', '*']).unwrap());
        let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let ask = Ask { host, port: port.parse().unwrap(), method, path, query, headers: &headers };
        policy.decide(&ask).map(|pass| pass.route).map_err(|denial| denial.reason.to_string())
    }

    fn no(word: &str) -> Result<usize, String> {
        Err(word.to_owned())
    }

    #[test]
    fn the_first_route_that_fits_decides() {
        let policy = policy(
            r#"[{"host":"api.example.org","paths":["/team/**"]},
                {"host":"api.example.org","paths":["/team/*/pulls"],"methods":["POST"]},
                {"host":"*.docs.example"},
                {"host":"plain.example.org","port":80}]"#,
        );
        assert_eq!(ask(&policy, "GET api.example.org/team/x"), Ok(0));
        assert_eq!(ask(&policy, "POST api.example.org/team/x/pulls"), Ok(1));
        assert_eq!(ask(&policy, "POST api.example.org/team/x"), no("path"));
        assert_eq!(ask(&policy, "DELETE api.example.org/team/x"), no("method"));
        assert_eq!(ask(&policy, "TRACE api.example.org/team/x"), no("method"));
        assert_eq!(ask(&policy, "GET api.example.org/other"), no("path"));
        assert_eq!(ask(&policy, "GET a.b.docs.example/x"), Ok(2));
        assert_eq!(ask(&policy, "GET docs.example/x"), no("host"));
        assert_eq!(ask(&policy, "GET api.example.org:8443/team/x"), no("port"));
        assert_eq!(ask(&policy, "GET api.example.org:80/team/x"), no("port"));
        assert_eq!(ask(&policy, "GET plain.example.org:80/"), Ok(3));
        assert_eq!(ask(&policy, "GET plain.example.org/"), no("port"));
        assert_eq!(ask(&policy, "OPTIONS x.docs.example*"), Ok(2));
        assert_eq!(ask(&policy, "OPTIONS api.example.org*"), no("path"));
        assert_eq!(ask(&policy, "GET x.docs.example*"), no("path"));
    }

    #[test]
    fn a_query_chooses_among_routes_as_a_path_does() {
        let policy = policy(
            r#"[{"host":"forge.org","paths":["/api/projects"],"query":{"visibility":"public"},"deny":true},
                {"host":"forge.org","paths":["/api/projects"],"query":{"per_page":"*"}},
                {"host":"forge.org","paths":["/*/*/info/refs"],"query":{"service":"git-upload-pack"},"git":"fetch"},
                {"host":"forge.org","paths":["/api/search"],"query":{"q":"repo:team/* *","*":""}},
                {"host":"s3.org","paths":["/bucket/**"],"query":{"list-type":"2"}},
                {"host":"s3.org","paths":["/bucket/*"],"methods":["POST"],"query":{"uploads":""}}]"#,
        );
        assert_eq!(ask(&policy, "GET forge.org/api/projects?per_page=20"), Ok(1));
        assert_eq!(ask(&policy, "GET forge.org/api/projects?per_page=20&visibility=private"), Ok(1));
        assert_eq!(ask(&policy, "GET forge.org/api/projects?per_page=20&visibility=public"), no("rule"));
        assert_eq!(ask(&policy, "GET forge.org/api/projects/?per_page=20&Visibility=PUBLIC"), no("rule"));
        assert_eq!(ask(&policy, "GET forge.org/api/projects"), no("query"));
        assert_eq!(ask(&policy, "POST forge.org/api/projects?per_page=1"), no("method"));
        assert_eq!(ask(&policy, "GET forge.org/a/b/info/refs?service=git-upload-pack"), Ok(2));
        assert_eq!(ask(&policy, "GET forge.org/a/b/info/refs"), no("query"));
        assert_eq!(ask(&policy, "GET forge.org/a/b/info/refs?service=git-receive-pack"), no("git"));
        assert_eq!(ask(&policy, "GET forge.org/api/search?q=repo%3Ateam%2Fapp+is%3Aissue"), Ok(3));
        assert_eq!(ask(&policy, "GET forge.org/api/search?q=repo:team/app+x&q=y"), no("query"));
        assert_eq!(ask(&policy, "GET forge.org/api/search?q=repo:team/app+x&sort=asc"), no("query"));
        assert_eq!(ask(&policy, "GET s3.org/bucket/?list-type=2&prefix=a%2Fb"), Ok(4));
        assert_eq!(ask(&policy, "GET s3.org/bucket/key"), no("query"));
        assert_eq!(ask(&policy, "POST s3.org/bucket/key?uploads"), Ok(5));
        assert_eq!(ask(&policy, "POST s3.org/bucket/key?uploadId=1"), no("query"));
    }

    #[test]
    fn headers_choose_among_routes_as_a_path_does() {
        let policy = policy(
            r#"[{"host":"api.org","headers":{"anthropic-beta":"mcp-client-*"},"methods":["GET","POST"],"deny":true},
                {"host":"api.org","paths":["/v1/messages"],"methods":["POST"],
                 "headers":{"anthropic-version":"2023-06-01"}},
                {"host":"api.org","paths":["/repos/**"],
                 "headers":{"x-github-api-version":"20*","accept":"application/vnd.github+json"}}]"#,
        );
        let messages = "POST api.org/v1/messages | anthropic-version: 2023-06-01";
        assert_eq!(ask(&policy, messages), Ok(1));
        assert_eq!(ask(&policy, &format!("{messages} | anthropic-beta: prompt-caching")), Ok(1));
        assert_eq!(ask(&policy, &format!("{messages} | anthropic-beta: a,mcp-client-1")), no("rule"));
        assert_eq!(ask(&policy, &format!("{messages} | anthropic-version: 2023-06-01")), no("header"));
        assert_eq!(ask(&policy, "POST api.org/v1/messages"), no("header"));
        let github = "GET api.org/repos/a/b | accept: application/vnd.github+json";
        assert_eq!(ask(&policy, &format!("{github} | x-github-api-version: 2022-11-28")), Ok(2));
        assert_eq!(ask(&policy, github), no("header"));
    }

    #[test]
    fn what_honest_clients_send_passes() {
        let policy = policy(
            r#"[{"host":"npm.org","paths":["/@types%2F*","/@types/**"]},
                {"host":"npm.org"},
                {"host":"lab.org","paths":["/api/v4/projects/team%2fapp/**"]},
                {"host":"go.org","paths":["/github.com/**","/*/@v/list"]},
                {"host":"ci.org","paths":["/job/app/**"]},
                {"host":"files.org","paths":["/a%20b/caf%C3%A9/*","/wiki/Inc.","/m/1.0;build=7/x.jar"]},
                {"host":"git-scm.org"}]"#,
        );
        for (line, route) in [
            ("GET npm.org/@types%2fnode", 0),
            ("GET npm.org/@types/node/-/node-1.0.0.tgz", 0),
            ("GET npm.org/@scope%2Fname", 1),
            ("GET lab.org/api/v4/projects/team%2Fapp/issues", 2),
            ("GET lab.org/api/v4/projects/team%2Fapp/repository/files/src%2FC%23%2Fa.cs/raw", 2),
            ("GET lab.org/api/v4/projects/team%2Fapp/repository/branches/feature%2Fx", 2),
            ("GET go.org/github.com/!burnt!sushi/toml/@v/v1.3.2.zip", 3),
            ("GET ci.org/job/app/job/feature%252Fx/lastBuild/", 4),
            ("GET files.org/a%20b/caf%c3%a9/x", 5),
            ("GET files.org/wiki/Inc.", 5),
            ("GET files.org/m/1.0;build=7/x.jar", 5),
            ("GET git-scm.org/docs/git-receive-pack", 6),
            ("GET git-scm.org/docs/git-upload-pack", 6),
        ] {
            assert_eq!(ask(&policy, line), Ok(route), "{line}");
        }
        assert_eq!(ask(&policy, "GET lab.org/api/v4/projects/team%2Fother/issues"), no("path"));
        assert_eq!(ask(&policy, "GET lab.org/api/v4/projects/team%2Fapp%2Fsub/issues"), no("path"));
    }

    #[test]
    fn readings_that_lead_to_routes_of_one_treatment_pass() {
        let policy = policy(
            r#"[{"host":"a.org","paths":["/x/**"]},
                {"host":"a.org"},
                {"host":"b.org","paths":["/x/**"]},
                {"host":"b.org","dlp":"off"}]"#,
        );
        assert_eq!(ask(&policy, "GET a.org/x%2fy"), Ok(1));
        assert_eq!(ask(&policy, "GET b.org/x%2fy"), no("path"));
    }

    #[test]
    fn a_refusal_is_escaped_by_no_spelling() {
        let policy = policy(
            r#"[{"host":"a.org","paths":["/admin","/team/app"],"methods":["GET","POST"],"deny":true},
                {"host":"a.org","methods":["GET","POST"],"git":"fetch"}]"#,
        );
        for path in [
            "/admin",
            "/ADMIN",
            "/admin/",
            "/admin//",
            "/%61dmin",
            "/admin.",
            "/admin%20",
            "/admin;x",
            "/admin%3bx",
            "/admin%3fx",
            "/%EF%BD%81dmin",
            "/\u{ff41}dmin",
            "/%2561dmin",
            "/;x/admin",
            "/admin/;x",
            "/team%2fapp",
            "/team//app/",
            "/team/app/git-upload-pack",
            "/Team/App.git/git-upload-pack",
        ] {
            let denied = ask(&policy, &format!("POST a.org{path}"));
            assert!(denied == no("rule") || denied == no("path"), "{path}: {denied:?}");
        }
        assert_eq!(ask(&policy, "GET a.org/administrator"), Ok(1));
    }

    #[test]
    fn an_ambiguous_path_passes_only_where_every_reading_does() {
        let policy = policy(
            r#"[{"host":"a.org","paths":["/secret/**","/adm"],"deny":true},
                {"host":"a.org","paths":["/**"]},
                {"host":"b.org","paths":["/team/*/x"]}]"#,
        );
        assert_eq!(ask(&policy, "GET a.org/@scope%2fname"), Ok(1));
        assert_eq!(ask(&policy, "GET a.org/a//b;c"), Ok(1));
        assert_eq!(ask(&policy, "GET a.org/secret%2fkey"), no("path"));
        assert_eq!(ask(&policy, "GET a.org/x//secret/y"), Ok(1));
        assert_eq!(ask(&policy, "GET a.org/secret;a/y"), no("path"));
        assert_eq!(ask(&policy, "GET a.org/adm;a"), no("path"));
        assert_eq!(ask(&policy, "GET a.org/%61dm"), no("rule"));
        assert_eq!(ask(&policy, "GET a.org/ADM"), no("rule"));
        assert_eq!(ask(&policy, "GET b.org/team/a%2fb/x"), no("path"));
        assert_eq!(ask(&policy, "GET b.org/team/..;/x"), no("path"));
        assert_eq!(ask(&policy, "GET b.org/team//x"), no("path"));
    }

    #[test]
    fn git_is_fetched_and_never_pushed() {
        let policy = policy(
            r#"[{"host":"git.org","paths":["/team/app"],"git":"fetch"},
                {"host":"git.org","paths":["/all/**"],"git":"fetch","methods":["GET","POST"]},
                {"host":"git.org","paths":["/open/**"],"methods":["GET","POST"]}]"#,
        );
        assert_eq!(ask(&policy, "GET git.org/team/app.git/info/refs?service=git-upload-pack"), Ok(0));
        assert_eq!(ask(&policy, "POST git.org/team/app.git/git-upload-pack"), Ok(0));
        assert_eq!(ask(&policy, "POST git.org/team/app/git-upload-pack"), Ok(0));
        assert_eq!(ask(&policy, "GET git.org/team/app"), Ok(0));
        assert_eq!(ask(&policy, "POST git.org/team/app/issues"), no("path"));
        assert_eq!(ask(&policy, "GET git.org/all/a/b/info/refs?service=git-upload-pack"), Ok(1));
        assert_eq!(ask(&policy, "POST git.org/all/a/b/info/refs?service=git-upload-pack"), no("git"));
        assert_eq!(ask(&policy, "GET git.org/open/x/info/refs?service=git-upload-pack"), no("git"));
        assert_eq!(ask(&policy, "POST git.org/open/x/git-upload-pack"), no("git"));
        assert_eq!(ask(&policy, "GET git.org/open/x/info/refs"), Ok(2));
        for push in [
            "GET git.org/team/app/info/refs?service=git-receive-pack",
            "GET git.org/open/x/info/refs?a=b&%73ervice=git%2dreceive-pack",
            "GET git.org/open/x/info/refs?service=git-upload-pack&service=git-receive-pack",
            "POST git.org/all/a/git-receive-pack",
            "POST git.org/all/a%2fgit-receive-pack",
            "POST git.org/all/a/%67it-receive-pack/",
            "POST git.org/all/a/git-receive-pack;x",
            "POST git.org/open/GIT-RECEIVE-PACK",
        ] {
            assert_eq!(ask(&policy, push), no("git"), "{push}");
        }
    }

    #[test]
    fn the_role_carries_its_own_rule() {
        let policy = policy(r#"[{"host":"model.org","role":"claude"}]"#);
        for yes in [
            "POST model.org/v1/messages?beta=true",
            "GET model.org/api/claude_code/settings",
            "GET model.org/v1/models/x",
        ] {
            assert_eq!(ask(&policy, yes), Ok(0), "{yes}");
        }
        assert_eq!(ask(&policy, "POST model.org/v1/files"), no("path"));
        assert_eq!(ask(&policy, "GET model.org/v1/files"), no("path"));
        assert_eq!(ask(&policy, "POST model.org/v1/messages/batches"), no("path"));
        assert_eq!(ask(&policy, "POST model.org/api/oauth/claude_cli/create_api_key"), no("path"));
        assert_eq!(ask(&policy, "PUT model.org/api/claude_code/team_memory"), no("method"));
    }

    #[test]
    fn a_denial_names_the_nearest_route_and_shows_no_origin() {
        let policy =
            policy(r#"[{"host":"x.org"},{"host":"a.org","methods":["POST"]},{"host":"a.org","paths":["/b/**"]}]"#);
        let ask = Ask { host: "a.org", port: 443, method: "GET", path: "/c", query: None, headers: &[] };
        let denial = policy.decide(&ask).unwrap_err();
        assert_eq!(denial.route, Some(2));
        assert_eq!(denial.text, "path `/c` of `a.org` is not on the allowlist");
    }
}
