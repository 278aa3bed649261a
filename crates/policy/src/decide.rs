//! The questions about a request itself, in this order: host, port, method, path, query, headers; git requests come before
//! methods and paths. The first route that fits in all of them decides.

use super::git::{FETCH_QUERY, GitRequest};
use super::header_names::{HeaderFields, going_on};
use super::label::looks_like_data;
use super::normalise::{PathReadings, normalise};
use super::query::{self, NO_OTHER_PARAMETER};
use super::role::{patterns_of, rules_of};
use super::{Denial, GitAccess, PathPattern, Policy, Reason, Route, header_rules};
use std::cell::OnceCell;

/// Characters of a method that a denial shows. Methods are shorter.
const MAX_SHOWN_METHOD_CHARS: usize = 32;

/// A request as it stands in the request line, with its headers.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Lower case, no trailing dot.
    pub host: &'a str,
    pub port: u16,
    /// Upper case.
    pub method: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub has_body: bool,
    /// All of them. A route's rules see those that `connection` does not list.
    pub headers: HeaderFields<'a>,
}

/// A request or connection that may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Index of the deciding route in the policy.
    pub route: usize,
    /// The normalised path. Empty where the gate does not read requests.
    pub path: String,
}

impl<'a> Request<'a> {
    /// A request as far as a record tells, which has no query, header or body. The one query that is known all the same is
    /// that of a git fetch.
    pub fn recorded(host: &'a str, port: u16, method: &'a str, path: &'a str) -> Request<'a> {
        let query = (method == "GET" && path.ends_with("/info/refs")).then_some(FETCH_QUERY);
        Request { host, port, method, path, query, has_body: false, headers: &[] }
    }

    /// Whether it is one of the two requests of a git fetch.
    pub fn is_git_fetch(&self) -> bool {
        let readings = normalise(self.path);
        readings.is_ok_and(|readings| matches!(GitRequest::detect(&readings, self.method, self.query), Ok(Some(_))))
    }
}

impl Policy {
    /// The question that needs no request: is there a route for this host and port? Answers with the index of the first.
    /// All routes that allow a host and port agree on how they are dialled.
    ///
    /// # Errors
    /// A denial: there is none, only one for another port, or only ones with `deny`; or a wildcard would let in a name
    /// that looks like data.
    pub fn route_for(&self, host: &str, port: u16) -> Result<usize, Denial> {
        let mut other_port = None;
        let mut denied = None;
        for (index, route) in self.routes.iter().enumerate() {
            if !route.host.matches(host) {
                continue;
            }
            match (route.port == port, route.deny) {
                (true, false) => return self.check_labels(index, host).map(|()| index),
                (true, true) => denied = denied.or(Some(index)),
                (false, false) => other_port = other_port.or(Some(index)),
                (false, true) => {}
            }
        }
        if let Some(index) = denied {
            return Err(Denial::new(Reason::Rule, format!("host `{host}` is denied")).with_route(index));
        }
        Err(match other_port {
            Some(index) => {
                let text =
                    format!("port {port} of `{host}` is not on the allowlist, port {} is", self.routes[index].port);
                Denial::new(Reason::Port, text).with_route(index)
            }
            None => Denial::new(Reason::Host, format!("host `{host}` is not on the allowlist")),
        })
    }

    /// The part of the name that a wildcard lets in reads like a name.
    fn check_labels(&self, index: usize, host: &str) -> Result<(), Denial> {
        let pattern = &self.routes[index].host;
        match pattern.wildcard_part(host).and_then(looks_like_data) {
            Some(why) => Err(Denial::new(Reason::Host, format!("host `{host}`: {why}")).with_route(index)),
            None => Ok(()),
        }
    }

    /// All questions about the request itself; those about its connection are [`super::judge::Judge`]'s.
    ///
    /// # Errors
    /// The denial, with the deciding or nearest route.
    pub fn decide(&self, request: &Request) -> Result<Pass, Denial> {
        self.decide_from(self.route_for(request.host, request.port)?, request)
    }

    /// `first`: what [`Policy::route_for`] answers for the request's host and port.
    pub(super) fn decide_from(&self, first: usize, request: &Request) -> Result<Pass, Denial> {
        let pass = self.decide_as_it_stands(first, request)?;
        let method = request.method;
        if request.has_body && !self.routes[pass.route].takes_body(method) {
            let text = format!(
                "`{method}` with a body: a server that does not read it takes it for the next request; it passes only on a \
                 route with `bodies`"
            );
            return Err(Denial::new(Reason::Method, text).with_route(pass.route));
        }
        for method in query::overriding_methods(request.query.unwrap_or_default()) {
            self.check_override(&pass, request, &method)?;
        }
        Ok(pass)
    }

    /// Whether this request, which passes, may say in a parameter that it means another method: that one must pass as well,
    /// and be treated the same.
    ///
    /// # Errors
    /// The denial.
    pub fn check_override(&self, pass: &Pass, request: &Request, method: &str) -> Result<(), Denial> {
        let method: String = method.chars().take(MAX_SHOWN_METHOD_CHARS).collect::<String>().to_ascii_uppercase();
        let meant = self.decide_as_it_stands(pass.route, &Request { method: &method, ..*request });
        if meant.is_ok_and(|meant| self.routes[meant.route].treats_like(&self.routes[pass.route])) {
            return Ok(());
        }
        let text =
            format!("a parameter asks for method `{}` instead, which the allowlist does not take", printable(&method));
        Err(Denial::new(Reason::Method, text).with_route(pass.route))
    }

    fn decide_as_it_stands(&self, first: usize, request: &Request) -> Result<Pass, Denial> {
        if matches!(request.method, "TRACE" | "TRACK" | "CONNECT") {
            let text = format!("method `{}` is never allowed", request.method);
            return Err(Denial::new(Reason::Method, text).with_route(first));
        }
        let readings = match (request.method, request.path) {
            ("OPTIONS", "*") => PathReadings::whole_server(),
            _ => normalise(request.path).map_err(|why| Denial::new(Reason::Path, why).with_route(first))?,
        };
        if !request.query.is_none_or(query::is_encoded) {
            let text = "the query has a character that must be percent-encoded";
            return Err(Denial::new(Reason::Query, text).with_route(first));
        }
        let git =
            GitRequest::detect(&readings, request.method, request.query).map_err(|denial| denial.with_route(first))?;
        let request = &Request { headers: &going_on(request.headers), ..*request };
        let misfits = Misfits::new(&self.routes, request);
        let mut chosen: Option<usize> = None;
        for reading in readings.all() {
            let route = self.first_match(&misfits, git, reading).map_err(|mut denial| {
                let is_covered = |other: &String| self.first_match(&misfits, git, other).is_ok();
                if denial.reason == Reason::Path && readings.all().iter().any(is_covered) {
                    denial.text += &other_reading(&readings, reading);
                }
                denial
            })?;
            let before = *chosen.get_or_insert(route);
            if before != route && !self.routes[before].treats_like(&self.routes[route]) {
                let text = format!("path `{}` is ambiguous: servers may read it as `{reading}`", readings.plain());
                return Err(Denial::new(Reason::Path, text).with_route(route));
            }
        }
        let route = chosen.unwrap_or(first);
        if self.routes[route].deny {
            let text = format!("`{} {}` of `{}` is denied", request.method, readings.plain(), request.host);
            return Err(Denial::new(Reason::Rule, text).with_route(route));
        }
        Ok(Pass { route, path: if request.path == "*" { "*" } else { readings.plain() }.to_owned() })
    }

    /// The first route that fits this reading of the path.
    fn first_match(&self, misfits: &Misfits, git: Option<GitRequest>, path: &str) -> Result<usize, Denial> {
        let request = misfits.request;
        let mut nearest = None;
        for (index, route) in self.routes.iter().enumerate() {
            if route.port != request.port || !route.host.matches(request.host) {
                continue;
            }
            let fit = match route.fit(request.method, git, path) {
                Fit::All => match misfits.of(index) {
                    None => Fit::All,
                    Some(Misfit::OfDenial) => Fit::None,
                    Some(rule) => Fit::Path(rule),
                },
                less => less,
            };
            if fit == Fit::All {
                return Ok(index);
            }
            if nearest.as_ref().is_none_or(|(_, before): &(usize, Fit)| fit.level() > before.level()) {
                nearest = Some((index, fit));
            }
        }
        let Request { host, method, .. } = request;
        let (reason, text) = match (git, nearest.as_ref().map_or(&Fit::None, |(_, fit)| fit)) {
            (_, Fit::Path(Misfit::Query(NO_OTHER_PARAMETER))) => {
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
        Err(Denial { reason, text, route: nearest.map(|(index, _)| index) })
    }
}

/// The escape of a slash, as readings have it.
const ESCAPED_SLASH: &str = "%2F";

/// What to write for a reading that no route covers, where another one is covered and an escaped slash makes the difference;
/// else nothing.
fn other_reading(readings: &PathReadings, reading: &str) -> String {
    if !readings.all().iter().any(|other| other.contains(ESCAPED_SLASH)) {
        return String::new();
    }
    let pattern = match reading.rsplit_once(ESCAPED_SLASH) {
        Some((before, name)) if !name.contains('/') => format!("{before}{ESCAPED_SLASH}*"),
        _ => reading.to_owned(),
    };
    format!("; servers read `{ESCAPED_SLASH}` in two ways: write `{pattern}`, too")
}

/// The text with every other character than visible ASCII as `?`.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_ascii_graphic() { character } else { '?' }).collect()
}

/// How far a route of the host and port fits a request.
#[derive(Debug, PartialEq, Eq)]
enum Fit<'r> {
    None,
    /// The method, but not the path.
    Method,
    /// Method and path, but not this rule.
    Path(Misfit<'r>),
    All,
}

/// The rule that a request does not fit: its name, on a route that allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misfit<'r> {
    Query(&'r str),
    Header(&'r str),
    OfDenial,
}

/// Which rule of each route a request does not fit. Found when it is first asked for and kept: a path has up to 64
/// readings, and a query may have thousands of parameters.
struct Misfits<'a> {
    routes: &'a [Route],
    request: &'a Request<'a>,
    by_route: Vec<OnceCell<Option<Misfit<'a>>>>,
}

impl<'a> Misfits<'a> {
    fn new(routes: &'a [Route], request: &'a Request<'a>) -> Misfits<'a> {
        Misfits { routes, request, by_route: vec![OnceCell::new(); routes.len()] }
    }

    fn of(&self, route: usize) -> Option<Misfit<'a>> {
        *self.by_route[route].get_or_init(|| self.routes[route].misfit(self.request))
    }
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
    /// How far the route fits, as far as its rules for query and headers do not matter.
    fn fit(&self, method: &str, git: Option<GitRequest>, path: &str) -> Fit<'_> {
        match self.deny {
            true if self.may_match(method, git, path) => Fit::All,
            true => Fit::None,
            false => self.fit_method_and_path(method, git, path),
        }
    }

    /// The first of the rules for query and headers that the request does not fit.
    fn misfit(&self, request: &Request) -> Option<Misfit<'_>> {
        let query = request.query.unwrap_or_default();
        if self.deny {
            let fits = query::may_fit(&self.query, query) && header_rules::may_fit(&self.headers, request.headers);
            return (!fits).then_some(Misfit::OfDenial);
        }
        let misfit = query::misfit(&self.query, query).map(Misfit::Query);
        misfit.or_else(|| header_rules::misfit(&self.headers, request.headers).map(Misfit::Header))
    }

    fn fit_method_and_path(&self, method: &str, git: Option<GitRequest>, path: &str) -> Fit<'_> {
        if let Some(git) = git {
            let fits = self.git == Some(GitAccess::Fetch)
                && method == git.method()
                && git.repository(path).is_some_and(|repository| {
                    self.paths.iter().any(|p| p.matches(path))
                        || self.covers_repository(repository, PathPattern::matches)
                });
            return if fits { Fit::All } else { Fit::None };
        }
        if let Some(role) = self.role {
            let mut fit = Fit::None;
            for ((methods, _), pattern) in rules_of(role).iter().zip(patterns_of(role)) {
                if methods.contains(&method) {
                    fit = Fit::Method;
                    if pattern.matches(path) {
                        return Fit::All;
                    }
                }
            }
            return fit;
        }
        if !self.methods.iter().any(|allowed| allowed == method) {
            return Fit::None;
        }
        if self.paths.iter().any(|pattern| pattern.matches(path)) { Fit::All } else { Fit::Method }
    }

    /// For a route that denies: a denial must not depend on what many servers do not tell apart, which are upper and lower
    /// case, a slash at the end, and `.git`.
    fn may_match(&self, method: &str, git: Option<GitRequest>, path: &str) -> bool {
        let loosely = PathPattern::matches_loosely;
        let repository = git.and_then(|git| git.repository(path));
        (self.denies_every_method() || self.methods.iter().any(|denied| denied == method))
            && (self.paths.iter().any(|pattern| loosely(pattern, path))
                || repository.is_some_and(|repository| self.covers_repository(repository, loosely)))
    }

    /// A pattern may name the repository (with or without `.git`) or everything below a folder.
    fn covers_repository(&self, repository: &str, matches: fn(&PathPattern, &str) -> bool) -> bool {
        let bare = repository.strip_suffix(".git").unwrap_or(repository);
        self.paths.iter().any(|pattern| matches(pattern, repository) || matches(pattern, bare))
    }

    /// Whether a request is treated the same, whichever of the two routes lets it pass.
    fn treats_like(&self, other: &Route) -> bool {
        let treatment = |route: &Route| Route {
            host: self.host.clone(),
            methods: Vec::new(),
            paths: Vec::new(),
            origin: String::new(),
            query: Default::default(),
            headers: Default::default(),
            ..route.clone()
        };
        treatment(self) == treatment(other) && self.allows_websockets() == other.allows_websockets()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::header_names::announces_body;
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
        let (port, has_body) = (port.parse().unwrap(), announces_body(&headers));
        let request = Request { host, port, method, path, query, has_body, headers: &headers };
        policy.decide(&request).map(|pass| pass.route).map_err(|denial| denial.reason.to_string())
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
    fn a_parameter_changes_no_method_into_one_that_does_not_pass() {
        let policy = policy(
            r#"[{"host":"a.org","paths":["/posts/secret"],"methods":["POST","DELETE"],"deny":true},
                {"host":"a.org","methods":["POST","PUT"]},
                {"host":"a.org","methods":["PATCH"],"dlp":"off"}]"#,
        );
        for no in [
            "_method=DELETE",
            "_method=delete",
            "_method=%44ELETE",
            "a=1&_method=DELETE",
            "a=1;_method=DELETE",
            "%5Fmethod=DELETE",
            "%255Fmethod=DELETE",
            "_METHOD=DELETE",
            ".method=DELETE",
            "+_method=DELETE",
            "_method[]=DELETE",
            "_method%00x=DELETE",
            "_method=PUT&_method=DELETE",
            "_method=%ff",
            "_method=TRACE",
            // Passes, and is treated in another way.
            "_method=PATCH",
            "x-http-method-override=DELETE",
            "X_HTTP_Method=DELETE",
            "_http_method=DELETE",
            "methodOverride=DELETE",
            "$method=DELETE",
        ] {
            assert_eq!(ask(&policy, &format!("POST a.org/posts/1?{no}")), self::no("method"), "{no}");
        }
        for yes in [
            "_method=PUT",
            "_method=post",
            "_method=",
            "method=flickr.photos.search",
            "payment_method=card",
            "q=_method",
        ] {
            assert_eq!(ask(&policy, &format!("POST a.org/posts/1?{yes}")), Ok(1), "{yes}");
        }
    }

    #[test]
    fn a_body_passes_where_its_method_or_its_route_takes_one() {
        let policy = policy(
            r#"[{"host":"a.org","methods":["GET","HEAD","OPTIONS","DELETE","POST","PURGE","PROPFIND"]},
                {"host":"b.org","methods":["GET","DELETE"],"bodies":true},
                {"host":"model.org","role":"claude"}]"#,
        );
        for body in ["content-length: 1", "transfer-encoding: chunked", "Content-Length: x"] {
            for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PURGE"] {
                assert_eq!(ask(&policy, &format!("{method} a.org/x | {body}")), no("method"), "{method}");
            }
            assert_eq!(ask(&policy, &format!("GET model.org/v1/models | {body}")), no("method"));
            for (yes, route) in [("POST a.org", 0), ("PROPFIND a.org", 0), ("GET b.org", 1), ("DELETE b.org", 1)] {
                assert_eq!(ask(&policy, &format!("{yes}/x | {body}")), Ok(route), "{yes}");
            }
            assert_eq!(ask(&policy, &format!("POST model.org/v1/messages | {body}")), Ok(2));
        }
        assert_eq!(ask(&policy, "GET a.org/x | content-length: 0"), Ok(0));
    }

    /// The parameters of a query are read once, in however many ways its path can be read.
    #[test]
    fn a_path_of_many_readings_costs_little_more_than_one() {
        use std::time::{Duration, Instant};
        let policy = policy(
            r#"[{"host":"a.org","query":{"secret":"x","hidden":"y"},"deny":true},
                {"host":"a.org","query":{"service":"x"}},
                {"host":"a.org","query":{"last":"z"}}]"#,
        );
        let query = format!("{}last=z", "a%20b=c&".repeat(2_000));
        let time = |path: &str| -> Duration {
            let timed = |_| {
                let began = Instant::now();
                assert_eq!(ask(&policy, &format!("GET a.org{path}?{query}")), Ok(2), "{path}");
                began.elapsed()
            };
            (0..3).map(timed).min().unwrap_or_default()
        };
        let many = "/a%2fb;c//d./e";
        assert!(normalise(many).is_ok_and(|readings| readings.all().len() >= 16));
        let (one, many) = (time("/a"), time(many));
        assert!(many < one * 4, "{many:?} against {one:?}");
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
    fn a_reading_that_is_not_covered_is_written_out() {
        let policy = policy(r#"[{"host":"npm.org","paths":["/@types/**"]}]"#);
        let text = |request: &str| {
            let (host, path) = request.split_once('/').map(|(host, path)| (host, format!("/{path}"))).unwrap();
            let request =
                Request { host, port: 443, method: "GET", path: &path, query: None, has_body: false, headers: &[] };
            policy.decide(&request).unwrap_err().text
        };
        assert!(text("npm.org/@types%2fnode").ends_with("in two ways: write `/@types%2F*`, too"));
        assert!(text("npm.org/@other%2fnode").ends_with("is not on the allowlist"));
        assert!(text("npm.org/@other/a;b").ends_with("is not on the allowlist"));
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
            "/admin/x",
            "/ADMIN;a/x/y",
            "/admin%20/x",
            "/admin./x",
            "/team/app/x",
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
            "PUT git.org/open/x.git/refs/heads/main",
            "PUT git.org/open/x/refs/heads/main",
            "PUT git.org/open/x%2frefs/heads/main",
            "LOCK git.org/open/x/info/refs",
            "LOCK git.org/open/x/refs/heads/main",
            "MKCOL git.org/open/x/objects/ab/",
            "PUT git.org/open/x/objects/ab/cdef_0123",
            "MOVE git.org/open/x/objects/AB/cdef_0123",
            "PUT git.org/open/x/objects/pack/pack-1.pack",
            "PUT git.org/open/x/objects/info/packs",
            "PUT git.org/open/x/HEAD",
            "PUT git.org/open/x.git/config",
            "PUT git.org/open/x.git/info/lfs/objects/ab",
            "PROPPATCH git.org/open/x/packed-refs",
            "DELETE git.org/open/x/refs/heads/old",
            "DELETE git.org/repos/x.git/refs/heads/old",
        ] {
            assert_eq!(ask(&policy, push), no("git"), "{push}");
        }
    }

    #[test]
    fn requests_that_only_look_like_a_push_pass() {
        let policy =
            policy(r#"[{"host":"git.org","methods":["GET","POST","PUT","PATCH","DELETE","PROPFIND"],"git":"fetch"}]"#);
        for line in [
            "GET git.org/x/refs/heads/main",
            "GET git.org/x.git/objects/ab/cd",
            "PROPFIND git.org/x.git/",
            "POST git.org/repos/x/y/git/refs",
            "PATCH git.org/repos/x/y/git/refs/heads/main",
            "DELETE git.org/repos/x/y/git/refs/heads/main",
            "DELETE git.org/2.0/repositories/x/y/refs/branches/b",
            "POST git.org/x.git/info/lfs/objects/batch",
            "POST git.org/x.git/git-upload-pack",
            "PUT git.org/storage/objects/photo.png",
            "PUT git.org/objects/abc/def",
            "PUT git.org/api/refs",
            "PUT git.org/api/head",
            "PUT git.org/repos/x/y/contents/a",
        ] {
            assert_eq!(ask(&policy, line), Ok(0), "{line}");
        }
    }

    /// Of a name that a route has as it is no label is judged, where that route stands before the wildcard's.
    #[test]
    fn a_name_that_is_written_out_is_no_data() {
        let data = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
        let routes = [
            format!(r#"{{"host":"{data}.a.org","paths":["/own/**"]}}"#),
            r#"{"host":"*.a.org","paths":["/all/**"]}"#.to_owned(),
            r#"{"host":"*.a.com"}"#.to_owned(),
            format!(r#"{{"host":"{data}.a.com"}}"#),
        ];
        let policy = policy(&format!("[{}]", routes.join(",")));
        assert_eq!(ask(&policy, &format!("GET {data}.a.org/own/x")), Ok(0));
        assert_eq!(ask(&policy, &format!("GET {data}.a.org/all/x")), Ok(1));
        assert_eq!(ask(&policy, &format!("GET x{data}.a.org/all/x")), no("host"));
        assert_eq!(ask(&policy, &format!("GET {data}.a.com/x")), no("host"));
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
        let (path, query, has_body) = ("/c", None, false);
        let request = Request { host: "a.org", port: 443, method: "GET", path, query, has_body, headers: &[] };
        let denial = policy.decide(&request).unwrap_err();
        assert_eq!(denial.route, Some(2));
        assert_eq!(denial.text, "path `/c` of `a.org` is not on the allowlist");
    }
}
