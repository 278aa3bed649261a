//! The process of a decision is killed before each change that it makes to a file: what is on disk is the old state or the new
//! one, the record never says less than was done, and the same command again ends it, once.

use super::approve::{added, asked, asked_for, commits, handed, only_id, record, refused, session};
use crate::harness::{Done, PROGRAM, Place, until};
use serde_json::{Value, json};

/// System calls that change a file, or what another process sees of one; also `write` to a pipe and to the terminal.
const CHANGES: [&str; 9] =
    ["flock", "write", "fsync", "fdatasync", "mkdir", "rename", "renameat2", "unlink", "unlinkat"];
/// More calls of one name than a decision makes: a sweep that gets here does not end by itself.
const MOST: usize = 60;

/// `args`, killed in place of the n-th call of this name in its main thread.
fn killed(place: &Place, (call, number): (&str, usize), args: &[&str]) -> Done {
    let (trace, kill) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={number}"));
    let traced = ["-qqq", "-o", "/dev/null", "-e", &trace, "-e", &kill, PROGRAM];
    let run = place.run_other("/usr/bin/strace", &[&traced, args].concat());
    run.env("FAKE_TAR", place.transcript()).done()
}

/// Decides about the one thing that waits in a new place, by `verb`, with a kill at each change in turn. `check` is told the
/// place, whether the last command did it all, and the story.
fn sweep(verb: &[&str], event: &Value, check: impl Fn(&Place, bool, &str)) {
    let kills =
        CHANGES.map(|call| (1..MOST).take_while(|number| cut_off(verb, event, (call, *number), &check)).count());
    assert!(kills.iter().all(|kills| *kills < MOST - 1), "{verb:?} does not end: {kills:?}");
    assert!(kills.iter().sum::<usize>() > 6, "{verb:?} makes few changes: {kills:?}");
}

/// Whether the process made that call.
fn cut_off(verb: &[&str], event: &Value, at: (&str, usize), check: impl Fn(&Place, bool, &str)) -> bool {
    let place = session(std::slice::from_ref(event));
    let id = only_id(&place);
    let args = [verb, &[id.as_str()]].concat();
    let done = killed(&place, at, &args);
    if done.status == 0 {
        check(&place, true, &format!("{verb:?} with no kill"));
        return false;
    }
    let story = format!("{verb:?}, {at:?}: {done:?}\n{:?} {:?}", record(&place), added(&place));
    assert_eq!(done.status, 137, "is strace there? {story}");
    // What was done is on record before it is done, and its end after it.
    let (begun, decided) = (!record(&place).is_empty(), handed(&place, "decide").len());
    let disk = !added(&place).is_empty() || place.session_file("Dockerfile").exists();
    assert!(begun || (!disk && decided == 0), "{story}");
    assert!(decided <= 1, "{story}");
    let ended = record(&place).last().is_some_and(|last| last.ends_with("applied"));
    assert!(!ended || decided == 1, "{story}");

    let again = place.run(&args).env("FAKE_TAR", place.transcript()).done();
    let is_gone = ["was approved already", "nothing with the id"].iter().any(|words| again.stderr.contains(words));
    // The gate that has decided says so in the trail, and is not told a second time.
    assert_eq!(is_gone, decided == 1, "{story} {again:?}");
    assert!(is_gone || again.status == 0, "{story} {again:?}");
    assert_eq!(handed(&place, "decide").len(), 1, "{story}");
    check(&place, again.status == 0, &story);
    true
}

#[test]
fn a_route_is_approved_once_wherever_it_was_cut_off() {
    sweep(&["approve", "--yes"], &refused("new.example.org", "GET", "/x"), |place, _, story| {
        assert_eq!(added(place), ["new.example.org/x"], "{story}");
        let reload = &handed(place, "decide")[0]["reload"]["policy"]["routes"];
        assert_eq!(reload.as_array().unwrap().len(), 3, "{story}");
    });
}

#[test]
fn what_the_gate_alone_is_told_is_told_once() {
    let egress = refused("new.example.org", "POST", "/x");
    for (verb, event) in [
        (&["approve", "--once", "--yes"][..], &egress),
        (&["approve", "--yes"], &commits()),
        (&["reject", "--reason", "no"], &asked("/x", "please")),
    ] {
        sweep(verb, event, |place, _, story| assert!(added(place).is_empty(), "{story}"));
    }
}

#[test]
fn a_manifest_is_the_old_one_or_the_new_one() {
    let before = super::approve::MANIFEST;
    sweep(&["approve", "--yes", "--save"], &refused("new.example.org", "GET", "/x"), |place, by_the_same, story| {
        assert_eq!(added(place), ["new.example.org/x"], "{story}");
        let manifest = std::fs::read_to_string(place.path("home/.claude-bottle/claude-bottle.json")).unwrap();
        let is_saved = manifest.matches("new.example.org").count() == 1;
        assert!(is_saved || (manifest == before && !by_the_same), "{story}: {manifest}");
        let status = place.run(&["check", "plain", "https://new.example.org/x"]).done().status;
        assert_eq!(status, if is_saved { 0 } else { 1 }, "{story}");
    });
}

/// However far it came, the bottle ends as one that is kept for its packages, and its resume builds them.
#[test]
fn packages_are_built_once_wherever_their_approval_was_cut_off() {
    sweep(&["approve", "--yes"], &asked_for(&json!({ "apt": ["gdb"] })), |place, _, story| {
        let identity = place.session();
        let agent = format!("claude-bottle-{identity}-agent");
        if place.objects().contains(&agent) {
            place.run_other(&format!("{}/docker", crate::harness::FAKE), &["stop", "-t", "3", &agent]).done();
        }
        until("the killed program's lock to be free", || !place.run(&["list"]).done().stdout.contains(" live "));
        let dockerfile = std::fs::read_to_string(place.session_file("Dockerfile")).unwrap();
        assert_eq!(dockerfile.matches("-- gdb &&").count(), 1, "{story}");
        place.forget_calls();
        let resume = place.run(&["resume", "--yes", &identity]).env("FAKE_IMAGES", "built").env("FAKE_CODE", 7);
        let resumed = resume.env("FAKE_TAR", place.transcript()).done();
        assert_eq!(resumed.status, 7, "{story} {resumed:?}");
        let is_built = |word: &String| word.starts_with("claude-bottle-packages:");
        assert!(place.calls().iter().filter(|call| call[0] == "build").flatten().any(is_built), "{story}");
    });
}
