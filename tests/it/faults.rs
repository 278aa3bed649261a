//! Every call of the engine fails once, and every signal comes at every call: nothing is lost, nothing is left, no run
//! hangs. Afterwards engine and disk are empty, or the session is marked and `cleanup` brings both to nothing.

use crate::cli::kept_on;
use crate::run::{Done, ENGINES, PLAIN, Place, Run};

/// More calls than a run makes: a sweep that gets here does not end by itself.
const MOST: usize = 40;

fn start(place: &Place) -> Run<'_> {
    place.run(&["start", "--yes", "plain"]).env("FAKE_TAR", place.transcript())
}

/// The words of the `number`-th call.
fn call(place: &Place, number: usize) -> String {
    place.calls()[number - 1][..2].join(" ")
}

/// Nothing is left, or what is left is marked and goes at once when asked to.
#[track_caller]
fn accounted_for(place: &Place, story: &str) {
    let story = format!("{story}\n{:#?}\n{:?} {:?}", place.calls(), place.objects(), place.sessions());
    match place.sessions().len() {
        0 => assert_eq!(place.objects(), [""; 0], "{story}"),
        _ => {
            let mark = place.mark()["mark"].as_str().unwrap().to_owned();
            assert!(["kept", "live"].contains(&mark.as_str()), "{mark} {story}");
        }
    }
    let done = place.run(&["cleanup", "--yes"]).done();
    assert_eq!((done.status, place.objects(), place.sessions()), (0, Vec::new(), Vec::new()), "{done:?} {story}");
}

/// Runs with the fault at each call in turn, until a run makes fewer; on each kind of engine.
fn sweep(
    place: impl Fn(&'static str) -> Place,
    run: impl Fn(&Place, usize) -> Done,
    check: impl Fn(&Place, usize, &Done),
) {
    for engine in ENGINES {
        let mut number = 0;
        loop {
            number += 1;
            assert!(number < MOST, "a run makes more than {MOST} calls");
            let place = place(engine);
            let done = run(&place, number);
            if place.calls().len() < number {
                break;
            }
            check(&place, number, &done);
        }
        assert!(number > 5, "the sweep met {number} calls only");
    }
}

fn plain(engine: &'static str) -> Place {
    Place::on(engine, PLAIN)
}

/// The agent spoke, and its session did not end well: what it said must be somewhere.
#[track_caller]
fn nothing_lost(place: &Place, done: &Done, story: &str) {
    let ran = done.stdout.contains("hello");
    if ran && done.status != 0 {
        let identity = place.session();
        let volume = format!("claude-bottle-{identity}");
        assert!(place.objects().contains(&volume), "{story}: the home is gone");
    }
}

fn fails(variable: &str) {
    let run = |place: &Place, number: usize| start(place).env(variable, number).done();
    sweep(plain, run, |place, number, done| {
        let call = call(place, number);
        let story = format!("{variable}={number}, `{call}`: {done:?}");
        let wanted: &[i32] = match call.as_str() {
            // The agent ran and ended well; only what comes after did not work.
            "rm -f" | "volume rm" | "cp claude-bottle" => &[0],
            call if call.starts_with("cp ") => &[0],
            // Its answer may come late: by then the gate was up and the agent ran.
            "start -ai" if variable == "FAKE_LOST_AT" => &[0, 125],
            _ => &[125],
        };
        assert!(wanted.contains(&done.status), "{story}");
        nothing_lost(place, done, &story);
        accounted_for(place, &story);
    });
}

#[test]
fn every_call_fails_once() {
    fails("FAKE_FAIL_AT");
}

/// What is kept after a failure can be gone on with, whatever the engine still has of it.
#[test]
fn whatever_was_kept_can_be_resumed() {
    let run = |place: &Place, number: usize| start(place).env("FAKE_FAIL_AT", number).done();
    sweep(plain, run, |place, number, done| {
        let story = format!("call {number} fails, `{}`: {done:?}", call(place, number));
        for identity in place.sessions() {
            let done = place.run(&["resume", "--yes", &identity]).done();
            assert_eq!((done.status, done.stdout.as_str()), (0, "hello from the agent\n"), "{story} {done:?}");
        }
        assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()), "{story}");
    });
}

/// The program is killed at every call: what it leaves is found, and goes.
#[test]
fn killed_at_every_call() {
    let run =
        |place: &Place, number: usize| start(place).env("FAKE_SIGNAL_AT", number).env("FAKE_SIGNAL", "KILL").done();
    sweep(plain, run, |place, number, done| {
        let story = format!("KILL at call {number}, `{}`: {done:?}", call(place, number));
        assert_eq!(done.status, 137, "{story}");
        // A child that was just being made shares its parent's files, the lock too, until it is the engine's client.
        while place.run(&["list"]).done().stdout.contains(" live ") {
            std::thread::yield_now();
        }
        // The home's own removal is earned by then: the agent ended well.
        if call(place, number) != "volume rm" {
            nothing_lost(place, done, &story);
        }
        accounted_for(place, &story);
    });
}

/// The engine did it, and the answer got lost.
#[test]
fn every_answer_is_lost_once() {
    fails("FAKE_LOST_AT");
}

fn signals(signal: &str, code: i32) {
    let run =
        |place: &Place, number: usize| start(place).env("FAKE_SIGNAL_AT", number).env("FAKE_SIGNAL", signal).done();
    sweep(plain, run, |place, number, done| {
        let story = format!("{signal} at call {number}, `{}`: {done:?}", call(place, number));
        let started = place.calls().iter().position(|call| call[0] == "start" && call[3..].len() > 1);
        let late = started.is_some_and(|started| number > started + 1);
        assert!(done.status == code || (late && done.status == 0), "{story}");
        nothing_lost(place, done, &story);
        accounted_for(place, &story);
    });
}

#[test]
fn interrupted_at_every_call() {
    signals("INT", 130);
}

#[test]
fn terminated_at_every_call() {
    signals("TERM", 143);
}

#[test]
fn hung_up_at_every_call() {
    signals("HUP", 129);
}

/// A signal ends the session, and then the engine fails, too.
#[test]
fn every_call_fails_once_on_the_way_down() {
    let run =
        |place: &Place, number: usize| start(place).env("FAKE_AGENT", "signal TERM").env("FAKE_FAIL_AT", number).done();
    sweep(plain, run, |place, number, done| {
        let story = format!("TERM, and call {number} fails, `{}`: {done:?}", call(place, number));
        assert!([125, 143].contains(&done.status), "{story}");
        nothing_lost(place, done, &story);
        accounted_for(place, &story);
    });
}

/// A kept session that is resumed keeps its home whatever fails, until it earned its end.
#[test]
fn a_kept_session_survives_a_resume_that_fails() {
    let run = |place: &Place, number: usize| {
        place.run(&["resume", "--yes", &place.session()]).env("FAKE_FAIL_AT", number).done()
    };
    sweep(kept_on, run, |place, number, done| {
        let story = format!("call {number} fails, `{}`: {done:?}", call(place, number));
        let identity = place.session();
        let home = place.objects().contains(&format!("claude-bottle-{identity}"));
        assert!(home && place.mark()["mark"] == "kept", "{story} {:?}", place.objects());
        assert!(place.session_file("transcript/-home-agent-workspace/one.jsonl").exists(), "{story}");
        accounted_for(place, &story);
    });
}

/// Cleanup itself fails at each call, and then succeeds.
#[test]
fn a_cleanup_that_fails_can_be_done_again() {
    let run = |place: &Place, number: usize| place.run(&["cleanup", "--yes"]).env("FAKE_FAIL_AT", number).done();
    sweep(lost, run, |place, number, done| {
        let story = format!("call {number} fails, `{}`: {done:?}", call(place, number));
        // Where the last question fails, what is lost becomes kept, and kept ones are what was to go.
        assert!(done.status == 125 || (done.status == 0 && place.objects().is_empty()), "{story}");
        accounted_for(place, &story);
    });
}

/// A session whose owner was killed.
fn lost(engine: &'static str) -> Place {
    let place = plain(engine);
    let done = start(&place).env("FAKE_AGENT", "signal KILL").done();
    assert_eq!(done.status, 137, "{done:?}");
    place.forget_calls();
    place
}
