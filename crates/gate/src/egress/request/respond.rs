//! The answers of the gate's own to one request: a page that says why it was denied, or why it failed.

use crate::audit::record::AuditRecord;
use crate::egress::http1::head::Http1Fault;
use crate::egress::limits::{DISCARD_TIMEOUT, MAX_DISCARDED_BYTES};
use crate::egress::live::snapshot::PolicySnapshot;
use crate::egress::request::body::Body;
use crate::egress::request::refusal::{Audience, failure, refusal};
use crate::egress::request::serve::AgentConnection;
use crate::egress::serve_error::ServeError;
use hyper::body::{Body as _, Incoming};
use hyper::header::EXPECT;
use hyper::{Request, Response, StatusCode, Version};
use policy::{Denial, Reason};
use std::future::poll_fn;
use std::pin::Pin;
use tokio::time::timeout;
use wire::{GitRemote, fitting_remote};

impl AgentConnection {
    /// Begins the audit record of one request, which `snapshot` judges.
    pub fn record_request(&self, snapshot: &PolicySnapshot, request: &Request<Incoming>) -> AuditRecord {
        let mut record = self.egress.trail.request(&snapshot.audit_scope, &self.peer.host, self.peer.port);
        record.set_request(request.method().as_str(), request.uri().path());
        record
    }

    /// The answer to a request whose head was rejected: nothing is known of it but what was wrong.
    pub fn respond_malformed(&self, fault: Http1Fault) -> Response<Body> {
        let mut record = self.record();
        let denial = Denial::new(Reason::Malformed, fault.text());
        record.denied(&denial);
        let mut response = refusal(&denial, self.audience());
        *response.status_mut() = match fault {
            Http1Fault::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Http1Fault::Malformed(_) => StatusCode::BAD_REQUEST,
        };
        record.audit.status = Some(response.status().as_u16());
        response
    }

    /// The answer while all of the bottle's connections together have too many requests.
    pub fn respond_busy(&self, request: &Request<Incoming>) -> Response<Body> {
        let mut record = self.record_request(&self.egress.live.snapshot(), request);
        record.failed("too many requests at once");
        self.respond_failed("busy", record)
    }

    /// The answer to a request that failed, as `record.failed` was told.
    pub fn respond_failed(&self, word: &str, mut record: AuditRecord) -> Response<Body> {
        let why = record.audit.reason.as_deref().unwrap_or("the upstream failed");
        let response = failure(word, why, self.audience());
        record.audit.status = Some(response.status().as_u16());
        response
    }

    /// The answer to a request that never left, and whose body is still to come.
    pub async fn respond_unsent(
        &self,
        error: ServeError,
        mut record: AuditRecord,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let page = match error {
            ServeError::Denied(mut denial) => {
                let remotes = self.egress.remotes.iter().filter_map(GitRemote::place);
                if let Some(text) = fitting_remote(remotes, &self.peer.host, request.uri().path()) {
                    denial.text = format!("{}; {text}", denial.text);
                }
                record.denied(&denial);
                refusal(&denial, self.audience())
            }
            ServeError::Failed(word, text) => {
                record.failed(text.clone());
                failure(word, &text, self.audience())
            }
        };
        self.respond_page(page, record, request).await
    }

    /// Answers with a page of the gate's own. The request's body is read and dropped as far as that is cheap, so that the
    /// connection stays usable.
    pub async fn respond_page(
        &self,
        page: Response<Body>,
        mut record: AuditRecord,
        request: Request<Incoming>,
    ) -> Response<Body> {
        record.audit.status = Some(page.status().as_u16());
        record.received = page.body().size_hint().exact().unwrap_or_default();
        // A client that waits for "100 Continue" has sent nothing of the body.
        let waits = request.version() != Version::HTTP_2 && request.headers().contains_key(EXPECT);
        let mut body = request.into_body();
        if !waits && body.size_hint().lower() <= MAX_DISCARDED_BYTES {
            let discard = async {
                let mut count = 0;
                while count <= MAX_DISCARDED_BYTES
                    && let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
                {
                    count += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
            };
            let _ = timeout(DISCARD_TIMEOUT, discard).await;
        }
        page
    }

    /// What the client of this connection can read.
    pub fn audience(&self) -> Audience {
        Audience::of(&self.egress, &self.peer)
    }
}
