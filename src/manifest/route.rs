//! One route of the allowlist as written, with every default filled in that does not depend on the rest of its bottle.
//!
//! What contradicts itself is an error here, so that the gate meets only routes that mean one thing.

use super::auth::{self, Credential};
use super::block::{Block, error_at};
use super::json::{Member, Node, Position, Value, excerpt, printable};
use super::{keys, resolve_path};
use crate::exit::UserError;
use policy::{
    AuthScheme, ConnectTo, Dlp, GitAccess, HeaderRules, HostPattern, Inspect, NO_OTHER_PARAMETER, PathPattern,
    Protocol, QueryRules, Reads, Role, ValuePattern, reserved_because,
};
use std::path::{Path, PathBuf};

/// The methods of a route that allows and lists none.
const READING_METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];
/// The methods that a route may list: those that are registered (IANA, HTTP Method Registry) but PRI, TRACE and CONNECT, and
/// those of widely used servers: of Vault (LIST), of caches (BAN, PURGE), of UPnP and of Icecast. Any other word is taken for
/// a slip, which would let nothing pass.
const METHODS: [&str; 46] = [
    "ACL",
    "BAN",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LIST",
    "LOCK",
    "M-SEARCH",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "NOTIFY",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "SOURCE",
    "SUBSCRIBE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
    "VIEW",
];
/// Characters of the name of a query parameter or a header.
const MAX_RULE_NAME_CHARS: usize = 100;

/// A route that is complete but for what the rest of its bottle decides: names of values.
#[derive(Debug, Clone)]
pub struct RouteDraft {
    pub at: Position,
    /// `file:line`
    pub origin: String,
    pub host: HostPattern,
    pub port: u16,
    /// Empty: `deny` without `methods`, which denies every method.
    pub methods: Vec<String>,
    pub paths: Vec<PathPattern>,
    pub deny: bool,
    pub private: bool,
    pub proxy: bool,
    pub connect_to: Option<ConnectTo>,
    /// File of PEM certificates. Absolute.
    pub upstream_ca: Option<PathBuf>,
    pub credential: Option<Credential>,
    pub agent_auth: bool,
    pub intercept: bool,
    pub protocol: Protocol,
    pub git: Option<GitAccess>,
    pub role: Option<Role>,
    pub dlp: Dlp,
    pub server_tools: Vec<String>,
    pub query: QueryRules,
    pub headers: HeaderRules,
    pub inspect_responses: Inspect,
    pub bodies: bool,
    pub ranges: bool,
}

/// Reads one route.
///
/// # Errors
/// `UserError` for a wrong value, and for keys that contradict each other.
pub fn read(file: &Path, node: &Node) -> Result<RouteDraft, UserError> {
    let block = Block::open(file, node, &keys::ROUTE)?;
    let written = block.require("host")?;
    let host = HostPattern::try_from(block.string(written)?.to_string())
        .map_err(|why| error_at(file, written.at.line, printable(&why)))?;
    if let Some(why) = reserved_because(host.as_str()) {
        return Err(block.error(written, why));
    }
    let port = match block.get("port") {
        Some(member) => u16::try_from(block.integer(member, 1..=65535)?).unwrap_or(443),
        None => 443,
    };
    let flag = |key, default| block.boolean(key).map(|flag| flag.map_or(default, |(_, flag)| flag));
    let methods = methods(&block)?;
    let mut route = RouteDraft {
        at: node.at,
        origin: format!("{}:{}", file.display(), block.line),
        host,
        port,
        methods: Vec::new(),
        paths: paths(&block)?,
        deny: flag("deny", false)?,
        private: flag("private", false)?,
        proxy: flag("proxy", true)?,
        connect_to: connect_to(&block)?,
        upstream_ca: None,
        credential: None,
        agent_auth: flag("agent_auth", false)?,
        intercept: flag("intercept", true)?,
        protocol: block.choice("protocol", &[("http", Protocol::Http), ("tcp", Protocol::Tcp)])?.unwrap_or_default(),
        git: block.choice("git", &[("fetch", GitAccess::Fetch)])?,
        role: block.choice("role", &[("claude", Role::Claude)])?,
        dlp: block
            .choice("dlp", &[("block", Dlp::Block), ("redact", Dlp::Redact), ("warn", Dlp::Warn), ("off", Dlp::Off)])?
            .unwrap_or_default(),
        server_tools: server_tools(&block)?,
        query: query(&block)?,
        headers: headers(&block)?,
        inspect_responses: inspect(&block)?,
        bodies: flag("bodies", false)?,
        ranges: flag("ranges", false)?,
    };
    check_agreement(&block, &route)?;
    route.upstream_ca = upstream_ca(&block)?;
    route.credential = block.object("auth", &keys::AUTH)?.map(|auth| auth::read(&auth, route.role)).transpose()?;
    if let Some(Credential { scheme: AuthScheme::Header { header }, .. }) = &route.credential
        && route.headers.contains_key(header)
    {
        let what = format!("`{header}` is the header of `auth`, which the gate writes");
        return Err(block.error(block.require("headers")?, what));
    }
    route.methods = match methods {
        Some(methods) => methods,
        None if route.deny => Vec::new(),
        None => {
            // The model is asked by POST.
            let model = route.role.map(|_| "POST");
            READING_METHODS.into_iter().chain(model).map(String::from).collect()
        }
    };
    check_upstream(&block, &route)?;
    Ok(route)
}

/// The listed methods in upper case; `None` without the key.
fn methods(block: &Block) -> Result<Option<Vec<String>>, UserError> {
    let Some(member) = block.get("methods") else { return Ok(None) };
    let mut methods: Vec<String> = Vec::new();
    for (_, word) in block.strings(member)? {
        let method = word.to_ascii_uppercase();
        let why = match method.as_str() {
            "*" | "ANY" | "ALL" => "methods are spelled out, as in `[\"GET\", \"POST\"]`",
            "TRACE" | "CONNECT" => "the gate passes no TRACE and no CONNECT",
            known if !METHODS.contains(&known) => {
                let what = format_args!("bad method `{}`: not an HTTP method that is known", excerpt(word));
                return Err(block.error(member, what).meant(&method, METHODS.iter().copied()));
            }
            _ => {
                if !methods.contains(&method) {
                    methods.push(method);
                }
                continue;
            }
        };
        return Err(block.error(member, format_args!("bad method `{}`: {why}", excerpt(word))));
    }
    if methods.is_empty() {
        return Err(block.error(
            member,
            "empty: a route without a method matches nothing; leave the key out for GET, HEAD and OPTIONS",
        ));
    }
    Ok(Some(methods))
}

fn paths(block: &Block) -> Result<Vec<PathPattern>, UserError> {
    let all = || PathPattern::try_from("/**".to_string()).into_iter().collect();
    let Some(member) = block.get("paths") else { return Ok(all()) };
    let words = block.strings(member)?;
    if words.is_empty() {
        return Err(
            block.error(member, "empty: a route without a path matches nothing; leave the key out for every path")
        );
    }
    words
        .into_iter()
        .map(|(line, word)| {
            PathPattern::try_from(word.to_string()).map_err(|why| error_at(block.file, line, printable(&why)))
        })
        .collect()
}

fn connect_to(block: &Block) -> Result<Option<ConnectTo>, UserError> {
    let Some(member) = block.get("connect_to") else { return Ok(None) };
    ConnectTo::try_from(block.string(member)?.to_string())
        .map(Some)
        .map_err(|why| error_at(block.file, member.at.line, printable(&why)))
}

fn upstream_ca(block: &Block) -> Result<Option<PathBuf>, UserError> {
    let Some(member) = block.get("upstream_ca") else { return Ok(None) };
    resolve_path(block.file, block.string(member)?).map(Some).map_err(|why| block.error(member, why))
}

fn server_tools(block: &Block) -> Result<Vec<String>, UserError> {
    let Some(member) = block.get("server_tools") else { return Ok(Vec::new()) };
    let mut tools = Vec::new();
    for (line, word) in block.strings(member)? {
        if word.is_empty() || !word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            let what = format!("bad tool `{}`: wanted the beginning of a type, as in `web_fetch`", excerpt(word));
            return Err(error_at(block.file, line, format_args!("`server_tools` in a route: {what}")));
        }
        tools.push(word.to_string());
    }
    Ok(tools)
}

/// The names and patterns of `query` or `headers`, in the order of the file.
fn rules<'a>(block: &Block<'a>, key: &'static str) -> Result<Vec<(&'a Member, ValuePattern)>, UserError> {
    let mut rules = Vec::new();
    for member in block.map(key)? {
        let bad = |what: &dyn std::fmt::Display| {
            error_at(block.file, member.at.line, format_args!("`{key}` in a route: {what}"))
        };
        let Value::String(text) = &member.node.value else {
            let name = excerpt(&member.key);
            return Err(bad(&format_args!("wanted a pattern as a string for `{name}`, found {}", member.node.kind())));
        };
        if member.key.is_empty()
            || member.key.len() > MAX_RULE_NAME_CHARS
            || !member.key.bytes().all(|b| (b' '..=b'~').contains(&b))
        {
            return Err(bad(&format_args!(
                "bad name `{}`: printable ASCII, at most {MAX_RULE_NAME_CHARS}",
                excerpt(&member.key)
            )));
        }
        rules.push((member, ValuePattern::try_from(text.clone()).map_err(|why| bad(&why))?));
    }
    if let (Some(member), true) = (block.get(key), rules.is_empty()) {
        return Err(block.error(member, "empty: leave the key out"));
    }
    Ok(rules)
}

fn query(block: &Block) -> Result<QueryRules, UserError> {
    let mut query = QueryRules::new();
    let deny = block.boolean("deny")?.is_some_and(|(_, deny)| deny);
    for (member, pattern) in rules(block, "query")? {
        let why = match (member.key.as_str(), pattern.as_str()) {
            (NO_OTHER_PARAMETER, _) if deny => Some("`*` belongs to a route that allows"),
            (NO_OTHER_PARAMETER, text) if !text.is_empty() => {
                Some("`*` takes only `\"\"`: no parameter beside those named")
            }
            _ => None,
        };
        let Some(why) = why else {
            query.insert(member.key.clone(), pattern);
            continue;
        };
        return Err(error_at(block.file, member.at.line, format_args!("`query` in a route: {why}")));
    }
    Ok(query)
}

fn headers(block: &Block) -> Result<HeaderRules, UserError> {
    let mut headers = HeaderRules::new();
    for (member, pattern) in rules(block, "headers")? {
        let bad = |what: &str| {
            let name = excerpt(&member.key);
            Err(error_at(block.file, member.at.line, format_args!("`headers` in a route: `{name}` {what}")))
        };
        let name = member.key.to_ascii_lowercase();
        if !is_header(&name) {
            return bad("is not the name of a header");
        }
        if policy::is_gate_controlled(&name) {
            return bad("is the gate's own: it writes it, takes it off or refuses it, whatever the agent sends");
        }
        if headers.insert(name, pattern).is_some() {
            return bad("stands here twice");
        }
    }
    Ok(headers)
}

/// Is it a name for a header: a token of HTTP, in lower case or not?
pub fn is_header(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=MAX_RULE_NAME_CHARS).contains(&name.len()) && name.bytes().all(token)
}

/// Without the key, the model's own answers are not inspected: the agent exists to act on them.
fn inspect(block: &Block) -> Result<Inspect, UserError> {
    let choice = [("warn", Inspect::Warn), ("block", Inspect::Block), ("off", Inspect::Off)];
    let role = if block.get("role").is_some() { Inspect::Off } else { Inspect::Warn };
    Ok(block.choice("inspect_responses", &choice)?.unwrap_or(role))
}

/// # Errors
/// `UserError` for keys that contradict each other.
fn check_agreement(block: &Block, route: &RouteDraft) -> Result<(), UserError> {
    /// Keys about HTTP, which the gate does not read when bytes or TLS pass untouched.
    const HTTP_KEYS: [&str; 13] = [
        "methods",
        "paths",
        "auth",
        "agent_auth",
        "dlp",
        "git",
        "role",
        "server_tools",
        "query",
        "headers",
        "inspect_responses",
        "bodies",
        "ranges",
    ];
    if route.protocol == Protocol::Tcp {
        block.require("port").map_err(|_| error_at(block.file, block.line, "`protocol: \"tcp\"` without `port`"))?;
        block.forbid(&HTTP_KEYS, "not beside `protocol: \"tcp\"`: its bytes pass as they are, unseen")?;
        block.forbid(&["intercept"], "not beside `protocol: \"tcp\"`, which is never intercepted")?;
    }
    if !route.intercept {
        block.forbid(&HTTP_KEYS, "not beside `intercept: false`: what passes inside TLS is not seen")?;
        if route.port == 80 {
            block.forbid(&["intercept"], "port 80 is plain HTTP, there is no TLS to pass untouched")?;
        }
    }
    if route.role.is_some() {
        block.forbid(&["methods", "paths", "git"], "not beside `role: \"claude\"`, which carries its own rule")?;
        block.require("auth").map_err(|_| {
            error_at(block.file, block.line, "`role: \"claude\"` without `auth`")
                .hint("write `\"auth\": { \"token_ref\": \"CLAUDE_CODE_OAUTH_TOKEN\" }`")
        })?;
    } else {
        block.forbid(&["server_tools"], "belongs to `role: \"claude\"`")?;
    }
    if route.deny {
        let keys_of_passing =
            ["auth", "agent_auth", "dlp", "git", "role", "server_tools", "inspect_responses", "bodies", "ranges"];
        block.forbid(&keys_of_passing, "not beside `deny: true`: what matches is refused")?;
    }
    Ok(())
}

/// # Errors
/// `UserError` for what the connection from the gate to the upstream cannot carry, or must not.
fn check_upstream(block: &Block, route: &RouteDraft) -> Result<(), UserError> {
    let to = route.connect_to.as_ref();
    let untouched = Reads::of(route.protocol, route.intercept) != Reads::Http;
    let plain = policy::is_upstream_plain(route.port, to);
    if untouched && to.is_some_and(|to| to.plain) {
        block.forbid(&["connect_to"], "`http://` wants a route whose HTTP the gate reads; write `host:port`")?;
    }
    if untouched || plain {
        block.forbid(&["upstream_ca"], "the gate itself speaks no TLS to this upstream")?;
    }
    if plain && route.credential.is_some() && !route.private {
        let why = "the credential would leave the gate unencrypted; only a `private` route may do that";
        block.forbid(&["auth"], why)?;
    }
    if !route.private && to.is_some_and(|to| policy::needs_private(&to.host)) {
        block.forbid(&["connect_to"], "a private address: the route needs `\"private\": true`")?;
    }
    Ok(())
}
