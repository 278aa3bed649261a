//! The gate's order of questions, on a request that nobody has sent. The decision itself is the policy's own; what only a
//! connection can show (TLS names, resolved addresses) is left out, and said to be.

use crate::manifest::{Bottle, Route, Token};
use crate::render::{Answer, Dial, Injected, Reads, TokenPlace};
use policy::{
    Ask, CREDENTIALS, Denial, OVERRIDES, Policy, Protocol, Reason, Scheme, Target, local_name, plain_name,
    private_name, same_header, special,
};
use std::net::IpAddr;
use wire::GATE_HOST;

/// Name in lower case, and value.
pub type Header = (String, String);

pub struct Asked {
    pub method: String,
    pub target: Target,
    pub headers: Vec<Header>,
}

/// `proxied`: all upstream traffic takes the host's proxy.
pub fn judge(bottle: &Bottle, asked: &Asked, proxied: bool) -> Answer {
    let Target { host, port, path, query, .. } = &asked.target;
    let mut answer = Answer::of(&asked.method, &asked.target);
    if host == GATE_HOST {
        return match (asked.target.speech.is_plain() && *port == 80).then_some(()) {
            Some(()) => answer.by_the_gate_itself(),
            None => answer.refuse(&Denial::new(Reason::Malformed, format!("`{host}` speaks plain HTTP on port 80"))),
        };
    }
    let policy = bottle.policy();
    let fields: Vec<(&str, &[u8])> =
        asked.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let ask = Ask { host, port: *port, method: &asked.method, path, query: query.as_deref(), headers: &fields };
    answer.allowed_there = policy.allowed_at(host, *port);
    let route = match decide(&policy, &ask, asked, proxied) {
        Ok(pass) => {
            answer.path = pass.path.unwrap_or_else(|| path.clone());
            &bottle.routes[pass.route]
        }
        Err(denial) => {
            answer.rule = denial.route.and_then(|route| policy.routes.get(route)).map(|route| route.origin.clone());
            return answer.refuse(&denial);
        }
    };
    let (written, read) = (&route.policy, route.policy.intercept && route.policy.protocol == Protocol::Http);
    answer.rule = Some(written.origin.clone());
    answer.reads = match (written.protocol, written.intercept) {
        (Protocol::Tcp, _) => Reads::Nothing,
        (_, false) => Reads::Names,
        _ => Reads::Http,
    };
    answer.git_fetch = read && ask.fetches_git();
    answer.adds = injected(route);
    if read && !written.agent_auth {
        answer.takes_off = taken_off(&policy, asked);
    }
    answer.dials = Some(dial(route, host, proxied));
    answer.allow()
}

struct Passed {
    route: usize,
    /// Normalised, where it is looked at.
    path: Option<String>,
}

fn decide(policy: &Policy, ask: &Ask, asked: &Asked, proxied: bool) -> Result<Passed, Denial> {
    let first = policy.at(ask.host, ask.port)?;
    let route = &policy.routes[first];
    let malformed = |what: String| Denial::new(Reason::Malformed, what).near(first);
    let speech = asked.target.speech;
    let raw = speech.scheme() == "tcp";
    if route.protocol == Protocol::Tcp {
        return reachable(route, ask.host, proxied)
            .map(|()| Passed { route: first, path: None })
            .map_err(|d| d.near(first));
    }
    match (ask.port, speech.is_plain()) {
        _ if raw => return Err(malformed(format!("port {} of `{}` wants HTTP, not any bytes", ask.port, ask.host))),
        (80, false) => return Err(malformed("port 80 is plain HTTP: these bytes would be TLS".to_owned())),
        (port, true) if port != 80 => {
            return Err(malformed(format!("port {port} wants TLS: these bytes would not be")));
        }
        _ => {}
    }
    if route.intercept {
        named(ask, &asked.headers).map_err(|denial| denial.near(first))?;
    }
    reachable(route, ask.host, proxied).map_err(|denial| denial.near(first))?;
    if !route.intercept {
        return Ok(Passed { route: first, path: None });
    }
    let overriding = |(name, _): &Header| OVERRIDES.into_iter().find(|one| same_header(name, one));
    if let Some(header) = asked.headers.iter().find_map(overriding) {
        return Err(Denial::new(Reason::Method, format!("header `{header}` is never allowed")).near(first));
    }
    let pass = policy.decide(ask).map_err(|denial| Denial { route: denial.route.or(Some(first)), ..denial })?;
    let websocket = speech.is_websocket() || upgrades(&asked.headers);
    if websocket && !policy.routes[pass.route].takes_websockets() {
        let text = format!("a WebSocket to `{}` could send anything, which its route does not allow", ask.host);
        return Err(Denial::new(Reason::Method, text).near(pass.route));
    }
    Ok(Passed { route: pass.route, path: Some(pass.path) })
}

/// An `upgrade` to a WebSocket that `connection` lists; any other is taken off.
pub fn upgrades(headers: &[Header]) -> bool {
    let of = |wanted: &'static str| headers.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| value);
    let listed =
        of("connection").flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case("upgrade"));
    let mut to = of("upgrade");
    listed && to.next().is_some_and(|to| to.eq_ignore_ascii_case("websocket")) && to.next().is_none()
}

/// Connection and request must mean the same server.
fn named(ask: &Ask, headers: &[Header]) -> Result<(), Denial> {
    let mut hosts = headers.iter().filter(|(name, _)| name == "host");
    let Some((_, value)) = hosts.next() else { return Ok(()) };
    if hosts.next().is_some() {
        return Err(Denial::new(Reason::Malformed, "the request has two host headers"));
    }
    let (name, port) = match value.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().unwrap_or(0)),
        None => (value.as_str(), ask.port),
    };
    if plain_name(name).as_deref() == Some(ask.host) && port == ask.port {
        return Ok(());
    }
    let text = format!("the host header says `{value}`, the connection is for `{}`", ask.host);
    Err(Denial::new(Reason::Name, text))
}

/// What can be said of the address before anybody is asked for it.
fn reachable(route: &policy::Route, host: &str, proxied: bool) -> Result<(), Denial> {
    if route.private {
        return Ok(());
    }
    let name = route.connect_to.as_ref().map_or(host, |to| to.host.as_str());
    let literal = name.parse::<IpAddr>().ok();
    let why = match literal.map(special) {
        Some(why) => why,
        None if local_name(name) => Some("a loopback address"),
        None if proxied && private_name(name) => Some("a private name"),
        None => None,
    };
    let refused = |why| Denial::new(Reason::Address, format!("`{host}` leads to {why}, which is not allowed"));
    why.map_or(Ok(()), |why| Err(refused(why)))
}

fn injected(route: &Route) -> Option<Injected> {
    let header = header_of(&route.policy.auth.as_ref()?.scheme);
    let scheme = match &route.policy.auth.as_ref()?.scheme {
        Scheme::Bearer => Some("Bearer"),
        Scheme::Token => Some("token"),
        Scheme::Basic { .. } => Some("Basic"),
        Scheme::Header { .. } => None,
    };
    let token = match route.token.as_ref()? {
        Token::Env(name) => TokenPlace::Env(name.clone()),
        Token::Cmd(argv) => TokenPlace::Command(argv.clone()),
    };
    Some(Injected { header: header.to_owned(), scheme: scheme.map(str::to_owned), token })
}

fn header_of(scheme: &Scheme) -> &str {
    match scheme {
        Scheme::Header { header } => header,
        _ => "authorization",
    }
}

/// Credentials of the agent's own that would stay behind, by the names that were typed.
fn taken_off(policy: &Policy, asked: &Asked) -> Vec<String> {
    let own = policy.routes.iter().filter_map(|route| route.auth.as_ref()).map(|auth| header_of(&auth.scheme));
    let names: Vec<&str> = CREDENTIALS.into_iter().chain(own).collect();
    let given = asked.headers.iter().map(|(name, _)| name.as_str());
    let mut found: Vec<String> =
        given.filter(|name| names.iter().any(|one| same_header(name, one))).map(str::to_owned).collect();
    if asked.target.userinfo && !found.iter().any(|name| name == "authorization") {
        found.push("authorization".to_owned());
    }
    found.dedup();
    found
}

fn dial(route: &Route, host: &str, proxied: bool) -> Dial {
    let written = &route.policy;
    let (to, port, plain) = match &written.connect_to {
        Some(to) => (to.host.as_str(), to.port, to.plain),
        None => (host, written.port, false),
    };
    Dial {
        host: to.to_owned(),
        port,
        tls: written.protocol == Protocol::Http && written.port != 80 && !plain,
        private: written.private,
        upstream_ca: route.upstream_ca.as_ref().map(|path| path.display().to_string()),
        proxy: proxied && !written.private,
    }
}
