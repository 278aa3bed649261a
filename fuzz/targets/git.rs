//! What a connection to the git service says first, and the commands of a push.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| inputs::git::run(input));
