//! What the gate would say of a request that is not sent. [`policy::judge`] decides; what only a connection shows (the TLS
//! hello, resolved addresses, values in a name) stays open.

use crate::manifest::{Bottle, RemoteUpstream, Route, Token};
use crate::render::{self, Answer, Dial, Injected, TokenPlace};
use policy::judge::{Judge, Seen};
use policy::{AuthScheme, Denial, Policy, Reads, Reason, Request, RequestUrl, Via, announces_body};
use std::collections::BTreeMap;
use wire::{GATE_HOST, RemotePlace, SUPERVISE_HOST, fitting_remote};

/// Name in lower case, and value.
pub type Header = (String, String);

/// The request that a person typed.
pub struct CheckedRequest {
    pub method: String,
    pub url: RequestUrl,
    pub headers: Vec<Header>,
}

/// `via`: how the gate reaches upstreams that are not `private`.
pub fn judge(bottle: &Bottle, asked: &CheckedRequest, via: Via) -> Answer {
    let RequestUrl { scheme, host, port, path, query, .. } = &asked.url;
    let mut answer = Answer::new(&asked.method, &asked.url);
    if host == GATE_HOST || (host == SUPERVISE_HOST && bottle.supervise.is_some()) {
        return match (scheme.is_plain(), port) {
            (true, 80) => answer.by_the_gate_itself(),
            _ => answer.refuse(&Denial::new(Reason::Malformed, format!("`{host}` speaks plain HTTP on port 80"))),
        };
    }
    let policy = bottle.policy();
    let headers: Vec<(&str, &[u8])> =
        asked.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let (query, has_body) = (query.as_deref(), announces_body(&headers));
    let request = Request { host, port: *port, method: &asked.method, path, query, has_body, headers: &headers };
    answer.allowed_there = policy.allowed_requests(host, *port);
    let judge = Judge::new(&policy, Seen::Typed { request, scheme: *scheme }, via);
    let pass = match judge.without_lookups() {
        Ok(pass) => pass,
        Err(mut denial) => {
            let remotes = bottle.remotes.iter().filter_map(|remote| {
                let RemoteUpstream { host, path, .. } = remote.upstream.as_ref()?;
                Some(RemotePlace { name: &remote.name, host, path })
            });
            if let Some(text) = fitting_remote(remotes, host, path) {
                denial.text = format!("{}; {text}", denial.text);
            }
            if denial.reason == Reason::Host {
                let least = policy.least(&request, None).ok();
                answer.route = least.map(|least| render::route(&least.route, &BTreeMap::new()));
            }
            answer.rule = denial.route.and_then(|route| policy.routes.get(route)).map(|route| route.origin.clone());
            return answer.refuse(&denial);
        }
    };
    let route = &bottle.routes[pass.route];
    answer.rule = Some(route.policy.origin.clone());
    answer.reads = route.policy.reads();
    answer.adds = injected_credential(route);
    if answer.reads == Reads::Http {
        answer.path = pass.path;
        answer.git_fetch = request.is_git_fetch();
        answer.takes_off = removed_headers(&policy, &route.policy, asked);
    }
    answer.dials = Some(dial(route, host, via));
    answer.allow()
}

/// The credential that the gate would add, without its value.
fn injected_credential(route: &Route) -> Option<Injected> {
    let header = header_of(&route.policy.auth.as_ref()?.scheme);
    let scheme = match &route.policy.auth.as_ref()?.scheme {
        AuthScheme::Bearer => Some("Bearer"),
        AuthScheme::Token => Some("token"),
        AuthScheme::Basic { .. } => Some("Basic"),
        AuthScheme::Header { .. } => None,
    };
    let token = match route.token.as_ref()? {
        Token::Env(name) => TokenPlace::Env(name.clone()),
        Token::Cmd(argv) => TokenPlace::Command(argv.clone()),
    };
    Some(Injected { header: header.to_owned(), scheme: scheme.map(str::to_owned), token })
}

/// The header that carries the credential.
fn header_of(scheme: &AuthScheme) -> &str {
    match scheme {
        AuthScheme::Header { header } => header,
        _ => "authorization",
    }
}

/// The headers that would stay behind, as typed, in lower case.
fn removed_headers(policy: &Policy, route: &policy::Route, asked: &CheckedRequest) -> Vec<String> {
    let own = policy.routes.iter().filter_map(|route| route.auth.as_ref()).map(|auth| header_of(&auth.scheme));
    let given = asked.headers.iter().map(|(name, _)| name.as_str());
    let mut found: Vec<String> = given.filter(|name| route.takes_off(name, own.clone())).map(str::to_owned).collect();
    if asked.url.userinfo && !route.agent_auth && !found.iter().any(|name| name == "authorization") {
        found.push("authorization".to_owned());
    }
    found.dedup();
    found
}

fn dial(route: &Route, host: &str, via: Via) -> Dial {
    let written = &route.policy;
    let server = written.server(host);
    let proxy = server.goes_through_proxy(via);
    Dial {
        host: server.name.to_owned(),
        port: server.port,
        tls: written.reads() != Reads::Nothing && !written.is_upstream_plain(),
        private: written.private,
        upstream_ca: route.upstream_ca.as_ref().map(|path| path.display().to_string()),
        proxy,
        is_past_proxy: via != Via::Direct && !proxy,
    }
}
