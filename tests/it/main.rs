//! The one integration-test crate. Rings, from quick to slow: the repository's own rules, the command line, the fake
//! engine, the gate alone, the real engine with real Claude Code.

#![allow(clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

mod begin;
mod check;
mod check_body;
mod cli;
mod docs;
mod doctor;
mod edit;
mod engine;
mod fake;
mod faults;
mod formats;
mod forward;
mod host;
mod install;
mod kept;
mod keystone;
mod logs;
mod manifest;
mod manner;
mod refresh;
mod repo;
mod run;
mod shell;
mod work;
mod workspace;
