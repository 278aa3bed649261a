//! A route as a manifest has it: one line of JSON, without what is a default.

use crate::plan::Source;
use policy::{AuthScheme, Dlp, GitAccess, Inspect, Protocol, Role, Route};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// `values`: where those come from that the route names.
pub fn route(route: &Route, values: &BTreeMap<String, Source>) -> String {
    let mut members: Vec<(&str, Value)> = vec![("host", json!(route.host.as_str()))];
    let mut push = |key, is_set: bool, value: Value| {
        if is_set {
            members.push((key, value));
        }
    };
    let default_methods: &[&str] = if route.deny { &[] } else { &["GET", "HEAD", "OPTIONS"] };
    let paths: Vec<&str> = route.paths.iter().map(policy::PathPattern::as_str).collect();
    push("port", route.port != 443, json!(route.port));
    push("methods", route.methods != default_methods && route.role.is_none(), json!(route.methods));
    push("paths", paths != ["/**"], json!(paths));
    push("deny", route.deny, json!(true));
    push("auth", route.auth.is_some(), auth(route, values));
    push("agent_auth", route.agent_auth, json!(true));
    push("role", route.role == Some(Role::Claude), json!("claude"));
    push("git", route.git == Some(GitAccess::Fetch), json!("fetch"));
    push("private", route.private, json!(true));
    push("proxy", !route.proxy, json!(false));
    push("connect_to", route.connect_to.is_some(), json!(route.connect_to.as_ref().map(ToString::to_string)));
    let ca = route.upstream_ca.as_ref().and_then(|name| values.get(name));
    push("upstream_ca", ca.is_some(), ca.map_or(Value::Null, |ca| source(ca).1));
    push("intercept", !route.intercept, json!(false));
    push("protocol", route.protocol == Protocol::Tcp, json!("tcp"));
    push("dlp", route.dlp != Dlp::Block, json!(route.dlp));
    push("server_tools", !route.server_tools.is_empty(), json!(route.server_tools));
    push("query", !route.query.is_empty(), json!(route.query));
    push("headers", !route.headers.is_empty(), json!(route.headers));
    push("inspect_responses", route.inspect_responses != Inspect::Warn, json!(route.inspect_responses));
    push("bodies", route.bodies, json!(true));
    push("ranges", route.ranges, json!(true));
    let words: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\": {}", spaced(value))).collect();
    format!("{{ {} }}", words.join(", "))
}

fn auth(route: &Route, values: &BTreeMap<String, Source>) -> Value {
    let Some(auth) = &route.auth else { return Value::Null };
    let mut object = Map::new();
    if let Some((key, value)) = values.get(&auth.token).map(source) {
        object.insert(key.to_owned(), value);
    }
    if route.role.is_none() {
        match &auth.scheme {
            AuthScheme::Bearer => {}
            AuthScheme::Token => drop(object.insert("scheme".to_owned(), json!("token"))),
            AuthScheme::Basic { user } => {
                object.insert("scheme".to_owned(), json!("Basic"));
                object.insert("user".to_owned(), json!(user));
            }
            AuthScheme::Header { header } => drop(object.insert("scheme".to_owned(), json!({ "header": header }))),
        }
    }
    Value::Object(object)
}

/// The key of a manifest for a value from there, and what stands under it.
fn source(source: &Source) -> (&'static str, Value) {
    match source {
        Source::Env(name) | Source::EnvOrEmpty(name) => ("token_ref", json!(name)),
        Source::Command(argv) => ("token_cmd", json!(argv)),
        Source::File(path) => ("upstream_ca", json!(path)),
        Source::Ask(text) => ("token_ref", json!(text)),
    }
}

/// JSON on one line, with a blank behind each comma and colon.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(all) => format!("[{}]", all.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), spaced(value)))
                .collect();
            format!("{{ {} }}", members.join(", "))
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Token, read_route};
    use std::path::Path;

    #[test]
    fn a_route_reads_as_it_is_written() {
        for text in [
            r#"{ "host": "a.org" }"#,
            r#"{ "host": "*.a.org", "port": 8443, "methods": ["POST"], "paths": ["/x/*", "/y"] }"#,
            r#"{ "host": "a.org", "deny": true, "methods": ["DELETE"] }"#,
            r#"{ "host": "a.org", "deny": true, "methods": ["GET", "HEAD", "OPTIONS"] }"#,
            r#"{ "host": "a.org", "deny": true }"#,
            r#"{ "host": "a.org", "auth": { "token_ref": "TOKEN", "scheme": { "header": "x-key" } } }"#,
            r#"{ "host": "a.org", "auth": { "token_cmd": ["pass", "show", "a"], "scheme": "Basic", "user": "me" } }"#,
            r#"{ "host": "a.org", "auth": { "token_ref": "TOKEN", "scheme": "token" }, "ranges": true }"#,
            r#"{ "host": "a.org", "private": true, "connect_to": "http://[::1]:8080", "dlp": "off", "bodies": true }"#,
            r#"{ "host": "a.org", "agent_auth": true, "git": "fetch", "inspect_responses": "block" }"#,
            r#"{ "host": "db.org", "port": 5432, "protocol": "tcp" }"#,
            r#"{ "host": "a.org", "intercept": false }"#,
            r#"{ "host": "a.org", "query": { "q": "a*" }, "headers": { "x-kind": "b" } }"#,
            r#"{ "host": "a.org", "upstream_ca": "/etc/ca.pem" }"#,
        ] {
            let read = read_route(Path::new("/m.json"), text).unwrap();
            let mut values = BTreeMap::new();
            if let (Some(auth), Some(token)) = (&read.policy.auth, &read.token) {
                let source = match token {
                    Token::Env(name) => Source::Env(name.clone()),
                    Token::Cmd(argv) => Source::Command(argv.clone()),
                };
                values.insert(auth.token.clone(), source);
            }
            if let (Some(name), Some(path)) = (&read.policy.upstream_ca, &read.upstream_ca) {
                values.insert(name.clone(), Source::File(path.clone()));
            }
            let written = route(&read.policy, &values);
            let again = read_route(Path::new("/m.json"), &written).unwrap();
            assert_eq!(again, read, "{text}: {written}");
        }
        assert_eq!(
            route(
                &read_route(Path::new("/m.json"), r#"{"host":"a.org","paths":["/x"],"methods":["GET"]}"#)
                    .unwrap()
                    .policy,
                &BTreeMap::new()
            ),
            r#"{ "host": "a.org", "methods": ["GET"], "paths": ["/x"] }"#
        );
    }
}
