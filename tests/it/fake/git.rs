//! `git allow`: the gate is asked on its control socket, and says which commits it knows.

use crate::harness::Place;

const REMOTES: &str = r#"{ "bottles": { "box": { "git": { "remotes": [
    { "name": "app", "upstream": "https://git.example.org/app.git" } ] } } },
  "agents": { "plain": { "bottle": "box" } } }"#;

#[test]
fn what_was_refused_is_let_through_by_its_id() {
    let place = Place::new(REMOTES);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let id = place.session();
    let known = "0123456789012345678901234567890123456789";
    place.run(&["git", "allow", &id, known]).stderr("the next push may bring this commit\n").test();
    let call = place.calls().pop().unwrap();
    assert_eq!(call[call.len() - 3..], ["claude-bottle-gate", "ctl", "git-allow"], "no id is in an argument: {call:?}");
    let said = "claude-bottle: no commit was refused in this session that begins with `0123456`\n\
        hint: the refusal that the agent got, and `claude-bottle logs`, name the commits\n";
    place.run(&["git", "allow", &id, "0123456"]).status(2).stderr(said).test();
    assert_eq!(place.run(&["git", "allow", &id]).done().status, 2);
}

#[test]
fn a_bottle_without_remotes_has_nothing_to_allow() {
    let place = Place::new(crate::harness::PLAIN);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let id = place.session();
    let done = place.run(&["git", "allow", &id, "0123456789012345678901234567890123456789"]).done();
    assert_eq!(done.status, 2);
    assert!(done.stderr.contains("has no remotes"), "{done:?}");
}
