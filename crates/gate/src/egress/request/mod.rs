//! A request from its head to the end of its answer: judged, inspected, forwarded, or answered with a page that says why
//! it was denied.

pub mod askable;
pub mod body;
pub mod client_format;
pub mod conversation;
pub mod forward;
pub mod own_response;
pub mod preread;
pub mod reconsider;
pub mod refusal;
pub mod respond;
pub mod serve;
pub mod trial;
