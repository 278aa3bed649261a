//! A request's body to the model, and what the gate makes of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| inputs::messages::run(input));
