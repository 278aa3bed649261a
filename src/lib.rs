//! claude-bottle as a library: modules in layer order, highest first. Downwards only; a test holds it.

pub mod cli;
pub mod cmd;
pub mod docker;
pub mod exit;
pub mod facts;
pub mod manifest;
pub mod plan;
pub mod policy;
pub mod protocol;
pub mod render;
pub mod say;
pub mod secrets;
pub mod session;
pub mod spec;
pub mod state;
pub mod sys;
