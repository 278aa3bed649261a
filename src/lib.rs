//! claude-bottle as a library: modules in layer order, lowest last. Downwards only; a test holds it.

pub mod exit;
pub mod manifest;
pub mod policy;
pub mod protocol;
