//! A request, and what the policy makes of it.
#![no_main]

#[path = "../inputs/path.rs"]
mod path;

libfuzzer_sys::fuzz_target!(|input: &[u8]| path::run(input));
