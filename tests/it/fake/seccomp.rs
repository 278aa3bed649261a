//! Which filter of system calls the containers get, what the plan says of it, and where the profiles are.

use crate::harness::{ENGINES, PLAIN, Place, text};
use serde_json::Value;

const UNFILTERED: &str = r#","SecurityOptions":["name=apparmor"]"#;

fn of_engine() -> Place {
    Place::new(&PLAIN.replace("\"box\": {}", r#""box": { "seccomp": "engine" }"#))
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
    assert_eq!(done.status, 2, "{}", done.stderr);
    assert!(done.stderr.contains("`--yes` launches nothing on an engine that cannot filter system calls"), "{done:?}");
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
    // The engine is known by now: the plan says it without asking.
    let plan = place.run(&["start", "--dry-run", "plain"]).done().stdout;
    assert!(plan.contains("seccomp  NONE: THIS ENGINE CANNOT FILTER SYSTEM CALLS"), "{plan}");
}

#[test]
fn a_bottle_may_take_the_engines_filter_and_the_plan_says_so() {
    for info in [UNFILTERED, r#","SecurityOptions":["name=seccomp,profile=default"]"#] {
        let place = of_engine();
        let done = place.run(&["start", "--yes", "plain"]).env("FAKE_INFO", info).done();
        assert_eq!(done.status, 0, "{}", done.stderr);
        assert!(done.stderr.contains("seccomp  THE ENGINE'S DEFAULT, which is wider"), "{}", done.stderr);
        assert_eq!(profiles(&place), [""; 0]);
    }
}
