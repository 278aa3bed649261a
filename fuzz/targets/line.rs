//! The first line of a connection, and the text of a manifest.
#![no_main]

#[path = "../inputs/line.rs"]
mod line;

libfuzzer_sys::fuzz_target!(|input: &[u8]| line::run(input));
