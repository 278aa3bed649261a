//! The gate's part in judging a request: it reads the request for [`policy::judge`], which has the order of questions, and
//! does between its steps what only the gate can: look for secrets in a name, and resolve it.

use crate::audit::record::AuditRecord;
use crate::egress::inspect::headers;
use crate::egress::inspect::leaks;
use crate::egress::live::allowed::AllowedRequest;
use crate::egress::live::snapshot::PolicySnapshot;
use crate::egress::peer::Peer;
use crate::egress::request::conversation::Conversation;
use crate::egress::upstream::dial::{Trouble, via};
use hyper::body::Incoming;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Version};
use policy::judge::{Judge, Seen, Step};
use policy::{Authority, Denial, HeaderFields, Names};
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
    let fields = headers::fields(request.headers());
    let seen = Seen::Http { request: judged(peer, request, &fields), names: names(request, sni) };
    let mut judge = Judge::new(&snapshot.policy, seen, via(&snapshot));
    let pass = loop {
        match judge.advance().map_err(Trouble::Denied)? {
            Step::InspectName { route } => leaks::inspect_host(&snapshot, route, record)
                .map_err(|denial| Trouble::Denied(denial.or_route(route)))?,
            Step::Locate { route, destination } => conversation
                .upstream
                .locate(&snapshot, &destination)
                .await
                .map_err(|trouble| trouble.or_route(route))?,
            Step::Pass(pass) => break pass,
        }
    };
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
pub fn check_names<B>(peer: &Peer, request: &Request<B>, sni: Option<&str>) -> Result<(), Denial> {
    names(request, sni).agree(&judged(peer, request, &headers::fields(request.headers())))
}

/// A request to `peer`, as the policy judges it. `fields`: its headers.
pub fn judged<'a, B>(peer: &'a Peer, request: &'a Request<B>, fields: HeaderFields<'a>) -> policy::Request<'a> {
    // Not `path()`, which makes `/` of a target that has none.
    let target = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let Peer { host, port } = peer;
    policy::Request { host, port: *port, method: request.method().as_str(), path, query, headers: fields }
}

fn names<'a, B>(request: &'a Request<B>, sni: Option<&'a str>) -> Names<'a> {
    let uri = request.uri();
    let authority = uri.authority().map(|authority| Authority { host: authority.host(), port: authority.port_u16() });
    let may_lack_host = match request.version() {
        Version::HTTP_10 => true,
        Version::HTTP_2 => authority.is_some(),
        _ => false,
    };
    Names { server_name: sni, scheme: uri.scheme_str(), authority, needs_host_header: !may_lack_host }
}
