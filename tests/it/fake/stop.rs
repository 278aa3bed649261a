//! `stop` ends sessions that run and keeps them; `detach` leaves them running without their terminal.

use super::{nothing, only_the_volume, start, transcript};
use crate::harness::{PLAIN, Place, Terminal};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const STOPPED: &str = "stopped by `claude-bottle stop`";

fn attached(place: &Place) -> Terminal {
    let mut terminal = start(place).env("FAKE_AGENT", "stays").on_terminal();
    terminal.until("hello from the agent");
    terminal
}

fn detached(place: &Place) -> String {
    let before = place.sessions();
    assert_eq!(start(place).env("FAKE_AGENT", "detaches").done().status, 0);
    place.sessions().into_iter().find(|identity| !before.contains(identity)).unwrap()
}

#[test]
fn a_session_at_a_terminal_is_stopped_and_settled_there() {
    let place = Place::new(PLAIN);
    let terminal = attached(&place);
    let done = place.run(&["stop", &place.session()]).done();
    assert_eq!((done.status, done.stdout.as_str()), (0, ""), "{}", done.stderr);
    let (status, seen) = terminal.end();
    assert_eq!((status, place.kept().as_str()), (143, STOPPED), "{seen}");
    assert!(seen.contains(&format!("kept `{}`: {STOPPED}", place.session())), "{seen}");
    only_the_volume(&place);
    transcript(&place);
    // It is over with that: what comes next is an end of its own.
    let resumed = place.run(&["resume", "--yes", &place.session()]).env("FAKE_CODE", 7).done();
    assert_eq!((resumed.status, place.kept().as_str()), (7, "the agent ended with 7"));
}

#[test]
fn a_detached_session_is_stopped_and_settled_here() {
    let place = Place::new(PLAIN);
    let identity = detached(&place);
    let run = || place.run(&["stop", &identity]).env("FAKE_TAR", place.transcript());
    let done = run().done();
    let said = format!("stopped `{identity}`; its home and its transcript are kept\n");
    assert_eq!((done.status, done.stderr.starts_with(&said)), (0, true), "{}", done.stderr);
    assert_eq!(place.kept(), STOPPED);
    only_the_volume(&place);
    transcript(&place);
    let again = run().done();
    assert_eq!(again.status, 2);
    assert!(again.stderr.contains(&format!("`{identity}` does not run: {STOPPED}")), "{}", again.stderr);
}

#[test]
fn all_that_run_are_stopped_after_a_question() {
    let place = Place::new(PLAIN);
    let (first, second) = (detached(&place), detached(&place));
    let refused = place.run(&["stop", "--all"]).done();
    assert_eq!(refused.status, 2, "{}", refused.stderr);
    for (answer, marks) in [("n\n", "detached"), ("y\n", "kept")] {
        let mut terminal = place.run(&["stop", "--all"]).on_terminal();
        terminal.until("stop them? [y/N] ");
        terminal.types(answer);
        let (status, seen) = terminal.end();
        assert_eq!(status, 0, "{seen}");
        for identity in [&first, &second] {
            assert!(seen.contains(&format!("`{identity}`")), "{seen}");
            assert_eq!(place.mark_of(identity)["mark"], marks, "{seen}");
        }
    }
    place.run(&["stop", "--all", "--yes"]).stderr("no session runs\n").test();
}

/// What cannot be stopped is told before anything is.
#[test]
fn nothing_is_stopped_where_one_cannot_be() {
    let place = Place::new(PLAIN);
    let identity = detached(&place);
    let mut asked = place.run(&["start", "plain"]).on_terminal();
    asked.until("launch this agent? [y/N] ");
    let waiting = place.sessions().into_iter().find(|other| *other != identity).unwrap();
    for (other, why) in [("nobody-12345", "no session `nobody-12345`"), (&waiting, "has not started its agent yet")] {
        let done = place.run(&["stop", &identity, other]).done();
        assert_eq!((done.status, done.stderr.contains(why)), (2, true), "{}", done.stderr);
        assert_eq!(place.mark_of(&identity)["mark"], "detached");
    }
    let detach = place.run(&["detach", &waiting]).done();
    assert_eq!(
        (detach.status, detach.stderr.contains("its agent has not started yet")),
        (2, true),
        "{}",
        detach.stderr
    );
    asked.types("n\n");
    assert_eq!(asked.end().0, 0);
}

#[test]
fn a_terminal_is_detached_from_another_one() {
    let place = Place::new(PLAIN);
    let terminal = attached(&place);
    let identity = place.session();
    let detach = || place.run(&["detach", &identity]).done();
    let done = detach();
    let said = format!("detached `{identity}`, which runs on\n");
    assert_eq!((done.status, done.stderr.starts_with(&said)), (0, true), "{}", done.stderr);
    let (status, seen) = terminal.end();
    assert_eq!((status, place.mark()["mark"].as_str()), (0, Some("detached")), "{seen}");
    let done = detach();
    let said = format!("`{identity}` is not attached to a terminal: it is detached already");
    assert_eq!((done.status, done.stderr.contains(&said)), (2, true), "{}", done.stderr);

    // Again where it was attached, by two at once.
    let terminal = place.run(&["attach", &identity]).on_terminal();
    crate::harness::until("it is attached", || place.session_file("terminal").exists());
    std::thread::scope(|scope| {
        let both = [scope.spawn(detach), scope.spawn(detach)].map(|one| one.join().unwrap().status);
        assert!(both.contains(&0), "{both:?}");
    });
    assert_eq!(terminal.end().0, 0);
    assert_eq!(place.mark()["mark"], "detached");
}

#[test]
fn a_session_that_is_lost_has_no_terminal() {
    let place = Place::new(PLAIN);
    let mut terminal = attached(&place);
    kill(Pid::from_raw(terminal.pid()), Signal::SIGKILL).unwrap();
    terminal.end_of_output();
    let done = place.run(&["detach", &place.session()]).done();
    assert_eq!((done.status, done.stderr.contains("the process that ran it has ended")), (2, true), "{}", done.stderr);
    // Its agent runs on, and can be stopped.
    assert_eq!(place.run(&["stop", &place.session()]).done().status, 0);
    assert_eq!(place.kept(), STOPPED);
    place.run(&["cleanup", "--yes"]).done();
    nothing(&place);
}

#[test]
fn a_session_with_pipes_has_no_terminal_either() {
    let place = Place::new(PLAIN);
    std::thread::scope(|scope| {
        let owner = scope.spawn(|| start(&place).env("FAKE_AGENT", "stays").done().status);
        crate::harness::until("the agent runs", || crate::harness::names(&place.engine("ran")).len() == 1);
        let identity = place.session();
        let done = place.run(&["detach", &identity]).done();
        assert_eq!((done.status, done.stderr.contains("or has pipes instead")), (2, true), "{}", done.stderr);
        assert_eq!(place.run(&["stop", &identity]).done().status, 0);
        assert_eq!(owner.join().unwrap(), 143);
    });
}

/// What needs a session that runs takes none that is kept, though that one is newer.
#[test]
fn without_a_name_a_session_that_runs_is_meant() {
    let place = Place::new(PLAIN);
    let terminal = attached(&place);
    let running = place.session();
    let other = detached(&place);
    // `detach` takes what is attached, though a newer one runs without a terminal.
    let detach = || place.run(&["detach"]).done();
    let is_detached = format!("detached `{running}`, which runs on\n");
    let done = detach();
    assert!(done.stderr.starts_with(&is_detached), "{}", done.stderr);
    assert_eq!(terminal.end().0, 0);

    let ended = start(&place).env("FAKE_CODE", 7).done();
    assert_eq!((ended.status, place.sessions().len()), (7, 3), "{}", ended.stderr);
    place.write("work/shot.png", "a picture\n");
    place.run(&["put", "shot.png"]).stdout("/home/agent/workspace/~/inbox/shot.png\n").test();
    std::fs::write(place.engine("handed/get"), "a report\n").unwrap();
    assert_eq!(place.run(&["get", "report"]).done().status, 0);
    let terminal = place.run(&["attach"]).on_terminal();
    let socket = place.path("home/.claude-bottle/state").join(&running).join("terminal");
    crate::harness::until("it is attached", || socket.exists());
    let done = detach();
    assert!(done.stderr.starts_with(&is_detached), "{}", done.stderr);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(place.mark_of(&other)["mark"], "detached");

    // Where none runs, the newest is named with what makes it run.
    assert_eq!(place.run(&["stop", "--all", "--yes"]).done().status, 0);
    for words in [&["detach"][..], &["attach"], &["put", "shot.png"]] {
        let done = place.run(words).done();
        assert!(done.status == 2 && done.stderr.contains("does not run"), "{words:?}: {}", done.stderr);
    }
}
