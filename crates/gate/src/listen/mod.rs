//! One connection from the door: its first line says what it is, and which service gets it.

pub mod connection;
pub mod greeting;
