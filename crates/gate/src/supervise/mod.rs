//! Supervise: an agent proposes changes of its bottle, and the operator decides. What is pending and what was decided is
//! [`crate::proposals`]'s.

pub mod control_verbs;
mod mcp;
pub mod service;
mod tools;
