//! The plan's routes as text: those that only read, then those that can write, then the warnings about both.

use crate::plan::{Plan, Source, session_route_id, warnings};
use crate::text;
use policy::{AuthScheme, GitAccess, NO_OTHER_PARAMETER, Protocol, Role, Route};
use std::fmt::Write;

pub fn egress(plan: &Plan) -> String {
    let (writable, readable): (Vec<&Route>, Vec<&Route>) =
        plan.policy.routes.iter().partition(|route| route.can_write());
    let mut text = "egress   ".to_owned();
    text.push_str(&match (readable.len(), writable.len()) {
        (0, 0) if plan.has_remotes() => "nothing gets out but by git, see REMOTES\n".to_owned(),
        (0, 0) => "nothing gets out\n".to_owned(),
        (0, _) => "only what is listed as writable\n".to_owned(),
        _ => "first match decides, all else is refused\n".to_owned(),
    });
    push_block(&mut text, plan, &readable);
    if !writable.is_empty() {
        text.push_str("WRITABLE what the agent can send, and where\n");
        push_block(&mut text, plan, &writable);
    }
    let warnings = warnings(plan);
    if !warnings.is_empty() {
        text.push_str("WARNINGS look twice\n");
    }
    for (place, risk) in warnings {
        let _ = writeln!(text, "  {place}: {}", text::one_line(&risk));
    }
    text
}

fn push_block(text: &mut String, plan: &Plan, routes: &[&Route]) {
    let width = routes.iter().map(|route| host_and_port(route).len()).max().unwrap_or_default();
    for route in routes {
        let line = format!("  {:<width$}  {}", host_and_port(route), rights(plan, route));
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn host_and_port(route: &Route) -> String {
    match route.port {
        443 => route.host.as_str().to_owned(),
        port => format!("{}:{port}", route.host.as_str()),
    }
}

fn rights(plan: &Plan, route: &Route) -> String {
    let mut words: Vec<String> = Vec::new();
    if route.deny {
        words.push("REFUSED".to_owned());
    }
    match (route.protocol, route.intercept, route.role) {
        (Protocol::Tcp, _, _) => words.push("RAW BYTES, unread".to_owned()),
        (_, false, _) => words.push("TLS UNTOUCHED, unread".to_owned()),
        (_, _, Some(Role::Claude)) => words.push("Claude Code's own requests".to_owned()),
        _ => {
            words.push(route.methods_text());
            words.push(route.paths.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(" "));
        }
    }
    words.extend(route.query.iter().map(|(name, pattern)| match name.as_str() {
        NO_OTHER_PARAMETER => "[no other query]".to_owned(),
        name => format!("[?{name}={}]", pattern.as_str()),
    }));
    words.extend(route.headers.iter().map(|(name, pattern)| format!("[{name}: {}]", pattern.as_str())));
    if route.port == 80 && route.protocol == Protocol::Http {
        words.push("[plain HTTP]".to_owned());
    }
    if let Some(auth) = &route.auth {
        words.push(format!("[auth:{}]", scheme(&auth.scheme)));
    }
    if route.git == Some(GitAccess::Fetch) {
        words.push("[git fetch]".to_owned());
    }
    if route.agent_auth {
        words.push("[the agent's own credentials pass]".to_owned());
    }
    if route.private {
        words.push("[private address]".to_owned());
    }
    if !route.proxy {
        words.push("[past the proxy]".to_owned());
    }
    if let Some(to) = &route.connect_to {
        words.push(format!("[to {to}]"));
    }
    if let Some(Source::File(path)) = route.upstream_ca.as_ref().and_then(|name| plan.values.get(name)) {
        words.push(format!("[trusts {}]", text::path(path)));
    }
    if let Some(id) = session_route_id(route) {
        words.push(format!("[this session's own, {id}]"));
    }
    words.join(" ")
}

fn scheme(scheme: &AuthScheme) -> &str {
    match scheme {
        AuthScheme::Bearer => "Bearer",
        AuthScheme::Token => "token",
        AuthScheme::Basic { .. } => "Basic",
        AuthScheme::Header { header } => header,
    }
}
