//! An answer's body, and the credential that must not come back in it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| inputs::answers::run(input));
