//! The one integration-test crate. Rings, from quick to slow: the repository's own rules, the command line, the fake
//! engine, the gate alone, the real engine with real Claude Code.

mod begin;
mod check;
mod cli;
mod docs;
mod doctor;
mod edit;
#[cfg(feature = "gate")]
mod engine;
mod fake;
mod faults;
mod formats;
#[cfg(feature = "gate")]
mod forward;
mod fuzz;
#[cfg(feature = "gate")]
mod gate;
mod host;
#[cfg(feature = "gate")]
mod init;
#[cfg(feature = "gate")]
mod inside;
#[cfg(feature = "gate")]
mod install;
mod kept;
mod keystone;
mod logs;
mod manifest;
mod manner;
mod policy;
mod refresh;
mod repo;
mod run;
mod shell;
mod work;
mod workspace;
