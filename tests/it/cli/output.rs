//! How output looks: the manual in place of help, colour, errors as JSON, a pipe that is closed.

use crate::harness::{PLAIN, PROGRAM, Place};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

/// `help` becomes man where a person reads, and man has the page; a topic has nothing else.
#[test]
fn the_manual() {
    let place = Place::new(PLAIN);
    let has = |page: &str| format!("#!/bin/sh\n[ \"$1\" = -w ] || {{ echo man \"$@\"; exit; }}\n[ \"$3\" = {page} ]\n");
    let with_man = |page: &str, args: &[&str]| {
        place.write("bin/man", &has(page));
        std::fs::set_permissions(place.path("bin/man"), std::fs::Permissions::from_mode(0o755)).unwrap();
        place.run(&[&["help"], args].concat()).env("PATH", place.path("bin").display())
    };
    let shown = |page: &str, args: &[&str]| with_man(page, args).on_terminal().end();
    assert_eq!(shown("claude-bottle-work", &["work", "diff"]), (0, "man 1 claude-bottle-work\n".to_owned()));
    assert_eq!(shown("claude-bottle", &[]), (0, "man 1 claude-bottle\n".to_owned()));
    assert!(shown("another", &["work"]).1.starts_with("Review and copy back the agent's changes"));
    let help = place.run(&["work", "--help"]).done();
    assert_eq!(with_man("claude-bottle-work", &["work"]).done(), help, "without a terminal");
    for topic in ["security", "claude-bottle-security"] {
        let done = with_man("claude-bottle-security", &[topic]).done();
        assert_eq!((done.status, done.stdout.as_str()), (0, "man 7 claude-bottle-security\n"));
    }
}

#[test]
fn colour() {
    let place = Place::new(PLAIN);
    let red = "\u{1b}[1;31mclaude-bottle:\u{1b}[0m";
    let said = |flags: &[&str]| place.run(&[flags, &["info", "nobody-aaaaa"]].concat());
    assert!(!said(&[]).done().stderr.contains('\u{1b}'));
    assert!(said(&["--color", "always"]).env("NO_COLOR", 1).done().stderr.starts_with(red));
    let on_terminal = |flags: &[&str], no_color: &str| said(flags).env("NO_COLOR", no_color).on_terminal().end().1;
    assert!(on_terminal(&[], "").starts_with(red));
    assert!(!on_terminal(&[], "1").contains('\u{1b}'));
    assert!(!on_terminal(&["--color=never"], "").contains('\u{1b}'));
    // Also where the words themselves are wrong.
    let wrong = |when: &str| place.run(&["strat", "--color", when]).done().stderr;
    assert!(wrong("always").starts_with(red) && !wrong("never").contains('\u{1b}'));
    assert!(!place.run(&["--color", "always", "--help"]).done().stdout.contains('\u{1b}'));
}

/// One object a line on stderr, nothing on stdout.
#[test]
fn errors_as_json() {
    let place = Place::new(PLAIN);
    let told = |args: &[&str]| -> Value {
        let done = place.run(args).env("FAKE_SAYS", "Error response from daemon: no \u{202e}room").done();
        let object: Value = serde_json::from_str(&done.stderr).unwrap_or_else(|e| panic!("{e}: {done:?}"));
        assert_eq!((Some(i64::from(done.status)), done.stdout.as_str()), (object["exit"].as_i64(), ""));
        assert!(!done.stderr.contains('\u{202e}'));
        object
    };
    let wanted = |error: &str, hint: &str, kind: &str, exit: u8| json!({ "error": error, "hint": hint, "kind": kind, "exit": exit });
    assert_eq!(
        told(&["start", "--dry-run", "--format", "json", "plian"]),
        wanted("no agent `plian`: known are `plain`", "did you mean `plain`?", "refused", 2)
    );
    assert_eq!(told(&["list", "--format=json", "--al"])["error"], "unexpected argument `--al`");
    assert_eq!(told(&["lst", "--format", "json"]), wanted("no command `lst`", "did you mean `list`?", "refused", 2));
    let engine = told(&["start", "--yes", "--format", "json", "-q", "plain"]);
    assert_eq!(
        engine,
        json!({ "error": "`docker info`: no \u{202e}room", "hint": null, "kind": "engine", "exit": 125 })
    );
    // What follows `--` is the agent's.
    let done = place.run(&["start", "plian", "--", "--format", "json"]).done();
    assert!(done.stderr.starts_with("claude-bottle: no agent `plian`"), "{done:?}");
}

/// A reader that has seen enough is no error.
#[test]
fn a_broken_pipe_is_quiet() {
    let place = Place::new(PLAIN);
    let script = format!("{{ {PROGRAM} start --dry-run plain; echo $? >&2; }} | true");
    place.run_other("/bin/sh", &["-c", &script]).stderr("0\n").test();
}

/// A terminal begins a new line in the middle of many blanks, and what follows would look like one of ours.
#[test]
fn a_name_with_many_blanks_forges_no_row() {
    let place = Place::new(PLAIN);
    let folder = format!("a{}hint: forged", " ".repeat(200));
    let manifest = format!("work/{folder}/claude-bottle.json");
    std::fs::create_dir_all(place.path(&format!("work/{folder}/x.git/objects"))).unwrap();
    place.write(&format!("work/{folder}/x.git/HEAD"), "");
    std::fs::create_dir(place.path(&format!("work/{folder}/x.git/refs"))).unwrap();
    let there = |text: &str, below: &str, args: &[&str]| {
        place.write(&manifest, text);
        let script = format!("cd a*/{below} && exec \"$0\" \"$@\"");
        let done = place.run_other("/bin/sh", &[&["-c", &script, PROGRAM], args].concat()).done();
        let said = done.stdout + &done.stderr;
        assert!(said.contains("hint: forged") && !said.contains("  hint: forged"), "{args:?}: {said}");
    };
    let plain = r#"{ "agents": { "here": { "bottle": "box" } } }"#;
    let hides = r#"{ "agents": { "plain": { "bottle": "box" } } }"#;
    for args in [
        &["start", "--dry-run", "here"][..],
        &["start", "--dry-run", "--cwd", "plain"],
        &["edit", "here"],
        &["info", "here"],
    ] {
        there(plain, "", args);
    }
    there(&plain.replace("box", &format!("a{}hint: forged", " ".repeat(30))), "", &["names", "agents"]);
    there(hides, "", &["start", "--dry-run", "plain"]);
    there(hides, "x.git", &["start", "--dry-run", "--cwd", "plain"]);
    there("{", "", &["start", "--dry-run", "plain"]);
    there(&plain.replace("box", &folder), "", &["start", "--dry-run", "here"]);
}
