//! What each fuzz target does with its input; `tests/seeds.rs` replays the seeds.

#![allow(clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

pub mod answers;
pub mod dlp;
pub mod frames;
pub mod git;
pub mod line;
pub mod messages;
pub mod path;
