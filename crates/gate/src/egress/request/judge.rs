//! The decision about one request, in this order: host rule and port, then names, then the address, then git, method
//! and path. Nothing is asked of the network before the host may be reached.

use crate::audit::record::AuditRecord;
use crate::egress::inspect::headers;
use crate::egress::inspect::leaks;
use crate::egress::live::allowed::AllowedRequest;
use crate::egress::live::snapshot::PolicySnapshot;
use crate::egress::peer::Peer;
use crate::egress::request::conversation::Conversation;
use crate::egress::upstream::dial::Trouble;
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::{Request, Version};
use policy::{Ask, Denial, Pass, Reason, plain_name};
use std::sync::Arc;

/// A request, and the server name that TLS asked for on its connection.
pub struct ReceivedRequest<'a> {
    pub request: &'a Request<Incoming>,
    pub sni: Option<&'a str>,
}

/// The whole decision about one request. `record`: of a request that `snapshot` judges.
pub async fn judge(
    conversation: &Conversation,
    snapshot: Arc<PolicySnapshot>,
    received: ReceivedRequest<'_>,
    record: &mut AuditRecord,
) -> Result<AllowedRequest, Trouble> {
    let peer = &conversation.connection.peer;
    let ReceivedRequest { request, sni } = received;
    let first = snapshot.policy.at(&peer.host, peer.port).map_err(Trouble::Denied)?;
    let near = |denial: Denial| Trouble::Denied(Denial { route: denial.route.or(Some(first)), ..denial });
    check_names(peer, request, sni).map_err(near)?;
    if snapshot.route(first).host.is_wildcard() {
        leaks::inspect_host(&snapshot, first, record).map_err(near)?;
    }
    conversation.upstream.locate(peer, &snapshot, snapshot.route(first)).await.map_err(|trouble| match trouble {
        Trouble::Denied(denial) => near(denial),
        failed => failed,
    })?;
    let pass = decide(&snapshot, peer, request).map_err(near)?;
    record.set_path(&pass.path);
    conversation
        .connection
        .egress
        .live
        .with_valid_token(AllowedRequest::new(snapshot, pass))
        .await
        .map_err(Trouble::Denied)
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
    let fields = headers::end_to_end(request.headers());
    let Peer { host, port } = peer;
    let ask = Ask { host, port: *port, method: request.method().as_str(), path, query, headers: &fields };
    let pass = snapshot.policy.decide(&ask)?;
    if headers::is_websocket(request.headers()) && !snapshot.route(pass.route).takes_websockets() {
        let text = format!("a WebSocket to `{host}` could send anything, which its route does not allow");
        return Err(Denial::new(Reason::Method, text).near(pass.route));
    }
    Ok(pass)
}
