//! A request from its head to the end of its answer: judged, rewritten, forwarded, or answered with a refusal.

pub mod body;
pub mod forward;
pub mod inflight;
pub mod judge;
pub mod preread;
pub mod respond;
pub mod serve;
pub mod trial;
