//! claude-bottle as a library: modules in layer order, highest first. Downwards only; a test holds it.

pub mod cmd;
pub mod supervise;
pub mod session;
pub mod secrets;
pub mod dashboard;
pub mod docker;
pub mod state;
pub mod render;
pub mod workspace;
pub mod trail;
pub mod plan;
pub mod probe;
pub mod facts;
pub mod manifest;
pub mod git;
pub mod spec;
pub mod say;
pub mod cli;
pub mod exit;
pub mod hint;
pub mod text;
