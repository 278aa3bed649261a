//! The one integration-test crate: the repository's own rules, the command line, the fake engine, the real engine with
//! real Claude Code. A file is a behaviour.

#![allow(clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

mod cli;
mod engine;
mod fake;
mod harness;
mod rules;
