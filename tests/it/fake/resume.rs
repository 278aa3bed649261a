//! A kept session is resumed: what changed meanwhile is shown, and a home that is gone is made anew.

use crate::harness::{PLAIN, Place, aged, kept, whole};
use std::fs::{self};

/// Another limit, another image's program, a route, an agent that moved in its file.
const CHANGED: &str = r#"{
  "bottles": { "box": {
    "limits": { "memory": "2g" },
    "egress": { "routes": [ { "host": "docs.example.org" }, { "host": "api.example.org", "methods": ["POST"] } ] } } },
  "agents": { "plain": { "bottle": "box" } }
}"#;

#[test]
fn what_changed_is_shown_and_changes_nothing() {
    let place = kept();
    aged(&place, 7200);
    let identity = place.session();
    place.write("home/.claude-bottle/claude-bottle.json", CHANGED);
    place.write("gate", "another gate's program");
    let before = whole(&place);
    place.run(&["resume", "--dry-run", &identity]).snap("resume-changed");
    assert_eq!(place.calls(), [[""; 0]; 0]);
    let json = place.run(&["resume", "--dry-run", "--format", "json", &identity]).done();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap()["identity"], identity.as_str());
    let mut terminal = place.run(&["resume", &identity]).env("NO_COLOR", 1).on_terminal();
    terminal.until("CHANGED  since it was kept");
    terminal.until("launch this agent? [y/N] ");
    terminal.types("n\n");
    assert_eq!(terminal.end().0, 0);
    assert!(place.calls().iter().any(|call| call[0] == "create"), "it was prepared meanwhile");
    assert!(whole(&place) == before, "what was kept is as it was, to the byte and the time");
    // What it is resumed with is what it is compared with the next time.
    assert_eq!(place.run(&["resume", "--yes", &identity]).env("FAKE_CODE", 7).done().status, 7);
    let again = place.run(&["resume", "--dry-run", &identity]).done().stdout;
    assert!(!again.contains("CHANGED"), "{again}");
}

/// The home has Claude Code's state file of the run before.
#[test]
fn the_mcp_server_goes_with_its_key() {
    let supervised = PLAIN.replace(r#""box": {}"#, r#""box": { "supervise": true }"#);
    let place = Place::new(&supervised);
    let server = |words: &[&str]| {
        let done = place.run(&[words, &["--dry-run", "--format", "json"]].concat()).done();
        let plan: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        let files = plan["go"]["files"].as_array().unwrap();
        let state = files.iter().find(|file| file["path"] == ".claude.json").unwrap()["source"]["text"].clone();
        let state: serde_json::Value = serde_json::from_str(state.as_str().unwrap()).unwrap();
        state.get("mcpServers").map(|servers| servers["supervise"]["type"].clone())
    };
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_CODE", 7).done().status, 7);
    let identity = place.session();
    let resume = ["resume", identity.as_str()];
    assert_eq!((server(&["start", "plain"]), server(&resume)), (Some("http".into()), Some("http".into())));
    place.write("home/.claude-bottle/claude-bottle.json", PLAIN);
    assert_eq!((server(&["start", "plain"]), server(&resume)), (None, Some(serde_json::Value::Null)));
}

#[test]
fn a_home_that_is_gone_is_made_anew_from_the_transcript() {
    let place = kept();
    let identity = place.session();
    fs::remove_dir_all(place.engine(&format!("volumes/claude-bottle-{identity}"))).unwrap();
    let before = whole(&place);
    let mut terminal = place.run(&["resume", &identity]).env("NO_COLOR", 1).on_terminal();
    terminal.until("home     gone; resumes from the transcript");
    terminal.until("launch this agent? [y/N] ");
    terminal.types("n\n");
    assert_eq!(terminal.end().0, 0);
    assert!(whole(&place) == before && place.objects().is_empty(), "{:?}", place.objects());
    place.forget_calls();
    assert_eq!(place.run(&["resume", "--yes", &identity]).done().status, 0);
    let calls = place.calls();
    let at = |words: &[&str]| {
        calls.iter().position(|call| call.starts_with(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()))
    };
    let agent = format!("claude-bottle-{identity}-agent");
    let filled = at(&["cp", "-", &format!("{agent}:/home/agent")]).unwrap_or_else(|| panic!("{calls:?}"));
    let started = calls.iter().position(|call| call[0] == "start" && call.last() == Some(&agent)).unwrap();
    assert!(filled < started);
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));

    // Nothing to go on from.
    let place = kept();
    let identity = place.session();
    fs::remove_dir_all(place.engine(&format!("volumes/claude-bottle-{identity}"))).unwrap();
    fs::remove_dir_all(place.session_file("transcript")).unwrap();
    place.run(&["resume", "--yes", &identity]).snap("resume-nothing");
}

#[test]
fn a_home_that_is_there_is_not_left() {
    let place = kept();
    let identity = place.session();
    let resume = |args: &[&str]| place.run(&[&["resume", "--yes"], args, &[&identity[..]]].concat());
    resume(&["--here"]).env("DOCKER_HOST", "tcp://far.example.org:2375").snap("resume-home-there");
    // Its engine is gone, and this environment has another.
    fs::write(place.engine("gone"), "").unwrap();
    resume(&[]).env("DOCKER_HOST", "tcp://far.example.org:2375").snap("resume-far");
    place
        .run(&["resume", "--here", "--dry-run", &identity])
        .env("DOCKER_HOST", "tcp://far.example.org:2375")
        .snap("plan-here");
}

#[test]
fn verbs_on_a_session() {
    let place = Place::new(PLAIN);
    for verb in ["attach", "exec", "resume"] {
        place.run(&[verb, "plain-aaaaa"]).snap(&format!("unknown-{verb}"));
    }
    let place = kept();
    let identity = place.session();
    let other = if identity.ends_with('q') { 'r' } else { 'q' };
    let near = format!("{}{other}", &identity[..identity.len() - 1]);
    for verb in ["attach", "exec"] {
        place.run(&[verb, &identity]).snap(&format!("kept-{verb}"));
        place.run(&[verb, &near]).snap(&format!("near-{verb}"));
    }
    place.run(&["resume", &near]).snap("near-resume");
    place.run(&["resume", "--dry-run", &identity]).snap("plan-resume");
    place.run(&["resume", &identity]).snap("resume-no-terminal");
    assert_eq!(place.objects().len(), 1, "the home's volume is there: {:?}", place.objects());
    place.run(&["resume", "--yes", &identity]).snap("resume");
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
}
