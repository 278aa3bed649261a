//! Responses of the gate's own: how one is made, and marked as such.

use crate::egress::inspect::headers::MARK;
use crate::egress::request::body::Body;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

pub const PLAIN: &str = "text/plain; charset=utf-8";
pub const JSON: &str = "application/json";

/// A page that no cache keeps. `kind`: its media type.
pub fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::Page(Some(Bytes::from(text))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer to a method with which nothing of the gate's own is read.
pub fn get_only() -> Response<Body> {
    let mut response = page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET only\n".to_owned());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// Adds the header by which a program knows a response of the gate's own. `what`: its value, which says what it is about.
pub fn marked(mut response: Response<Body>, what: &str) -> Response<Body> {
    if let Ok(value) = HeaderValue::try_from(what) {
        response.headers_mut().insert(MARK, value);
    }
    response
}

/// Takes the body off a page, and leaves its length. Over HTTP/2, hyper would send the body in answer to HEAD, too.
pub fn without_body(response: Response<Body>) -> Response<Body> {
    let Body::Page(Some(page)) = response.body() else { return response };
    let length = page.len();
    let mut response = response.map(|_| Body::Page(None));
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}
