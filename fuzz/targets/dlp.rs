//! A request's body, and what must not leave in it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| inputs::dlp::run(input));
