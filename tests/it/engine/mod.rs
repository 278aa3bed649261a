//! The real engine: bottles as a user starts them, with real clients, real Claude Code, and a scripted model.
//!
//! Needs what `make test` makes ready; without it these tests fail and say so. Every object a test makes is removed by
//! label, and a test that leaves one fails.

mod approve;
mod begin;
mod browsers;
mod claude;
mod dashboard;
mod day;
mod ends;
mod escape;
mod forward;
mod git;
mod mcp;
mod network;
mod packages;
mod placeholders;
mod podman;
mod reader;
mod readme;
mod registry;
mod second;
mod seccomp;
mod secrets;
mod session;
mod soak;
mod supervise;
mod tokens;
mod trust;
mod uid;
mod work;

use crate::harness::process::run;
use crate::harness::rig::{ImageTags, docker, images, lines, told, unique};
use crate::harness::{Going, Ran, Rig, Served};
