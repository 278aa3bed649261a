//! Where the gate would dial for a route, and whether it may.
//!
//! The name that the agent used stands in every denial: where a route leads is the operator's business.

use super::address::{is_local_name, is_private_name, is_undialable, private_because};
use super::{Denial, NoProxy, Reason, Route};
use std::net::IpAddr;

/// How the gate reaches upstreams. Routes with `private`, and those with `"proxy": false`, are always dialled directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via<'a> {
    Direct,
    /// The host's proxy resolves and dials, but for these upstreams.
    Proxy(&'a NoProxy),
}

/// Where a connection leads, as far as can be said before a name server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination<'a> {
    /// The name that the agent used.
    pub host: &'a str,
    pub to: DialTo<'a>,
    pub port: u16,
    private: bool,
}

/// What is dialled, or asked of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialTo<'a> {
    /// The proxy is asked for this name or address.
    ThroughProxy(&'a str),
    /// This name is resolved, and those of its addresses are dialled that [`Destination::usable`] leaves.
    Name(&'a str),
    Address(IpAddr),
}

/// A server as a route or a remote names it.
#[derive(Debug, Clone, Copy)]
pub struct Server<'a> {
    /// The name that the agent knows.
    pub host: &'a str,
    /// The name or address that is dialled.
    pub name: &'a str,
    pub port: u16,
    /// It may have a private address.
    pub private: bool,
    /// It may be reached through the upstream proxy.
    pub proxy: bool,
}

impl Server<'_> {
    /// Whether the upstream proxy is asked for it.
    pub fn goes_through_proxy(&self, via: Via) -> bool {
        let Via::Proxy(no_proxy) = via else { return false };
        self.proxy && !self.private && !no_proxy.takes(self.name, self.port)
    }
}

impl<'a> Destination<'a> {
    /// # Errors
    /// A denial where the name or literal address alone shows that it may not be dialled.
    pub fn of(route: &'a Route, host: &'a str, via: Via) -> Result<Destination<'a>, Denial> {
        Destination::of_server(route.server(host), via)
    }

    /// # Errors
    /// As [`Destination::of`] has them.
    pub fn of_server(server: Server<'a>, via: Via) -> Result<Destination<'a>, Denial> {
        let Server { host, name, port, private: may_be_private, .. } = server;
        let literal = name.parse::<IpAddr>().ok();
        if !may_be_private && is_local_name(name) {
            return Err(denied(host, "a loopback address"));
        }
        let to = match (literal, server.goes_through_proxy(via)) {
            (literal, true) => {
                let private = if is_private_name(name) { Some("a private name") } else { None };
                if let Some(why) = literal.map_or(private, private_because) {
                    return Err(denied(host, why));
                }
                DialTo::ThroughProxy(name)
            }
            (Some(address), false) => DialTo::Address(address),
            (None, false) => DialTo::Name(name),
        };
        let destination = Destination { host, to, port, private: may_be_private };
        if let DialTo::Address(address) = to {
            destination.usable(&[address])?;
        }
        Ok(destination)
    }

    /// Those of the addresses that may be dialled, in their order.
    ///
    /// # Errors
    /// A denial where none is left; it says why for the last one that was left out.
    pub fn usable(&self, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, Denial> {
        let mut why = "no address";
        let mut usable = Vec::with_capacity(addresses.len());
        for address in addresses {
            match private_because(*address) {
                _ if is_undialable(*address) => why = "no usable address",
                Some(reason) if !self.private => why = reason,
                _ => usable.push(*address),
            }
        }
        if usable.is_empty() { Err(denied(self.host, why)) } else { Ok(usable) }
    }
}

fn denied(host: &str, why: &str) -> Denial {
    Denial::new(Reason::Address, format!("`{host}` leads to {why}, which is not allowed"))
}

#[cfg(test)]
mod tests {
    use super::super::decide::tests::policy;
    use super::*;

    /// What is dialled, or the denial's text.
    fn leads(route: &str, via: Via) -> String {
        let policy = policy(&format!(r#"[{{"host":"a.org",{route}}}]"#));
        match Destination::of(&policy.routes[0], "a.org", via) {
            Ok(Destination { to: DialTo::ThroughProxy(name), port, .. }) => format!("proxy {name} {port}"),
            Ok(Destination { to: DialTo::Name(name), port, .. }) => format!("name {name} {port}"),
            Ok(Destination { to: DialTo::Address(address), port, .. }) => format!("address {address} {port}"),
            Err(denial) => denial.text,
        }
    }

    #[test]
    fn a_route_leads_where_it_is_written_to_lead() {
        let (private, public, past) = (r#""private":true"#, r#""private":false"#, r#""proxy":false"#);
        let (none, some) = (NoProxy::default(), NoProxy::parse("b.org,10.0.0.0/8,1.0.0.0/8").unwrap());
        let (proxy, listed) = (Via::Proxy(&none), Via::Proxy(&some));
        for (to, keys, via, wanted) in [
            ("b.org:8443", public, Via::Direct, "name b.org 8443"),
            ("b.org:8443", public, proxy, "proxy b.org 8443"),
            ("b.org:8443", private, proxy, "name b.org 8443"),
            ("b.org:8443", past, proxy, "name b.org 8443"),
            ("b.org:8443", public, listed, "name b.org 8443"),
            ("c.org:8443", public, listed, "proxy c.org 8443"),
            ("1.1.1.1:443", public, listed, "address 1.1.1.1 443"),
            ("10.0.0.1:443", past, proxy, "`a.org` leads to a private address, which is not allowed"),
            ("10.0.0.1:443", public, listed, "`a.org` leads to a private address, which is not allowed"),
            ("1.1.1.1:443", public, Via::Direct, "address 1.1.1.1 443"),
            ("1.1.1.1:443", public, proxy, "proxy 1.1.1.1 443"),
            ("10.0.0.1:443", private, proxy, "address 10.0.0.1 443"),
            ("10.0.0.1:443", public, Via::Direct, "`a.org` leads to a private address, which is not allowed"),
            ("10.0.0.1:443", public, proxy, "`a.org` leads to a private address, which is not allowed"),
            ("168.63.129.16:443", public, Via::Direct, "`a.org` leads to a metadata address, which is not allowed"),
            ("0.0.0.0:443", private, Via::Direct, "`a.org` leads to no usable address, which is not allowed"),
            ("db.localhost:443", public, Via::Direct, "`a.org` leads to a loopback address, which is not allowed"),
            ("db.localhost:443", private, Via::Direct, "name db.localhost 443"),
            ("nas.local:443", public, Via::Direct, "name nas.local 443"),
            ("nas.local:443", public, proxy, "`a.org` leads to a private name, which is not allowed"),
        ] {
            assert_eq!(leads(&format!(r#""connect_to":"{to}",{keys}"#), via), wanted, "{to} {keys} {via:?}");
        }
    }

    #[test]
    fn of_a_names_addresses_the_usable_ones_are_left() {
        let policy = policy(r#"[{"host":"a.org"},{"host":"b.org","private":true}]"#);
        let usable = |route: usize, addresses: &[&str]| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
            let host = policy.routes[route].host.as_str();
            let found = Destination::of(&policy.routes[route], host, Via::Direct).unwrap().usable(&addresses);
            found.map(|found| found.iter().map(IpAddr::to_string).collect::<Vec<_>>()).map_err(|denial| denial.text)
        };
        assert_eq!(usable(0, &["1.1.1.1", "10.0.0.1", "2606:4700::1"]).unwrap(), ["1.1.1.1", "2606:4700::1"]);
        assert_eq!(usable(1, &["127.0.0.1", "0.0.0.0"]).unwrap(), ["127.0.0.1"]);
        for (route, addresses, why) in [
            (0, &[][..], "no address"),
            (0, &["0.0.0.0"], "no usable address"),
            (0, &["0.0.0.0", "127.0.0.1"], "a loopback address"),
            (1, &["::"], "no usable address"),
        ] {
            let host = policy.routes[route].host.as_str();
            assert_eq!(usable(route, addresses).unwrap_err(), format!("`{host}` leads to {why}, which is not allowed"));
        }
    }
}
