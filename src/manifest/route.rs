//! One route of the allowlist, as written, into the policy's route with every default filled in; and what must hold
//! among the routes of a whole bottle.
//!
//! What contradicts itself is refused here, so that the gate meets only routes that mean one thing.

use super::block::{Block, is_variable, refuse};
use super::json::{At, Member, Node, Value, clean, visible};
use super::{Route, Token, keys, place};
use crate::exit::UserError;
use policy::{
    self, Auth, ConnectTo, Dlp, GitAccess, HOPS, HeaderRules, HostPattern, Inspect, NO_OTHER, PathPattern, Protocol,
    QueryRules, Role, Scheme, ValuePattern,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where an agent's Claude Code may look for its credential: the scheme follows.
const PLACEHOLDERS: [&str; 3] = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];
const READING: [&str; 3] = ["GET", "HEAD", "OPTIONS"];
/// What a `deny` without `methods` refuses, beside every method that another route of the bottle names.
const USUAL: [&str; 7] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];
/// Headers that carry no credential, beside those of the connection.
const NO_CREDENTIAL: [&str; 2] = ["content-type", "proxy-authorization"];

/// A route that is complete but for what the rest of its bottle decides.
#[derive(Debug, Clone)]
pub struct Draft {
    at: At,
    route: Route,
    /// `deny` without `methods`.
    every_method: bool,
}

impl Draft {
    /// Both are the same lines of the file.
    pub fn same_place(&self, other: &Draft) -> bool {
        self.at == other.at
    }
}

pub fn read(file: &Path, node: &Node) -> Result<Draft, UserError> {
    let block = Block::open(file, node, &keys::ROUTE)?;
    let written = block.need("host")?;
    let host = HostPattern::try_from(block.text(written)?.to_string())
        .map_err(|why| refuse(file, written.at.line, clean(&why)))?;
    reserved(&host).map_err(|why| block.refuse(written, why))?;
    let port = match block.get("port") {
        Some(member) => u16::try_from(block.count(member, 1, 65535)?).unwrap_or(443),
        None => 443,
    };
    let flag = |key, default| block.flag(key).map(|flag| flag.map_or(default, |(_, flag)| flag));
    let mut policy = policy::Route {
        host,
        port,
        methods: methods(&block)?,
        paths: paths(&block)?,
        origin: format!("{}:{}", file.display(), block.line),
        deny: flag("deny", false)?,
        private: flag("private", false)?,
        connect_to: connect_to(&block)?,
        upstream_ca: None,
        auth: None,
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
    };
    let every_method = policy.deny && block.get("methods").is_none();
    agree(&block, &policy)?;
    let upstream_ca = upstream_ca(&block)?;
    let (auth, token, placeholder) = match block.object("auth", &keys::AUTH)? {
        Some(auth) => read_auth(&auth, policy.role)?,
        None => (None, None, None),
    };
    if let Some(Auth { scheme: Scheme::Header { header }, .. }) = &auth
        && policy.headers.contains_key(header)
    {
        let what = format!("`{header}` is the header of `auth`, which the gate writes");
        return Err(block.refuse(block.need("headers")?, what));
    }
    policy.auth = auth;
    if policy.role.is_some() {
        policy.methods.push("POST".into());
    }
    leg(&block, &policy)?;
    Ok(Draft { at: node.at, route: Route { policy, token, upstream_ca, placeholder }, every_method })
}

/// Names that the door or the gate answers itself.
fn reserved(host: &HostPattern) -> Result<(), &'static str> {
    let name = host.as_str();
    if name == "bottle" || name.ends_with(".bottle") {
        return Err("names under `bottle` are the gate's own services, and always there");
    }
    if name == "localhost" || name.ends_with(".localhost") {
        return Err("`localhost` is the agent's own container; for a server on this machine use `connect_to`");
    }
    Ok(())
}

fn methods(block: &Block) -> Result<Vec<String>, UserError> {
    let Some(member) = block.get("methods") else { return Ok(READING.map(String::from).to_vec()) };
    let mut methods: Vec<String> = Vec::new();
    for (_, word) in block.words(member)? {
        let method = word.to_ascii_uppercase();
        let why = match method.as_str() {
            "*" | "ANY" | "ALL" => "methods are spelled out, as in `[\"GET\", \"POST\"]`",
            "TRACE" | "CONNECT" => "the gate passes no TRACE and no CONNECT",
            _ if method.len() > 32 || !method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') => {
                "not an HTTP method"
            }
            _ => {
                if !methods.contains(&method) {
                    methods.push(method);
                }
                continue;
            }
        };
        return Err(block.refuse(member, format_args!("bad method `{}`: {why}", visible(word))));
    }
    if methods.is_empty() {
        return Err(block.refuse(
            member,
            "empty: a route without a method matches nothing; leave the key out for GET, HEAD and OPTIONS",
        ));
    }
    Ok(methods)
}

fn paths(block: &Block) -> Result<Vec<PathPattern>, UserError> {
    let all = || PathPattern::try_from("/**".to_string()).into_iter().collect();
    let Some(member) = block.get("paths") else { return Ok(all()) };
    let words = block.words(member)?;
    if words.is_empty() {
        return Err(
            block.refuse(member, "empty: a route without a path matches nothing; leave the key out for every path")
        );
    }
    words
        .into_iter()
        .map(|(line, word)| {
            PathPattern::try_from(word.to_string()).map_err(|why| refuse(block.file, line, clean(&why)))
        })
        .collect()
}

fn connect_to(block: &Block) -> Result<Option<ConnectTo>, UserError> {
    let Some(member) = block.get("connect_to") else { return Ok(None) };
    ConnectTo::try_from(block.text(member)?.to_string())
        .map(Some)
        .map_err(|why| refuse(block.file, member.at.line, clean(&why)))
}

fn upstream_ca(block: &Block) -> Result<Option<PathBuf>, UserError> {
    let Some(member) = block.get("upstream_ca") else { return Ok(None) };
    place(block.file, block.text(member)?).map(Some).map_err(|why| block.refuse(member, why))
}

fn server_tools(block: &Block) -> Result<Vec<String>, UserError> {
    let Some(member) = block.get("server_tools") else { return Ok(Vec::new()) };
    let mut tools = Vec::new();
    for (line, word) in block.words(member)? {
        if word.is_empty() || !word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            let what = format!("bad tool `{}`: wanted the beginning of a type, as in `web_fetch`", visible(word));
            return Err(refuse(block.file, line, format_args!("`server_tools` in a route: {what}")));
        }
        tools.push(word.to_string());
    }
    Ok(tools)
}

/// Names and patterns of one of the two maps, in the order of the file.
fn rules<'a>(block: &Block<'a>, key: &'static str) -> Result<Vec<(&'a Member, ValuePattern)>, UserError> {
    let mut rules = Vec::new();
    for member in block.map(key)? {
        let bad = |what: &dyn std::fmt::Display| {
            refuse(block.file, member.at.line, format_args!("`{key}` in a route: {what}"))
        };
        let Value::String(text) = &member.node.value else {
            let name = visible(&member.key);
            return Err(bad(&format_args!("wanted a pattern as a string for `{name}`, found {}", member.node.kind())));
        };
        if member.key.is_empty() || member.key.len() > 100 || !member.key.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(bad(&format_args!("bad name `{}`: printable ASCII, at most 100", visible(&member.key))));
        }
        rules.push((member, ValuePattern::try_from(text.clone()).map_err(|why| bad(&why))?));
    }
    if let (Some(member), true) = (block.get(key), rules.is_empty()) {
        return Err(block.refuse(member, "empty: leave the key out"));
    }
    Ok(rules)
}

fn query(block: &Block) -> Result<QueryRules, UserError> {
    let mut query = QueryRules::new();
    let deny = block.flag("deny")?.is_some_and(|(_, deny)| deny);
    for (member, pattern) in rules(block, "query")? {
        let why = match (member.key.as_str(), pattern.as_str()) {
            (NO_OTHER, _) if deny => Some("`*` belongs to a route that allows"),
            (NO_OTHER, text) if !text.is_empty() => Some("`*` takes only `\"\"`: no parameter beside those named"),
            _ => None,
        };
        let Some(why) = why else {
            query.insert(member.key.clone(), pattern);
            continue;
        };
        return Err(refuse(block.file, member.at.line, format_args!("`query` in a route: {why}")));
    }
    Ok(query)
}

fn headers(block: &Block) -> Result<HeaderRules, UserError> {
    let mut headers = HeaderRules::new();
    for (member, pattern) in rules(block, "headers")? {
        let bad = |what: &str| {
            let name = visible(&member.key);
            Err(refuse(block.file, member.at.line, format_args!("`headers` in a route: `{name}` {what}")))
        };
        let name = member.key.to_ascii_lowercase();
        if !is_header(&name) {
            return bad("is not the name of a header");
        }
        if policy::is_ours(&name) {
            return bad("is the gate's own: it writes it or takes it off, whatever the agent sends");
        }
        if headers.insert(name, pattern).is_some() {
            return bad("stands here twice");
        }
    }
    Ok(headers)
}

fn is_header(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=100).contains(&name.len()) && name.bytes().all(token)
}

/// The model's answers are what the agent is for: they are not inspected unless asked for.
fn inspect(block: &Block) -> Result<Inspect, UserError> {
    let choice = [("warn", Inspect::Warn), ("block", Inspect::Block), ("off", Inspect::Off)];
    let role = if block.get("role").is_some() { Inspect::Off } else { Inspect::Warn };
    Ok(block.choice("inspect_responses", &choice)?.unwrap_or(role))
}

/// Keys that contradict each other.
fn agree(block: &Block, route: &policy::Route) -> Result<(), UserError> {
    const INSIDE: [&str; 11] = [
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
    ];
    if route.protocol == Protocol::Tcp {
        block.need("port").map_err(|_| refuse(block.file, block.line, "`protocol: \"tcp\"` without `port`"))?;
        block.forbid(&INSIDE, "not beside `protocol: \"tcp\"`: its bytes pass as they are, unseen")?;
        block.forbid(&["intercept"], "not beside `protocol: \"tcp\"`, which is never intercepted")?;
    }
    if !route.intercept {
        block.forbid(&INSIDE, "not beside `intercept: false`: what passes inside TLS is not seen")?;
        if route.port == 80 {
            block.forbid(&["intercept"], "port 80 is plain HTTP, there is no TLS to pass untouched")?;
        }
    }
    if route.role.is_some() {
        block.forbid(&["methods", "paths", "git"], "not beside `role: \"claude\"`, which carries its own rule")?;
        block.need("auth").map_err(|_| {
            refuse(block.file, block.line, "`role: \"claude\"` without `auth`")
                .hint("write `\"auth\": { \"token_ref\": \"CLAUDE_CODE_OAUTH_TOKEN\" }`")
        })?;
    } else {
        block.forbid(&["server_tools"], "belongs to `role: \"claude\"`")?;
    }
    if route.deny {
        let passing = ["auth", "agent_auth", "dlp", "git", "role", "server_tools", "inspect_responses"];
        block.forbid(&passing, "not beside `deny: true`: what matches is refused")?;
    }
    Ok(())
}

/// What the leg from the gate to the upstream can carry.
fn leg(block: &Block, route: &policy::Route) -> Result<(), UserError> {
    let to = route.connect_to.as_ref();
    let untouched = route.protocol == Protocol::Tcp || !route.intercept;
    let plain = route.port == 80 || to.is_some_and(|to| to.plain);
    if untouched && to.is_some_and(|to| to.plain) {
        block.forbid(&["connect_to"], "`http://` wants a route whose HTTP the gate reads; write `host:port`")?;
    }
    if untouched || plain {
        block.forbid(&["upstream_ca"], "the gate itself speaks no TLS to this upstream")?;
    }
    if plain && route.auth.is_some() && !route.private {
        let why = "the credential would leave the gate unencrypted; only a `private` route may do that";
        block.forbid(&["auth"], why)?;
    }
    if !route.private && to.is_some_and(|to| is_near(&to.host)) {
        block.forbid(&["connect_to"], "a private address: the route needs `\"private\": true`")?;
    }
    Ok(())
}

/// Literals (and the engine's own name) that the gate refuses to dial without `private`.
fn is_near(host: &str) -> bool {
    if host == "host-gateway" || host == "localhost" {
        return true;
    }
    match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(ip)) => {
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified()
        }
        Ok(std::net::IpAddr::V6(ip)) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
        Err(_) => false,
    }
}

type Credential = (Option<Auth>, Option<Token>, Option<String>);

fn read_auth(block: &Block, role: Option<Role>) -> Result<Credential, UserError> {
    let token = match (block.get("token_ref"), block.get("token_cmd")) {
        (Some(member), None) => Token::Env(variable(block, member)?),
        (None, Some(member)) => Token::Cmd(block.command(member)?),
        (Some(_), Some(member)) => return Err(block.refuse(member, "not beside `token_ref`: one of the two is wanted")),
        (None, None) => {
            return Err(refuse(block.file, block.line, "`auth` without a token: `token_ref` or `token_cmd` is wanted"));
        }
    };
    let (scheme, placeholder) = match role {
        Some(Role::Claude) => {
            block.forbid(&["scheme", "user"], "not beside `role: \"claude\"`: the scheme follows the variable")?;
            let name = placeholder(block, &token)?;
            let scheme = match name.as_str() {
                "ANTHROPIC_API_KEY" => Scheme::Header { header: "x-api-key".into() },
                _ => Scheme::Bearer,
            };
            (scheme, Some(name))
        }
        None => {
            block.forbid(&["as"], "belongs to `role: \"claude\"`")?;
            (scheme(block)?, None)
        }
    };
    // The token's name is given when the bottle is whole.
    Ok((Some(Auth { scheme, token: String::new() }), Some(token), placeholder))
}

fn variable(block: &Block, member: &Member) -> Result<String, UserError> {
    let Value::String(name) = &member.node.value else {
        return Err(block.refuse(member, format_args!("wanted a string, found {}", member.node.kind())));
    };
    // What is no name may be the token itself, pasted here: it is not shown.
    if is_variable(name) {
        Ok(name.clone())
    } else {
        Err(block.refuse(member, "wanted the name of an environment variable of this machine"))
    }
}

fn placeholder(block: &Block, token: &Token) -> Result<String, UserError> {
    let names = super::block::listed(PLACEHOLDERS, " or ");
    let (member, name) = match (block.get("as"), token) {
        (Some(member), _) => (member, variable(block, member)?),
        (None, Token::Env(name)) => (block.need("token_ref")?, name.clone()),
        (None, Token::Cmd(_)) => {
            let what = format!("`role: \"claude\"` with `token_cmd` needs `as`: {names}");
            return Err(refuse(block.file, block.line, what));
        }
    };
    if PLACEHOLDERS.contains(&name.as_str()) {
        return Ok(name);
    }
    let what = format!("Claude Code reads its credential from {names}, not from `{}`", visible(&name));
    let error = block.refuse(member, what);
    Err(if member.key == "as" {
        error
    } else {
        error.hint("say which beside it, as in `\"as\": \"ANTHROPIC_API_KEY\"`")
    })
}

fn scheme(block: &Block) -> Result<Scheme, UserError> {
    let user = block.word("user")?;
    let Some(member) = block.get("scheme") else {
        block.forbid(&["user"], "belongs to `scheme: \"Basic\"`")?;
        return Ok(Scheme::Bearer);
    };
    if let Value::Object(_) = member.node.value {
        block.forbid(&["user"], "belongs to `scheme: \"Basic\"`")?;
        let form = Block::open(block.file, &member.node, &keys::SCHEME)?;
        let written = form.need("header")?;
        let header = form.text(written)?.to_ascii_lowercase();
        if !is_header(&header) {
            return Err(form.refuse(written, "not the name of a header"));
        }
        if HOPS.into_iter().chain(NO_CREDENTIAL).any(|name| name == header) {
            return Err(form.refuse(written, format_args!("`{header}` carries no credential")));
        }
        return Ok(Scheme::Header { header });
    }
    let (bearer, token, basic) =
        (Scheme::Bearer, Scheme::Token, Scheme::Basic { user: user.unwrap_or_default().into() });
    let scheme = match &member.node.value {
        Value::String(_) => block.choice("scheme", &[("Bearer", &bearer), ("token", &token), ("Basic", &basic)])?,
        _ => {
            let what =
                format!("wanted `Bearer`, `token`, `Basic` or `{{ \"header\": … }}`, found {}", member.node.kind());
            return Err(block.refuse(member, what));
        }
    };
    match (scheme, user) {
        (Some(Scheme::Basic { .. }), None) => Err(block.refuse(member, "`Basic` needs `user`")),
        (Some(Scheme::Basic { .. }), Some(user)) if user.contains(':') || user.chars().any(char::is_control) => {
            Err(refuse(block.file, member.at.line, "`user` in `auth`: no `:` and no control character"))
        }
        (Some(Scheme::Basic { .. }), Some(_)) | (_, None) => Ok(scheme.cloned().unwrap_or(Scheme::Bearer)),
        (_, Some(_)) => Err(refuse(block.file, member.at.line, "`user` in `auth`: belongs to `scheme: \"Basic\"`")),
    }
}

pub fn unavailable(file: &Path, line: u32, key: &str) -> UserError {
    refuse(file, line, format_args!("`{key}` is not available yet in this version")).hint(format!("leave `{key}` out"))
}

/// The routes of a whole bottle: agreed among each other, values named.
pub fn settle(file: &Path, drafts: Vec<Draft>) -> Result<Vec<Route>, UserError> {
    let drafts = without_hidden_roles(file, drafts)?;
    for (n, later) in drafts.iter().enumerate() {
        for first in &drafts[..n] {
            if let Some(key) = difference(&first.route, &later.route) {
                let what = format!(
                    "`{key}` differs from the route in line {}: both can match {}:{}, and it acts before the path is known",
                    first.at.line,
                    later.route.policy.host.as_str(),
                    later.route.policy.port
                );
                return Err(refuse(file, later.at.line, what).hint(format!("give both routes the same `{key}`")));
            }
        }
    }
    let mut all = USUAL.map(String::from).to_vec();
    for method in drafts.iter().flat_map(|draft| &draft.route.policy.methods) {
        if !all.contains(method) {
            all.push(method.clone());
        }
    }
    let (mut commands, mut files) = (Names::default(), Names::default());
    let settled = drafts.into_iter().map(|Draft { mut route, every_method, .. }| {
        if every_method {
            route.policy.methods.clone_from(&all);
        }
        if let (Some(auth), Some(token)) = (&mut route.policy.auth, &route.token) {
            auth.token = match token {
                Token::Env(name) => format!("token:env:{name}"),
                Token::Cmd(command) => format!("token:cmd:{}", commands.number(command)),
            };
        }
        route.policy.upstream_ca = route.upstream_ca.as_ref().map(|path| format!("ca:{}", files.number(path)));
        route
    });
    Ok(settled.collect())
}

/// A child's `role: "claude"` replaces its parent's for the same host; for two hosts there is but one placeholder.
fn without_hidden_roles(file: &Path, drafts: Vec<Draft>) -> Result<Vec<Draft>, UserError> {
    let mut kept: Vec<Draft> = Vec::new();
    for draft in drafts {
        let before = kept.iter().find(|d| d.route.policy.role.is_some() && draft.route.policy.role.is_some());
        match before.map(|first| (first.at.line, &first.route.policy)) {
            Some((_, first)) if first.host == draft.route.policy.host && first.port == draft.route.policy.port => {}
            Some((line, _)) => {
                let what = format!(
                    "a second host with `role: \"claude\"`, beside the one in line {line}: Claude Code has one"
                );
                return Err(refuse(file, draft.at.line, what));
            }
            None => kept.push(draft),
        }
    }
    Ok(kept)
}

/// The first key that must be equal and is not, for two routes that can match one host and port.
fn difference(a: &Route, b: &Route) -> Option<&'static str> {
    let (p, q) = (&a.policy, &b.policy);
    if p.port != q.port || !p.host.overlaps(&q.host) {
        return None;
    }
    let unequal = [
        ("protocol", p.protocol != q.protocol),
        ("intercept", p.intercept != q.intercept),
        ("private", p.private != q.private),
        ("connect_to", p.connect_to != q.connect_to),
        ("upstream_ca", a.upstream_ca != b.upstream_ca),
    ];
    unequal.into_iter().find(|(_, differs)| *differs).map(|(key, _)| key)
}

/// Numbers from 1 in the order of first use; equal things share one.
struct Names<T>(BTreeMap<T, usize>);

impl<T> Default for Names<T> {
    fn default() -> Self {
        Names(BTreeMap::new())
    }
}

impl<T: Ord + Clone> Names<T> {
    fn number(&mut self, of: &T) -> usize {
        let next = self.0.len() + 1;
        *self.0.entry(of.clone()).or_insert(next)
    }
}
