//! Connections to upstreams: dialled as checked, pooled, used again.

pub mod bulk_read;
pub mod connection;
pub mod dial;
pub mod happy_eyeballs;
pub mod pool;
pub mod proxy;
