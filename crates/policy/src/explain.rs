//! What a policy allows, in the words that agent and operator are shown: schemes, methods, paths. Never an origin, a token,
//! or where a route leads.

use super::role::rules_of;
use super::{Policy, Reads, Route};

/// Lines that are shown for one host.
const MAX_LINES: usize = 8;

impl Route {
    /// What the agent speaks there: `https`, `http`, `tls` that passes unopened, or `tcp`.
    pub fn scheme(&self) -> &'static str {
        match (self.reads(), self.port) {
            (Reads::Nothing, _) => "tcp",
            (Reads::Names, _) => "tls",
            (Reads::Http, 80) => "http",
            (Reads::Http, _) => "https",
        }
    }

    /// The beginning of its URLs, as in `https://api.example.org`.
    pub fn base_url(&self) -> String {
        let port = match (self.scheme(), self.port) {
            ("https", 443) | ("http", 80) => String::new(),
            (_, port) => format!(":{port}"),
        };
        format!("{}://{}{port}", self.scheme(), self.host.as_str())
    }

    /// Methods and the paths that go with them, as the route really works; none where the gate does not read requests. No
    /// methods: every one is denied.
    pub fn requests(&self) -> Vec<(String, Vec<String>)> {
        if self.reads() != Reads::Http {
            return Vec::new();
        }
        if let (Some(role), false) = (self.role, self.deny) {
            return rules_of(role)
                .iter()
                .map(|(methods, path)| (methods.join(" "), vec![(*path).to_owned()]))
                .collect();
        }
        vec![(self.methods.join(" "), self.paths.iter().map(|path| path.as_str().to_owned()).collect())]
    }

    /// The methods of the route's own, in words.
    pub fn methods_text(&self) -> String {
        match self.denies_every_method() {
            true => "every method".to_owned(),
            false => self.methods.join(" "),
        }
    }
}

impl Policy {
    /// What may be asked of this host, in a few lines. Where routes have other ports only: their URLs.
    pub fn allowed_requests(&self, host: &str, port: u16) -> Vec<String> {
        let open = |route: &&Route| !route.deny && route.host.matches(host);
        let here: Vec<&Route> = self.routes.iter().filter(|route| open(route) && route.port == port).collect();
        let lines = |route: &Route| -> Vec<String> {
            let git = if route.git.is_some() { " (git fetch)" } else { "" };
            let line = |(methods, paths): (String, Vec<String>)| format!("{methods} {}{git}", paths.join(" "));
            route.requests().into_iter().map(line).collect()
        };
        let mut lines: Vec<String> = match here.is_empty() {
            true => self.routes.iter().filter(open).map(Route::base_url).collect(),
            false => here.into_iter().flat_map(lines).collect(),
        };
        lines.dedup();
        if lines.len() > MAX_LINES {
            let more = lines.len() - MAX_LINES + 1;
            lines.truncate(MAX_LINES - 1);
            lines.push(format!("and {more} more"));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::super::decide::tests::policy;

    #[test]
    fn what_is_allowed_at_a_host() {
        let policy = policy(
            r#"[{"host":"api.example.org","paths":["/team/**"]},
                {"host":"api.example.org","paths":["/team/secret"],"deny":true},
                {"host":"*.example.org","methods":["POST"],"paths":["/team/*/pulls"]},
                {"host":"db.example.org","port":5432,"protocol":"tcp"}]"#,
        );
        let at = |host: &str, port| policy.allowed_requests(host, port);
        assert_eq!(at("api.example.org", 443), ["GET HEAD OPTIONS /team/**", "POST /team/*/pulls"]);
        assert_eq!(at("api.example.org", 80), ["https://api.example.org", "https://*.example.org"]);
        assert_eq!(at("db.example.org", 5432), [""; 0]);
        assert_eq!(at("other.example", 443), [""; 0]);
    }

    #[test]
    fn a_long_list_says_that_it_goes_on() {
        let routes: Vec<String> = (0..20).map(|n| format!(r#"{{"host":"a.example.org","paths":["/{n}"]}}"#)).collect();
        let lines = policy(&format!("[{}]", routes.join(","))).allowed_requests("a.example.org", 443);
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (8, Some("and 13 more")));
    }
}
