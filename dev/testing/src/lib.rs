//! What the tests of several crates share. Nothing of it is in any program.

#![allow(clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

pub mod answers;
pub mod encodings;
pub mod files;
pub mod gate;
pub mod git;
pub mod oracle;
pub mod planted;
pub mod process;
pub mod requests;
pub mod servers;
pub mod wait;
pub mod websocket;

/// Path of the gate's program under test, which `make test` builds once for all tests and the images.
///
/// # Panics
/// `CLAUDE_BOTTLE_GATE` is not set; the message says how to set it.
pub fn gate_program() -> String {
    std::env::var("CLAUDE_BOTTLE_GATE").expect(
        "CLAUDE_BOTTLE_GATE names the gate's program: `make build`, then \
         `export CLAUDE_BOTTLE_GATE=$PWD/target/libexec/claude-bottle/claude-bottle-gate-$(uname -m)`",
    )
}

/// Path of the scripted model's program. It is static, because it runs in images of any kind.
///
/// # Panics
/// `SCRIPTED_MODEL` is not set; the message says how to set it.
pub fn scripted_model() -> String {
    std::env::var("SCRIPTED_MODEL").expect(
        "SCRIPTED_MODEL names the scripted model's program: `make model`, then \
         `export SCRIPTED_MODEL=$PWD/target/debug/scripted-model`",
    )
}
