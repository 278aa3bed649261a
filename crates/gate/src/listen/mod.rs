//! The one socket of the gate: what a connection says in its first line, and which service gets it.

pub mod accept;
