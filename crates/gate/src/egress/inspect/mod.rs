//! What a request or an answer carries, looked at as it streams.

pub mod body;
pub mod headers;
pub mod leaks;
pub mod model;
pub mod watch;
