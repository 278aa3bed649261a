//! The host's proxy for upstream traffic.

use super::variable;
use crate::exit::UserError;
use crate::facts::{PROXY_VARIABLE, Proxy};
use policy::NoProxy;
use wire::ProxyUrl;

/// The host's variable with the upstreams that are reached past the proxy.
const NO_PROXY_VARIABLE: &str = "CLAUDE_BOTTLE_NO_PROXY";

/// Is there one? Its value is read as the gate will read it, and not kept.
///
/// # Errors
/// `UserError` where the variable's value is no address of a proxy, which is not quoted, because a password may be in it;
/// and where the list of upstreams past it is none.
pub fn upstream_proxy() -> Result<Proxy, UserError> {
    let refused = |name: &str, why: &str| UserError::new(format!("the host's variable `{name}` {why}"));
    let no_proxy = NoProxy::parse(&variable(NO_PROXY_VARIABLE).unwrap_or_default()).map_err(|why| {
        refused(NO_PROXY_VARIABLE, &why).hint("write names, `.suffixes`, addresses and networks, with commas between")
    })?;
    let Some(value) = variable(PROXY_VARIABLE) else { return Ok(Proxy::Direct) };
    ProxyUrl::parse(value.as_bytes()).map(|_| Proxy::Upstream(no_proxy)).map_err(|why| {
        refused(PROXY_VARIABLE, &why).hint("write `http://[user:password@]host:port`, or `https://` or `socks5h://`")
    })
}
