//! `cleanup` removes what is kept and what lost its state; changes not copied back yet only by name.

use crate::harness::{ENGINES, PLAIN, Place, WORK, aged, kept, text, until, whole, with_work};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn cleanup() {
    Place::new(PLAIN).run(&["cleanup"]).snap("cleanup-nothing");
    let place = kept();
    place.run(&["cleanup"]).snap("cleanup-no-terminal");
    assert_eq!(place.sessions().len(), 1);
    place.run(&["cleanup", "--yes"]).snap("cleanup-kept");
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
}

#[test]
fn cleanup_asks_on_the_terminal() {
    let place = kept();
    for (answer, left) in [("n\n", 1), ("\u{4}", 1), ("y\n", 0)] {
        let mut terminal = place.run(&["cleanup"]).on_terminal();
        terminal.until("its home volume");
        terminal.until("remove it? [y/N/a (all without work)/q] ");
        terminal.types(answer);
        let (status, seen) = terminal.end();
        assert_eq!((status, place.sessions().len(), place.objects().len()), (0, left, left), "{seen}");
    }
}

/// What has this home's label and no session on this disk goes; what has another's stays.
#[test]
fn cleanup_of_what_lost_its_state() {
    for engine in ENGINES {
        lost_state(&Place::on(engine, PLAIN));
    }
}

fn lost_state(place: &Place) {
    let start = || place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done();
    assert_eq!(start().status, 0);
    let mine = place.session();
    std::fs::remove_dir_all(place.session_file("")).unwrap();
    let id = std::fs::read(place.path("home/.claude-bottle/id")).unwrap();
    place.write("home/.claude-bottle/id", "anotherhomesid00");
    assert_eq!(start().status, 0);
    let theirs = place.session();
    std::fs::remove_dir_all(place.session_file("")).unwrap();
    std::fs::write(place.path("home/.claude-bottle/id"), id).unwrap();
    assert_eq!(place.objects().len(), 6);

    let done = place.run(&["cleanup"]).done();
    assert_eq!((done.status, place.objects().len()), (2, 6), "{done:?}");
    let lines =
        ["-agent", "-gate", ""].map(|role| format!("`claude-bottle-{mine}{role}`: left on the engine by this home\n"));
    let done = place.run(&["cleanup", "--yes"]).done();
    assert_eq!((done.status, done.stderr), (0, lines.concat()));
    assert_eq!(place.objects(), ["-agent", "-gate", ""].map(|role| format!("claude-bottle-{theirs}{role}")));
}

/// It has the same sessions on its disk, and knows nothing of those that the other one has made since.
#[test]
fn a_copied_home_takes_nothing_from_the_other() {
    let place = Place::new(PLAIN);
    let start = |home: &str| {
        let run = place.run(&["start", "--yes", "plain"]).env("CLAUDE_BOTTLE_HOME", place.path(home).display());
        assert_eq!(run.env("FAKE_AGENT", "detaches").done().status, 0);
    };
    let (mine, copy) = ("home/.claude-bottle", "home/copy");
    start(mine);
    let copied =
        place.run_other("/bin/cp", &["-a", place.path(mine).to_str().unwrap(), place.path(copy).to_str().unwrap()]);
    assert_eq!(copied.done().status, 0);
    // One ends without an owner, one is made later.
    place.write(&format!("{copy}/state/{}/mark", place.session()), r#"{"mark":"live"}"#);
    start(mine);
    let both = place.objects();
    assert_eq!(both.len(), 6);
    let cleanup =
        |home: &str| place.run(&["cleanup", "--yes"]).env("CLAUDE_BOTTLE_HOME", place.path(home).display()).done();
    let done = cleanup(copy);
    assert!(done.stderr.contains("is left: this home was copied or moved since"), "{done:?}");
    assert_eq!(place.objects(), both, "{done:?}");
    start(copy);
    let all = place.objects();
    assert_eq!(all.len(), 9);
    for home in [mine, copy, mine] {
        let done = cleanup(home);
        assert_eq!(place.objects(), all, "{home}: {done:?}");
    }
}

/// Nothing can be written, and room is what is wanted.
#[test]
fn a_session_that_cannot_be_written_to_can_be_removed() {
    let place = Place::new(PLAIN);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let identity = place.session();
    // A file is written beside it and moved there, which fails here as it does on a full disk.
    fs::remove_file(place.session_file("mark")).unwrap();
    fs::create_dir(place.session_file("mark")).unwrap();
    let done = place.run(&["cleanup", "--yes"]).done();
    assert!(done.status == 125 && done.stderr.contains("it cannot be settled"), "{done:?}");
    assert!(done.stderr.contains(&format!("claude-bottle cleanup {identity}")), "{done:?}");
    assert_eq!(place.sessions(), std::slice::from_ref(&identity));
    let done = place.run(&["cleanup", "--yes", &identity]).done();
    assert_eq!((done.status, place.objects(), place.sessions()), (0, Vec::new(), Vec::new()), "{done:?}");
}

#[test]
fn work_is_removed_only_by_name() {
    let place = with_work();
    let identity = place.session();
    place.run(&["cleanup", "--yes"]).snap("cleanup-work");
    assert_eq!(place.sessions(), std::slice::from_ref(&identity));
    let mut terminal = place.run(&["cleanup"]).on_terminal();
    terminal.until("remove it? ");
    terminal.types("a\n");
    let (status, seen) = terminal.end();
    assert!(status == 0 && seen.contains("left: only by its name"), "{seen}");
    assert_eq!(place.sessions(), std::slice::from_ref(&identity));
    place.write(&format!("home/.claude-bottle/audit/{identity}.jsonl"), "{}\n");
    assert_eq!(place.run(&["cleanup", "--yes", &identity]).done().status, 0);
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
    assert_eq!(text(&place.path(&format!("home/.claude-bottle/audit/{identity}.jsonl"))), "{}\n", "it outlives");
}

/// What nobody could look at counts as work.
#[test]
fn unknown_work_is_asked_for() {
    let unknown = || {
        let place = Place::new(PLAIN);
        let start = place.run(&["start", "--yes", "plain"]).env("FAKE_WORK", "silent");
        assert_eq!(start.env("FAKE_CODE", 7).done().status, 7);
        place
    };
    let place = unknown();
    assert_eq!(place.run(&["cleanup", "--yes"]).env("FAKE_WORK", WORK).done().status, 0);
    assert_eq!(place.sessions().len(), 1, "the reader found work");
    let done = place.run(&["cleanup", "--yes"]).env("FAKE_WORK", "silent").done();
    assert!(done.status == 125 && done.stderr.contains("could have changes not copied back yet"), "{done:?}");
    assert_eq!(place.sessions().len(), 1, "the reader could not look");
    assert_eq!(place.run(&["cleanup", "--yes"]).done().status, 0);
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
    // Without a home there is no work.
    let place = unknown();
    fs::remove_dir_all(place.engine(&format!("volumes/claude-bottle-{}", place.session()))).unwrap();
    assert_eq!(place.run(&["cleanup", "--yes"]).env("FAKE_WORK", "silent").done().status, 0);
    assert_eq!(place.sessions(), [""; 0]);
}

/// A bottle can stall what reads it, and no more: the reader is ended in time, and what wanted to know goes on.
#[test]
fn a_reader_without_an_answer_is_ended_in_time() {
    let place = Place::new(PLAIN);
    let start = place.run(&["start", "--yes", "plain"]).env("FAKE_WORK", "silent");
    assert_eq!(start.env("FAKE_CODE", 7).done().status, 7);
    let identity = place.session();
    let home = vec![format!("claude-bottle-{identity}")];
    let files = fs::read_dir(place.session_file("")).unwrap().count();
    for (words, stdout) in [
        (&["work", "diff", &identity][..], ""),
        (&["work", "fetch", &identity], ""),
        (&["cleanup", "--yes"], ""),
        (&["info", &identity], "home       claude-bottle-"),
    ] {
        let run = place.run(words).env("FAKE_READER", "hangs").env("CLAUDE_BOTTLE_READER_TIMEOUT", "1");
        let done = run.done();
        assert!(done.stdout.contains(stdout), "{done:?}");
        let is_info = words[0] == "info";
        assert_eq!(done.status, if is_info { 0 } else { 125 }, "{words:?} {done:?}");
        assert!(is_info || done.stderr.contains("gave no whole answer within 1 s, and was ended"), "{done:?}");
        assert_eq!(place.objects(), home, "{words:?}");
        assert_eq!(fs::read_dir(place.session_file("")).unwrap().count(), files, "no lock is left");
    }
    for wrong in ["0", "-1", "1.5", "86401", "soon"] {
        let done = place.run(&["work", "diff", &identity]).env("CLAUDE_BOTTLE_READER_TIMEOUT", wrong).done();
        assert_eq!((done.status, place.objects()), (2, home.clone()), "{done:?}");
    }
    assert_eq!(place.run(&["cleanup", "--yes"]).done().status, 0);
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
}

/// A reader whose command was killed is named and removed, and keeps no session from being removed.
#[test]
fn a_reader_whose_command_was_killed_blocks_nothing() {
    for by_name in [false, true] {
        let place = kept();
        let identity = place.session();
        let done = place.run(&["work", "diff", &identity]).env("FAKE_READER", "signal KILL").done();
        assert_eq!(done.status, 137, "{done:?}");
        let reader = place.objects().into_iter().find(|name| name.contains("-reader-")).unwrap();
        let said = place.run(&["doctor"]).done().stdout;
        assert!(said.contains(&format!("`{reader}`: left on the engine by this home")), "{said}");
        let mut words = vec!["cleanup", "--yes"];
        words.extend(by_name.then_some(&identity[..]));
        let done = place.run(&words).done();
        assert_eq!(done.status, 0, "{done:?}");
        assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()), "{words:?}");
    }
}

/// A reader that is awaited is nothing that was left; removing its session ends it.
#[test]
fn a_reader_that_is_awaited_is_left_alone() {
    let place = kept();
    let identity = place.session();
    let reader = || place.objects().into_iter().find(|name| name.contains("-reader-"));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| place.run(&["work", "diff", &identity]).env("FAKE_READER", "hangs").done());
        until("the reader", || reader().is_some());
        let said = place.run(&["doctor"]).done().stdout;
        assert!(!said.contains("left on the engine"), "{said}");
        assert_eq!(place.run(&["cleanup", "--yes", "--older-than", "9d"]).done().stderr, "nothing to remove\n");
        assert_eq!(place.run(&["cleanup", "--yes", &identity]).done().status, 0);
        assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
        assert_eq!(waiting.join().unwrap().status, 125);
    });
}

#[test]
fn a_dry_cleanup_and_an_old_one() {
    let place = kept();
    aged(&place, 7200);
    let before = whole(&place);
    let identity = place.session();
    place.run(&["cleanup", "--dry-run"]).snap("cleanup-dry");
    place.run(&["cleanup", "--yes", "--older-than", "3h"]).stderr("nothing to remove\n").test();
    place.run(&["cleanup", "--older-than", "soon"]).snap("cleanup-age");
    place.run(&["cleanup", "--yes", "nobody-at-all"]).snap("cleanup-unknown");
    assert!(whole(&place) == before && place.objects().len() == 1);
    assert_eq!(place.run(&["cleanup", "--yes", "--older-than", "90m", &identity]).done().status, 0);
    assert_eq!(place.sessions(), [""; 0]);

    let place = Place::new(PLAIN);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "signal KILL").done().status, 137);
    let before = whole(&place);
    let done = place.run(&["cleanup", "--dry-run"]).done();
    assert!(done.stdout.contains("would be settled first"), "{done:?}");
    assert!(whole(&place) == before && place.objects().len() == 3);
    assert_eq!(place.run(&["cleanup", "--yes"]).done().status, 0);
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
}

/// Detached: it runs, and is nobody's to remove; it ended meanwhile, and is settled.
#[test]
fn a_detached_one_is_asked_about() {
    let place = Place::new(PLAIN);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let identity = place.session();
    place.run(&["cleanup", "--yes", &identity]).snap("cleanup-detached");
    assert_eq!(place.objects().len(), 3);
    place
        .run_other(&format!("{}/docker", crate::harness::FAKE), &["stop", &format!("claude-bottle-{identity}-agent")])
        .done();
    assert_eq!(place.run(&["cleanup", "--yes"]).done().status, 0);
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
}

/// A folder that no start of this version can have left before its plan is named, and stays with all that is in it.
#[test]
fn what_cannot_be_read_is_not_removed() {
    let place = Place::new(PLAIN);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "signal KILL").done().status, 137);
    let path = place.session_file("plan.json");
    let plan = text(&path);
    let later = plan.replacen("\"version\":", "\"version\": 9", 1);
    assert_ne!(later, plan);
    fs::create_dir_all(place.session_file("transcript")).unwrap();
    fs::write(place.session_file("transcript/one.jsonl"), "{}\n").unwrap();
    for unread in [&plan[..plan.len() / 2], "", &later] {
        fs::write(&path, unread).unwrap();
        let before = whole(&place);
        for words in [&["cleanup", "--yes"][..], &["cleanup", "--dry-run"], &["cleanup", "--yes", &place.session()]] {
            let done = place.run(words).done();
            assert!(done.status == 125 && done.stderr.contains("plan.json"), "{words:?} {done:?}");
            assert!(whole(&place) == before && place.objects().len() == 3, "{words:?} {done:?}");
        }
    }
    fs::remove_file(&path).unwrap();
    let before = whole(&place);
    assert_eq!(place.run(&["cleanup", "--yes"]).done().status, 125);
    assert!(whole(&place) == before, "a session without its plan has a transcript");
    fs::write(&path, &plan).unwrap();
    assert_eq!(place.run(&["cleanup", "--yes"]).done().status, 0);
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
}

#[test]
fn only_an_unused_folder_of_a_start_is_removed_unasked() {
    let place = Place::new(PLAIN);
    let state = "home/.claude-bottle/state";
    place.write(&format!("{state}/unused-aaaaa/lock"), "");
    place.write(&format!("{state}/unused-aaaaa/mark"), r#"{"mark":"live"}"#);
    place.write(&format!("{state}/notes/mine.txt"), "mine\n");
    place.write(&format!("{state}/notes/seccomp-mine"), "mine\n");
    place.write(&format!("{state}/seccomp/seccomp-mine"), "mine\n");
    place.write(&format!("{state}/README"), "mine\n");
    for _ in 0..2 {
        assert_eq!(place.run(&["cleanup", "--yes"]).done().status, 125);
        assert_eq!(place.sessions(), ["README", "notes", "seccomp"]);
        for file in ["README", "notes/mine.txt", "notes/seccomp-mine", "seccomp/seccomp-mine"] {
            assert_eq!(text(&place.path(&format!("{state}/{file}"))), "mine\n", "{file}");
        }
    }
}

/// A session may start while a slow engine lists what it has: it has its folder before it has an object.
#[test]
fn a_session_that_starts_meanwhile_is_no_stray() {
    for verb in ["ps", "volume"] {
        let place = Place::new(PLAIN);
        assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
        let (folder, aside) = (place.session_file(""), place.path("aside"));
        fs::rename(&folder, &aside).unwrap();
        let (from, to) = (aside.display(), folder.display());
        let script = format!(
            "#!/bin/sh\n[ \"$1\" != {verb} ] || [ ! -e {from} ] || mv {from} {to}\nexec {}/docker \"$@\"\n",
            crate::harness::FAKE
        );
        place.write("slow/docker", &script);
        fs::set_permissions(place.path("slow/docker"), fs::Permissions::from_mode(0o755)).unwrap();
        let slow = format!("{}:/usr/bin:/bin", place.path("slow").display());
        let done = place.run(&["cleanup", "--yes"]).env("PATH", slow).done();
        assert_eq!((done.status, done.stderr.as_str()), (0, "nothing to remove\n"), "{verb}");
        assert_eq!((place.objects().len(), place.sessions().len()), (3, 1), "{verb}");
    }
}
