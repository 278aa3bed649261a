//! Plans that earlier programs wrote are still read; those of later ones are refused.

use crate::harness::schema::{assert_valid, plan_schema};
use crate::harness::{VARIABLES, kept, rich, text};
use crate::rules::formats::assert_all_seen;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Plans as every program so far has written them, one for each form: a session with such a one is shown, resumed and
/// removed.
#[test]
fn plans_of_earlier_programs_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plans");
    let mut plans = Vec::new();
    for fixture in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let place = rich();
        place
            .run(&["start", "--yes", "fixer"])
            .env(VARIABLES[0].0, "x")
            .env(VARIABLES[1].0, "a token of the host's")
            .env("FAKE_CODE", 7)
            .env("FAKE_TAR", place.transcript())
            .done();
        let identity = place.session();
        let id = place.home_id().unwrap();
        let (root, cwd) = (place.path(""), place.path("work"));
        let filled = [
            ("[PLACE]", root.to_str().unwrap().trim_end_matches('/')),
            ("[CWD]", cwd.to_str().unwrap()),
            ("fixer-[ID]", &identity),
            ("[HOME-ID]", &id),
            ("[DIGEST]", "0123456789abcdef"),
        ];
        let old = filled.iter().fold(text(&fixture), |old, (hole, by)| old.replace(hole, by));
        plans.push(assert_valid(&plan_schema(), &old));
        fs::write(place.session_file("plan.json"), &old).unwrap();
        let well = |args: &[&str]| {
            let run = place.run(args).env(VARIABLES[0].0, "x").env(VARIABLES[1].0, "a token of the host's");
            let done = run.env("FAKE_TAR", place.transcript()).env("FAKE_CODE", 7).done();
            assert!(!done.stderr.contains("claude-bottle:"), "{fixture:?}: {done:?}");
            done
        };
        assert!(well(&["list"]).stdout.contains(&identity));
        assert!(well(&["info", &identity]).stdout.contains("agent      fixer, in bottle dev"));
        let again = well(&["resume", "--dry-run", "--format", "json", &identity]).stdout;
        let again: claude_bottle::plan::Plan = serde_json::from_str(&again).unwrap();
        let recorded: Value = serde_json::from_str(&old).unwrap();
        let uid = recorded.get("agent_uid").map_or(1000, |uid| uid.as_u64().unwrap());
        assert_eq!(u64::from(again.agent_uid), uid, "the home is this user's");
        assert_eq!(well(&["resume", "--yes", &identity]).status, 7);
        fs::write(place.session_file("plan.json"), &old).unwrap();
        assert_eq!(well(&["cleanup", "--yes", &identity]).status, 0);
        assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()), "{fixture:?}");
    }
    // Whoever adds a field adds a plan that has it.
    assert_all_seen(&plan_schema(), &plans);
}

#[test]
fn a_plan_of_a_later_version_is_refused() {
    let place = kept();
    let file = place.session_file("plan.json");
    let mut plan: Value = serde_json::from_str(&text(&file)).unwrap();
    plan["version"] = 2.into();
    fs::write(&file, plan.to_string()).unwrap();
    for args in [["resume", "--yes"], ["cleanup", "--yes"], ["info", "--color=never"]] {
        place.run(&[&args[..], &[&place.session()]].concat()).snap(&format!("later-{}", args[0]));
    }
    assert_eq!(place.objects().len(), 1);
}
