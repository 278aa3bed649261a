//! A route that is added to a policy by hand: where it goes, the least one by which a request passes, and its next wider
//! forms. Nothing here lowers what the routes of the same host and port ask for.

use super::{
    Dlp, GitAccess, HostPattern, Inspect, PathPattern, Policy, Protocol, Reason, Request, Route, reserved_because,
};
use serde::{Deserialize, Serialize};

/// Methods of a route that only reads.
const READING_METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// How the paths of a git fetch end.
const GIT_PATHS: [&str; 2] = ["/info/refs", "/git-upload-pack"];

/// A route, and where it goes in a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addition {
    pub route: Route,
    #[serde(default)]
    pub position: Position,
}

/// Where a route is added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Position {
    /// Behind all others: it decides what none of them does.
    #[default]
    Last,
    /// In front of the route with `deny` that has this origin. Behind all others where there is none.
    Before(String),
}

/// How much more than one request a route may let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Widening {
    /// The names beside the path's last one.
    Folder,
    /// All that is beneath the folder.
    Tree,
    /// All that can be read of the host.
    Host,
}

impl Policy {
    /// This policy with one route more; as it is, where it has that route already.
    ///
    /// # Errors
    /// The key in which the route differs from one that can match the same host and port, although it acts before the path
    /// is known; in words.
    pub fn with(&self, addition: &Addition) -> Result<Policy, String> {
        let route = &addition.route;
        for other in &self.routes {
            if let Some(key) = other.conflicting_key(route) {
                return Err(format!(
                    "`{key}` differs from the route in {}: both can match {}:{}, and it acts before the path is known",
                    other.origin,
                    route.host.as_str(),
                    route.port
                ));
            }
        }
        let at = match &addition.position {
            Position::Last => None,
            Position::Before(origin) => self.routes.iter().position(|other| other.deny && other.origin == *origin),
        };
        let at = at.unwrap_or(self.routes.len());
        let mut routes = self.routes.clone();
        if !routes[..at].iter().any(|other| other.is_same(route)) {
            routes.insert(at, route.clone());
        }
        Ok(Policy { routes })
    }

    /// The least route by which `request` passes: this host, port, method and path, or `paths` where the request stands for
    /// several. How its connection is dialled and read is taken from the routes that allow this host and port; it adds no
    /// credential, and everything is searched. It decides last, unless a route with `deny` is what refuses one path.
    ///
    /// # Errors
    /// Why no such route can be written, in words for the operator.
    pub fn least(&self, request: &Request, paths: Option<&PathPattern>) -> Result<Addition, String> {
        if self.judge_typed(request).is_ok() {
            return Err("it passes already, unless its query, its headers or its body are what is refused".to_owned());
        }
        let addition = self.place(self.least_route(request, paths)?, request)?;
        if let (Position::Before(origin), Some(_)) = (&addition.position, paths) {
            return Err(format!("a route that denies refuses these paths, and is passed for one at a time: {origin}"));
        }
        let amended = self.with(&addition)?;
        match amended.judge_typed(request) {
            Ok(pass) if amended.routes[pass.route].is_same(&addition.route) => Ok(addition),
            Ok(_) => Err("another route would let it pass".to_owned()),
            Err(denial) => Err(denial.text),
        }
    }

    /// Where `route` goes for `request` to pass: behind all others, or in front of the routes with `deny` that refuse it.
    ///
    /// # Errors
    /// Why the request does not pass wherever the route stands; in words.
    pub fn place(&self, route: Route, request: &Request) -> Result<Addition, String> {
        let mut addition = Addition { route, position: Position::Last };
        // Each turn moves the route in front of a `deny` that is nearer to the front.
        for _ in 0..=self.routes.len() {
            let amended = self.with(&addition)?;
            match amended.judge_typed(request) {
                Ok(_) => return Ok(addition),
                Err(denial) if denial.reason == Reason::Rule => {
                    let index = denial.route.ok_or_else(|| denial.text.clone())?;
                    let before = Position::Before(amended.routes[index].origin.clone());
                    if addition.position == before {
                        return Err(denial.text);
                    }
                    addition.position = before;
                }
                Err(denial) => return Err(denial.text),
            }
        }
        Err("routes with `deny` refuse it wherever a route stands".to_owned())
    }

    /// Has a route dial and read as the routes do that allow its host and port.
    pub fn inherit(&self, route: &mut Route) {
        let allows = |other: &&Route| !other.deny && other.port == route.port && other.host.overlaps(&route.host);
        if let Some(other) = self.routes.iter().find(allows) {
            route.private = other.private;
            route.proxy = other.proxy;
            route.connect_to.clone_from(&other.connect_to);
            route.upstream_ca.clone_from(&other.upstream_ca);
            route.intercept = other.intercept;
            route.protocol = other.protocol;
        }
    }

    fn least_route(&self, request: &Request, paths: Option<&PathPattern>) -> Result<Route, String> {
        let host = HostPattern::try_from(request.host.to_owned())?;
        if host.is_wildcard() {
            return Err(format!("`{}` is no host's name", request.host));
        }
        if let Some(why) = reserved_because(request.host) {
            return Err(why.to_owned());
        }
        if request.method.is_empty() {
            return Err("the gate has not read what was asked there: the route must be written by hand".to_owned());
        }
        let is_method = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
        if !request.method.bytes().all(is_method) || matches!(request.method, "TRACE" | "TRACK" | "CONNECT") {
            return Err(format!("method `{}` is never allowed", request.method));
        }
        let is_git = request.is_git_fetch();
        let paths = match paths {
            Some(paths) if paths.matches(request.path) => vec![paths.clone()],
            Some(paths) => return Err(format!("`{}` is not among `{}`", request.path, paths.as_str())),
            // A fetch is two requests beneath its repository.
            None => vec![literal(repository(request.path).filter(|_| is_git).unwrap_or(request.path))?],
        };
        let (allowing, denying): (Vec<&Route>, Vec<&Route>) = self
            .routes
            .iter()
            .filter(|route| route.port == request.port && route.host.matches(request.host))
            .partition(|route| !route.deny);
        let mut route = Route {
            host,
            port: request.port,
            methods: vec![if is_git { "GET" } else { request.method }.to_owned()],
            paths,
            origin: String::new(),
            deny: false,
            private: false,
            proxy: true,
            connect_to: None,
            upstream_ca: None,
            auth: None,
            agent_auth: false,
            intercept: true,
            protocol: Protocol::Http,
            git: is_git.then_some(GitAccess::Fetch),
            role: None,
            dlp: Dlp::Block,
            server_tools: Vec::new(),
            query: Default::default(),
            headers: Default::default(),
            inspect_responses: Inspect::Warn,
            bodies: false,
            ranges: false,
        };
        self.inherit(&mut route);
        if allowing.is_empty()
            && let Some(other) = denying.iter().find(|other| other.conflicting_key(&route).is_some())
        {
            return Err(format!("the route in {} has rules for this host: write one for it by hand", other.origin));
        }
        if allowing.iter().any(|other| other.inspect_responses == Inspect::Block) {
            route.inspect_responses = Inspect::Block;
        }
        Ok(route)
    }
}

/// The path of a repository, where this is one of a fetch.
fn repository(path: &str) -> Option<&str> {
    GIT_PATHS.iter().find_map(|end| path.strip_suffix(end)).filter(|path| !path.is_empty())
}

/// The pattern for this one path.
fn literal(path: &str) -> Result<PathPattern, String> {
    if path.contains('*') || path.to_ascii_lowercase().contains("%2a") {
        return Err(format!("path `{path}` has a `*` of its own, which no route can name alone"));
    }
    PathPattern::try_from(path.to_owned())
}

impl Route {
    /// Whether both say the same, wherever they come from.
    pub fn is_same(&self, other: &Route) -> bool {
        let bare = |route: &Route| Route { origin: String::new(), ..route.clone() };
        bare(self) == bare(other)
    }
}

impl Addition {
    /// The next sensible steps from a route for one path: the folder, all beneath it, and the host for one that only reads.
    /// None has a method or a host more, but those that only read; and none passes a route with `deny`.
    pub fn widened(&self) -> Vec<(Widening, Addition)> {
        let route = &self.route;
        let [path] = route.paths.as_slice() else { return Vec::new() };
        if self.position != Position::Last || route.git.is_some() || route.deny {
            return Vec::new();
        }
        let Some((folder, _)) = path.as_str().rsplit_once('/') else { return Vec::new() };
        let only_reads = route.methods.iter().all(|method| READING_METHODS.contains(&method.as_str()));
        let wider = |step: Widening, text: String| {
            let pattern = PathPattern::try_from(text).ok()?;
            let is_wider = pattern != *path && pattern.includes(path);
            is_wider
                .then(|| (step, Addition { route: Route { paths: vec![pattern], ..route.clone() }, ..self.clone() }))
        };
        let host = wider(Widening::Host, "/**".to_owned()).filter(|_| only_reads).map(|(step, mut addition)| {
            addition.route.methods = READING_METHODS.map(str::to_owned).to_vec();
            (step, addition)
        });
        let folders = [wider(Widening::Folder, format!("{folder}/*")), wider(Widening::Tree, format!("{folder}/**"))];
        folders.into_iter().chain([host]).flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::decide::tests::policy;
    use super::*;

    fn request<'a>(method: &'a str, host: &'a str, path: &'a str) -> Request<'a> {
        Request { host, port: 443, method, path, query: None, has_body: false, headers: &[] }
    }

    fn words(addition: &Addition) -> String {
        let Addition { route, position } = addition;
        let paths: Vec<&str> = route.paths.iter().map(PathPattern::as_str).collect();
        let at = match position {
            Position::Last => String::new(),
            Position::Before(origin) => format!(" before {origin}"),
        };
        format!("{} {}{}{at}", route.methods.join(" "), route.base_url(), paths.join(" "))
    }

    #[test]
    fn the_least_route_is_the_one_request() {
        let policy = policy(
            r#"[{"host":"api.org","paths":["/team/secret"],"deny":true,
                 "private":true,"connect_to":"10.0.0.1:443","upstream_ca":"ca:1"},
                {"host":"api.org","private":true,"connect_to":"10.0.0.1:443","upstream_ca":"ca:1","dlp":"off",
                 "agent_auth":true,"auth":{"scheme":"bearer","token":"t"},"inspect_responses":"block",
                 "paths":["/team/**"]},
                {"host":"gone.org","deny":true}]"#,
        );
        let least = |method, host, path| policy.least(&request(method, host, path), None);
        let found = least("POST", "api.org", "/other/x").unwrap();
        assert_eq!(words(&found), "POST https://api.org/other/x");
        let Route { private, connect_to, upstream_ca, dlp, agent_auth, auth, inspect_responses, .. } = found.route;
        assert!(private && connect_to.is_some() && upstream_ca.as_deref() == Some("ca:1"));
        assert!(dlp == Dlp::Block && !agent_auth && auth.is_none() && inspect_responses == Inspect::Block);
        assert_eq!(words(&least("GET", "new.org", "/x").unwrap()), "GET https://new.org/x");
        // Only what a `deny` refuses goes in front of it.
        assert_eq!(words(&least("GET", "gone.org", "/x").unwrap()), "GET https://gone.org/x before m:2");
        assert_eq!(
            words(&least("GET", "api.org", "/team/secret").unwrap()),
            "GET https://api.org/team/secret before m:0"
        );
        assert!(least("GET", "api.org", "/team/x").unwrap_err().starts_with("it passes already"));
    }

    #[test]
    fn a_deny_in_front_of_another_is_passed_as_well() {
        let policy = policy(
            r#"[{"host":"a.org","paths":["/x/*"],"deny":true},
                {"host":"a.org","paths":["/x/**"],"deny":true},
                {"host":"a.org"}]"#,
        );
        let found = policy.least(&request("GET", "a.org", "/x/y"), None).unwrap();
        assert_eq!(words(&found), "GET https://a.org/x/y before m:0");
        assert!(found.widened().is_empty(), "what passes a `deny` stays as it is");
    }

    /// Like refusals are one route, but none that passes a `deny`.
    #[test]
    fn a_deny_is_passed_for_one_path_alone() {
        let pattern = |text: &str| PathPattern::try_from(text.to_owned()).unwrap();
        let policy = policy(
            r#"[{"host":"a.org","paths":["/users/**"],"deny":true,"methods":[]},
                {"host":"a.org","paths":["/open/**"]},
                {"host":"b.org","deny":true,"methods":[]}]"#,
        );
        for (host, path, shape) in
            [("a.org", "/users/17", "/users/*"), ("a.org", "/users/17/x", "/*/17/x"), ("b.org", "/17", "/*")]
        {
            let why = policy.least(&request("GET", host, path), Some(&pattern(shape))).unwrap_err();
            assert!(why.contains("one at a time: m:"), "{why}");
            let one = policy.least(&request("GET", host, path), None).unwrap();
            assert!(words(&one).starts_with(&format!("GET https://{host}{path} before m:")), "{}", words(&one));
        }
        let open = policy.least(&request("GET", "a.org", "/items/17"), Some(&pattern("/items/*"))).unwrap();
        assert_eq!(words(&open), "GET https://a.org/items/*");
    }

    /// What is added by hand, widened or suggested behind a `deny` without methods opens nothing of it.
    #[test]
    fn a_deny_without_methods_holds_against_every_route_behind_it() {
        let policy = policy(r#"[{"host":"a.org","paths":["/secret/**"],"deny":true,"methods":[]}]"#);
        let methods = ["GET", "POST", "MOVE", "COPY", "PROPFIND", "PURGE", "X-ANY"];
        let mut route = policy.least(&request("GET", "a.org", "/x"), None).unwrap().route;
        route.paths = vec![PathPattern::try_from("/**".to_owned()).unwrap()];
        route.methods = methods.map(str::to_owned).to_vec();
        let amended = policy.with(&Addition { route, position: Position::Last }).unwrap();
        for method in methods {
            let refused = amended.judge_typed(&request(method, "a.org", "/secret/x"));
            assert_eq!(refused.unwrap_err().reason, Reason::Rule, "{method}");
            assert!(amended.judge_typed(&request(method, "a.org", "/x")).is_ok(), "{method}");
        }
    }

    #[test]
    fn what_no_route_can_name_is_refused_with_words() {
        let policy = policy(r#"[{"host":"*.wild.org"},{"host":"only.org","private":true,"deny":true}]"#);
        for (method, host, path, word) in [
            ("GET", "a.org", "/a/*", "`*` of its own"),
            ("GET", "a.org", "/**", "`*` of its own"),
            ("GET", "a.org", "/a*b", "`*` of its own"),
            ("GET", "a.org", "/a/%2a", "`*` of its own"),
            ("OPTIONS", "a.org", "*", "`*` of its own"),
            ("GET", "*.a.org", "/", "no host's name"),
            ("GET", "127.0.0.1", "/", "an address"),
            ("GET", "b\u{fc}cher.org", "/", "xn--"),
            ("GET", "a.org@evil.org", "/", "not a host name"),
            ("GET", "supervise.bottle", "/", "the gate's own"),
            ("GET", "localhost", "/", "agent's own container"),
            ("", "a.org", "", "by hand"),
            ("TRACE", "a.org", "/", "never allowed"),
            ("CONNECT", "a.org", "/", "never allowed"),
            ("get", "a.org", "/", "never allowed"),
            ("GET POST", "a.org", "/", "never allowed"),
            ("GET", "a.org", "/a?b", "no query"),
            ("GET", "a.org", "/a b", "printable ASCII"),
            ("GET", "a.org", "//evil.org/x", "normalised"),
            ("GET", "a.org", "/a/../b", "normalised"),
            ("POST", "a.org", "/team/app.git/git-receive-pack", "git push"),
            ("PUT", "a.org", "/team/app.git/HEAD", "git push"),
            ("GET", "q7x9k2m4p8w1z5t3r6y0a.q7x9k2m4p8w1z5t3.wild.org", "/", "encoded data"),
            ("GET", "only.org", "/", "by hand"),
        ] {
            let why = policy.least(&request(method, host, path), None).unwrap_err();
            assert!(why.contains(word), "{method} {host} {path}: {why}");
        }
    }

    #[test]
    fn raw_bytes_and_other_ports_stay_what_they_are() {
        let policy = policy(
            r#"[{"host":"db.org","port":5432,"protocol":"tcp"},{"host":"tls.org","intercept":false},
                {"host":"web.org","port":8443}]"#,
        );
        let at = |host, port| policy.least(&Request { port, ..request("GET", host, "/x") }, None);
        assert!(at("db.org", 5432).unwrap_err().starts_with("it passes already"));
        assert!(at("tls.org", 443).unwrap_err().starts_with("it passes already"));
        assert_eq!(words(&at("db.org", 443).unwrap()), "GET https://db.org/x");
        assert_eq!(words(&at("web.org", 80).unwrap()), "GET http://web.org/x");
    }

    #[test]
    fn a_fetch_gets_a_fetch() {
        let policy = Policy::default();
        let refs =
            Request { query: Some("service=git-upload-pack"), ..request("GET", "a.org", "/t/app.git/info/refs") };
        let found = policy.least(&refs, None).unwrap();
        assert_eq!(words(&found), "GET https://a.org/t/app.git");
        let pack = request("POST", "a.org", "/t/app.git/git-upload-pack");
        assert_eq!(policy.least(&pack, None).unwrap().route.git, Some(GitAccess::Fetch));
    }

    #[test]
    fn requests_of_one_shape_are_one_route() {
        let pattern = |text: &str| PathPattern::try_from(text.to_owned()).unwrap();
        let policy = Policy::default();
        let found =
            policy.least(&request("GET", "a.org", "/users/17/repos"), Some(&pattern("/users/*/repos"))).unwrap();
        assert_eq!(words(&found), "GET https://a.org/users/*/repos");
        assert!(policy.least(&request("GET", "a.org", "/admin"), Some(&pattern("/users/*/repos"))).is_err());
    }

    #[test]
    fn wider_steps_have_no_method_and_no_host_more() {
        let steps = |method: &str, path: &str| -> Vec<String> {
            let found = Policy::default().least(&request(method, "a.org", path), None).unwrap();
            found.widened().iter().map(|(_, wider)| words(wider)).collect()
        };
        assert_eq!(
            steps("GET", "/a/b/c"),
            ["GET https://a.org/a/b/*", "GET https://a.org/a/b/**", "GET HEAD OPTIONS https://a.org/**"]
        );
        assert_eq!(steps("POST", "/a/b"), ["POST https://a.org/a/*", "POST https://a.org/a/**"]);
        assert_eq!(steps("GET", "/a/"), ["GET https://a.org/a/**", "GET HEAD OPTIONS https://a.org/**"]);
        assert_eq!(steps("GET", "/"), ["GET https://a.org/**", "GET HEAD OPTIONS https://a.org/**"]);
    }

    #[test]
    fn a_route_goes_in_once_and_where_it_was_put() {
        let base = policy(r#"[{"host":"a.org","deny":true,"paths":["/x"]},{"host":"b.org"}]"#);
        let route = policy(r#"[{"host":"a.org","paths":["/x"]}]"#).routes.remove(0);
        let before = Addition { route: route.clone(), position: Position::Before("m:0".to_owned()) };
        let amended = base.with(&before).unwrap();
        assert!(amended.routes[0].is_same(&route) && amended.routes.len() == 3);
        assert_eq!(amended.with(&before).unwrap(), amended);
        // The `deny` that it was put in front of is gone: what is left still decides first.
        let gone = Addition { position: Position::Before("m:7".to_owned()), ..before.clone() };
        assert!(base.with(&gone).unwrap().routes[2].is_same(&route));
        let last = Addition { route, position: Position::Last };
        assert_eq!(amended.with(&last).unwrap(), amended);
        let other = policy(r#"[{"host":"b.org","private":true}]"#).routes.remove(0);
        let why = base.with(&Addition { route: other, position: Position::Last }).unwrap_err();
        assert!(why.starts_with("`private` differs from the route in m:1"), "{why}");
    }

    #[test]
    fn patterns_include_what_they_match() {
        for (wide, narrow, includes) in [
            ("/a/*", "/a/b", true),
            ("/a/**", "/a", true),
            ("/a/**", "/a/*/c", true),
            ("/a/*", "/a/**", false),
            ("/a/*", "/a/", false),
            ("/a/b", "/a/*", false),
            ("/a/*/**", "/a/**", false),
            ("/**", "/", true),
        ] {
            let pattern = |text: &str| PathPattern::try_from(text.to_owned()).unwrap();
            assert_eq!(pattern(wide).includes(&pattern(narrow)), includes, "{wide} {narrow}");
        }
    }
}
