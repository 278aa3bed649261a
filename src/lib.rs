//! claude-bottle as a library: modules in layer order, highest first. Downwards only; a test holds it.

pub mod cmd;
pub mod session;
pub mod secrets;
pub mod docker;
pub mod state;
pub mod render;
pub mod workspace;
pub mod plan;
pub mod manifest;
pub mod mux;
pub mod facts;
pub mod git;
pub mod spec;
pub mod policy;
pub mod protocol;
pub mod exit;
pub mod cli;
pub mod say;
pub mod sys;
