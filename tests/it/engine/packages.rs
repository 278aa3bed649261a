//! Real Claude Code lacks a program and asks for its package; an operator approves; the bottle ends for it, and its resume
//! goes on with the program there.

use super::claude::{TOKEN, bash};
use super::supervise::proposal;
use super::{Going, Rig, run};
use serde_json::{Value, json};
use std::process::Command;

/// Images that a test has built, removed with it.
struct Built(Vec<String>);

impl Drop for Built {
    fn drop(&mut self) {
        run(Command::new("docker").args(["rmi", "--force"]).args(&self.0), "");
    }
}

#[test]
fn a_package_is_approved_and_the_conversation_goes_on_with_it() {
    let rig = Rig::new(&json!({}));
    let input = json!({ "packages": { "apt": ["bc"] }, "reason": "to divide" });
    let model = rig.model(&json!([
        bash("command -v bc || echo there is none"),
        { "tool": { "name": "mcp__supervise__capability_block", "input": input } },
        // It has the answer, and the bottle ends while it does something else. Whether it does that yet, and what Claude Code
        // writes in its place, shifts the turns by one.
        bash("sleep 20"),
        bash("echo 'scale=3; 22/7' | bc"),
        bash("echo 'scale=3; 22/7' | bc"),
        { "text": "Divided." }
    ]));
    rig.manifest(&json!({
        "bottles": { "b": { "egress": { "routes": [model.model_route("CLAUDE_CODE_OAUTH_TOKEN")] }, "supervise": true } },
        "agents": { "plain": { "bottle": "b" } },
    }));
    let mut start = rig.ours(&["start", "--yes", "--headless", "-p", "divide", "plain"]);
    let going = Going::new(start.env("CLAUDE_CODE_OAUTH_TOKEN", TOKEN));
    rig.run(&["approve", "--yes", &proposal(&rig)], "").code(0);
    going.end().code(75);
    let identity = rig.sessions().pop().unwrap();

    let planned = rig.run(&["resume", "--dry-run", "--format", "json", &identity], "").code(0);
    let planned: Value = serde_json::from_str(&planned.stdout).unwrap();
    let builds = planned["images"]["builds"].as_array().unwrap().iter();
    let own = builds.filter(|build| ["packages", "session"].contains(&build["role"].as_str().unwrap_or_default()));
    let built = Built(own.map(|build| build["tag"].as_str().unwrap().to_owned()).collect());
    assert_eq!(built.0.len(), 2, "{planned}");

    let mut resume = rig.ours(&["resume", "--yes", "--headless", "-p", "go on", &identity]);
    let ended = Going::new(resume.env("CLAUDE_CODE_OAUTH_TOKEN", TOKEN)).end().code(0);
    assert!(ended.stdout.ends_with("Divided.\n"), "{}", ended.stdout);
    let said = model.turns().last().unwrap()["body"]["messages"].to_string();
    for words in ["there is none", "mcp__supervise__capability_block", "3.142"] {
        assert!(said.contains(words), "`{words}` in {said}");
    }
    rig.assert_nothing_left();
}
