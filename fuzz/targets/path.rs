//! A request, and what the policy makes of it.
#![no_main]

#[path = "../../tests/it/policy/oracle.rs"]
mod oracle;
#[path = "../inputs/path.rs"]
mod path;
#[path = "../../tests/it/policy/servers.rs"]
mod servers;

libfuzzer_sys::fuzz_target!(|input: &[u8]| path::run(input));
