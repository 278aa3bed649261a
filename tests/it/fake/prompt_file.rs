//! The file that shell prompts read follows the sessions of its home.

use crate::harness::{PLAIN, Place, WAIT_TIMEOUT};
use std::fs::{self};
use std::io::Write;
use std::time::Instant;

fn shown(place: &Place) -> Option<String> {
    fs::read_to_string(place.path("home/.claude-bottle/prompt")).ok()
}

#[test]
fn the_prompt_file_follows_a_session() {
    let place = Place::new(PLAIN);
    let start = |agent: &str| place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", agent);
    let mut terminal = start("stays").on_terminal();
    terminal.until("hello from the agent");
    assert_eq!(shown(&place).as_deref(), Some("1 0 0\n"));
    // A second one comes and goes.
    assert_eq!(start("").done().status, 0);
    assert_eq!(shown(&place).as_deref(), Some("1 0 0\n"));
    assert_eq!(start("detaches").done().status, 0);
    assert_eq!(shown(&place).as_deref(), Some("1 1 0\n"));
    terminal.types("\u{3}");
    assert_eq!(terminal.end().0, 130);
    assert_eq!(shown(&place).as_deref(), Some("0 1 0\n"));
    let away = place.run(&["names", "detached"]).done().stdout;
    let attach = place.run(&["attach", away.split('\t').next().unwrap()]).env("FAKE_ATTACH", "ends");
    assert_eq!(attach.done().status, 0);
    assert_eq!(shown(&place), None, "nothing runs: no file");
    assert_eq!(place.run(&["start", "--dry-run", "plain"]).done().status, 0);
    assert_eq!(shown(&place), None);
}

#[test]
fn the_prompt_file_is_right_after_many_at_once() {
    let place = Place::new(PLAIN);
    let start = |agent: &'static str| place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", agent).done();
    std::thread::scope(|scope| {
        for n in 0..6 {
            let start = &start;
            scope.spawn(move || assert_eq!(start(["detaches", ""][n % 2]).status, 0));
        }
    });
    assert_eq!(shown(&place).as_deref(), Some("0 3 0\n"));
}

/// The third count is of proposals that wait: the gate's lines add, and a decision takes away.
#[test]
fn the_prompt_file_counts_what_waits() {
    let place = Place::new(PLAIN);
    let start = place.run(&["start", "--yes", "plain"]).env("FAKE_GATE", "proposes").env("FAKE_AGENT", "until told");
    let mut terminal = start.env("FAKE_CODE", 7).on_terminal();
    terminal.until("hello from the agent");
    let until = |wanted: &str| {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while shown(&place).as_deref() != Some(wanted) {
            assert!(Instant::now() < deadline, "{:?}, not {wanted:?}", shown(&place));
            std::thread::yield_now();
        }
    };
    until("1 0 2\n");
    let listed = place.run(&["proposals"]).done().stdout;
    let id = listed.lines().find(|line| line.contains("a.org")).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(place.run(&["approve", "--yes", &id]).done().status, 0);
    until("1 0 1\n");
    fs::write(place.engine("handed/told"), "").unwrap();
    let agent = format!("claude-bottle-{}-agent", place.session());
    fs::OpenOptions::new().write(true).open(place.engine("pipes").join(agent)).unwrap().write_all(b"\n").unwrap();
    assert_eq!(terminal.end().0, 7);
    assert_eq!(shown(&place).as_deref(), Some("0 0 1\n"), "a kept session's proposals wait as well");
    assert_eq!(place.run(&["cleanup", "--yes", &place.session()]).done().status, 0);
    assert_eq!(shown(&place), None);
}

/// Nobody is there to say that the owner was killed; the next change of any session does.
#[test]
fn a_killed_owner_is_counted_until_something_changes() {
    let place = Place::new(PLAIN);
    let start = |agent: &str| place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", agent);
    assert_eq!(start("signal KILL").done().status, 137);
    let identity = place.session();
    assert_eq!(shown(&place).as_deref(), Some("1 0 0\n"));
    assert!(place.run(&["list"]).done().stdout.contains(" lost "));
    assert_eq!(shown(&place).as_deref(), Some("1 0 0\n"), "`list` writes nothing");
    assert_eq!(start("").done().status, 0);
    assert_eq!(shown(&place), None);
    place.write("home/.claude-bottle/prompt", "7 7 7\n");
    place
        .run_other(&format!("{}/docker", crate::harness::FAKE), &["stop", &format!("claude-bottle-{identity}-agent")])
        .done();
    assert_eq!(place.run(&["cleanup", "--yes", &identity]).done().status, 0);
    assert_eq!(shown(&place), None);
}

#[test]
fn a_prompt_file_that_cannot_be_written_fails_no_session() {
    let place = Place::new(PLAIN);
    fs::create_dir(place.path("home/.claude-bottle/prompt")).unwrap();
    assert_eq!(place.run(&["start", "--yes", "plain"]).done().status, 0);
    assert_eq!(place.sessions(), [""; 0]);
}
