//! The first line of a connection, and the text of a manifest.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| inputs::line::run(input));
