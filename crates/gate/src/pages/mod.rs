//! `gate.bottle`: what is allowed in this bottle, and what was denied and why. Never a file, a line, an address behind a
//! route, or anything about a token but that there is one.

use crate::audit::events::format_rfc3339;
use crate::egress::Egress;
use crate::egress::as_judged::check_names;
use crate::egress::request::body::Body;
use crate::egress::request::own_response::{JSON, PLAIN, get_only, marked, page};
use crate::egress::request::serve::{self, AgentConnection, Sni};
use crate::egress::serve_error::ServeError;
use hyper::body::Incoming;
use hyper::header::ACCEPT;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use policy::{GitAccess, NO_OTHER_PARAMETER, RefPattern, RefRules, Route, plain_name};
use serde_json::json;
use std::sync::Arc;
use tokio::net::UnixStream;
use wire::{GIT_HOST, GitRemote, GitUpstream, MCP_URL, Outcome};

/// Which files hold the bottle's certificates, and how programs with roots of their own are told of them.
const TRUST: &str = include_str!("trust.txt");

/// Serves the connection until it ends.
pub async fn serve(connection: Arc<AgentConnection>, stream: UnixStream) {
    let service = connection.clone();
    serve::serve(connection, stream, move |request, sni| respond(service.clone(), request, sni)).await;
}

async fn respond(connection: Arc<AgentConnection>, request: Request<Incoming>, sni: Sni) -> Response<Body> {
    let mut record = connection.record_request(&connection.egress.live.snapshot(), &request);
    if let Err(denial) = check_names(&connection.peer, &request, sni.as_deref()) {
        return connection.respond_unsent(ServeError::Denied(denial), record, request).await;
    }
    record.audit.verdict = Outcome::Allow;
    record.redact();
    let page = explain(&connection.egress, request.method(), request.uri().path(), request.headers());
    connection.respond_page(page, record, request).await
}

/// The answer to one request.
fn explain(egress: &Egress, method: &Method, path: &str, headers: &HeaderMap) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        return marked(get_only(), "gate");
    }
    let json = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"application/json"));
    let response = match (path, json) {
        ("/policy.json", _) | ("/", true) => page(StatusCode::OK, JSON, overview_json(egress)),
        ("/", false) => page(StatusCode::OK, PLAIN, overview(egress)),
        ("/trust", _) => page(StatusCode::OK, PLAIN, TRUST.to_owned()),
        ("/why", true) => page(StatusCode::OK, JSON, format!("{}\n", denials_json(egress))),
        ("/why", false) => page(StatusCode::OK, PLAIN, denials_page(egress)),
        (path, _) => match plain_name(path.trim_matches('/')) {
            Some(host) => host_page(egress, &host),
            None => page(
                StatusCode::NOT_FOUND,
                PLAIN,
                "there is /, /why, /trust, /policy.json, and / with a host\n".to_owned(),
            ),
        },
    };
    marked(response, "gate")
}

/// How to get more.
fn ask(egress: &Egress) -> String {
    let ask = "To ask for more, tell the person who started this bottle what was refused, and what it is for.\n";
    match egress.proposals.is_enabled() {
        true => format!("To ask the operator for more, call the tools of the MCP server {MCP_URL}\n"),
        false => ask.to_owned(),
    }
}

/// All that is allowed, as text.
pub fn overview(egress: &Egress) -> String {
    let mut text = String::from(
        "claude-bottle: the network of this bottle is an allowlist.\n\
         What is listed works without any proxy setting; everything else is refused. The first line that fits decides.\n\n",
    );
    text.extend(egress.live.snapshot().policy.routes.iter().map(route_lines));
    if !egress.remotes.is_empty() {
        text.push_str("\nGit remotes: clone, fetch and push work under their own URLs, and nothing that is secret may be pushed.\n");
        text.extend(egress.remotes.iter().map(remote_line));
    }
    text.push_str(
        "\nOf one host: http://gate.bottle/HOST. What was refused lately, and why: http://gate.bottle/why\n\
         Of a program that does not trust the certificates here: http://gate.bottle/trust\n",
    );
    text + &ask(egress)
}

/// One git remote as text.
fn remote_line(remote: &GitRemote) -> String {
    let names = |patterns: &[RefPattern]| patterns.iter().map(RefPattern::as_str).collect::<Vec<_>>().join(" ");
    let RefRules { refs, protected, allow_force, allow_delete } = &remote.rules;
    let mut notes = Vec::new();
    if let GitUpstream::Local { .. } = remote.upstream {
        notes.push("kept for the person who runs this bottle, who takes it from here".to_owned());
    }
    if !protected.is_empty() {
        notes.push(format!("no push to {}", names(protected)));
    }
    for (allowed, what) in [(allow_force, "no force push"), (allow_delete, "no deletion")] {
        if !allowed {
            notes.push(what.to_owned());
        }
    }
    let notes = if notes.is_empty() { String::new() } else { format!("  ({})", notes.join("; ")) };
    format!("git://{GIT_HOST}/{}  {}{notes}\n", remote.name, names(refs))
}

/// One route as text, a line for each pair of methods and paths.
fn route_lines(route: &Route) -> String {
    let place = format!("{} {}", if route.deny { "deny " } else { "allow" }, route.base_url());
    let notes = [
        (route.git == Some(GitAccess::Fetch)).then_some("git clone and fetch"),
        route.auth.is_some().then_some("the gate adds the credential"),
    ];
    let mut notes: Vec<_> = notes.into_iter().flatten().map(str::to_owned).collect();
    notes.extend(route.query.iter().map(|(name, pattern)| match name.as_str() {
        NO_OTHER_PARAMETER => "no other query".to_owned(),
        name => format!("with ?{name}={}", pattern.as_str()),
    }));
    notes.extend(route.headers.iter().map(|(name, pattern)| format!("with {name}: {}", pattern.as_str())));
    let notes = if notes.is_empty() { String::new() } else { format!("  ({})", notes.join("; ")) };
    match route.requests() {
        requests if requests.is_empty() => format!("{place}{notes}\n"),
        requests => requests
            .into_iter()
            .map(|(methods, paths)| {
                let methods = if methods.is_empty() { route.methods_text() } else { methods };
                format!("{place}  {methods}  {}{notes}\n", paths.join(" "))
            })
            .collect(),
    }
}

/// What is allowed of one host, as text.
fn host_page(egress: &Egress, host: &str) -> Response<Body> {
    let snapshot = egress.live.snapshot();
    let routes = snapshot.policy.routes.iter().filter(|route| route.host.matches(host));
    let lines: String = routes.map(route_lines).collect();
    match lines.is_empty() {
        true => {
            page(StatusCode::NOT_FOUND, PLAIN, format!("claude-bottle: no route leads to `{host}`\n{}", ask(egress)))
        }
        false => page(StatusCode::OK, PLAIN, lines + &ask(egress)),
    }
}

/// What was denied lately, as text.
fn denials_page(egress: &Egress) -> String {
    let refusals = egress.trail.recent_denials.list();
    if refusals.is_empty() {
        return "nothing was refused so far\n".to_owned();
    }
    let lines = refusals.into_iter().rev().map(|(at, what)| format!("{}  {what}\n", format_rfc3339(at)));
    format!("Refused, the latest first:\n{}{}", lines.collect::<String>(), ask(egress))
}

/// What was denied lately, as JSON.
fn denials_json(egress: &Egress) -> serde_json::Value {
    let refusals = egress.trail.recent_denials.list().into_iter();
    refusals.map(|(at, what)| json!({ "time": format_rfc3339(at), "what": what })).collect()
}

/// All that is allowed and what was denied, as JSON.
fn overview_json(egress: &Egress) -> String {
    let snapshot = egress.live.snapshot();
    let routes: Vec<_> = snapshot
        .policy
        .routes
        .iter()
        .map(|route| {
            let requests: Vec<_> = route
                .requests()
                .into_iter()
                .map(|(methods, paths)| json!({ "methods": methods.split_whitespace().collect::<Vec<_>>(), "paths": paths }))
                .collect();
            json!({
                "scheme": route.scheme(),
                "host": route.host,
                "port": route.port,
                "deny": route.deny,
                "git": route.git,
                "credential": route.auth.is_some(),
                "requests": requests,
            })
        })
        .collect();
    let remotes: Vec<_> =
        egress.remotes.iter().map(|remote| json!({ "name": remote.name, "rules": remote.rules })).collect();
    let mcp = egress.proposals.is_enabled().then_some(MCP_URL);
    format!("{}\n", json!({ "routes": routes, "remotes": remotes, "refusals": denials_json(egress), "mcp": mcp }))
}
