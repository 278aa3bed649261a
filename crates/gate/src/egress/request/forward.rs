//! A request that was allowed, on its way: inspected, sent, and its answer handed back as it comes.

use crate::audit::record::AuditRecord;
use crate::egress::inspect::answer::{AnswerFilter, Unpassable};
use crate::egress::inspect::headers;
use crate::egress::inspect::leaks;
use crate::egress::inspect::request::RequestInspector;
use crate::egress::live::allowed::AllowedRequest;
use crate::egress::request::body::Body;
use crate::egress::request::conversation::Conversation;
use crate::egress::request::preread::preread;
use crate::egress::request::refusal::refusal;
use crate::egress::request::serve::AgentConnection;
use crate::egress::serve_error::ServeError;
use crate::egress::upstream::pool::{SendResult, UpstreamAnswer};
use crate::egress::upstream::upload::Upload;
use crate::egress::websocket::message_filters::MessageFilters;
use crate::egress::websocket::relay::{Inspectors, WebSocketRequest};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use policy::{Denial, Reason};
use std::sync::Arc;

impl Conversation {
    pub async fn forward(
        &self,
        mut request: Request<Incoming>,
        allowed: &AllowedRequest,
        mut record: AuditRecord,
    ) -> Response<Body> {
        let upgrade = headers::is_websocket(request.headers()).then(|| hyper::upgrade::on(&mut request));
        let (mut head, incoming) = request.into_parts();
        let (inspector, control) = match inspect_head(allowed, &mut head, &mut record) {
            Ok(inspectors) => inspectors,
            Err(denial) => {
                let request = Request::from_parts(head, incoming);
                return self.connection.respond_unsent(ServeError::Denied(denial), record, request).await;
            }
        };
        let (upload, switch) = match upgrade.zip(control) {
            Some((agent, control)) => {
                headers::upgrade_to_websocket(&mut head.headers);
                let inspectors = Inspectors { messages: inspector, control };
                (Upload::empty(), Some(WebSocketRequest { agent, inspectors }))
            }
            None => {
                let incoming = (!incoming.is_end_stream()).then_some(incoming);
                let own_headers = allowed.snapshot.own_headers.clone();
                (Upload::new(incoming, inspector, record.sent.clone(), own_headers), None)
            }
        };
        // An upgrade is never retried: the hijacked connection cannot be replayed.
        let repeatable = allowed.injection().is_some_and(|injection| injection.renewable) && switch.is_none();
        let spare = (repeatable && upload.is_end_stream()).then(|| head.clone());
        let renewed;
        let (sent, allowed) = match self.upstream.send(&self.connection.peer, head, upload, allowed).await {
            Ok(answer) if answer.response.status() == StatusCode::UNAUTHORIZED => {
                match Box::pin(self.send_with_next_token(spare, allowed)).await {
                    Some((sent, next)) => {
                        renewed = next;
                        (sent, &renewed)
                    }
                    None => (Ok(answer), allowed),
                }
            }
            sent => (sent, allowed),
        };
        match sent {
            Ok(answer) => {
                let response = Answered { answer, allowed, switch, record }.into_response(&self.connection);
                preread(&self.connection, response).await
            }
            Err(ServeError::Failed(word, text)) => {
                record.failed(text);
                self.connection.respond_failed(word, record)
            }
            Err(ServeError::Denied(denial)) => respond_denied(denial, record, &self.connection),
        }
    }

    /// The upstream did not take the token. Asks for another one, and sends a request without a body once more if that
    /// comes soon.
    async fn send_with_next_token(
        &self,
        spare: Option<Parts>,
        allowed: &AllowedRequest,
    ) -> Option<(SendResult, AllowedRequest)> {
        let egress = &self.connection.egress;
        egress.live.reject_token(allowed);
        let mut head = spare?;
        let next = egress.live.wait_for_token(allowed).await?;
        if let Some(injection) = next.injection() {
            head.headers.insert(injection.name.clone(), injection.value.clone());
        }
        Some((self.upstream.send(&self.connection.peer, head, Upload::empty(), &next).await, next))
    }
}

/// The answer to a request that was denied after its head had left.
fn respond_denied(denial: Denial, mut record: AuditRecord, connection: &AgentConnection) -> Response<Body> {
    record.denied(&denial);
    let response = refusal(&denial, connection.audience());
    record.audit.status = Some(response.status().as_u16());
    response
}

/// A request that was answered by the upstream.
struct Answered<'a> {
    answer: UpstreamAnswer,
    allowed: &'a AllowedRequest,
    switch: Option<WebSocketRequest>,
    record: AuditRecord,
}

impl Answered<'_> {
    /// The answer as the agent gets it.
    fn into_response(self, connection: &Arc<AgentConnection>) -> Response<Body> {
        let Answered { answer, allowed, switch, mut record } = self;
        let UpstreamAnswer { mut response, mut permit, denial } = answer;
        let status = response.status();
        let switch = switch.filter(|_| status == StatusCode::SWITCHING_PROTOCOLS);
        match status {
            StatusCode::SWITCHING_PROTOCOLS if switch.is_none() => {
                record.failed("the upstream switched protocols unasked");
                connection.respond_failed("upgrade", record)
            }
            StatusCode::PROXY_AUTHENTICATION_REQUIRED if allowed.snapshot.proxy.is_some() => {
                record.failed("the upstream proxy refused its credentials");
                connection.respond_failed("proxy", record)
            }
            _ if allowed.rule().wants_whole_answers() && headers::is_partial(status, response.headers()) => {
                let text = "the answer is a part of a whole, where a part of the route's credential could stand unseen";
                respond_denied(Denial::new(Reason::Answer, text).with_route(allowed.route), record, connection)
            }
            _ => {
                record.audit.status = Some(status.as_u16());
                // Taken before the extensions, which hold it, are removed.
                let switch = switch.map(|switch| (switch, hyper::upgrade::on(&mut response)));
                let (mut head, incoming) = response.into_parts();
                headers::incoming(&mut head);
                if switch.is_some() {
                    headers::upgrade_to_websocket(&mut head.headers);
                }
                match AnswerFilter::new(&record.audit.method, allowed, &mut head) {
                    Ok(mut filter) => {
                        filter.report(&mut record);
                        if let Some((switch, upstream)) = switch {
                            let filters = MessageFilters::new(allowed.clone(), head.clone());
                            switch.accept(upstream, filters, record, connection.clone());
                            return Response::from_parts(head, Body::Page(None));
                        }
                        // An answer that its head ends stays one: gRPC takes an empty body behind it for a broken stream.
                        if headers::has_no_body(&record.audit.method, status) || incoming.is_end_stream() {
                            permit.answer_ended();
                            return Response::from_parts(head, Body::Page(None));
                        }
                        let (filter, record) = (Box::new(filter), Box::new(record));
                        let (trailers, ended, begun) = (None, false, Bytes::new());
                        let body = Body::Stream { incoming, filter, trailers, record, ended, begun, permit, denial };
                        Response::from_parts(head, body)
                    }
                    Err(Unpassable { why, finding }) => {
                        record.failed(why);
                        let reason = if finding.is_some() { "credential" } else { "encoding" };
                        if let Some(finding) = finding {
                            record.alarm(finding.text, finding.done);
                        }
                        connection.respond_failed(reason, record)
                    }
                }
            }
        }
    }
}

/// Inspects a head, and makes of it what leaves. Returns the inspector of the body, or of a WebSocket's messages, and for
/// a WebSocket that of its control frames.
pub fn inspect_head(
    allowed: &AllowedRequest,
    head: &mut Parts,
    record: &mut AuditRecord,
) -> Result<(RequestInspector, Option<RequestInspector>), Denial> {
    let near = |denial: Denial| Denial { route: denial.route.or(Some(allowed.route)), ..denial };
    let inspector = || RequestInspector::new(record, allowed, head).map_err(near);
    let mut inspectors = (inspector()?, headers::is_websocket(&head.headers).then(inspector).transpose()?);
    headers::outgoing(&mut head.headers, allowed.rule(), &allowed.snapshot.own_headers, allowed.injection());
    leaks::inspect_head(allowed, head, record).map_err(near)?;
    // The path may be withheld from here on, and so must it be in the alarms of what follows the head.
    for inspector in [Some(&mut inspectors.0), inspectors.1.as_mut()].into_iter().flatten() {
        inspector.report_to(record.alarm_sender());
    }
    Ok(inspectors)
}
