//! Everything that talks to the kernel: child processes, signals, the terminal, file locks, sockets.
//!
//! Invariant: `unsafe` occurs in this crate only; every other crate forbids it.

pub mod child;
pub mod clock;
pub mod git;
pub mod lock;
pub mod machine;
pub mod man;
pub mod net;
pub mod pipe;
pub mod random;
pub mod seccomp;
pub mod signals;
pub mod thread;
pub mod timings;
pub mod tty;
