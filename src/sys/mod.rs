//! The kernel's side: children, signals, the terminal, locks. The only room where `unsafe` may stand.

pub mod child;
pub mod lock;
pub mod random;
pub mod signals;
pub mod tty;
