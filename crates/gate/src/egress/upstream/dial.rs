//! From a destination to a connection. Names are resolved once, here; the address that was checked is the one that is
//! dialled. Behind an upstream proxy the proxy resolves, but for routes that are `private`.

use crate::egress::limits::{
    KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, PROXY_TIMEOUT, RESOLVE_CACHE_ENTRIES, RESOLVE_TIMEOUT, RESOLVE_TRIES,
    RESOLVE_TRY_TIMEOUT,
};
use crate::egress::live::proxy::UpstreamProxy;
use crate::egress::serve_error::ServeError;
use crate::egress::upstream::happy_eyeballs;
use crate::egress::upstream::proxy_tunnel::{self, HttpProxy, failed_proxy};
use crate::egress::upstream::upstream_stream::UpstreamStream;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver, TokioResolver};
use policy::{Destination, DialTo};
use socket2::{SockRef, TcpKeepalive};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub struct Dialler {
    resolver: TokioResolver,
    /// Names of /etc/hosts, read once: the engine writes it, and does not change it while a container runs.
    hosts: HashMap<String, Vec<IpAddr>>,
}

/// Where a route leads, checked.
#[derive(Clone)]
pub enum Target {
    Direct(Vec<SocketAddr>),
    /// The upstream proxy is asked for this.
    Proxied {
        proxy: Arc<UpstreamProxy>,
        host: String,
        port: u16,
    },
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

    /// Resolves a destination, where it is a name. Asks DNS at most once. `proxy`: that of the policy which found the
    /// destination.
    pub async fn locate(
        &self,
        destination: &Destination<'_>,
        proxy: Option<&Arc<UpstreamProxy>>,
    ) -> Result<Target, ServeError> {
        let Destination { host, to, port, .. } = *destination;
        let found = match to {
            DialTo::ThroughProxy(name) => {
                let proxy = proxy.ok_or_else(|| failed_proxy("there is no upstream proxy".to_owned()))?;
                return Ok(Target::Proxied { proxy: proxy.clone(), host: name.to_owned(), port });
            }
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

    /// A connection that carries any bytes to the target, through a tunnel of the proxy's where it is asked.
    pub async fn tunnel(&self, target: &Target) -> Result<UpstreamStream, ServeError> {
        let (proxy, host, port) = match target {
            Target::Direct(addresses) => return self.dial_upstream(addresses).await,
            Target::Proxied { proxy, host, port } => (proxy, host, *port),
        };
        let stream = self.dial_proxy(proxy).await?;
        let opened = timeout(PROXY_TIMEOUT, proxy_tunnel::open(stream, proxy, host, port)).await;
        opened.map_err(|_| failed_proxy("the upstream proxy did not answer".to_owned()))?
    }

    /// A connection for plain HTTP to the target, and the proxy that reads its requests, where one does: it wants absolute
    /// URIs.
    pub async fn open(&self, target: &Target) -> Result<(UpstreamStream, Option<HttpProxy>), ServeError> {
        match target {
            Target::Proxied { proxy, .. } => match HttpProxy::of(proxy) {
                Some(reader) => {
                    let stream = self.dial_proxy(proxy).await?;
                    let secured = timeout(PROXY_TIMEOUT, proxy_tunnel::secured(stream, proxy)).await;
                    let secured =
                        secured.map_err(|_| failed_proxy("the upstream proxy did not answer".to_owned()))??;
                    Ok((secured, Some(reader)))
                }
                None => Ok((self.tunnel(target).await?, None)),
            },
            Target::Direct(addresses) => Ok((self.dial_upstream(addresses).await?, None)),
        }
    }

    async fn dial_upstream(&self, addresses: &[SocketAddr]) -> Result<UpstreamStream, ServeError> {
        let failed = |error| ServeError::Failed("connect", format!("cannot connect to the upstream: {error}"));
        dial(addresses).await.map(UpstreamStream::Tcp).map_err(failed)
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
