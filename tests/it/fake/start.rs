//! What a start makes on the engine, in which order; a dry run makes nothing.

use super::{nothing, start};
use crate::harness::{ENGINES, PLAIN, Place, compare, kept};

/// What goes into the home goes in before the agent starts, and the image's own home is there by then.
#[test]
fn a_home_is_filled_before_its_agent_starts() {
    let docker = ["create", "start", "create", "cp", "start"];
    let podman = ["create", "init", "start", "volume", "create", "init", "cp", "start"];
    for (engine, wanted) in ENGINES.into_iter().zip([&docker[..], &podman]) {
        let place = Place::on(engine, PLAIN);
        place.write("work/a", "a file");
        let done = place.run(&["start", "--yes", "--cwd", "plain"]).done();
        assert_eq!(done.status, 0, "{done:?}");
        let calls = place.calls();
        let made = calls.iter().map(|call| call[0].as_str()).filter(|verb| !["info", "image"].contains(verb));
        let mut made: Vec<&str> = made.take(wanted.len()).collect();
        // The gate's client is on its way while the next ones come.
        let at = made.iter().position(|verb| *verb == "start").unwrap();
        let gate = made.remove(at);
        made.insert(if engine == "docker" { 1 } else { 2 }, gate);
        assert_eq!(made, wanted);
        nothing(&place);
    }
}

#[test]
fn a_dry_run_touches_nothing() {
    let place = Place::new(PLAIN);
    let before = place.whole_home();
    for format in ["text", "json", "sh"] {
        let dry = place.run(&["start", "--dry-run", "--format", format, "plain"]).done();
        let told = place.run(&["start", "--format", format, "plain"]).env("CLAUDE_BOTTLE_DRY_RUN", 1).done();
        assert_eq!((dry.status, dry.stderr.as_str()), (0, ""));
        let lines = |text: &str| text.lines().count();
        assert_eq!((told.status, told.stderr, lines(&told.stdout)), (0, String::new(), lines(&dry.stdout)));
    }
    // Not even an engine is needed.
    let dry = place.run(&["start", "--dry-run", "plain"]).env("PATH", "/nowhere").done();
    assert_eq!(dry.status, 0);
    assert_eq!(place.whole_home(), before);
    assert_eq!(place.calls(), [[""; 0]; 0]);
    let place = kept();
    let (identity, before) = (place.session(), place.whole_home());
    assert_eq!(place.run(&["resume", "--dry-run", &identity]).done().status, 0);
    assert_eq!(place.whole_home(), before);
    assert_eq!(place.calls(), [[""; 0]; 0]);
}

/// How both containers are made, whole.
#[test]
fn containers_are_confined() {
    for (engine, name) in ENGINES.into_iter().zip(["create", "create-podman"]) {
        confined(&Place::on(engine, PLAIN), name);
    }
}

fn confined(place: &Place, name: &str) {
    assert_eq!(start(place).done().status, 0);
    let mut made = String::new();
    let mut levels = Vec::new();
    for call in place.calls().iter().filter(|call| call[..2].contains(&"create".to_owned())) {
        for word in call {
            match word.strip_prefix("label=level:") {
                Some(level) => levels.push(level.to_owned()),
                None => made.push_str(&format!("{}\n", place.steady(word))),
            }
        }
        made.push('\n');
    }
    assert!(levels.len() == 2 && levels[0] == levels[1] && levels[0].starts_with("s0:c"), "{levels:?}");
    compare(name, &made);
}

#[test]
fn a_name_that_is_taken() {
    let place = Place::new(PLAIN);
    let taken = "Error response from daemon: Conflict. The container name \"/x\" is already in use by container \"0f\". You have to remove (or rename) that container to be able to reuse that name.";
    // The first start remembers the engine; then the first call is the images' and the second makes the gate.
    place.run(&["start", "--yes", "plain"]).done();
    place.forget_calls();
    let done =
        place.run(&["start", "--yes", "plain"]).env("FAKE_FAIL_AT", 2).env("FAKE_WORDS", taken).snap("engine-taken");
    assert_eq!(done.status, 125);
    let removed = place.calls().iter().filter(|call| call[0] == "rm").count();
    assert_eq!(removed, 0, "what has the name is a stranger's");
    assert_eq!(place.sessions(), [""; 0]);
}
