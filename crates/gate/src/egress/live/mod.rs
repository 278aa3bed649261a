//! What decides now: policy, secrets, tokens with an end. A reload swaps it whole.

pub mod ca;
pub mod canary;
pub mod diff;
pub mod lease;
pub mod reload;
pub mod secrets;
pub mod snapshot;
