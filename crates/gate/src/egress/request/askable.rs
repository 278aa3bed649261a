//! Which denied requests an operator can let pass, and as what change: the one answer for requests that are held and for
//! what an agent proposes.

use policy::judge::{Judge, Seen, Step};
use policy::{Denial, GitAccess, Policy, Reason, Request, Route, UrlScheme, Via, normalise};
use serde_json::json;
use wire::{Change, GATE_HOST, GIT_HOST, SUPERVISE_HOST};

/// Whether a route could make this denial go away, as far as its reason tells.
pub fn is_askable(reason: Reason) -> bool {
    match reason {
        Reason::Host
        | Reason::Port
        | Reason::Git
        | Reason::Method
        | Reason::Path
        | Reason::Query
        | Reason::Header
        | Reason::Rule => true,
        Reason::Name
        | Reason::Address
        | Reason::Dlp
        | Reason::Model
        | Reason::Answer
        | Reason::Token
        | Reason::Malformed => false,
    }
}

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
    judge(&Policy { routes: vec![route] }, request, scheme).map_err(|denial| denial.text)?;
    Ok(change)
}

/// Whether this request would pass, as far as that can be told without sending it.
pub fn judge(policy: &Policy, request: &Request, scheme: UrlScheme) -> Result<(), Denial> {
    let mut judge = Judge::new(policy, Seen::Typed { request: *request, scheme }, Via::Direct);
    while !matches!(judge.advance()?, Step::Pass(_)) {}
    Ok(())
}

/// Whether a request of this change would pass.
pub fn passes(policy: &Policy, change: &Change) -> bool {
    let Change::Egress { host, port, method, path } = change else { return false };
    let request = Request { host, port: *port, method, path, query: None, has_body: false, headers: &[] };
    judge(policy, &request, scheme_of(*port)).is_ok()
}

/// What is spoken on this port where a URL does not say it.
pub fn scheme_of(port: u16) -> UrlScheme {
    if port == 80 { UrlScheme::Http } else { UrlScheme::Https }
}
