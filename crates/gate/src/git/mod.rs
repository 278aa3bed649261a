//! The git service: clone, fetch and push of the remotes that the manifest declares, and of nothing else.
//!
//! The gate orchestrates, and git, gitleaks and ssh are children that have pipes and no network. A fetch is answered from a
//! repository of the gate's own, which is refreshed from the upstream first; a push is taken apart, judged and scanned
//! here, and forwarded as a whole or not at all. Commits and tags are signed where the manifest names a key for it.

pub mod children;
pub mod confined;
mod diff;
mod failure;
mod fetch;
mod forward;
mod gitleaks;
mod https;
mod key_agent;
mod limits;
mod link;
mod objects;
mod packets;
mod pending;
mod push;
mod record;
mod remote;
mod scan;
pub mod service;
pub mod sign;
mod signing_key;
pub mod ssh;
mod tools;
mod upstream;
