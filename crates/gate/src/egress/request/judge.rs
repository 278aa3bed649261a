//! The decision about one request, in this order: host rule and port, then names, then the address, then git, method
//! and path. Nothing is asked of the network before the host may be reached.

use crate::audit::record::AuditRecord;
use crate::egress::AllowedRequest;
use crate::egress::inspect::headers;
use crate::egress::inspect::leaks;
use crate::egress::live::snapshot::PolicySnapshot;
use crate::egress::peer::Peer;
use crate::egress::request::conversation::Conversation;
use crate::egress::upstream::dial::Trouble;
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::{Request, Version};
use policy::{Ask, Denial, Pass, Reason, plain_name};

/// The whole decision about one request.
pub async fn judge(
    conversation: &Conversation,
    request: &Request<Incoming>,
    sni: Option<&str>,
    record: &mut AuditRecord,
) -> Result<AllowedRequest, Trouble> {
    let peer = &conversation.connection.peer;
    let snapshot = record.snapshot.clone();
    let first = snapshot.policy.at(&peer.host, peer.port).map_err(Trouble::Denied)?;
    let near = |denial: Denial| Trouble::Denied(Denial { route: denial.route.or(Some(first)), ..denial });
    check_names(peer, request, sni).map_err(near)?;
    if snapshot.route(first).host.is_wildcard() {
        leaks::name(&snapshot, first, record).map_err(near)?;
    }
    conversation.upstream.locate(peer, &snapshot, snapshot.route(first)).await.map_err(|trouble| match trouble {
        Trouble::Denied(denial) => near(denial),
        failed => failed,
    })?;
    let pass = decide(&snapshot, peer, request).map_err(near)?;
    record.set_path(&pass.path);
    conversation.connection.egress.in_time(AllowedRequest { snapshot, pass }).await.map_err(Trouble::Denied)
}

/// Checks that connection, TLS and request mean the same server. `sni`: what TLS said, if there was TLS.
pub fn check_names(peer: &Peer, request: &Request<Incoming>, sni: Option<&str>) -> Result<(), Denial> {
    let host = &peer.host;
    let wrong = |what: &str, name: &str| {
        let name: String = name.chars().take(253).filter(|c| !c.is_control()).collect();
        Denial::new(Reason::Name, format!("{what} says `{name}`, the connection is for `{host}`"))
    };
    if let Some(sni) = sni
        && plain_name(sni).as_ref() != Some(host)
    {
        return Err(wrong("TLS", sni));
    }
    if let Some(authority) = request.uri().authority()
        && (plain_name(authority.host()).as_ref() != Some(host)
            || request.uri().scheme_str() != Some(peer.scheme())
            || !peer.accepts_port(authority.port_u16()))
    {
        return Err(wrong("the request line", authority.host()));
    }
    if request.version() == Version::HTTP_2 && request.uri().scheme() == Some(&Scheme::HTTP) {
        return Err(Denial::new(Reason::Malformed, "the request says that it is not encrypted"));
    }
    let mut values = request.headers().get_all(HOST).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value,
        (None, _) if request.version() == Version::HTTP_10 => return Ok(()),
        (None, _) if request.version() == Version::HTTP_2 && request.uri().authority().is_some() => return Ok(()),
        (None, _) => return Err(Denial::new(Reason::Malformed, "the request has no host header")),
        (Some(_), Some(_)) => return Err(Denial::new(Reason::Malformed, "the request has two host headers")),
    };
    let text = value.to_str().unwrap_or_default();
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().unwrap_or(0))),
        None => (text, None),
    };
    if plain_name(name).as_ref() != Some(host) || !peer.accepts_port(port) {
        return Err(wrong("the host header", text));
    }
    Ok(())
}

/// The part of the decision that needs no address.
pub fn decide<B>(snapshot: &PolicySnapshot, peer: &Peer, request: &Request<B>) -> Result<Pass, Denial> {
    if let Some(header) = headers::overriding(request.headers()) {
        return Err(Denial::new(Reason::Method, format!("header `{header}` is never allowed")));
    }
    // Not `path()`, which makes `/` of a target that has none.
    let target = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let fields = headers::going_on(request.headers());
    let Peer { host, port } = peer;
    let ask = Ask { host, port: *port, method: request.method().as_str(), path, query, headers: &fields };
    let pass = snapshot.policy.decide(&ask)?;
    if headers::websocket(request.headers()) && !snapshot.route(pass.route).takes_websockets() {
        let text = format!("a WebSocket to `{host}` could send anything, which its route does not allow");
        return Err(Denial::new(Reason::Method, text).near(pass.route));
    }
    Ok(pass)
}
