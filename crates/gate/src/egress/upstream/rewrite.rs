//! A request in the form that its connection to the upstream wants: URI, host, cookies and coding of the body.

use crate::egress::as_judged::has_body;
use crate::egress::live::allowed::AllowedRequest;
use crate::egress::peer::{Peer, authority};
use crate::egress::serve_error::ServeError;
use crate::egress::upstream::connection::Connection;
use crate::egress::upstream::upload::Upload;
use hyper::body::Body as _;
use hyper::header::{CONNECTION, COOKIE, HOST, HeaderValue, PROXY_AUTHORIZATION, TRANSFER_ENCODING};
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Request, Uri, Version};

/// Rewrites `request` for `connection`. May be called again for another connection.
pub fn rewrite_for(
    connection: &Connection,
    to: &Peer,
    allowed: &AllowedRequest,
    request: &mut Request<Box<Upload>>,
) -> Result<(), ServeError> {
    let failed = |why: &str| ServeError::Failed("request", why.to_owned());
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let host = to.host_header();
    let unknown_length = !request.body().is_end_stream() && request.body().size_hint().exact().is_none();
    let has_body = has_body(request.body());
    let headers = request.headers_mut();
    headers.remove(TRANSFER_ENCODING);
    let uri = match connection {
        Connection::Http2(_) => {
            headers.remove(HOST);
            headers.remove(CONNECTION);
            Uri::builder().scheme("https").authority(host).path_and_query(path)
        }
        Connection::Http1(connection) => {
            if unknown_length {
                // hyper takes the body of a GET for none otherwise.
                headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            if has_body {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            join_cookies(headers);
            headers.insert(HOST, HeaderValue::try_from(host).map_err(|_| failed("the host is not a header value"))?);
            match &connection.reader {
                Some(proxy) => {
                    if let Some(credentials) = &proxy.credentials {
                        headers.insert(PROXY_AUTHORIZATION, credentials.clone());
                    }
                    let (name, port) = allowed.rule().upstream(&to.host);
                    Uri::builder().scheme("http").authority(authority(name, port)).path_and_query(path)
                }
                None => Uri::builder().path_and_query(path),
            }
        }
    };
    *request.uri_mut() = uri.build().map_err(|_| failed("the path is not a URI"))?;
    *request.version_mut() = match connection {
        Connection::Http1(_) => Version::HTTP_11,
        Connection::Http2(_) => Version::HTTP_2,
    };
    Ok(())
}

/// HTTP/2 may send cookies one by one; HTTP/1 has one header for all (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}
