//! One request's answer: the upstream's, or a page of the gate's own that says why there is none.

use crate::audit::record::AuditRecord;
use crate::egress::http1::head::Fault;
use crate::egress::request::body::Body;
use crate::egress::request::serve::{Conversation, Sni};
use crate::egress::upstream::dial::Trouble;
use crate::pages::{Reader, explain, failure, refusal};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, EXPECT};
use hyper::{Request, Response, StatusCode, Version};
use policy::{Denial, Reason};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use wire::Outcome;

/// Bytes of a refused request's body that are read and forgotten, so that the connection stays usable.
const FORGOTTEN: u64 = 1024 * 1024;

impl Conversation {
    /// Nothing is known of the request but that it is wrong.
    pub fn refuse(&self, fault: Fault) -> Response<Body> {
        let mut record = AuditRecord::connection(&self.egress, &self.host, self.port);
        let denial = Denial::new(Reason::Malformed, fault.text());
        record.denied(&denial);
        let mut response = refusal(&denial, self.reader());
        *response.status_mut() = match fault {
            Fault::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Fault::Malformed(_) => StatusCode::BAD_REQUEST,
        };
        record.audit.status = Some(response.status().as_u16());
        response
    }

    /// `record.failed` was called.
    pub fn broken(&self, word: &str, mut record: AuditRecord) -> Response<Body> {
        let response = failure(word, record.audit.reason.as_deref().unwrap_or("the upstream failed"), self.reader());
        record.audit.status = Some(response.status().as_u16());
        response
    }

    /// All of the bottle's connections together ask for too much.
    pub fn crowded(&self, request: &Request<Incoming>) -> Response<Body> {
        let mut record = AuditRecord::request(&self.egress, &self.host, self.port);
        record.set_request(request.method().as_str(), request.uri().path());
        record.failed("too many requests at once");
        self.broken("busy", record)
    }

    pub async fn reply(self: Arc<Self>, request: Request<Incoming>, sni: &Sni) -> Response<Body> {
        let mut record = AuditRecord::request(&self.egress, &self.host, self.port);
        record.set_request(request.method().as_str(), request.uri().path());
        match self.judge(&request, sni, &mut record).await {
            Ok(Some(pass)) => {
                record.allowed(pass.route);
                self.forward(request, &pass, record).await
            }
            Ok(None) => {
                record.audit.verdict = Outcome::Allow;
                let page = explain(&self.egress, request.method(), request.uri().path(), request.headers());
                self.page(page, record, request).await
            }
            Err(Trouble::Denied(denial)) => {
                record.denied(&denial);
                self.page(refusal(&denial, self.reader()), record, request).await
            }
            Err(Trouble::Failed(word, text)) => {
                record.failed(text.clone());
                self.page(failure(word, &text, self.reader()), record, request).await
            }
        }
    }

    pub fn reader(&self) -> Reader {
        Reader::of(&self.egress.snapshot().policy, &self.host, self.port)
    }

    /// An answer of the gate's own.
    pub async fn page(
        &self,
        response: Response<Body>,
        mut record: AuditRecord,
        request: Request<Incoming>,
    ) -> Response<Body> {
        record.audit.status = Some(response.status().as_u16());
        record.received = response.body().size_hint().exact().unwrap_or_default();
        // Whoever waits for "continue" has sent nothing.
        let waits = request.version() != Version::HTTP_2 && request.headers().contains_key(EXPECT);
        let mut body = request.into_body();
        if !waits && body.size_hint().lower() <= FORGOTTEN {
            let forget = async {
                let mut count = 0;
                while count <= FORGOTTEN
                    && let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
                {
                    count += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
            };
            let _ = timeout(Duration::from_secs(2), forget).await;
        }
        response
    }
}

/// HTTP/2 would send it in answer to HEAD, too.
pub fn without_page(response: Response<Body>) -> Response<Body> {
    let Body::Page(Some(page)) = response.body() else { return response };
    let length = page.len();
    let mut response = response.map(|_| Body::Page(None));
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}
