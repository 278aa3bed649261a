//! Connections to upstreams: dialled to the address that was checked, pooled for one connection of the agent, used again.
//! Nothing here knows the agent's connection, or the service that answers it.

pub mod bulk_read;
pub mod connection;
pub mod dial;
pub mod happy_eyeballs;
pub mod pool;
pub mod proxy_tunnel;
pub mod rewrite;
pub mod tls_failure;
pub mod upload;
pub mod upstream_stream;
