//! The sidecar's program as a library. [`listen`] reads what a connection is for and hands it to a service; everything
//! that leaves a bottle passes [`egress`], and only what the policy allows leaves.

pub mod audit;
pub mod control;
pub mod egress;
pub mod listen;
pub mod pages;
pub mod scan_request;
pub mod serve;
pub mod stdio;
