//! The server that a connection of the agent is for, as the agent named it in the first line. Nothing is resolved here.

/// Host and port as the agent asked for them. What they lead to is the policy's and the dialler's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Lower case, without a final dot.
    pub host: String,
    pub port: u16,
}

impl Peer {
    /// Connections to port 80 carry plain HTTP, all others TLS.
    pub fn is_plain(&self) -> bool {
        self.port == 80
    }

    /// The value of a host header: the port is left out where it is the scheme's default.
    pub fn host_header(&self) -> String {
        let default = if self.is_plain() { 80 } else { 443 };
        if self.port == default { self.host.clone() } else { authority(&self.host, self.port) }
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
