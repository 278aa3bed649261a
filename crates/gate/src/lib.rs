//! The sidecar's program as a library. [`listen`] reads what a connection is for and hands it to a service; everything
//! that leaves a bottle passes [`egress`], and only what the policy allows leaves.

pub mod audit;
pub mod ctl;
pub mod egress;
pub mod events;
pub mod listen;
pub mod pages;
pub mod scan_request;
pub mod serve;
