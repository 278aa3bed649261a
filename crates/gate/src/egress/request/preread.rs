//! The beginning of an answer, read before its head is passed on: what is found there can still be refused in words.

use crate::egress::request::body::Body;
use crate::egress::request::serve::Conversation;
use crate::pages::{failure, refusal};
use hyper::Response;
use hyper::body::Body as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;

/// Bytes, and how long they are waited for: a slow answer goes on as it comes.
const OPENING: usize = 64 << 10;
const BREATH: Duration = Duration::from_secs(1);

impl Conversation {
    /// Where its route refuses answers that hide instructions.
    pub async fn opened(&self, mut response: Response<Body>) -> Response<Body> {
        if !response.body().waits() {
            return response;
        }
        let body = response.body_mut();
        let broke = timeout(BREATH, read(body)).await.is_ok_and(|read| read.is_err());
        let Body::Stream { filter, record, .. } = body else { return response };
        let page = match filter.refused() {
            Some(denial) => refusal(denial, self.reader()),
            None if broke => {
                let why = record.audit.reason.as_deref().unwrap_or("the upstream failed");
                failure("upstream", why, self.reader())
            }
            None => return response,
        };
        record.audit.status = Some(page.status().as_u16());
        record.received = page.body().size_hint().exact().unwrap_or_default();
        page
    }
}

/// The error was told to the record.
async fn read(body: &mut Body) -> Result<(), ()> {
    while body.begun() < OPENING && body.waits() {
        match poll_fn(|cx| Pin::new(&mut *body).poll_next(cx)).await {
            Some(Ok(frame)) => body.keep(frame),
            Some(Err(_)) => return Err(()),
            None => break,
        }
    }
    Ok(())
}
