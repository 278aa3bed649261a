//! Every call of the engine fails once, and every signal comes at every call: nothing is lost, nothing is left, no run
//! hangs. Afterwards engine and disk are empty, or the session is marked and `cleanup` brings both to nothing.

use crate::harness::{Done, ENGINES, PLAIN, PROGRAM, Place, Run, kept_on, until};

/// More calls than a run makes: a sweep that gets here does not end by itself.
const MOST: usize = 40;

/// What runs a session, or goes on with one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verb {
    Start,
    /// With the current directory in it.
    StartHere,
    Resume,
    Attach,
}

use Verb::{Attach, Resume, Start, StartHere};

const ALL: [Verb; 4] = [Start, StartHere, Resume, Attach];

impl Verb {
    /// Where it can be typed.
    fn place(self, engine: &'static str) -> Place {
        match self {
            Start => Place::on(engine, PLAIN),
            StartHere => {
                let place = Place::on(engine, PLAIN);
                place.write("work/file", "the host's");
                place
            }
            Resume => kept_on(engine),
            Attach => {
                let place = Place::on(engine, PLAIN);
                let done = Start.run(&place).env("FAKE_AGENT", "detaches").done();
                assert_eq!(done.status, 0, "{done:?}");
                place.forget_calls();
                place
            }
        }
    }

    fn run(self, place: &Place) -> Run<'_> {
        let run = match self {
            Start => place.run(&["start", "--yes", "plain"]),
            StartHere => place.run(&["start", "--yes", "--cwd", "plain"]),
            Resume => place.run(&["resume", "--yes", &place.session()]),
            Attach => place.run(&["attach", &place.session()]).env("FAKE_ATTACH", "ends"),
        };
        run.env("FAKE_TAR", place.transcript())
    }

    /// Its agent had said something before.
    fn goes_on(self) -> bool {
        matches!(self, Resume | Attach)
    }
}

/// The words of the `number`-th call.
fn call(place: &Place, number: usize) -> String {
    place.calls()[number - 1][..2].join(" ")
}

/// The call that gives the agent its terminal; every call from then on is late.
fn terminals(call: &[String]) -> bool {
    ["start", "attach"].contains(&call[0].as_str()) && call.last().is_some_and(|name| name.ends_with("-agent"))
}

/// Nothing is left, or what is left is marked and goes at once when asked to.
#[track_caller]
fn accounted_for(place: &Place, story: &str) {
    let story = format!("{story}\n{:#?}\n{:?} {:?}", place.calls(), place.objects(), place.sessions());
    match place.sessions().len() {
        0 => assert_eq!(place.objects(), [""; 0], "{story}"),
        _ => match place.mark()["mark"].as_str().unwrap() {
            "kept" | "live" => {}
            // Somebody can go back to it.
            "detached" => {
                let done = Attach.run(place).done();
                assert_eq!(done.status, 0, "{done:?} {story}");
            }
            mark => panic!("{mark} {story}"),
        },
    }
    // A child that was being started when its parent ended has the session's lock until it is another program.
    until(&format!("a cleanup of all that is left: {story}"), || {
        let done = place.run(&["cleanup", "--yes"]).done();
        assert_eq!(done.status, 0, "{done:?} {story}");
        place.objects().is_empty() && place.sessions().is_empty()
    });
}

/// Types each verb, on each kind of engine, with the fault at each call in turn, until a run makes fewer; `check` is told
/// the story.
fn sweep(
    verbs: &[Verb],
    fault: impl for<'a> Fn(Run<'a>, usize) -> Run<'a>,
    check: impl Fn(Verb, &Place, (usize, &Done), &str),
) {
    for (verb, engine) in verbs.iter().flat_map(|verb| ENGINES.map(|engine| (verb, engine))) {
        for number in 1.. {
            let place = verb.place(engine);
            let done = fault(verb.run(&place), number).done();
            if place.calls().len() < number {
                assert!(number > 5, "the sweep met {number} calls only");
                break;
            }
            assert!(number < MOST, "{verb:?} on {engine} makes more than {MOST} calls");
            let story = format!("{verb:?} on {engine}, call {number}, `{}`: {done:?}", call(&place, number));
            check(*verb, &place, (number, &done), &story);
        }
    }
}

/// The agent spoke, and its session did not end well: what it said must be somewhere.
#[track_caller]
fn nothing_lost(verb: Verb, place: &Place, done: &Done, story: &str) {
    let spoke = verb.goes_on() || done.stdout.contains("hello");
    if spoke && done.status != 0 {
        let identity = place.session();
        let volume = format!("claude-bottle-{identity}");
        assert!(place.objects().contains(&volume), "{story}: the home is gone");
    }
}

fn fails(variable: &str) {
    sweep(
        &ALL,
        |run, number| run.env(variable, number),
        |verb, place, (number, done), story| {
            let wanted: &[i32] = match call(place, number).as_str() {
                // The agent ran and ended well; only what comes after did not work.
                "rm -f" | "volume rm" => &[0],
                // The same; or what was to go in did not.
                call if call.starts_with("cp ") && call != "cp -" => &[0],
                // Its answer may come late: by then the gate was up and the agent ran.
                "start -ai" | "attach --detach-keys" if variable == "FAKE_LOST_AT" => &[0, 125],
                // The gate is not heard, and the agent may end by itself before that is noticed: it is kept either way.
                "logs -f" => &[0, 125],
                _ => &[125],
            };
            assert!(wanted.contains(&done.status), "{variable}: {story}");
            nothing_lost(verb, place, done, story);
            accounted_for(place, story);
        },
    );
}

#[test]
fn every_call_fails_once() {
    fails("FAKE_FAIL_AT");
}

/// The engine did it, and the answer got lost.
#[test]
fn every_answer_is_lost_once() {
    fails("FAKE_LOST_AT");
}

/// What is kept after a failure can be gone on with, whatever the engine still has of it.
#[test]
fn whatever_was_kept_can_be_resumed() {
    sweep(
        &[Start, StartHere, Resume],
        |run, number| run.env("FAKE_FAIL_AT", number),
        |_, place, _, story| {
            for identity in place.sessions() {
                let done = place.run(&["resume", "--yes", &identity]).done();
                assert_eq!((done.status, done.stdout.as_str()), (0, "hello from the agent\n"), "{story} {done:?}");
            }
            assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()), "{story}");
        },
    );
}

/// The program is killed at every call: what it leaves is found, and goes.
#[test]
fn killed_at_every_call() {
    sweep(
        &ALL,
        |run, number| run.env("FAKE_SIGNAL_AT", number).env("FAKE_SIGNAL", "KILL"),
        |verb, place, (number, done), story| {
            assert_eq!(done.status, 137, "{story}");
            // A child that was just being made shares its parent's files, the lock too, until it is the engine's client.
            until("the killed program's lock to be free", || !place.run(&["list"]).done().stdout.contains(" live "));
            // The home's own removal is earned by then: the agent ended well.
            if call(place, number) != "volume rm" {
                nothing_lost(verb, place, done, story);
            }
            accounted_for(place, story);
        },
    );
}

fn signals(signal: &str, code: i32) {
    sweep(
        &ALL,
        |run, number| run.env("FAKE_SIGNAL_AT", number).env("FAKE_SIGNAL", signal),
        |verb, place, (number, done), story| {
            // The gate's log is followed beside the session, which may be over before that call says anything.
            let beside = |call: &Vec<String>| call[0] == "logs" || terminals(call);
            let late = place.calls()[..number].iter().any(beside);
            assert!(done.status == code || (late && done.status == 0), "{signal}: {story}");
            nothing_lost(verb, place, done, story);
            accounted_for(place, story);
        },
    );
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

/// A call that never ends, and a person who asks for an end three times: nobody waits for the engine any more.
#[test]
fn who_asks_three_times_leaves_at_every_call() {
    sweep(
        &ALL,
        |run, number| run.env("FAKE_HANG_AT", number),
        |verb, place, (_, done), story| {
            assert_eq!(done.status, 143, "{story}");
            nothing_lost(verb, place, done, story);
            accounted_for(place, story);
        },
    );
}

/// A signal ends the session, and then the engine fails, too.
#[test]
fn every_call_fails_once_on_the_way_down() {
    sweep(
        &[Start, Resume],
        |run, number| run.env("FAKE_AGENT", "signal TERM").env("FAKE_FAIL_AT", number),
        |verb, place, (_, done), story| {
            assert!([125, 143].contains(&done.status), "{story}");
            nothing_lost(verb, place, done, story);
            accounted_for(place, story);
        },
    );
}

/// A kept session that is resumed keeps its home whatever fails, until it earned its end.
#[test]
fn a_kept_session_survives_a_resume_that_fails() {
    sweep(
        &[Resume],
        |run, number| run.env("FAKE_FAIL_AT", number),
        |_, place, _, story| {
            let identity = place.session();
            let home = place.objects().contains(&format!("claude-bottle-{identity}"));
            assert!(home && place.mark()["mark"] == "kept", "{story} {:?}", place.objects());
            assert!(place.session_file("transcript/-home-agent-workspace/one.jsonl").exists(), "{story}");
        },
    );
}

/// Cleanup itself fails at each call, and then succeeds.
#[test]
fn a_cleanup_that_fails_can_be_done_again() {
    for number in 1..MOST {
        // A session whose owner was killed.
        let place = Start.place(ENGINES[0]);
        let done = Start.run(&place).env("FAKE_AGENT", "signal KILL").done();
        assert_eq!(done.status, 137, "{done:?}");
        place.forget_calls();
        let done = place.run(&["cleanup", "--yes"]).env("FAKE_FAIL_AT", number).done();
        if place.calls().len() < number {
            assert!(number > 5, "the sweep met {number} calls only");
            return;
        }
        let story = format!("call {number} fails, `{}`: {done:?}", call(&place, number));
        // Where the last question fails, what is lost becomes kept, and kept ones are what was to go.
        assert!(done.status == 125 || (done.status == 0 && place.objects().is_empty()), "{story}");
        accounted_for(&place, &story);
    }
    panic!("a cleanup makes more than {MOST} calls");
}

/// `start --yes` with so many KiB of address space, in a place of its own: nothing is lost.
fn within(kibibytes: u32) -> Done {
    let place = Start.place(ENGINES[0]);
    let limit = format!("--as={}", u64::from(kibibytes) << 10);
    let run = place.run_other("/usr/bin/prlimit", &[&limit, PROGRAM, "start", "--yes", "plain"]);
    let done = run.env("FAKE_TAR", place.transcript()).done();
    let story = format!("{kibibytes} KiB: {done:?}");
    assert_ne!(done.status, 101, "{story}");
    nothing_lost(Start, &place, &done, &story);
    accounted_for(&place, &story);
    done
}

/// With too little memory it fails or is aborted somewhere, and never panics, because a thread that cannot be made is an
/// error: what ran is found again. How much is too little depends on the machine; the failures beside an agent lie
/// close below it, so that is where the steps are small.
#[test]
fn nothing_is_lost_where_memory_ends() {
    let enough = (8 << 10..64 << 10).step_by(1 << 10).find(|&limit| within(limit).status == 0);
    let enough = enough.expect("64 MiB of address space are enough");
    let below = (enough - (4 << 10)..enough).step_by(64).map(within);
    let failed = below.filter(|done| done.status == 125 && done.stdout.contains("hello")).count();
    assert!(failed > 0, "it never failed beside an agent");
}
