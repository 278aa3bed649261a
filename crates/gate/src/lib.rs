//! The sidecar's program as a library: everything that leaves a bottle passes [`egress`], and only what the policy says
//! leaves. Everything async, and everything TLS, lives here.

pub mod audit;
pub mod ctl;
pub mod egress;
pub mod events;
pub mod listen;
pub mod pages;
pub mod scan_request;
pub mod serve;
