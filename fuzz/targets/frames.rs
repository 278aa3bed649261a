//! What the inner end of a forward says.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| inputs::frames::run(input));
