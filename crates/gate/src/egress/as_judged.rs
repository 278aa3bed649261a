//! A request as [`policy::judge`] takes it: read from hyper's types, with the names that connection, TLS and request say.

use crate::egress::peer::Peer;
use hyper::body::Body;
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Request, Version};
use policy::{Authority, Denial, HeaderFields, Names};

/// Checks that connection, TLS and request mean the same server. `sni`: what TLS said, if there was TLS.
pub fn check_names<B>(peer: &Peer, request: &Request<B>, sni: Option<&str>) -> Result<(), Denial> {
    names(request, sni).agree(&judged(peer, request, false, &fields(request.headers())))
}

/// Names and values, as the policy takes them.
pub fn fields(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

/// Whether there is a body, by the head alone: one without a length that turns out to be empty is a body.
pub fn has_body(body: &impl Body) -> bool {
    !body.is_end_stream() && body.size_hint().exact() != Some(0)
}

/// A request to `peer`, as the policy judges it. `fields`: its headers.
pub fn judged<'a, B>(
    peer: &'a Peer,
    request: &'a Request<B>,
    has_body: bool,
    fields: HeaderFields<'a>,
) -> policy::Request<'a> {
    // Not `path()`, which makes `/` of a target that has none.
    let target = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let Peer { host, port } = peer;
    policy::Request { host, port: *port, method: request.method().as_str(), path, query, has_body, headers: fields }
}

/// The names that TLS and the request say.
pub fn names<'a, B>(request: &'a Request<B>, sni: Option<&'a str>) -> Names<'a> {
    let uri = request.uri();
    let authority = uri.authority().map(|authority| Authority {
        host: authority.host(),
        port: authority.port_u16(),
        has_forbidden_userinfo: request.version() == Version::HTTP_2 && authority.as_str().contains('@'),
    });
    let may_lack_host = match request.version() {
        Version::HTTP_10 => true,
        Version::HTTP_2 => authority.is_some(),
        _ => false,
    };
    Names { server_name: sni, scheme: uri.scheme_str(), authority, needs_host_header: !may_lack_host }
}
