//! The decision for one request, in the order of the design: host rule and port, then names, then the address, then git,
//! method and path. Nothing is asked of the network before the host may be reached.

use crate::audit::record::AuditRecord;
use crate::egress::AllowedRequest;
use crate::egress::inspect::headers;
use crate::egress::inspect::leaks;
use crate::egress::live::snapshot::PolicySnapshot;
use crate::egress::request::serve::{Conversation, Sni};
use crate::egress::upstream::dial::Trouble;
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::{Request, Version};
use policy::{Ask, Denial, Pass, Reason, plain_name};
use wire::GATE_HOST;

impl Conversation {
    /// The whole decision. `None`: the request is for the gate itself.
    pub async fn judge(
        &self,
        request: &Request<Incoming>,
        sni: &Sni,
        record: &mut AuditRecord,
    ) -> Result<Option<AllowedRequest>, Trouble> {
        let snapshot = record.snapshot.clone();
        let own = self.host == GATE_HOST;
        let first = if own { None } else { Some(snapshot.policy.at(&self.host, self.port).map_err(Trouble::Denied)?) };
        let near = |denial: Denial| Trouble::Denied(Denial { route: denial.route.or(first), ..denial });
        self.check_names(request, sni).map_err(near)?;
        let Some(first) = first else { return Ok(None) };
        if snapshot.route(first).host.is_wildcard() {
            leaks::name(&snapshot, first, record).map_err(near)?;
        }
        self.locate(&snapshot, snapshot.route(first)).await.map_err(|trouble| match trouble {
            Trouble::Denied(denial) => near(denial),
            failed => failed,
        })?;
        let pass = decide(&snapshot, (&self.host, self.port), request).map_err(near)?;
        record.set_path(&pass.path);
        self.egress.in_time(AllowedRequest { snapshot, pass }).await.map(Some).map_err(Trouble::Denied)
    }

    /// Connection, TLS and request must mean the same server.
    fn check_names(&self, request: &Request<Incoming>, sni: &Sni) -> Result<(), Denial> {
        let host = &self.host;
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
                || request.uri().scheme_str() != Some(if self.port == 80 { "http" } else { "https" })
                || !self.is_port(authority.port_u16()))
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
        if plain_name(name).as_ref() != Some(host) || !self.is_port(port) {
            return Err(wrong("the host header", text));
        }
        Ok(())
    }

    /// Programs leave a default port out; some leave out others, too.
    fn is_port(&self, port: Option<u16>) -> bool {
        port.is_none_or(|port| port == self.port)
    }
}

/// What no address and no name server is needed for.
pub fn decide<B>(snapshot: &PolicySnapshot, (host, port): (&str, u16), request: &Request<B>) -> Result<Pass, Denial> {
    if let Some(header) = headers::overriding(request.headers()) {
        return Err(Denial::new(Reason::Method, format!("header `{header}` is never allowed")));
    }
    // Not `path()`, which makes `/` of a target that has none.
    let target = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let fields = headers::going_on(request.headers());
    let ask = Ask { host, port, method: request.method().as_str(), path, query, headers: &fields };
    let pass = snapshot.policy.decide(&ask)?;
    if headers::websocket(request.headers()) && !snapshot.route(pass.route).takes_websockets() {
        let text = format!("a WebSocket to `{host}` could send anything, which its route does not allow");
        return Err(Denial::new(Reason::Method, text).near(pass.route));
    }
    Ok(pass)
}
