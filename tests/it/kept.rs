//! What can be done with a session that is kept, on the fake engine: gone on with, looked at, removed.

use crate::cli::kept;
use crate::run::{PLAIN, Place, text};
use std::fs::{self, File};
use std::time::{Duration, SystemTime};

/// Another limit, another image's program, a route, an agent that moved in its file.
const CHANGED: &str = r#"{
  "bottles": { "box": {
    "limits": { "memory": "2g" },
    "egress": { "routes": [ { "host": "docs.example.org" }, { "host": "api.example.org", "methods": ["POST"] } ] } } },
  "agents": { "plain": { "bottle": "box" } }
}"#;

const WORK: &str = r#""complete":true,"files":2,"repositories":[{"path":"app","commits":3,"stashes":0,"files":1}]"#;

/// As `kept`, with work in it that is nowhere else.
fn with_work() -> Place {
    let place = Place::new(PLAIN);
    let tar = place.transcript();
    let start = place.run(&["start", "--yes", "plain"]).env("FAKE_WORK", WORK).env("FAKE_TAR", tar);
    assert_eq!(start.done().status, 0);
    place.forget_calls();
    place
}

/// Its mark is this old.
fn aged(place: &Place, seconds: u64) {
    let mark = File::options().write(true).open(place.session_file("mark")).unwrap();
    mark.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

/// Every file of the home with its content, and the mark's time.
fn whole(place: &Place) -> (Vec<(std::path::PathBuf, u32, Vec<u8>)>, SystemTime) {
    (place.whole_home(), fs::metadata(place.session_file("mark")).unwrap().modified().unwrap())
}

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
        .run_other(&format!("{}/docker", crate::run::FAKE), &["stop", &format!("claude-bottle-{identity}-agent")])
        .done();
}

#[test]
fn work_is_removed_only_by_name() {
    let place = with_work();
    let identity = place.session();
    place.run(&["cleanup", "--yes"]).snap("cleanup-work");
    assert_eq!(place.sessions(), std::slice::from_ref(&identity));
    let mut terminal = place.run(&["cleanup"]).on_terminal();
    terminal.until("remove it? ");
    terminal.types("a\n");
    let (status, seen) = terminal.end();
    assert!(status == 0 && seen.contains("left: only by its name"), "{seen}");
    assert_eq!(place.sessions(), std::slice::from_ref(&identity));
    place.write(&format!("home/.claude-bottle/audit/{identity}.jsonl"), "{}\n");
    assert_eq!(place.run(&["cleanup", "--yes", &identity]).done().status, 0);
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
    assert_eq!(text(&place.path(&format!("home/.claude-bottle/audit/{identity}.jsonl"))), "{}\n", "it outlives");
}

/// What nobody could look at counts as work.
#[test]
fn unknown_work_is_asked_for() {
    let unknown = || {
        let place = Place::new(PLAIN);
        let start = place.run(&["start", "--yes", "plain"]).env("FAKE_WORK", "silent");
        assert_eq!(start.env("FAKE_CODE", 7).done().status, 7);
        place
    };
    let place = unknown();
    assert_eq!(place.run(&["cleanup", "--yes"]).env("FAKE_WORK", WORK).done().status, 0);
    assert_eq!(place.sessions().len(), 1, "the reader found work");
    let done = place.run(&["cleanup", "--yes"]).env("FAKE_WORK", "silent").done();
    assert!(done.status == 125 && done.stderr.contains("could have work"), "{done:?}");
    assert_eq!(place.sessions().len(), 1, "the reader could not look");
    assert_eq!(place.run(&["cleanup", "--yes"]).done().status, 0);
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
    // Without a home there is no work.
    let place = unknown();
    fs::remove_dir_all(place.engine(&format!("volumes/claude-bottle-{}", place.session()))).unwrap();
    assert_eq!(place.run(&["cleanup", "--yes"]).env("FAKE_WORK", "silent").done().status, 0);
    assert_eq!(place.sessions(), [""; 0]);
}

#[test]
fn a_dry_cleanup_and_an_old_one() {
    let place = kept();
    aged(&place, 7200);
    let before = whole(&place);
    let identity = place.session();
    place.run(&["cleanup", "--dry-run"]).snap("cleanup-dry");
    place.run(&["cleanup", "--yes", "--older-than", "3h"]).stderr("nothing to remove\n").test();
    place.run(&["cleanup", "--older-than", "soon"]).snap("cleanup-age");
    place.run(&["cleanup", "--yes", "nobody-at-all"]).snap("cleanup-unknown");
    assert!(whole(&place) == before && place.objects().len() == 1);
    assert_eq!(place.run(&["cleanup", "--yes", "--older-than", "90m", &identity]).done().status, 0);
    assert_eq!(place.sessions(), [""; 0]);

    let place = Place::new(PLAIN);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "signal KILL").done().status, 137);
    let before = whole(&place);
    let done = place.run(&["cleanup", "--dry-run"]).done();
    assert!(done.stdout.contains("would be settled first"), "{done:?}");
    assert!(whole(&place) == before && place.objects().len() == 3);
    assert_eq!(place.run(&["cleanup", "--yes"]).done().status, 0);
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
}

/// Detached: it runs, and is nobody's to remove; it ended meanwhile, and is settled.
#[test]
fn a_detached_one_is_asked_about() {
    let place = Place::new(PLAIN);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let identity = place.session();
    place.run(&["cleanup", "--yes", &identity]).snap("cleanup-detached");
    assert_eq!(place.objects().len(), 3);
    place
        .run_other(&format!("{}/docker", crate::run::FAKE), &["stop", &format!("claude-bottle-{identity}-agent")])
        .done();
    assert_eq!(place.run(&["cleanup", "--yes"]).done().status, 0);
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
}
