//! The decision. In this order: host, port, git, method, path; the first route that fits all of them decides.
//!
//! What a denial says is for the agent: it names hosts, methods and paths, never files or tokens. The route it points
//! to is for the operator.

use super::normalise::{Readings, normalise, parameter};
use super::{GitAccess, PathPattern, Policy, Role, Route};
use std::fmt;

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
    /// A route with `deny` matched.
    Rule,
    /// It carries what must not leave.
    Dlp,
    /// It would make the model's own servers act.
    Model,
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
            Reason::Rule => "rule",
            Reason::Dlp => "dlp",
            Reason::Model => "model",
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

impl Ask<'_> {
    /// Is it one of the two requests of a git fetch?
    pub fn fetches_git(&self) -> bool {
        let readings = normalise(self.path);
        readings.is_ok_and(|readings| matches!(Service::of(&readings, self.query), Ok(Some(_))))
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
                (true, false) => return Ok(index),
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

    /// The whole question.
    pub fn decide(&self, ask: &Ask) -> Result<Pass, Denial> {
        let first = self.at(ask.host, ask.port)?;
        if matches!(ask.method, "TRACE" | "TRACK" | "CONNECT") {
            let text = format!("method `{}` is never allowed", ask.method);
            return Err(Denial::new(Reason::Method, text).near(first));
        }
        let readings = normalise(ask.path).map_err(|why| Denial::new(Reason::Path, why).near(first))?;
        let service = Service::of(&readings, ask.query).map_err(|denial| denial.near(first))?;
        let mut chosen = None;
        for reading in readings.all() {
            let route = self.first_match(ask, service, reading)?;
            if *chosen.get_or_insert(route) != route {
                let text = format!("path `{}` is ambiguous: servers may read it as `{reading}`", readings.plain());
                return Err(Denial::new(Reason::Path, text).near(route));
            }
        }
        let route = chosen.unwrap_or(first);
        if self.routes[route].deny {
            let text = format!("`{} {}` of `{}` is denied", ask.method, readings.plain(), ask.host);
            return Err(Denial::new(Reason::Rule, text).near(route));
        }
        Ok(Pass { route, path: readings.plain().to_owned() })
    }

    fn first_match(&self, ask: &Ask, service: Option<Service>, path: &str) -> Result<usize, Denial> {
        let mut method = None;
        let mut nearest = None;
        for (index, route) in self.routes.iter().enumerate() {
            if route.port != ask.port || !route.host.matches(ask.host) {
                continue;
            }
            nearest = nearest.or(Some(index));
            match route.judge(ask.method, service, path) {
                Fit::All => return Ok(index),
                Fit::Method => method = method.or(Some(index)),
                Fit::None => {}
            }
        }
        let Ask { host, method: name, .. } = ask;
        let denial = match (service, method) {
            (Some(_), _) => {
                Denial::new(Reason::Git, format!("git access to `{path}` of `{host}` is not on the allowlist"))
            }
            (None, Some(_)) => Denial::new(Reason::Path, format!("path `{path}` of `{host}` is not on the allowlist")),
            (None, None) => Denial::new(Reason::Method, format!("method `{name}` is not allowed on `{host}`")),
        };
        Err(Denial { route: method.or(nearest), ..denial })
    }
}

enum Fit {
    All,
    Method,
    None,
}

impl Route {
    fn judge(&self, method: &str, service: Option<Service>, path: &str) -> Fit {
        if let (Some(service), false) = (service, self.deny) {
            let fits = self.git == Some(GitAccess::Fetch)
                && method == service.method()
                && service.repository(path).is_some_and(|repository| self.covers(path, repository));
            return if fits { Fit::All } else { Fit::None };
        }
        if let (Some(role), false) = (self.role, self.deny) {
            let mut fit = Fit::None;
            for (methods, pattern) in rule_of(role) {
                if methods.contains(&method) {
                    fit = Fit::Method;
                    if PathPattern::try_from((*pattern).to_owned()).is_ok_and(|pattern| pattern.matches(path)) {
                        return Fit::All;
                    }
                }
            }
            return fit;
        }
        if !self.methods.iter().any(|one| one == method) {
            return Fit::None;
        }
        // Many servers do not tell cases apart: a refusal must not depend on it.
        let fits = |pattern: &PathPattern| pattern.matches(path) || (self.deny && pattern.matches_any_case(path));
        if self.paths.iter().any(fits) { Fit::All } else { Fit::Method }
    }

    /// A pattern may name the repository (with or without `.git`) or everything beneath a folder.
    fn covers(&self, path: &str, repository: &str) -> bool {
        let bare = repository.strip_suffix(".git").unwrap_or(repository);
        self.paths.iter().any(|p| p.matches(path) || p.matches(repository) || p.matches(bare))
    }
}

/// The two requests of a git fetch over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Refs,
    Pack,
}

impl Service {
    /// Is this git's smart protocol? A push, in whatever reading, is an error at once.
    fn of(readings: &Readings, query: Option<&str>) -> Result<Option<Service>, Denial> {
        let push = || Denial::new(Reason::Git, "git push over https is never allowed");
        let mut found = None;
        for reading in readings.all() {
            let lower = reading.to_ascii_lowercase();
            if lower.split('/').any(|segment| segment == "git-receive-pack") {
                return Err(push());
            }
            let path = lower.trim_end_matches('/');
            if path.ends_with("/git-upload-pack") {
                found = Some(Service::Pack);
            } else if path.ends_with("/info/refs") {
                for service in parameter(query.unwrap_or_default(), "service") {
                    match service.as_str() {
                        "git-upload-pack" => found = Some(Service::Refs),
                        "git-receive-pack" => return Err(push()),
                        _ => return Err(Denial::new(Reason::Git, "this git service is not known")),
                    }
                }
            }
        }
        Ok(found)
    }

    fn method(self) -> &'static str {
        match self {
            Service::Refs => "GET",
            Service::Pack => "POST",
        }
    }

    fn repository(self, path: &str) -> Option<&str> {
        path.strip_suffix(match self {
            Service::Refs => "/info/refs",
            Service::Pack => "/git-upload-pack",
        })
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

    /// `GET https://host[:port]/path` → the route's index, or the reason.
    fn ask(policy: &Policy, line: &str) -> Result<usize, String> {
        let (method, url) = line.split_once(' ').unwrap();
        let (authority, rest) = url.split_at(url.find('/').unwrap());
        let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let ask = Ask { host, port: port.parse().unwrap(), method, path, query };
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
        let ask = Ask { host: "a.org", port: 443, method: "GET", path: "/c", query: None };
        let denial = policy.decide(&ask).unwrap_err();
        assert_eq!(denial.route, Some(2));
        assert_eq!(denial.text, "path `/c` of `a.org` is not on the allowlist");
    }
}
