//! Supervise, with real Claude Code: it is refused a request and asks for it; an operator decides from a second terminal;
//! and the session goes on.

use super::claude::{TOKEN, bash};
use super::{Going, Rig, Served};
use crate::harness::wait::until_some;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

const CURL: &str = "curl -sS https://allowed.example.org/hello";

/// A bottle whose one route to the origin lets another path pass, and a model of these turns.
fn supervised(supervise: Value, turns: &Value) -> (Rig, Served) {
    let rig = Rig::new(&json!({}));
    let (model, mut route) = (rig.model(turns), rig.origin().route());
    route["paths"] = json!(["/other"]);
    let routes = json!([model.model_route("CLAUDE_CODE_OAUTH_TOKEN"), route]);
    rig.manifest(&json!({
        "bottles": { "b": { "egress": { "routes": routes }, "supervise": supervise } },
        "agents": { "plain": { "bottle": "b" }, "shell": { "bottle": "b", "command": ["sh", "-c", format!("echo ready; read _; {CURL}")] } },
    }));
    (rig, model)
}

fn start(rig: &Rig, args: &[&str]) -> Going {
    Going::new(rig.ours(&[&["start", "--yes"], args].concat()).env("CLAUDE_CODE_OAUTH_TOKEN", TOKEN))
}

/// Claude Code calls the tool that a refusal names.
fn asks() -> Value {
    let input = json!({ "url": "https://allowed.example.org/hello", "reason": "the task greets" });
    json!({ "tool": { "name": "mcp__supervise__egress_block", "input": input } })
}

/// The id of the first thing that an agent asks for.
pub fn proposal(rig: &Rig) -> String {
    until_some("a proposal", || {
        let listed = rig.run(&["proposals", "--format", "json"], "").code(0);
        let all: Value = serde_json::from_str(&listed.stdout).unwrap();
        Some(all[0]["proposals"][0]["id"].as_str()?.to_owned())
    })
}

/// Waits for the proposal, and decides about it from a second terminal.
fn decide(rig: &Rig, verb: &[&str]) {
    rig.run(&[verb, &[&proposal(rig)]].concat(), "").code(0);
}

fn gate(identity: &str) -> String {
    format!("claude-bottle-{identity}-gate")
}

#[test]
fn claude_code_asks_for_what_was_refused_and_the_same_request_passes() {
    let (rig, model) = supervised(json!(true), &json!([bash(CURL), asks(), bash(CURL), { "text": "Greeted." }]));
    let going = start(&rig, &["--headless", "-p", "greet", "plain"]);
    decide(&rig, &["approve", "--yes"]);
    assert_eq!(going.end().code(0).stdout, "Greeted.\n");
    let turns = model.turns();
    let tools = turns[0]["body"].to_string();
    assert!(tools.contains("mcp__supervise__egress_block"), "its tools are there unasked");
    let said = turns.last().unwrap()["body"]["messages"].to_string();
    let at = |words: &str| said.find(words).unwrap_or_else(|| panic!("`{words}` in {said}"));
    let (refused, approved) = (at("MCP tool `egress_block`"), at("approved: it is allowed now"));
    assert!(refused < approved && said[approved..].contains("hello"), "{said}");
    rig.assert_nothing_left();
}

#[test]
fn claude_code_is_told_that_it_was_rejected() {
    let (rig, model) = supervised(json!(true), &json!([bash(CURL), asks(), bash(CURL), { "text": "Let be." }]));
    let going = start(&rig, &["--headless", "-p", "greet", "plain"]);
    decide(&rig, &["reject", "--reason", "as agreed"]);
    assert_eq!(going.end().code(0).stdout, "Let be.\n");
    let said = model.turns().last().unwrap()["body"]["messages"].to_string();
    assert!(said.contains("rejected by the operator: as agreed"), "{said}");
    assert!(said.contains("and the operator does not allow it: as agreed"), "{said}");
    rig.assert_nothing_left();
}

/// curl knows of no tool: its request waits, and goes on.
#[test]
fn a_held_curl_goes_on_once_an_operator_allows_it() {
    let (rig, _model) = supervised(json!({ "hold": "5m" }), &json!([]));
    let mut going = start(&rig, &["shell"]);
    going.until("ready");
    let identity = rig.sessions().pop().unwrap();
    let words = ["exec", "-i", &gate(&identity), "claude-bottle-gate", "ctl", "watch"];
    let mut watching = Going::new(Command::new("docker").args(words));
    watching.until("watching");
    going.say("\n");
    decide(&rig, &["approve", "--yes", "--once"]);
    let ran = going.end().code(0);
    assert!(ran.stdout.contains("hello"), "{}", ran.stdout);
    drop(watching);
    rig.assert_nothing_left();
}

/// The server is registered without a question, and Claude Code says that it is connected.
#[test]
fn claude_codes_own_screen_shows_the_server() {
    let (rig, _model) = supervised(json!(true), &json!([]));
    let mut command = rig.terminal_command(&["start", "--yes", "plain"]);
    let mut going = Going::new(command.env("CLAUDE_CODE_OAUTH_TOKEN", TOKEN).env("COLORTERM", "truecolor"));
    going.until("bypass permissions on");
    going.say("/mcp");
    // What is typed at once counts as pasted, and an Enter with it as a line of text.
    let mut tries = 0;
    while !going.comes_within("5 tools", Duration::from_secs(2)) {
        tries += 1;
        assert!(tries < 100, "the screen of `/mcp` does not come");
        going.say("\r");
    }
    let identity = rig.sessions().remove(0);
    rig.run(&["stop", &identity], "").code(0);
    going.wait();
    rig.run(&["cleanup", "--yes", &identity], "").code(0);
    rig.assert_nothing_left();
}
