//! The kernel's side: children, signals, the terminal, locks. The only room where `unsafe` may stand.

pub mod child;
pub mod clock;
pub mod lock;
pub mod machine;
pub mod man;
pub mod net;
pub mod pipe;
pub mod random;
pub mod signals;
pub mod timings;
pub mod tty;
