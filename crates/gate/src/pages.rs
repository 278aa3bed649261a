//! What the gate itself says to the agent: why a request was refused, and what is allowed. Never a file, a line, an
//! address behind a route, or anything about a token but that there is one.

use crate::egress::Egress;
use crate::egress::inspect::headers::MARK;
use crate::egress::request::body::Body;
use crate::events::rfc3339;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, Response, StatusCode};
use policy::{Denial, GitAccess, NO_OTHER, Policy, Reason, Role, Route, plain_name};
use serde_json::json;

/// For whom a refusal is written.
pub struct Reader {
    shape: Shape,
    /// What may be asked of the same host.
    allowed: Vec<String>,
}

/// In what shape an error is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Anyone,
    /// Of the model's host: there 401 and 403 look like a lost login.
    Claude,
}

impl Reader {
    /// Who asks this host.
    pub fn of(policy: &Policy, host: &str, port: u16) -> Reader {
        let model = policy.routes.iter().any(|route| route.role == Some(Role::Claude) && route.host.matches(host));
        Reader { shape: if model { Shape::Claude } else { Shape::Anyone }, allowed: policy.allowed_at(host, port) }
    }
}

pub fn refusal(denial: &Denial, reader: Reader) -> Response<Body> {
    let text = format!("claude-bottle: refused: {}", denial.text);
    let response = match reader.shape {
        Shape::Anyone => {
            let mut text = text + "\n";
            // For another reason than what was asked for, the list would be no help.
            if matches!(denial.reason, Reason::Port | Reason::Git | Reason::Method | Reason::Path) {
                text.extend(reader.allowed.iter().map(|line| format!("allowed there: {line}\n")));
            }
            page(StatusCode::FORBIDDEN, PLAIN, text + HINT + "\n")
        }
        Shape::Claude => error(StatusCode::BAD_REQUEST, "invalid_request_error", &format!("{text} ({HINT})")),
    };
    mark(response, &format!("denied; reason={}", denial.reason))
}

/// The route is right, the upstream is not.
pub fn failure(word: &str, text: &str, reader: Reader) -> Response<Body> {
    let text = format!("claude-bottle: failed: {text}");
    let response = match reader.shape {
        Shape::Anyone => page(StatusCode::BAD_GATEWAY, PLAIN, format!("{text}\n")),
        Shape::Claude => error(StatusCode::BAD_GATEWAY, "api_error", &text),
    };
    mark(response, &format!("failed; reason={word}"))
}

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

const HINT: &str = "what is allowed in this bottle, and how to ask for more: http://gate.bottle/";

/// `http://gate.bottle/`
pub fn explain(egress: &Egress, method: &Method, path: &str, headers: &HeaderMap) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        let mut response = page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET only\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return mark(response, "gate");
    }
    let json = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"application/json"));
    let response = match (path, json) {
        ("/policy.json", _) | ("/", true) => page(StatusCode::OK, JSON, machine(egress)),
        ("/", false) => page(StatusCode::OK, PLAIN, human(egress)),
        ("/why", true) => page(StatusCode::OK, JSON, format!("{}\n", refusals(egress))),
        ("/why", false) => page(StatusCode::OK, PLAIN, why(egress)),
        (path, _) => match plain_name(path.trim_matches('/')) {
            Some(host) => of_host(egress, &host),
            None => {
                page(StatusCode::NOT_FOUND, PLAIN, "there is /, /why, /policy.json, and / with a host\n".to_owned())
            }
        },
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

const ASK: &str = "To ask for more, tell the person who started this bottle what was refused, and what it is for.\n";

fn human(egress: &Egress) -> String {
    let mut text = String::from(
        "claude-bottle: the network of this bottle is an allowlist.\n\
         What is listed works without any proxy setting; everything else is refused. The first line that fits decides.\n\n",
    );
    text.extend(egress.snapshot().policy.routes.iter().map(lines));
    text.push_str("\nOf one host: http://gate.bottle/HOST. What was refused lately, and why: http://gate.bottle/why\n");
    text + ASK
}

/// One route, a line for each pair of methods and paths.
fn lines(route: &Route) -> String {
    let place = format!("{} {}", if route.deny { "deny " } else { "allow" }, route.place());
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
    match route.requests() {
        requests if requests.is_empty() => format!("{place}{notes}\n"),
        requests => requests
            .into_iter()
            .map(|(methods, paths)| format!("{place}  {methods}  {}{notes}\n", paths.join(" ")))
            .collect(),
    }
}

fn of_host(egress: &Egress, host: &str) -> Response<Body> {
    let snapshot = egress.snapshot();
    let routes = snapshot.policy.routes.iter().filter(|route| route.host.matches(host));
    let lines: String = routes.map(lines).collect();
    match lines.is_empty() {
        true => page(StatusCode::NOT_FOUND, PLAIN, format!("claude-bottle: no route leads to `{host}`\n{ASK}")),
        false => page(StatusCode::OK, PLAIN, lines + ASK),
    }
}

fn why(egress: &Egress) -> String {
    let refusals = egress.counters.refusals();
    if refusals.is_empty() {
        return "nothing was refused so far\n".to_owned();
    }
    let lines = refusals.into_iter().rev().map(|(at, what)| format!("{}  {what}\n", rfc3339(at)));
    format!("Refused, the latest first:\n{}{ASK}", lines.collect::<String>())
}

fn refusals(egress: &Egress) -> serde_json::Value {
    let refusals = egress.counters.refusals().into_iter();
    refusals.map(|(at, what)| json!({ "time": rfc3339(at), "what": what })).collect()
}

fn machine(egress: &Egress) -> String {
    let snapshot = egress.snapshot();
    let routes: Vec<_> = snapshot
        .policy
        .routes
        .iter()
        .map(|route| {
            let requests: Vec<_> = route
                .requests()
                .into_iter()
                .map(|(methods, paths)| json!({ "methods": methods.split(' ').collect::<Vec<_>>(), "paths": paths }))
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
    format!("{}\n", json!({ "routes": routes, "refusals": refusals(egress) }))
}
