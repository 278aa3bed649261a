//! A request, and what the policy makes of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| inputs::path::run(input));
