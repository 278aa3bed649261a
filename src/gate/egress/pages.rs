//! What the gate itself says to the agent: why a request was refused, and what is allowed. Never a file, a line, an
//! address behind a route, or anything about a token but that there is one.

use super::Egress;
use super::body::Body;
use super::headers::MARK;
use crate::events::rfc3339;
use claude_bottle::policy::{Denial, GitAccess, NO_OTHER, Protocol, Route, rule_of};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde_json::json;

/// In what shape the reader expects an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    Anyone,
    /// Of the model's host: there 401 and 403 look like a lost login.
    Claude,
}

pub fn refusal(denial: &Denial, reader: Reader) -> Response<Body> {
    let text = format!("claude-bottle: refused: {}", denial.text);
    let status = match reader {
        Reader::Anyone => StatusCode::FORBIDDEN,
        Reader::Claude => StatusCode::BAD_REQUEST,
    };
    let response = match reader {
        Reader::Anyone => page(status, "text/plain; charset=utf-8", format!("{text}\n{HINT}\n")),
        Reader::Claude => error(status, "invalid_request_error", &format!("{text} ({HINT})")),
    };
    mark(response, &format!("denied; reason={}", denial.reason))
}

/// The route is right, the upstream is not.
pub fn failure(word: &str, text: &str, reader: Reader) -> Response<Body> {
    let text = format!("claude-bottle: failed: {text}");
    let response = match reader {
        Reader::Anyone => page(StatusCode::BAD_GATEWAY, "text/plain; charset=utf-8", format!("{text}\n")),
        Reader::Claude => error(StatusCode::BAD_GATEWAY, "api_error", &text),
    };
    mark(response, &format!("failed; reason={word}"))
}

const HINT: &str = "what is allowed in this bottle: http://gate.bottle/";

/// `http://gate.bottle/`
pub fn explain(egress: &Egress, method: &Method, path: &str, headers: &HeaderMap) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        let mut response = page(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", "GET only\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return mark(response, "gate");
    }
    let json = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"application/json"));
    let response = match path {
        "/policy.json" => page(StatusCode::OK, "application/json", machine(egress)),
        "/" if json => page(StatusCode::OK, "application/json", machine(egress)),
        "/" => page(StatusCode::OK, "text/plain; charset=utf-8", human(egress)),
        _ => page(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "there is / and /policy.json\n".to_owned()),
    };
    mark(response, "gate")
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::Page(Some(Bytes::from(text))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An error as the Messages API has them.
fn error(status: StatusCode, kind: &str, message: &str) -> Response<Body> {
    let body = json!({ "type": "error", "error": { "type": kind, "message": message } });
    page(status, "application/json", body.to_string())
}

fn mark(mut response: Response<Body>, what: &str) -> Response<Body> {
    if let Ok(value) = HeaderValue::try_from(what) {
        response.headers_mut().insert(MARK, value);
    }
    response
}

fn scheme(route: &Route) -> &'static str {
    match (route.protocol, route.intercept, route.port) {
        (Protocol::Tcp, ..) => "tcp",
        (_, false, _) => "tls",
        (_, _, 80) => "http",
        _ => "https",
    }
}

/// Method and path pairs of a route, as it really works.
fn requests(route: &Route) -> Vec<(String, Vec<String>)> {
    if route.protocol == Protocol::Tcp || !route.intercept {
        return Vec::new();
    }
    if let (Some(role), false) = (route.role, route.deny) {
        return rule_of(role).iter().map(|(methods, path)| (methods.join(" "), vec![(*path).to_owned()])).collect();
    }
    vec![(route.methods.join(" "), route.paths.iter().map(|path| path.as_str().to_owned()).collect())]
}

fn human(egress: &Egress) -> String {
    let mut text = String::from(
        "claude-bottle: the network of this bottle is an allowlist.\n\
         What is listed works without any proxy setting; everything else is refused. The first line that fits decides.\n\n",
    );
    for route in &egress.table().policy.routes {
        let verb = if route.deny { "deny " } else { "allow" };
        let port = match (scheme(route), route.port) {
            ("https", 443) | ("http", 80) => String::new(),
            (_, port) => format!(":{port}"),
        };
        let place = format!("{verb} {}://{}{port}", scheme(route), route.host.as_str());
        let notes = [
            (route.git == Some(GitAccess::Fetch)).then_some("git clone and fetch"),
            route.auth.is_some().then_some("the gate adds the credential"),
        ];
        let mut notes: Vec<_> = notes.into_iter().flatten().map(str::to_owned).collect();
        notes.extend(route.query.iter().map(|(name, pattern)| match name.as_str() {
            NO_OTHER => "no other query".to_owned(),
            name => format!("with ?{name}={}", pattern.as_str()),
        }));
        notes.extend(route.headers.iter().map(|(name, pattern)| format!("with {name}: {}", pattern.as_str())));
        let notes = if notes.is_empty() { String::new() } else { format!("  ({})", notes.join("; ")) };
        let requests = requests(route);
        if requests.is_empty() {
            text.push_str(&format!("{place}{notes}\n"));
        }
        for (methods, paths) in requests {
            text.push_str(&format!("{place}  {methods}  {}{notes}\n", paths.join(" ")));
        }
    }
    let refusals = egress.tallies.refusals();
    if !refusals.is_empty() {
        text.push_str("\nLatest refusals:\n");
        for (at, what) in refusals {
            text.push_str(&format!("{}  {what}\n", rfc3339(at)));
        }
    }
    text
}

fn machine(egress: &Egress) -> String {
    let table = egress.table();
    let routes: Vec<_> = table
        .policy
        .routes
        .iter()
        .map(|route| {
            let requests: Vec<_> = requests(route)
                .into_iter()
                .map(|(methods, paths)| json!({ "methods": methods.split(' ').collect::<Vec<_>>(), "paths": paths }))
                .collect();
            json!({
                "scheme": scheme(route),
                "host": route.host,
                "port": route.port,
                "deny": route.deny,
                "git": route.git,
                "query": route.query,
                "headers": route.headers,
                "credential": route.auth.is_some(),
                "requests": requests,
            })
        })
        .collect();
    let refusals: Vec<_> =
        egress.tallies.refusals().into_iter().map(|(at, what)| json!({ "time": rfc3339(at), "what": what })).collect();
    format!("{}\n", json!({ "routes": routes, "refusals": refusals }))
}
