//! Names of headers that decide something, for whoever judges a request: lower case, with dashes.

/// Credentials of the agent's own: with them it could carry things to an account of its own on an allowed host.
pub const CREDENTIALS: [&str; 11] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "cookie2",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "private-token",
    "job-token",
    "x-auth-token",
    "x-amz-security-token",
];

/// Headers by which some servers take another method or path than the request line's.
pub const OVERRIDES: [&str; 6] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-original-method",
];

/// Is this name, in lower case, another spelling of `dashed`? Many servers hand headers on as variables, where `-` and
/// `_` are one.
pub fn same_header(name: &str, dashed: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.len() == dashed.len() && name.bytes().zip(dashed.bytes()).all(|(a, b)| plain(a) == plain(b))
}
