//! The host's proxy for upstream traffic.

use super::variable;
use crate::exit::UserError;
use crate::facts::{PROXY_VARIABLE, Proxy};
use wire::ProxyUrl;

/// Is there one? Its value is read as the gate will read it, and not kept.
///
/// # Errors
/// `UserError` where the variable's value is no address of a proxy. It is not quoted: a password may be in it.
pub fn upstream_proxy() -> Result<Proxy, UserError> {
    let Some(value) = variable(PROXY_VARIABLE) else { return Ok(Proxy::Direct) };
    ProxyUrl::parse(value.as_bytes()).map(|_| Proxy::Upstream).map_err(|why| {
        UserError::new(format!("the host's variable `{PROXY_VARIABLE}` {why}"))
            .hint("what is supported is `http://[user:password@]host:port`, of a proxy that takes CONNECT")
    })
}
