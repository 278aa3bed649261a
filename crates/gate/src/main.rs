//! `claude-bottle-gate`: the sidecar's program, which is also the agent's PID 1. One static binary with a verb for each
//! role. The process exits only here. [`listen`] reads what a connection is for and hands it to a service; everything that
//! leaves a bottle passes [`egress`], and only what the policy allows leaves.

mod audit;
mod control;
mod egress;
mod git;
mod listen;
mod pages;
mod proposals;
mod scan_request;
mod serve;
mod sessions;
mod socket;
mod stdio;
mod supervise;

use control::client;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let code = match args.split_first() {
        Some((verb, rest)) if verb == "serve" => serve::run(rest),
        Some((verb, rest)) if verb == "ctl" => client::run(rest),
        Some((verb, rest)) if verb == "init" => init::run(rest),
        // git calls it as it would call ssh-keygen.
        Some((verb, _)) if verb == init::SIGN_VERB => init::run(&args),
        Some((verb, rest)) if verb == "confined" => git::confined::run(rest),
        Some((verb, [])) if verb == "pass-connection" => git::ssh::pass_connection(),
        Some((verb, [])) if verb == "scan" => scan_request::run(),
        Some((verb, _)) if verb == "--version" => stdio::print(wire::GATE_VERSION),
        _ => stdio::complain("usage: claude-bottle-gate serve|ctl|init|scan"),
    };
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
