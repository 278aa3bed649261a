//! A request that may pass, on its way: inspected, rewritten, sent, and its answer handed back as it comes.

use crate::audit::record::AuditRecord;
use crate::egress::AllowedRequest;
use crate::egress::inspect::body::{AnswerFilter, RequestInspector};
use crate::egress::inspect::headers;
use crate::egress::inspect::leaks;
use crate::egress::live::snapshot::plain;
use crate::egress::request::body::{Body, Upload};
use crate::egress::request::serve::Conversation;
use crate::egress::upstream::connection::Link;
use crate::egress::upstream::dial::{Trouble, authority};
use crate::egress::upstream::pool::{Lease, Sent};
use crate::egress::websocket::relay::Switch;
use crate::pages::refusal;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{COOKIE, HOST, HeaderValue, PROXY_AUTHORIZATION, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Request, Response, StatusCode, Uri, Version};
use policy::Denial;
use std::sync::Arc;

impl Conversation {
    pub async fn forward(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        pass: &AllowedRequest,
        mut record: AuditRecord,
    ) -> Response<Body> {
        let upgrade = headers::websocket(request.headers()).then(|| hyper::upgrade::on(&mut request));
        let (mut head, incoming) = request.into_parts();
        let (inspector, control) = match depart(pass, &mut head, &mut record) {
            Ok(looked) => looked,
            Err(denial) => {
                record.denied(&denial);
                return self.page(refusal(&denial, self.reader()), record, Request::from_parts(head, incoming)).await;
            }
        };
        let (upload, switch) = match upgrade.zip(control) {
            Some((agent, control)) => {
                headers::upgrade(&mut head.headers);
                let pass = pass.clone();
                (Upload::nothing(), Some(Switch { agent, messages: inspector, control, pass }))
            }
            None => {
                let incoming = (!incoming.is_end_stream()).then_some(incoming);
                (Upload::new(incoming, inspector, &record, pass.snapshot.own_headers.clone()), None)
            }
        };
        // A WebSocket begins once.
        let again = pass.injection().is_some_and(|injection| injection.renewable) && switch.is_none();
        let spare = (again && upload.is_end_stream()).then(|| head.clone());
        let renewed;
        let (sent, pass) = match self.send(head, upload, pass).await {
            Ok((response, lease)) if response.status() == StatusCode::UNAUTHORIZED => {
                match Box::pin(self.reject(pass, spare)).await {
                    Some((sent, next)) => {
                        renewed = next;
                        (sent, &renewed)
                    }
                    None => (Ok((response, lease)), pass),
                }
            }
            sent => (sent, pass),
        };
        match sent {
            Ok((response, lease)) => {
                let response = self.clone().pass_on(response, pass, (switch, lease), record);
                self.opened(response).await
            }
            Err(Trouble::Failed(word, text)) => {
                record.failed(text);
                self.broken(word, record)
            }
            Err(Trouble::Denied(denial)) => {
                record.denied(&denial);
                let response = refusal(&denial, self.reader());
                record.audit.status = Some(response.status().as_u16());
                response
            }
        }
    }

    /// The upstream did not take the token: a request without a body is sent once more, if another token comes soon.
    async fn reject(&self, pass: &AllowedRequest, spare: Option<Parts>) -> Option<(Sent, AllowedRequest)> {
        self.egress.reject(pass);
        let mut head = spare?;
        let next = self.egress.next(pass).await?;
        if let Some(injection) = next.injection() {
            head.headers.insert(injection.name.clone(), injection.value.clone());
        }
        Some((self.send(head, Upload::nothing(), &next).await, next))
    }

    /// As this connection to the upstream wants a request. May be called again for another connection.
    pub fn dress(&self, request: &mut Request<Box<Upload>>, link: &Link, pass: &AllowedRequest) -> Result<(), Trouble> {
        let failed = |why: &str| Trouble::Failed("request", why.to_owned());
        let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let default = if self.port == 80 { 80 } else { 443 };
        let host = if self.port == default { self.host.clone() } else { authority(&self.host, self.port) };
        let unknown = !request.body().is_end_stream() && request.body().size_hint().exact().is_none();
        let headers = request.headers_mut();
        headers.remove(TRANSFER_ENCODING);
        let uri = match link {
            Link::Two(_) => {
                headers.remove(HOST);
                Uri::builder().scheme("https").authority(host).path_and_query(path)
            }
            Link::One(_) => {
                if unknown {
                    // hyper would otherwise take the body of a GET for none.
                    headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                }
                join_cookies(headers);
                headers
                    .insert(HOST, HeaderValue::try_from(host).map_err(|_| failed("the host is not a header value"))?);
                match &pass.snapshot.proxy {
                    // A plain request through a proxy is the one place where the proxy reads it.
                    Some(proxy) if plain(pass.rule()) && !pass.rule().private => {
                        if let Some(credentials) = &proxy.credentials {
                            headers.insert(PROXY_AUTHORIZATION, credentials.clone());
                        }
                        let route = pass.rule();
                        let (name, port) = match &route.connect_to {
                            Some(to) => (to.host.as_str(), to.port),
                            None => (self.host.as_str(), route.port),
                        };
                        Uri::builder().scheme("http").authority(authority(name, port)).path_and_query(path)
                    }
                    _ => Uri::builder().path_and_query(path),
                }
            }
        };
        *request.uri_mut() = uri.build().map_err(|_| failed("the path is not a URI"))?;
        *request.version_mut() = match link {
            Link::One(_) => Version::HTTP_11,
            Link::Two(_) => Version::HTTP_2,
        };
        Ok(())
    }

    fn pass_on(
        self: Arc<Self>,
        response: Response<Incoming>,
        pass: &AllowedRequest,
        (switch, lease): (Option<Switch>, Option<Lease>),
        mut record: AuditRecord,
    ) -> Response<Body> {
        let status = response.status();
        match (status, switch) {
            (StatusCode::SWITCHING_PROTOCOLS, Some(switch)) => {
                record.audit.status = Some(status.as_u16());
                switch.on(self, response, record)
            }
            (StatusCode::SWITCHING_PROTOCOLS, None) => {
                record.failed("the upstream switched protocols unasked");
                self.broken("upgrade", record)
            }
            (StatusCode::PROXY_AUTHENTICATION_REQUIRED, _) if pass.snapshot.proxy.is_some() => {
                record.failed("the upstream proxy refused its credentials");
                self.broken("proxy", record)
            }
            _ => {
                record.audit.status = Some(status.as_u16());
                let (mut head, incoming) = response.into_parts();
                headers::incoming(&mut head.headers);
                head.version = Version::HTTP_11;
                match AnswerFilter::new(&record.audit.method, pass, &mut head) {
                    Ok(mut filter) => {
                        filter.tell(&mut record);
                        let (filter, record) = (Box::new(filter), Box::new(record));
                        let (trailers, ended, begun, _lease) = (None, false, Bytes::new(), lease);
                        let body = Body::Stream { incoming, filter, trailers, record, ended, begun, _lease };
                        Response::from_parts(head, body)
                    }
                    Err(why) => {
                        record.failed(why);
                        self.broken("encoding", record)
                    }
                }
            }
        }
    }
}

/// Looks at a head, and makes of it what leaves. What then looks at the body, or at a WebSocket's messages and at its
/// control frames.
pub fn depart(
    pass: &AllowedRequest,
    head: &mut Parts,
    record: &mut AuditRecord,
) -> Result<(RequestInspector, Option<RequestInspector>), Denial> {
    let near = |denial: Denial| Denial { route: denial.route.or(Some(pass.route)), ..denial };
    let inspector = || RequestInspector::new(record.alarm_sender(), pass, head).map_err(near);
    let looking = (inspector()?, headers::websocket(&head.headers).then(inspector).transpose()?);
    headers::outgoing(&mut head.headers, pass.rule(), &pass.snapshot.own_headers, pass.injection());
    leaks::head(pass, head, record).map_err(near)?;
    Ok(looking)
}

/// HTTP/2 may send them one by one; HTTP/1 has one header for all (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}
