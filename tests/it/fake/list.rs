//! `list` and `info`: sessions in every state, and agents.

use super::start;
use crate::harness::{MANIFEST, PLAIN, Place, RICH, VARIABLES, aged, compare, kept, rich, whole, with_work};
use std::fs::{self, File};
use std::time::{Duration, SystemTime};

#[test]
fn list() {
    let place = Place::new(PLAIN);
    place.run(&["list"]).stderr("no sessions\n").test();
    place.run(&["list", "--format", "json"]).stdout("[]\n").test();
    let place = kept();
    let before = SystemTime::now() - Duration::from_secs(3 * 3600 + 60);
    File::options().write(true).open(place.session_file("mark")).unwrap().set_modified(before).unwrap();
    place.run(&["list"]).snap("list");
    let done = place.run(&["list", "--format", "json"]).done();
    let mut rows: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert!(rows[0]["since"].is_u64());
    rows[0]["since"] = 0.into();
    compare("list.json", &place.steady(&format!("{rows:#}\n")));
    assert_eq!(place.calls(), [[""; 0]; 0], "`list` asks no engine");
}

#[test]
fn flags_of_a_list() {
    let place = with_work();
    aged(&place, 86_400 * 3);
    place.write(&format!("home/.claude-bottle/state/{}/Dockerfile", place.session()), "FROM claude-bottle-agent\n");
    place.run(&["list"]).snap("list-flags");
}

#[test]
fn info() {
    let place = with_work();
    aged(&place, 7200);
    let identity = place.session();
    let before = whole(&place);
    place.run(&["info", &identity]).snap("info");
    let json: serde_json::Value =
        serde_json::from_str(&place.run(&["info", &identity, "--format", "json"]).done().stdout).unwrap();
    assert_eq!(json["on_engine"]["home"]["size"]["bytes"], 4096, "{json}");
    assert_eq!(json["work"]["repositories"][0]["commits"], 3, "{json}");
    place
        .run(&["info", &identity])
        .env("FAKE_SAYS", "Cannot connect to the Docker daemon at tcp://far")
        .snap("info-silent");
    place.run(&["info", "nobody-at-all"]).snap("info-unknown");
    assert!(whole(&place) == before);

    // One whose owner died stays lost.
    let place = Place::new(PLAIN);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "signal KILL").done().status, 137);
    let identity = place.session();
    // How much of the gate's lines it had written is chance.
    fs::write(place.session_file("audit.jsonl"), "{}\n").unwrap();
    place.run(&["info", &identity]).snap("info-lost");
    assert_eq!((place.mark()["mark"].as_str(), place.objects().len()), (Some("live"), 3));
    place
        .run_other(&format!("{}/docker", crate::harness::FAKE), &["stop", &format!("claude-bottle-{identity}-agent")])
        .done();
}

/// All four states, as `list` tells them, without a call of the engine.
#[test]
fn every_state_is_listed() {
    let place = Place::new(PLAIN);
    let states = || {
        let rows: serde_json::Value =
            serde_json::from_str(&place.run(&["list", "--format", "json"]).done().stdout).unwrap();
        let table = place.run(&["list"]).done().stdout;
        let mut states: Vec<String> =
            rows.as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect();
        assert!(states.iter().all(|state| table.contains(&format!("  {state:<8}  "))), "{states:?}\n{table}");
        states.sort();
        states
    };
    assert_eq!(start(&place).env("FAKE_CODE", 7).done().status, 7);
    assert_eq!(start(&place).env("FAKE_AGENT", "detaches").done().status, 0);
    assert_eq!(start(&place).env("FAKE_AGENT", "signal KILL").done().status, 137);
    let mut terminal = start(&place).env("FAKE_AGENT", "stays").on_terminal();
    terminal.until("hello from the agent");
    let calls = place.calls().len();
    assert_eq!(states(), ["detached", "kept", "live", "lost"]);
    assert_eq!(place.calls().len(), calls);
    // Kept and lost ones go; a live and a detached one are nobody's to clean up.
    place.run(&["cleanup", "--yes"]).done();
    assert_eq!(states(), ["detached", "live"]);
    terminal.hang_up();
    assert_eq!(terminal.end().0, 129);
    assert_eq!(states(), ["detached", "kept"]);
}

/// Whoever takes one for the other is told.
#[test]
fn sessions_and_agents_are_told_apart() {
    let place = kept();
    let identity = place.session();
    place.run(&["start", &identity]).snap("start-a-session");
    place.run(&["resume", "plai-"]).snap("resume-an-unknown");
    place.run(&["info", "plani"]).snap("info-near");
    place.run(&["info", "zebra-crossing"]).snap("info-neither");
}

#[test]
fn info_tells_of_an_agent() {
    let place = rich();
    let run = |args: &[&str]| place.run(args).env(VARIABLES[0].0, VARIABLES[0].1);
    let done = run(&["info", "fixer"]).snap("info-agent");
    let json = run(&["info", "--format", "json", "fixer"]).snap("info-agent.json").stdout;
    for said in [&done.stdout, &json] {
        assert!(!said.contains("a region of the host"), "no value is shown");
    }
    assert_eq!(place.calls(), Vec::<Vec<String>>::new(), "no engine is asked");
    assert!(place.run(&["info", "fixer"]).without("TERM").done().stdout.contains("MY_REGION, which is NOT SET"));

    let place = kept();
    let said = place.run(&["info", "plain"]).done().stdout;
    assert!(said.contains(&format!("sessions {} (kept for ", place.session())), "{said}");
    // A session's name wins.
    let identity = place.session();
    let agents = PLAIN.replace("\"plain\":", &format!("\"{identity}\":"));
    place.write(MANIFEST, &agents);
    assert!(place.run(&["info", &identity]).done().stdout.starts_with("session "));
    assert!(RICH.contains("fixer"));
}
