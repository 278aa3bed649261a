//! What a policy allows, in the words that agent and operator are shown: schemes, methods, paths. No origin, no token, no
//! place behind a route.

use super::{Policy, Protocol, Route, rule_of};

/// Lines of one host that are worth reading.
const MOST: usize = 8;

impl Route {
    /// What is spoken there.
    pub fn scheme(&self) -> &'static str {
        match (self.protocol, self.intercept, self.port) {
            (Protocol::Tcp, ..) => "tcp",
            (_, false, _) => "tls",
            (_, _, 80) => "http",
            _ => "https",
        }
    }

    /// `https://api.example.org`
    pub fn place(&self) -> String {
        let port = match (self.scheme(), self.port) {
            ("https", 443) | ("http", 80) => String::new(),
            (_, port) => format!(":{port}"),
        };
        format!("{}://{}{port}", self.scheme(), self.host.as_str())
    }

    /// Methods and paths that belong together, as the route really works; none where they are not looked at.
    pub fn requests(&self) -> Vec<(String, Vec<String>)> {
        if self.protocol == Protocol::Tcp || !self.intercept {
            return Vec::new();
        }
        if let (Some(role), false) = (self.role, self.deny) {
            return rule_of(role).iter().map(|(methods, path)| (methods.join(" "), vec![(*path).to_owned()])).collect();
        }
        vec![(self.methods.join(" "), self.paths.iter().map(|path| path.as_str().to_owned()).collect())]
    }
}

impl Policy {
    /// What may be asked of this host, one line each, not many; where only another port is open, that.
    pub fn allowed_at(&self, host: &str, port: u16) -> Vec<String> {
        let open = |route: &&Route| !route.deny && route.host.matches(host);
        let here: Vec<&Route> = self.routes.iter().filter(|route| open(route) && route.port == port).collect();
        let lines = |route: &Route| -> Vec<String> {
            let git = if route.git.is_some() { " (git fetch)" } else { "" };
            let line = |(methods, paths): (String, Vec<String>)| format!("{methods} {}{git}", paths.join(" "));
            route.requests().into_iter().map(line).collect()
        };
        let mut lines: Vec<String> = match here.is_empty() {
            true => self.routes.iter().filter(open).map(Route::place).collect(),
            false => here.into_iter().flat_map(lines).collect(),
        };
        lines.dedup();
        if lines.len() > MOST {
            let more = lines.len() - MOST + 1;
            lines.truncate(MOST - 1);
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
        let at = |host: &str, port| policy.allowed_at(host, port);
        assert_eq!(at("api.example.org", 443), ["GET HEAD OPTIONS /team/**", "POST /team/*/pulls"]);
        assert_eq!(at("api.example.org", 80), ["https://api.example.org", "https://*.example.org"]);
        assert_eq!(at("db.example.org", 5432), [""; 0]);
        assert_eq!(at("other.example", 443), [""; 0]);
    }

    #[test]
    fn a_long_list_says_that_it_goes_on() {
        let routes: Vec<String> = (0..20).map(|n| format!(r#"{{"host":"a.example.org","paths":["/{n}"]}}"#)).collect();
        let lines = policy(&format!("[{}]", routes.join(","))).allowed_at("a.example.org", 443);
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (8, Some("and 13 more")));
    }
}
