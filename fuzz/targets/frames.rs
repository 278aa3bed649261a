//! What the inner end of a forward says.
#![no_main]

#[path = "../inputs/frames.rs"]
mod frames;

libfuzzer_sys::fuzz_target!(|input: &[u8]| frames::run(input));
