//! An answer's body, and the credential that must not come back in it.
#![no_main]

#[path = "../inputs/answers.rs"]
mod answers;
#[allow(dead_code)]
#[path = "../../tests/it/gate/encodings.rs"]
mod encodings;

libfuzzer_sys::fuzz_target!(|input: &[u8]| answers::run(input));
