//! `claude-bottle-gate`: the sidecar's program, and the agent's PID 1. One static binary, one verb each; the only place
//! it ends.

use gate::{ctl, events, scan_request, serve};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let code = match args.split_first() {
        Some((verb, rest)) if verb == "serve" => serve::run(rest),
        Some((verb, rest)) if verb == "ctl" => ctl::run(rest),
        Some((verb, rest)) if verb == "init" => init::run(rest),
        Some((verb, [])) if verb == "scan" => scan_request::run(),
        Some((verb, _)) if verb == "--version" => events::say(wire::GATE_VERSION),
        _ => events::complain("usage: claude-bottle-gate serve|ctl|init|scan"),
    };
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
