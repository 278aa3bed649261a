//! A refusal in the form that its client shows: many show the reason phrase alone, others a field of JSON, and gRPC reads its
//! own headers. What the gate itself answers is known by its mark.

use crate::egress::inspect::headers::MARK;
use crate::egress::request::body::Body;
use crate::egress::request::own_response::JSON;
use hyper::body::Bytes;
use hyper::ext::ReasonPhrase;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode, Version};
use serde_json::json;

/// Bytes of a reason phrase: clients show it within a line of their own.
const MAX_REASON_BYTES: usize = 400;
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// `PERMISSION_DENIED` and `UNAVAILABLE` of gRPC.
const GRPC_DENIED: HeaderValue = HeaderValue::from_static("7");
const GRPC_UNAVAILABLE: HeaderValue = HeaderValue::from_static("14");

/// How the client of one request takes an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientFormat {
    body: ErrorBody,
    /// HTTP/1 has a reason phrase.
    has_reason_phrase: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorBody {
    Text,
    Json,
    /// None: gRPC reads headers.
    Grpc,
}

impl ClientFormat {
    pub fn of<B>(request: &Request<B>) -> ClientFormat {
        let headers = request.headers();
        let body = match () {
            () if begins(headers, CONTENT_TYPE).starts_with("application/grpc") => ErrorBody::Grpc,
            () if is_json(&begins(headers, ACCEPT)) => ErrorBody::Json,
            () => ErrorBody::Text,
        };
        ClientFormat { body, has_reason_phrase: request.version() < Version::HTTP_2 }
    }

    /// The response, in this form if it is a refusal or a failure of the gate's own.
    pub fn apply(self, response: Response<Body>) -> Response<Body> {
        let mark = response.headers().get(MARK).map_or(&b""[..], HeaderValue::as_bytes);
        let is_denied = mark.starts_with(b"denied");
        let Body::Page(Some(page)) = response.body() else { return response };
        if !is_denied && !mark.starts_with(b"failed") {
            return response;
        }
        let text = String::from_utf8_lossy(page).into_owned();
        let mut lines = text.lines();
        // Of JSON, which the model's host gets, no line is for a person.
        let is_text =
            response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
        let Some(first) = lines.next().filter(|_| is_text) else { return response };
        let mut response = match self.body {
            ErrorBody::Text => response,
            ErrorBody::Json => {
                let page = json!({ "error": first, "more": lines.collect::<Vec<_>>() }).to_string() + "\n";
                let mut response = response.map(|_| Body::Page(Some(Bytes::from(page))));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
                response
            }
            ErrorBody::Grpc => return grpc(response, is_denied, &text),
        };
        if self.has_reason_phrase
            && let Ok(reason) = ReasonPhrase::try_from(reason_phrase(first))
        {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

/// A trailers-only answer of gRPC.
fn grpc(response: Response<Body>, is_denied: bool, text: &str) -> Response<Body> {
    let mut response = response.map(|_| Body::Page(None));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, if is_denied { GRPC_DENIED } else { GRPC_UNAVAILABLE });
    if let Ok(message) = HeaderValue::try_from(percent_encode(text.trim_end())) {
        headers.insert(GRPC_MESSAGE, message);
    }
    response
}

/// As gRPC writes a message: all but visible ASCII and blanks is encoded.
fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// The line in ASCII, bounded.
fn reason_phrase(line: &str) -> Vec<u8> {
    let visible = |character: char| if matches!(character, ' '..='~') { character as u8 } else { b'?' };
    line.chars().take(MAX_REASON_BYTES).map(visible).collect()
}

/// The first media type of this header, in lower case, without parameters.
fn begins(headers: &HeaderMap, name: HeaderName) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split([',', ';']).next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(media_type: &str) -> bool {
    media_type.split_once('/').is_some_and(|(_, kind)| kind == "json" || kind.ends_with("+json"))
}
