//! From a destination to a connection. Names are resolved once, here; the address that was checked is the one that is
//! dialled. Behind an upstream proxy the proxy resolves, but for routes that are `private`.

use crate::egress::limits::{
    KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, MAX_PROXY_ANSWER_BYTES, PROXY_TIMEOUT, RESOLVE_CACHE_ENTRIES, RESOLVE_TIMEOUT,
    RESOLVE_TRIES, RESOLVE_TRY_TIMEOUT,
};
use crate::egress::live::last_leg::LastLeg;
use crate::egress::live::proxy::UpstreamProxy;
use crate::egress::live::snapshot::PolicySnapshot;
use crate::egress::peer::authority;
use crate::egress::serve_error::ServeError;
use crate::egress::upstream::happy_eyeballs;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver, TokioResolver};
use policy::{Destination, DialTo, Via};
use socket2::{SockRef, TcpKeepalive};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub struct Dialler {
    resolver: TokioResolver,
    /// Names of /etc/hosts, read once: the engine writes it, and does not change it while a container runs.
    hosts: HashMap<String, Vec<IpAddr>>,
}

/// Where a route leads, checked.
#[derive(Debug, Clone)]
pub enum Target {
    Direct(Vec<SocketAddr>),
    /// The upstream proxy is asked for this.
    Proxied {
        host: String,
        port: u16,
    },
}

/// How this snapshot's upstreams are reached.
pub fn via(snapshot: &PolicySnapshot) -> Via {
    if snapshot.proxy.is_some() { Via::Proxy } else { Via::Direct }
}

impl Dialler {
    pub fn new() -> Result<Dialler, String> {
        let failed = |error| format!("no resolver: {error}");
        // Without name servers there may still be /etc/hosts and literals.
        let mut builder = Resolver::builder_tokio().unwrap_or_else(|_| {
            let config = ResolverConfig::from_name_servers(Vec::new());
            Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        });
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // We read it ourselves: hickory would still ask DNS for the address family that the file does not have.
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = RESOLVE_TRY_TIMEOUT;
        options.attempts = RESOLVE_TRIES;
        options.cache_size = RESOLVE_CACHE_ENTRIES;
        let hosts = parse_hosts(&std::fs::read_to_string("/etc/hosts").unwrap_or_default());
        Ok(Dialler { resolver: builder.build().map_err(failed)?, hosts })
    }

    /// Resolves a destination, where it is a name. Asks DNS at most once.
    pub async fn locate(&self, destination: &Destination<'_>) -> Result<Target, ServeError> {
        let Destination { host, to, port, .. } = *destination;
        let found = match to {
            DialTo::ThroughProxy(name) => return Ok(Target::Proxied { host: name.to_owned(), port }),
            DialTo::Address(address) => vec![address],
            DialTo::Name(name) => self
                .resolve(name)
                .await
                .map_err(|()| ServeError::Failed("resolve", format!("cannot resolve the name behind `{host}`")))?,
        };
        let usable = destination.usable(&found).map_err(ServeError::Denied)?;
        let usable = usable.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        Ok(Target::Direct(happy_eyeballs::interleave(usable)))
    }

    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ()> {
        if let Some(addresses) = self.hosts.get(&name.to_ascii_lowercase()) {
            return Ok(addresses.clone());
        }
        // The final dot: a name is asked for as it stands, no search list makes another of it.
        let found = self.resolver.lookup_ip(format!("{name}."));
        let found = timeout(RESOLVE_TIMEOUT, found).await.map_err(drop)?.map_err(drop)?;
        Ok(found.iter().collect())
    }

    /// A connection that carries any bytes to the target, through the proxy's CONNECT where the last leg is the proxy.
    pub async fn tunnel(&self, last_leg: &LastLeg, target: &Target) -> Result<TcpStream, ServeError> {
        match (target, last_leg) {
            (Target::Proxied { host, port }, LastLeg::Proxy(proxy)) => {
                let mut stream = self.dial_proxy(proxy).await?;
                match timeout(PROXY_TIMEOUT, request_tunnel(&mut stream, proxy, &authority(host, *port))).await {
                    Ok(Ok(200)) => Ok(stream),
                    Ok(Ok(status)) => Err(failed_proxy(format!("the upstream proxy answered {status}"))),
                    Ok(Err(error)) => Err(failed_proxy(format!("the upstream proxy failed: {error}"))),
                    Err(_) => Err(failed_proxy("the upstream proxy did not answer".to_owned())),
                }
            }
            (target, _) => self.open(last_leg, target).await,
        }
    }

    /// A connection for plain HTTP: to the target, or to the proxy, which wants absolute URIs.
    pub async fn open(&self, last_leg: &LastLeg, target: &Target) -> Result<TcpStream, ServeError> {
        match (target, last_leg) {
            (Target::Direct(addresses), _) => dial(addresses)
                .await
                .map_err(|error| ServeError::Failed("connect", format!("cannot connect to the upstream: {error}"))),
            (Target::Proxied { .. }, LastLeg::Proxy(proxy)) => self.dial_proxy(proxy).await,
            (Target::Proxied { .. }, LastLeg::Direct) => Err(failed_proxy("there is no upstream proxy".to_owned())),
        }
    }

    /// The proxy is the host's choice: its address is not checked.
    async fn dial_proxy(&self, proxy: &UpstreamProxy) -> Result<TcpStream, ServeError> {
        let addresses = match proxy.host.parse() {
            Ok(address) => vec![address],
            Err(_) => self
                .resolve(&proxy.host)
                .await
                .map_err(|()| failed_proxy("cannot resolve the upstream proxy".to_owned()))?,
        };
        let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, proxy.port)).collect();
        dial(&happy_eyeballs::interleave(addresses))
            .await
            .map_err(|error| failed_proxy(format!("cannot connect to the upstream proxy: {error}")))
    }
}

fn failed_proxy(text: String) -> ServeError {
    ServeError::Failed("proxy", text)
}

fn parse_hosts(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
        for name in words {
            hosts.entry(name.to_ascii_lowercase()).or_default().push(address);
        }
    }
    hosts
}

async fn dial(addresses: &[SocketAddr]) -> std::io::Result<TcpStream> {
    let stream = happy_eyeballs::connect_first(addresses, TcpStream::connect).await?;
    stream.set_nodelay(true)?;
    let probe = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(&stream).set_tcp_keepalive(&probe)?;
    Ok(stream)
}

/// The status of the proxy's answer to CONNECT. Reads not one byte beyond its head.
async fn request_tunnel(stream: &mut TcpStream, proxy: &UpstreamProxy, authority: &str) -> std::io::Result<u16> {
    let mut head = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n").into_bytes();
    if let Some(credentials) = &proxy.credentials {
        head.extend_from_slice(b"proxy-authorization: ");
        head.extend_from_slice(credentials.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    stream.write_all(&head).await?;
    let mut answer = Vec::with_capacity(256);
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= MAX_PROXY_ANSWER_BYTES {
            return Err(std::io::Error::other("its answer is too long"));
        }
        answer.push(stream.read_u8().await?);
    }
    let status = answer
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.get(2..5))
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| std::io::Error::other("its answer is not HTTP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_is_read() {
        let found = parse_hosts(
            "# 1.1.1.1 no\n127.0.0.1 localhost\n\n10.0.0.1\tHost-Gateway alias # x\n::1 localhost\nbad x\n",
        );
        assert_eq!(found["host-gateway"], ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!((found["localhost"].len(), found.len()), (2, 3));
    }
}
