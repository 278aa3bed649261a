//! A request's body to the model, and what the gate makes of it.
#![no_main]

#[path = "../inputs/messages.rs"]
mod messages;

libfuzzer_sys::fuzz_target!(|input: &[u8]| messages::run(input));
