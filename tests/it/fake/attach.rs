//! Detached sessions run on, are attached again by one terminal at a time, and are entered only while they run.

use super::{nothing, only_the_volume, start};
use crate::harness::{PLAIN, Place};

#[test]
fn detached_attached_and_ended() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_AGENT", "detaches").snap("end-detached").status, 0);
    let identity = place.session();
    assert_eq!(place.mark()["mark"], "detached");
    assert_eq!(place.objects().len(), 3);
    // A detached session is nobody's to clean up, and no other start touches it.
    place.run(&["cleanup", "--yes"]).stderr("nothing to remove\n").test();
    assert_eq!(start(&place).done().status, 0);
    assert_eq!((place.session(), place.objects().len()), (identity.clone(), 3));
    place.run(&["resume", "--yes", &identity]).snap("resume-running");
    place.run(&["exec", &identity, "--", "ls", "-l"]).snap("exec");
    // As other tools take a command; its flags are its own.
    let inside = "exec /run/claude-bottle/claude-bottle-gate init exec --input pipe -- ls -l --format json\n";
    place.run(&["exec", "-it", &identity, "ls", "-l", "--format", "json"]).stdout(inside).test();
    place.run(&["exec", &identity]).env("FAKE_CODE", 3).snap("exec-shell");
    place.run(&["attach", &identity]).env("FAKE_ATTACH", "detaches").snap("attach-detached");
    assert_eq!(place.mark()["mark"], "detached");
    place
        .run(&["attach", &identity])
        .env("FAKE_ATTACH", "ends")
        .env("FAKE_TAR", place.transcript())
        .snap("attach-ends");
    nothing(&place);
}

/// Who has a session shares it with nobody; what is refused changes nothing.
#[test]
fn one_terminal_at_a_time() {
    let place = Place::new(PLAIN);
    let mut terminal = start(&place).env("FAKE_AGENT", "stays").on_terminal();
    terminal.until("hello from the agent");
    let identity = place.session();
    for args in [vec!["attach", &identity], vec!["resume", "--yes", &identity], vec!["cleanup", "--yes", &identity]] {
        place.run(&args).snap(&format!("busy-{}", args[0]));
    }
    assert_eq!((place.mark()["mark"].as_str(), place.objects().len()), (Some("live"), 3));
    terminal.hang_up();
    assert_eq!(terminal.end().0, 129);
}

/// What another terminal comes back to is weighed in the same way.
#[test]
fn work_keeps_an_attached_session() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_AGENT", "detaches").done().status, 0);
    let attach = place.run(&["attach", &place.session()]).env("FAKE_ATTACH", "ends");
    assert_eq!(attach.env("FAKE_WORK", r#""complete":true,"files":1"#).snap("attach-work").status, 0);
    only_the_volume(&place);
    assert_eq!(place.kept(), "changes not copied back yet: 1 file outside repositories");
}

/// A detached agent that ended, and one whose container is gone, are no place to go to.
#[test]
fn an_agent_that_ended_alone_is_not_entered() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_AGENT", "detaches").done().status, 0);
    let identity = place.session();
    let engine = |args: &[&str]| place.run_other(&format!("{}/docker", crate::harness::FAKE), args).done();
    let agent = format!("claude-bottle-{identity}-agent");
    engine(&["stop", &agent]);
    for _ in 0..2 {
        for verb in ["attach", "exec"] {
            place.run(&[verb, &identity]).snap(&format!("ended-{verb}"));
        }
        engine(&["rm", "-f", &agent]);
    }
    assert_eq!(place.sessions(), [identity]);
}

/// The keys of one's own choice, also when it is attached again elsewhere.
#[test]
fn detach_keys_are_recorded() {
    let place = Place::new(PLAIN);
    let keys = "ctrl-p,ctrl-q,DEL,x";
    let run = start(&place).env("FAKE_AGENT", "detaches").env("CLAUDE_BOTTLE_DETACH_KEYS", keys);
    assert_eq!(run.done().status, 0);
    let identity = place.session();
    assert_eq!(place.run(&["attach", &identity]).env("FAKE_ATTACH", "ends").done().status, 0);
    let with_keys = |call: &&Vec<String>| call.windows(2).any(|words| words == ["--detach-keys", keys]);
    let verbs: Vec<_> = place.calls().iter().filter(with_keys).map(|call| call[0].clone()).collect();
    assert_eq!(verbs, ["start", "attach"]);
}
