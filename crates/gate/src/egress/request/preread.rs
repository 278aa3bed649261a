//! The beginning of an answer, read before its head is passed on: what is found there can still be denied in words.

use crate::egress::limits::{PREREAD_BYTES, PREREAD_TIMEOUT};
use crate::egress::request::body::Body;
use crate::egress::request::refusal::{failure, refusal};
use crate::egress::request::serve::AgentConnection;
use hyper::Response;
use hyper::body::Body as _;
use std::future::poll_fn;
use std::pin::Pin;
use tokio::time::timeout;

/// Reads the beginning of an answer whose route denies answers that hide instructions; gives back all others as they are.
pub async fn preread(connection: &AgentConnection, mut response: Response<Body>) -> Response<Body> {
    if !response.body().waits() {
        return response;
    }
    let body = response.body_mut();
    let failed = timeout(PREREAD_TIMEOUT, fill(body)).await.is_ok_and(|read| read.is_err());
    let Body::Stream { filter, record, .. } = body else { return response };
    let page = match filter.denial() {
        Some(denial) => refusal(denial, connection.audience()),
        None if failed => {
            let why = record.audit.reason.as_deref().unwrap_or("the upstream failed");
            failure("upstream", why, connection.audience())
        }
        None => return response,
    };
    record.audit.status = Some(page.status().as_u16());
    record.received = page.body().size_hint().exact().unwrap_or_default();
    page
}

/// Reads until the filter has seen enough, or the bound is reached. The body's record knows the error.
async fn fill(body: &mut Body) -> Result<(), ()> {
    while body.begun() < PREREAD_BYTES && body.waits() {
        match poll_fn(|cx| Pin::new(&mut *body).poll_next(cx)).await {
            Some(Ok(frame)) => body.keep(frame),
            Some(Err(_)) => return Err(()),
            None => break,
        }
    }
    Ok(())
}
