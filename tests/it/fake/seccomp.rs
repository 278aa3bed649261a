//! Which filter of system calls the containers get, what the plan says of it, and where the profiles are.

use crate::harness::{Done, ENGINES, PLAIN, Place, text};
use serde_json::Value;
use std::collections::BTreeSet;

const FILTERED: &str = r#","SecurityOptions":["name=seccomp,profile=default"]"#;
const UNCONFINED: &str = r#","SecurityOptions":["name=seccomp,profile=unconfined"]"#;
const UNFILTERED: &str = r#","SecurityOptions":["name=apparmor"]"#;

fn of_engine() -> Place {
    Place::new(&PLAIN.replace("\"box\": {}", r#""box": { "seccomp": "engine" }"#))
}

#[track_caller]
fn refused(place: &Place, done: &Done, what: &str) {
    assert_eq!(done.status, 2, "{}", done.stderr);
    assert!(done.stderr.contains(what), "{done:?}");
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
}

/// The profiles that containers were made with: the last part of each path.
fn profiles(place: &Place) -> Vec<String> {
    let words = place.calls().into_iter().flatten();
    words.filter_map(|word| Some(word.strip_prefix("seccomp=")?.rsplit('/').next()?.to_owned())).collect()
}

#[test]
fn agent_and_gate_get_the_profile_of_their_kind() {
    for engine in ENGINES {
        let place = Place::on(engine, PLAIN);
        assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_CODE", 7).done().status, 7);
        assert_eq!(profiles(&place), ["seccomp-service.json", "seccomp-agent.json"]);
        for name in ["seccomp-service.json", "seccomp-agent.json"] {
            let profile: Value = serde_json::from_str(&text(&place.session_file(name))).unwrap();
            assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
        }
    }
}

#[test]
fn an_engine_without_filters_is_named_and_yes_does_not_start_there() {
    let place = Place::new(PLAIN);
    let done = place.run(&["start", "--yes", "plain"]).env("FAKE_INFO", UNFILTERED).done();
    refused(&place, &done, "`--yes` launches nothing on an engine that cannot filter system calls");
    // The engine is known by now: the plan says it without asking.
    let plan = place.run(&["start", "--dry-run", "plain"]).done().stdout;
    assert!(plan.contains("seccomp  NONE: THIS ENGINE CANNOT FILTER SYSTEM CALLS"), "{plan}");
}

#[test]
fn a_bottle_may_take_the_engines_filter_and_the_plan_says_so() {
    let none = "seccomp  NONE: THIS ENGINE FILTERS NOTHING BY ITSELF (the bottle says `\"seccomp\": \"engine\"`)";
    for (info, row) in
        [(FILTERED, "seccomp  THE ENGINE'S DEFAULT, which is wider"), (UNFILTERED, none), (UNCONFINED, none)]
    {
        let place = of_engine();
        let run = place.run(&["start", "--yes", "plain"]).env("FAKE_INFO", info).env("FAKE_NO_PROFILE", 1);
        let done = run.done();
        assert_eq!(done.status, 0, "{}", done.stderr);
        assert!(done.stderr.contains(row), "{}", done.stderr);
        assert_eq!(profiles(&place), [""; 0]);
    }
}

#[test]
fn a_processor_that_no_profile_names_is_named_and_yes_does_not_start_there() {
    let place = Place::new(PLAIN);
    let done = place.run(&["start", "--yes", "plain"]).env("FAKE_ARCH", "riscv64").done();
    refused(&place, &done, "an engine for whose processor claude-bottle has no filter of system calls");
    let plan = place.run(&["start", "--dry-run", "plain"]).done().stdout;
    assert!(plan.contains("seccomp  THE ENGINE'S DEFAULT: THERE IS NO FILTER OF CLAUDE-BOTTLE'S"), "{plan}");
}

/// A daemon without a default profile holds containers to the one that they are made with.
#[test]
fn an_engine_without_a_default_gets_our_profile() {
    let place = Place::new(PLAIN);
    let done = place.run(&["start", "--yes", "plain"]).env("FAKE_INFO", UNCONFINED).done();
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert_eq!(profiles(&place), ["seccomp-service.json", "seccomp-agent.json"]);
}

#[test]
fn an_engine_that_does_not_take_the_profile_says_so_in_plain_words() {
    for engine in ENGINES {
        let place = Place::on(engine, PLAIN);
        let words =
            "Error response from daemon: seccomp is not enabled in your kernel, cannot run a custom seccomp profile";
        // `info`, `image inspect`, `create`.
        let run = place.run(&["start", "--yes", "plain"]).env("FAKE_FAIL_AT", 3).env("FAKE_WORDS", words);
        let done = run.done();
        assert_eq!((done.status, place.objects()), (125, Vec::new()), "{done:?}");
        for said in [
            "create`: seccomp is not enabled in your kernel",
            "hint: this engine does not take claude-bottle's filter of system calls: use another engine, or",
        ] {
            assert!(done.stderr.contains(said), "{said}: {}", done.stderr);
        }
    }
}

/// The fake engine makes no container without a profile, so this holds in every test; here the record is read.
#[test]
fn every_container_that_is_made_has_a_profile() {
    for engine in ENGINES {
        let place = Place::on(engine, PLAIN);
        let start = place.run(&["start", "--yes", "plain"]).env("FAKE_CODE", 7);
        assert_eq!(start.done().status, 7);
        let session = place.session();
        place.write("engine/handed/diff", "");
        for verb in [
            &["work", &session][..],
            &["work", "diff", &session],
            &["info", &session],
            &["doctor"],
            &["resume", "--yes", &session],
            &["cleanup", "--yes"],
        ] {
            place.run(verb).env("FAKE_CODE", 7).done();
        }
        let mut roles = BTreeSet::new();
        for call in place.calls().iter().filter(|call| ["create", "run"].contains(&call[0].as_str())) {
            assert_eq!(call.iter().filter(|word| word.starts_with("seccomp=/")).count(), 1, "{call:?}");
            roles.extend(call.iter().find_map(|word| word.strip_prefix("claude-bottle.role=")).map(str::to_owned));
        }
        assert_eq!(roles, ["agent", "gate", "reader", "trial"].map(str::to_owned).into(), "{engine}");
    }
    // The fake engine refuses the others.
    let done = of_engine().run(&["start", "--yes", "plain"]).done();
    assert!(done.status == 125 && done.stderr.contains("a container without a profile"), "{done:?}");
}
