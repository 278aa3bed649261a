//! How sessions end: what is said, what stays on the disk and on the engine, and the exit code.

use super::{HELLO, nothing, only_the_volume, start, transcript};
use crate::harness::{PLAIN, Place, text, until};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

#[test]
fn an_agent_that_ends_well_leaves_nothing() {
    let place = Place::new(PLAIN);
    let done = start(&place).snap("end-0");
    assert_eq!((done.status, done.stdout.as_str()), (0, HELLO));
    nothing(&place);
}

#[test]
fn an_agent_that_fails_is_kept() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_CODE", 7).env("FAKE_WORK", "silent").snap("end-7").status, 7);
    only_the_volume(&place);
    transcript(&place);
    assert_eq!(place.kept(), "the agent ended with 7");
    let audit = text(&place.session_file("audit.jsonl"));
    assert_eq!(audit.lines().count(), 2, "{audit}");
    for file in ["audit.jsonl", "plan.json", "mark", "lock"] {
        let mode = fs::metadata(place.session_file(file)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600, "{file}");
    }
}

/// An end with 0 takes the home along only where nothing in it is nowhere else.
#[test]
fn work_that_is_nowhere_else_keeps_the_session() {
    let app = r#"{"path":"app","commits":2,"stashes":0,"files":1}"#;
    let work = format!(r#""complete":true,"files":3,"repositories":[{app}]"#);
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_WORK", &work).snap("end-work").status, 0);
    only_the_volume(&place);
    transcript(&place);
    assert_eq!(place.mark()["work"]["repositories"][0]["commits"], 2);

    for (work, name) in [(r#""complete":false,"files":0"#, "end-incomplete"), ("silent", "end-unknown")] {
        let place = Place::new(PLAIN);
        assert_eq!(start(&place).env("FAKE_WORK", work).snap(name).status, 0);
        only_the_volume(&place);
        assert_eq!(place.kept(), "what is in it could not be compared");
        assert_eq!(place.mark().get("work"), None);
    }
}

#[test]
fn killed_and_out_of_memory_in_words() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_AGENT", "oom").snap("end-oom").status, 137);
    only_the_volume(&place);
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_CODE", 137).snap("end-137").status, 137);
    only_the_volume(&place);
}

/// An engine whose kernel has no IPv6 fails once. What it lacks is remembered, also when the engine is asked again.
#[test]
fn an_engine_without_ipv6_is_asked_for_it_once() {
    let place = Place::new(PLAIN);
    let done = start(&place).env("FAKE_AGENT", "without ipv6").done();
    let kept = place.session();
    let told =
        format!("kept `{kept}`: could not start: the engine's kernel has no IPv6, and from now on is asked for none\n");
    assert!(done.status == 125 && done.stderr.contains(&told), "{done:?}");
    assert!(done.stderr.ends_with(&format!("hint: claude-bottle resume {kept}\n")), "{done:?}");
    place.run(&["doctor"]).done();
    let again = place.run(&["resume", "--yes", &kept]).env("FAKE_AGENT", "without ipv6").done();
    assert!(again.status == 0 && again.stderr.contains("hello") || again.stdout.contains("hello"), "{again:?}");
}

#[test]
fn an_agent_that_cannot_start_is_the_engines_failure() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_AGENT", "broken").snap("end-broken").status, 125);
    only_the_volume(&place);
}

#[test]
fn a_gate_that_does_not_come_up_leaves_nothing() {
    for gate in ["failed", "silent", "mute"] {
        let place = Place::new(PLAIN);
        let done = start(&place).env("FAKE_GATE", gate).snap(&format!("end-gate-{gate}"));
        assert_eq!((done.status, done.stdout.as_str()), (125, ""), "the agent never ran");
        nothing(&place);
    }
}

#[test]
fn a_gate_that_dies_takes_the_agent_down() {
    let place = Place::new(PLAIN);
    let done = start(&place).env("FAKE_GATE", "dies").env("FAKE_AGENT", "stays").snap("end-gate-dies");
    assert_eq!(done.status, 125);
    only_the_volume(&place);
    transcript(&place);
}

#[test]
fn an_agent_without_a_transcript_is_no_failure() {
    let place = Place::new(PLAIN);
    place.run(&["start", "--yes", "plain"]).snap("end-no-transcript");
    nothing(&place);
}

#[test]
fn a_transcript_that_is_broken_keeps_everything() {
    let place = Place::new(PLAIN);
    place.write("broken.tar", "no archive at all, and longer than nothing");
    let tar = place.path("broken.tar");
    place.run(&["start", "--yes", "plain"]).env("FAKE_TAR", tar.display()).snap("end-broken-transcript");
    let (volume, agent) = (format!("claude-bottle-{}", place.session()), "the only copy is in the agent's container");
    assert_eq!(place.objects(), [format!("{volume}-agent"), volume], "{agent}");
    place.run(&["cleanup", "--yes"]).done();
    nothing(&place);
}

/// The engine goes away under a running session: all stays where it is, and the next verb that reaches it goes on.
#[test]
fn an_engine_that_goes_away_loses_nothing() {
    for (agent, verb) in [("engine gone", "resume"), ("cut off", "attach"), ("cut off", "cleanup")] {
        let place = Place::new(PLAIN);
        assert_eq!(start(&place).env("FAKE_AGENT", agent).snap("end-engine-gone").status, 125);
        assert_eq!(place.objects().len(), 3);
        let identity = place.session();
        place.run(&["resume", "--yes", &identity]).snap("resume-engine-gone");
        assert_eq!((place.kept(), place.objects().len()), ("the engine could not be asked: `docker container inspect`: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?".to_owned(), 3));
        fs::remove_file(place.engine("gone")).unwrap();
        if agent == "cut off" {
            // It runs on all the while: there is somebody to go back to.
            place.run(&["resume", "--yes", &identity]).snap("resume-runs-on");
        }
        let args: &[&str] = match verb {
            "attach" => &["attach", &identity],
            "resume" => &["resume", "--yes", &identity],
            _ => &["cleanup", "--yes"],
        };
        let done = place.run(args).env("FAKE_TAR", place.transcript()).env("FAKE_ATTACH", "ends").done();
        assert_eq!(done.status, 0, "{done:?}");
        nothing(&place);
    }
}

/// Killed, the program takes its children of the engine along, but not the terminal's; what is left is found again.
#[test]
fn a_killed_owner_leaves_a_lost_session() {
    for verb in ["resume", "cleanup"] {
        let place = Place::new(PLAIN);
        let done = start(&place).env("FAKE_AGENT", "signal KILL").done();
        assert_eq!((done.status, done.stdout.as_str()), (137, HELLO));
        let identity = place.session();
        assert_eq!(place.mark()["mark"], "live");
        assert_eq!(place.objects().len(), 3);
        let pipe = |role: &str| place.engine(&format!("pipes/claude-bottle-{identity}-{role}"));
        until("the gate's client to go with its owner", || !has_reader(&pipe("gate")));
        assert!(has_reader(&pipe("agent")), "the terminal's client lives on");
        let listed = place.run(&["list"]).done().stdout;
        assert!(listed.contains("lost"), "{listed}");
        if verb == "resume" {
            // The agent still runs: nobody may start a second one on its home.
            place.run(&["resume", "--yes", &identity]).snap("resume-lost-running");
            let stop = place.run_other(
                &format!("{}/docker", crate::harness::FAKE),
                &["stop", &format!("claude-bottle-{identity}-agent")],
            );
            assert_eq!(stop.done().status, 0);
            place.run(&["resume", "--yes", &identity]).env("FAKE_TAR", place.transcript()).snap("resume-lost");
        } else {
            place.run(&["cleanup", "--yes"]).env("FAKE_TAR", place.transcript()).snap("cleanup-lost");
        }
        nothing(&place);
    }
}

/// A client of the fake engine holds its container's pipe open. A pipe without a reader cannot be opened for writing.
fn has_reader(pipe: &Path) -> bool {
    OpenOptions::new().write(true).custom_flags(nix::libc::O_NONBLOCK).open(pipe).is_ok()
}
