//! A request's body, and what must not leave in it.
#![no_main]

#[path = "../inputs/dlp.rs"]
mod dlp;
#[allow(dead_code)]
#[path = "../../tests/it/gate/encodings.rs"]
mod encodings;

libfuzzer_sys::fuzz_target!(|input: &[u8]| dlp::run(input));
