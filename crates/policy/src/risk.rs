//! What a route makes possible that its line does not show: writing to repositories past git, publishing packages and texts,
//! hosts that anybody can register. Told by the shape of path, method and name alone: a hint for a person, never a decision.

use super::{HostPattern, PathPattern, Reads, Route};

/// Requests that leave something where other people find it.
struct RiskyRequests {
    methods: &'static [&'static str],
    paths: &'static [&'static str],
    /// What they do, in words that follow "the agent can".
    effect: &'static str,
}

const WRITING_METHODS: &[&str] =
    &["POST", "PUT", "PATCH", "DELETE", "COPY", "LOCK", "MKCOL", "MOVE", "PROPPATCH", "UNLOCK"];
/// Methods of WebDAV that change something.
const WEBDAV_METHODS: &[&str] = &["COPY", "LOCK", "MKCOL", "MOVE", "PROPPATCH", "UNLOCK"];

const RISKY_REQUESTS: [RiskyRequests; 6] = [
    RiskyRequests {
        methods: WRITING_METHODS,
        paths: &[
            "/repos/*/*/git/**",
            "/repos/*/*/contents/**",
            "/repos/*/*/merges",
            "/repos/*/*/merge-upstream",
            "/repos/*/*/pulls/*/merge",
            "/api/v1/repos/*/*/git/**",
            "/api/v1/repos/*/*/contents/**",
            "/api/v1/repos/*/*/pulls/*/merge",
            "/api/v3/repos/*/*/git/**",
            "/api/v3/repos/*/*/contents/**",
            "/api/v4/projects/*/repository/**",
            "/api/v4/projects/*/merge_requests/*/merge",
            "/2.0/repositories/*/*/src",
            "/2.0/repositories/*/*/refs/**",
            "/rest/api/1.0/projects/*/repos/*/browse/**",
        ],
        effect: "write to a forge's repositories without a git push",
    },
    RiskyRequests {
        methods: WRITING_METHODS,
        paths: &[
            "/repos/*/*/keys",
            "/repos/*/*/hooks/**",
            "/repos/*/*/collaborators/**",
            "/repos/*/*/actions/**",
            "/repos/*/*/dispatches",
            "/user/keys",
            "/api/v1/repos/*/*/hooks/**",
            "/api/v1/repos/*/*/keys",
            "/api/v4/projects/*/hooks/**",
            "/api/v4/projects/*/deploy_keys/**",
            "/api/v4/projects/*/variables/**",
            "/api/v4/projects/*/trigger/**",
            "/api/v4/projects/*/pipeline",
        ],
        effect: "let others in, or run programs, on a forge: keys, hooks, members, pipelines",
    },
    RiskyRequests {
        methods: &["POST"],
        paths: &["/graphql", "/api/graphql", "/v1/graphql"],
        effect: "do by GraphQL whatever the token may: neither path nor method tells a change from a question",
    },
    RiskyRequests {
        methods: &["PUT"],
        paths: &["/*", "/*/*", "/*/*/*", "/api/v1/crates/new", "/api/v2/package/**", "/api/v4/projects/*/packages/**"],
        effect: "publish packages or files",
    },
    RiskyRequests {
        methods: &["POST", "PUT", "PATCH"],
        paths: &[
            "/legacy/",
            "/api/v1/gems",
            "/api/packages/**",
            "/repos/*/*/releases/**",
            "/v2/*/blobs/uploads/**",
            "/v2/*/*/blobs/uploads/**",
            "/v2/*/*/*/blobs/uploads/**",
            "/v2/*/manifests/*",
            "/v2/*/*/manifests/*",
            "/v2/*/*/*/manifests/*",
        ],
        effect: "publish packages or files",
    },
    RiskyRequests {
        methods: &["POST"],
        paths: &[
            "/gists/**",
            "/api/v3/gists/**",
            "/api/v4/snippets/**",
            "/api/v4/projects/*/snippets/**",
            "/2.0/snippets/**",
            "/api/api_post.php",
            "/documents",
            "/paste/**",
            "/pastes/**",
            "/api/paste/**",
            "/api/pastes/**",
        ],
        effect: "publish texts: gists, snippets, pastes",
    },
];

/// The risks of a route, a line each, for the plan.
pub fn risks(route: &Route) -> Vec<String> {
    if route.deny {
        return Vec::new();
    }
    let mut risks = Vec::new();
    if let Some(why) = open_registration(&route.host) {
        risks.push(format!("{why}: it can send to a host of its own"));
    }
    if route.agent_auth {
        risks.push("the agent's own credentials pass: it can send to an account of its own".to_owned());
    }
    if route.role.is_some() || route.reads() != Reads::Http {
        return risks;
    }
    let writes = |method: &&String| WRITING_METHODS.contains(&method.as_str());
    let methods: Vec<&str> = route.methods.iter().filter(writes).map(String::as_str).collect();
    let is_whole_host = |path: &&PathPattern| ["/**", "/*/**"].contains(&path.as_str());
    if let (Some(path), false) = (route.paths.iter().find(is_whole_host), methods.is_empty()) {
        let path = path.as_str();
        risks.push(format!("{} {path}: the agent can change and publish whatever this host takes", methods.join(" ")));
        return risks;
    }
    let webdav: Vec<&str> = methods.iter().copied().filter(|method| WEBDAV_METHODS.contains(method)).collect();
    if !webdav.is_empty() {
        risks.push(format!("{}: the agent can change files by WebDAV", webdav.join(" ")));
    }
    let mut told = Vec::new();
    for risky in &RISKY_REQUESTS {
        let method = methods.iter().find(|method| risky.methods.contains(method));
        if let (Some(method), Some(path), false) =
            (method, overlapping_path(route, risky), told.contains(&risky.effect))
        {
            risks.push(format!("{method} {path}: the agent can {}", risky.effect));
            told.push(risky.effect);
        }
    }
    risks
}

/// The first path of the route that allows some of these requests.
fn overlapping_path<'a>(route: &'a Route, risky: &RiskyRequests) -> Option<&'a str> {
    let paths: Vec<PathPattern> =
        risky.paths.iter().filter_map(|path| PathPattern::try_from((*path).to_owned()).ok()).collect();
    route.paths.iter().find(|mine| paths.iter().any(|path| mine.overlaps(path))).map(PathPattern::as_str)
}

/// Why anybody can have a host that this pattern matches: it is a wildcard below a name that hands out names.
fn open_registration(host: &HostPattern) -> Option<String> {
    let name = host.as_str().strip_prefix("*.")?;
    let labels: Vec<&str> = name.split('.').collect();
    let (last, first) = (*labels.last()?, *labels.first()?);
    let second = labels.len() == 2;
    let registry = second && last.len() == 2 && ["ac", "co", "com", "edu", "gov", "net", "org"].contains(&first);
    // Top-level domains under which providers host other people's programs and pages.
    let platform = second && ["app", "dev", "host", "page", "run", "site"].contains(&last);
    let shared = |label: &&str| {
        let words = ["blob", "functions", "pages", "s3", "sites", "storage", "tunnel", "web", "workers"];
        words.contains(label)
            || label.starts_with("s3-")
            || ["apps", "pages", "tunnel", "usercontent", "websites", "workers"].iter().any(|end| label.ends_with(end))
            || (second && last == "io" && label.starts_with("git"))
            || (label.ends_with("app") && *label != "app" && label.len() > 6)
    };
    (registry || platform || labels.iter().any(shared))
        .then(|| format!("anybody can have a name below `{name}`, by its shape"))
}

#[cfg(test)]
mod tests {
    use super::super::decide::tests::policy;
    use super::*;

    fn of(route: &str) -> Vec<String> {
        policy(&format!("[{{{route}}}]")).routes.iter().flat_map(risks).collect()
    }

    #[test]
    fn ways_to_publish_are_known_by_method_and_path() {
        let at = |methods: &str, paths: &str| {
            of(&format!(r#""host":"api.example.org","methods":[{methods}],"paths":[{paths}]"#))
        };
        for (methods, paths, word) in [
            (r#""GET","POST""#, r#""/repos/team/**""#, "without a git push"),
            (r#""PUT""#, r#""/repos/team/app/contents/*""#, "without a git push"),
            (r#""POST""#, r#""/api/v4/projects/7/repository/commits""#, "without a git push"),
            (r#""POST""#, r#""/graphql""#, "by GraphQL"),
            (r#""POST""#, r#""/api/graphql""#, "by GraphQL"),
            (r#""PUT""#, r#""/left-pad""#, "packages or files"),
            (r#""PUT""#, r#""/api/v1/crates/new""#, "packages or files"),
            (r#""POST""#, r#""/legacy/""#, "packages or files"),
            (r#""PATCH""#, r#""/v2/team/app/blobs/uploads/*""#, "packages or files"),
            (r#""POST""#, r#""/gists""#, "publish texts"),
            (r#""GET","MOVE","LOCK""#, r#""/dav/**""#, "MOVE LOCK: the agent can change files by WebDAV"),
            (r#""POST""#, r#""/repos/team/app/hooks""#, "let others in"),
            (r#""DELETE""#, r#""/x","/**""#, "DELETE /**: the agent can change and publish whatever"),
        ] {
            let found = at(methods, paths);
            assert!(found.iter().any(|line| line.contains(word)), "{methods} {paths}: {found:?}");
        }
        for (methods, paths) in [
            (r#""GET","HEAD","OPTIONS""#, r#""/**""#),
            (r#""POST""#, r#""/repos/team/app/pulls""#),
            (r#""POST""#, r#""/repos/team/*/issues/*/comments""#),
            (r#""POST""#, r#""/v1/chat/completions""#),
            (r#""PUT""#, r#""/a/b/c/d""#),
        ] {
            assert_eq!(at(methods, paths), [""; 0], "{methods} {paths}");
        }
    }

    #[test]
    fn names_that_anybody_can_have_are_known_by_their_shape() {
        for (host, open) in [
            ("*.pages.dev", true),
            ("*.workers.dev", true),
            ("*.web.app", true),
            ("*.github.io", true),
            ("*.s3.eu-central-1.cloud.example", true),
            ("*.blob.core.cloud.example", true),
            ("*.pages.example.org", true),
            ("*.somebodyusercontent.com", true),
            ("*.someplatformapp.com", true),
            ("*.co.uk", true),
            ("*.docs.rs", false),
            ("*.example.org", false),
            ("*.crates.example", false),
            ("*.api.example.co.uk", false),
            ("pages.dev", false),
            ("mine.pages.dev", false),
            ("*.app.example.org", false),
        ] {
            assert_eq!(!of(&format!(r#""host":"{host}""#)).is_empty(), open, "{host}");
        }
        assert_eq!(of(r#""host":"*.pages.dev","deny":true"#), [""; 0]);
    }

    #[test]
    fn credentials_of_the_agents_own_are_told() {
        assert_eq!(of(r#""host":"a.example.org","agent_auth":true"#).len(), 1);
    }
}
