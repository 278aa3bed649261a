//! As what change an operator could let a denied request pass: the one answer for requests that are held and for what an
//! agent proposes.

use policy::{GitAccess, Policy, Request, Route, UrlScheme, normalise};
use serde_json::json;
use wire::{Change, GATE_HOST, GIT_HOST, SUPERVISE_HOST};

/// The least change by which this request passes. The error says why there is none: no route lets it pass.
pub fn change_for(request: &Request, scheme: UrlScheme) -> Result<Change, String> {
    if [GATE_HOST, GIT_HOST, SUPERVISE_HOST].contains(&request.host) {
        return Err(format!("`{}` is the gate's own name", request.host));
    }
    let readings = normalise(request.path)?;
    if readings.all().iter().any(|path| path.contains('*')) {
        return Err("a path with `*` cannot be allowed alone: in a route it would stand for other paths".to_owned());
    }
    let (host, method, path) = (request.host.to_owned(), request.method.to_owned(), readings.plain().to_owned());
    let route = json!({
        "host": host, "port": request.port, "methods": [method], "paths": [path], "origin": "",
        "git": request.is_git_fetch().then_some(GitAccess::Fetch),
    });
    let change = Change::Egress { host, port: request.port, method, path };
    change.check()?;
    let route: Route = serde_json::from_value(route).map_err(|_| "no route can name it".to_owned())?;
    let policy = Policy { routes: vec![route] };
    policy.judge_typed_as(request, scheme).map_err(|denial| denial.text)?;
    Ok(change)
}

/// Whether a request of this change would pass.
pub fn passes(policy: &Policy, change: &Change) -> bool {
    let Change::Egress { host, port, method, path } = change else { return false };
    policy.judge_typed(&Request::recorded(host, *port, method, path)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fetch is proposed by its path alone, and passes by its query.
    #[test]
    fn a_proposed_fetch_passes_where_git_may_fetch() {
        let route = json!({ "host": "a.org", "port": 443, "methods": ["GET"], "paths": ["/t/app.git"], "origin": "m:1",
            "git": "fetch" });
        let policy = Policy { routes: vec![serde_json::from_value(route).unwrap()] };
        let change = |method: &str, path: &str| Change::Egress {
            host: "a.org".to_owned(),
            port: 443,
            method: method.to_owned(),
            path: path.to_owned(),
        };
        assert!(passes(&policy, &change("GET", "/t/app.git/info/refs")));
        assert!(passes(&policy, &change("POST", "/t/app.git/git-upload-pack")));
        assert!(!passes(&policy, &change("POST", "/t/app.git/git-receive-pack")));
    }
}
