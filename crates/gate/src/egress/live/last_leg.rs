//! The last leg: how the bytes of one route get from the gate to where the route leads. It is chosen once per route, when
//! a policy is taken, so that whatever dials, rewrites or reads answers asks one value and not the policy again.

use crate::egress::live::proxy::UpstreamProxy;
use std::sync::Arc;

#[derive(Clone)]
pub enum LastLeg {
    /// The gate resolves the name and connects to the address that it has checked.
    Direct,
    /// The upstream proxy is asked for the name: it resolves and connects.
    Proxy(Arc<UpstreamProxy>),
}

impl LastLeg {
    /// `proxy`: the upstream proxy, if the host has one. What is `private` lies on this side of it.
    pub fn of(private: bool, proxy: Option<&Arc<UpstreamProxy>>) -> LastLeg {
        match proxy {
            Some(proxy) if !private => LastLeg::Proxy(proxy.clone()),
            _ => LastLeg::Direct,
        }
    }
}
