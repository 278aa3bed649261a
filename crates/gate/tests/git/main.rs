//! The git service: real git through the real gate, to upstreams that are real sshd and git's own HTTP server.
//!
//! Needed are git, sshd (`apt-get install openssh-server`), and gitleaks in `PATH`. A test fails where one is missing.

#![allow(clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

mod bed;
mod bounds;
mod confinement;
mod fetch;
mod hostile;
mod local;
mod push;
mod scan;
mod sign;
mod upstreams;
