//! The first minutes on the real engine: what `init` writes runs Claude Code, and `doctor` finds things as they are.

use super::claude::TOKEN;
use super::{Rig, run};
use serde_json::{Value, json};

#[test]
fn what_init_writes_runs_claude_code() {
    let rig = Rig::new(&json!({}));
    let model = rig.model(&json!([{ "text": "All set." }]));
    let file = rig.path().join("claude-bottle.json");
    std::fs::remove_file(&file).unwrap();
    let with_token = |args: &[&str]| run(rig.ours(args).env("CLAUDE_CODE_OAUTH_TOKEN", TOKEN), "").code(0);
    with_token(&["init", "--yes"]);
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(!written.contains(TOKEN));
    // But for where the model is: the test has its own.
    let role = r#""role": "claude", "#;
    assert_eq!(written.matches(role).count(), 1);
    let to = format!(r#"{role}"connect_to": "http://{}:80", "private": true, "#, model.address);
    std::fs::write(&file, written.replacen(role, &to, 1)).unwrap();

    let ran = with_token(&["start", "--yes", "--headless", "-p", "hello", "claude"]);
    assert_eq!(ran.stdout, "All set.\n");
    let turns = model.turns();
    assert!(turns[0]["headers"].to_string().contains(&format!("Bearer {TOKEN}")), "{}", turns[0]["headers"]);
    rig.assert_nothing_left();
}

#[test]
fn doctor_finds_a_real_engine_as_it_is() {
    let rig = Rig::new(&json!({ "bottles": { "b": {} }, "agents": {
        "plain": { "bottle": "b", "command": ["sh", "-c", "echo kept > kept; exit 3"] } } }));
    let files = || crate::harness::names(rig.path());
    let untouched = files();
    let fresh = rig.run(&["doctor"], "").code(0);
    for words in ["ok       engine     docker ", "ok       clock ", "ok       gate ", "ok       values "] {
        fresh.says(words);
    }
    assert_eq!(files(), untouched, "it writes nothing");

    rig.run(&["start", "--yes", "plain"], "").code(3);
    let before = rig.objects();
    let ran = rig.run(&["doctor", "--format", "json"], "").code(0);
    let findings: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    let told = |check: &str| {
        let finding = findings.iter().find(|finding| finding["check"] == check);
        finding.unwrap_or_else(|| panic!("{check}: {}", ran.stdout))["text"].as_str().unwrap().to_owned()
    };
    let volume = format!("`claude-bottle-{}` ", rig.sessions()[0]);
    assert!(told("volumes").starts_with(&volume) && told("volumes").ends_with('B'), "{}", told("volumes"));
    assert_eq!(told("images"), "all are built");
    assert_eq!(told("sessions"), "0 live, 0 detached, 1 kept");
    assert_eq!(told("left"), "nothing on the engine that no session names");
    assert_eq!(rig.objects(), before);

    // What no session names any more is found, and told how to be removed.
    std::fs::remove_dir_all(rig.path().join("state")).unwrap();
    let ran = rig.run(&["doctor"], "").code(0);
    ran.says("left on the engine by this home");
    ran.says("claude-bottle cleanup");
}
