//! Scans requests for secrets that must not leave, by the orders of their routes.
//!
//! A denial says what kind of secret was found, where, and in what encoding; never the secret or its name.

mod body;
mod head;
mod orders;
mod report;

pub use body::BodyScan;
pub use head::{inspect_head, inspect_host};
pub use report::for_agent;
