//! What a request or an answer carries, inspected as it streams.

pub mod answer;
pub mod form;
pub mod headers;
pub mod leaks;
pub mod model;
mod plain_view;
pub mod request;
pub mod usage;
pub mod watch;
