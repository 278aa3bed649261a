//! `dashboard` and the terminal it is drawn on: a VT parser has the screen that a person has, whatever a bottle put into the
//! texts and whatever happens to the window.

use super::dashboard::{add, line, place, proposal};
use crate::harness::{PROGRAM, Place, Screen, Terminal, text};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Nothing was written that a dashboard has no use for.
fn assert_calm(screen: &Screen) {
    assert_eq!(screen.unknown(), [""; 0], "{}", screen.text());
    assert!(screen.commands().is_empty() && screen.bells() == 0, "{:?}", screen.commands());
    assert!(screen.is_alternate() && !screen.has_cursor());
}

#[test]
fn drawn_anew_at_every_size() {
    let place = place();
    add(&place, &proposal("/wide", "日本語 cafe\u{301} for everyone"));
    let mut terminal = place.run(&["dashboard"]).env("TERM", "xterm").on_terminal();
    terminal.until_shown("2 proposals");
    let usual = |terminal: &mut Terminal| {
        terminal.until_shown("日本語 cafe\u{301} for");
        let text = terminal.screen.text();
        assert!(text.contains("TOKENS") && !text.contains("SENT") && text.contains("GET api.example.org/x"), "{text}");
        assert_calm(&terminal.screen);
    };
    usual(&mut terminal);
    terminal.resize(200, 60);
    terminal.until_shown("RECEIVED  WORK");
    terminal.until_shown("日本語 cafe\u{301} for everyone");
    assert_calm(&terminal.screen);
    assert_eq!(terminal.screen.text().matches('?').count(), 1, "drawn whole: only the key for help");
    terminal.resize(40, 10);
    terminal.until_shown("> asks");
    assert_calm(&terminal.screen);
    // One list at a time.
    assert!(!terminal.screen.text().contains("IDENTITY"), "{}", terminal.screen.text());
    terminal.types("\t");
    terminal.until_shown("IDENTITY");
    terminal.types("\ta");
    terminal.until_shown("j shows the rest");
    terminal.types("y");
    for _ in 0..20 {
        terminal.types("j");
    }
    terminal.until_shown("y does it");
    terminal.types("y");
    terminal.until_shown("1 proposal\n");
    terminal.resize(80, 24);
    usual_without(&mut terminal);
    terminal.types("q");
    let (status, seen) = terminal.end();
    assert_eq!(status, 0, "{seen}");
    assert!(text(&place.session_file("egress/routes.json")).contains(r#""/x""#));
}

/// What was approved is gone.
fn usual_without(terminal: &mut Terminal) {
    terminal.until_shown("TOKENS");
    terminal.until_shown("/wide");
    assert!(!terminal.screen.text().contains("api.example.org/x "), "{}", terminal.screen.text());
    assert_calm(&terminal.screen);
}

#[test]
fn colours_are_the_sixteen_or_none() {
    let place = place();
    let colours = |name: &str, value: &str| {
        let run = place.run(&["dashboard"]).env("TERM", "xterm-256color").env(name, value);
        let mut terminal = run.on_terminal();
        terminal.until_shown("1 proposal");
        let colours = terminal.screen.colours().to_vec();
        terminal.types("q");
        assert_eq!(terminal.end().0, 0);
        colours
    };
    assert_eq!(colours("NO_COLOR", "1"), [0; 0]);
    let some = colours("COLORTERM", "truecolor");
    assert!(!some.is_empty() && some.iter().all(|colour| (30..38).contains(colour)), "{some:?}");
}

/// An agent's words, a host, a path, a remote, a ref, a file's name and what a server is said to have answered, each with
/// what would clear the screen, name the window, ring, write over the line, or turn the text round.
#[test]
fn no_text_of_a_bottle_acts_on_the_terminal() {
    let attack = "\u{1b}[2J\u{1b}[H\u{1b}]0;owned\u{7}\u{1b}]52;c;b3duZWQ=\u{7}\u{9b}31m\u{1b}P1$r\u{1b}\\\r\u{8}\u{202e}\u{2066}owned\u{7}\n> y";
    let place = place();
    let identity = place.session();
    let change = json!({ "kind": "packages", "apt": [attack] });
    let egress = json!({ "kind": "egress", "host": "a.example.org", "port": 443, "method": "GET", "path": format!("/{attack}") });
    let git = json!({ "kind": "git", "remote": attack, "commits": [attack] });
    let mut lines = proposal("/plain", attack);
    for change in [change, egress, git] {
        lines += &line(&json!({ "event": "proposal", "change": change, "reason": attack }));
    }
    lines += &line(
        &json!({ "event": "request", "host": "b.example.org", "port": 443, "method": "GET", "path": "/plain",
        "verdict": "deny", "denial": "host", "reason": attack, "rule": attack, "finding": attack, "sent": 0, "received": 0, "ms": 0 }),
    );
    lines += &line(&json!({ "event": "request", "host": attack, "port": 443, "method": attack, "path": attack,
        "verdict": "deny", "denial": "host", "reason": attack, "sent": 0, "received": 0, "ms": 0 }));
    lines += &line(
        &json!({ "event": "alarm", "host": attack, "port": 443, "path": attack, "finding": attack, "done": "blocked" }),
    );
    lines += &line(
        &json!({ "event": "git", "remote": attack, "operation": "push", "verdict": "deny", "reason": attack,
        "refs": [{ "name": attack, "old": attack, "new": attack }], "found_commits": [attack], "sent": 0, "received": 0, "ms": 0 }),
    );
    lines += &line(&json!({ "event": "work", "complete": true, "files": 1,
        "repositories": [{ "path": attack, "commits": 1, "stashes": 0, "files": 1 }] }));
    lines += &line(&json!({ "event": "failed", "reason": attack }));
    add(&place, &lines);
    let acts = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}')
    };
    for (verb, is_told) in [
        (vec!["dashboard", "--once"], true),
        (vec!["proposals"], true),
        (vec!["proposals", "--format", "json"], true),
        (vec!["logs", &identity], true),
        (vec!["suggest", &identity], false),
    ] {
        let done = place.run(&verb).done();
        assert_eq!(done.status, 0, "{verb:?}: {done:?}");
        let said = done.stdout + &done.stderr;
        assert_eq!(said.chars().find(|c| acts(*c)), None, "{verb:?}: {said:?}");
        assert_eq!(said.contains("owned"), is_told, "{verb:?}: {said:?}");
    }
    for (columns, rows) in [(80, 24), (200, 60), (40, 10)] {
        let mut terminal = place.run(&["dashboard"]).env("TERM", "xterm").on_terminal();
        terminal.resize(columns, rows);
        terminal.until_shown(" claude-bottle   1 bottle");
        for _ in 0..7 {
            // What there is of each ask, and back.
            terminal.types("\r");
            terminal.until_shown("a approve  o once  r reject  w wid");
            terminal.types("G");
            terminal.types("q");
            terminal.until_shown("? help  q quit  a approve");
            assert_calm(&terminal.screen);
            assert_eq!(terminal.screen.text().chars().find(|c| acts(*c)), None, "{}", terminal.screen.text());
            terminal.types("j");
        }
        terminal.types("q");
        assert_eq!(terminal.end().0, 0);
    }
}

fn give_back(terminal: &mut Terminal) {
    terminal.until_screen("the shell's screen", |screen| !screen.is_alternate() && screen.has_cursor());
}

/// Ctrl-Z gives the shell its screen back, and `fg` the dashboard's, in a window of another size as well.
#[test]
fn stopped_and_continued_in_another_window() {
    let place = place();
    let mut terminal = place.run(&["dashboard"]).env("TERM", "xterm").on_terminal();
    terminal.until_shown("1 proposal");
    for [columns, rows] in [[80, 24], [200, 60]] {
        terminal.types("\x1a");
        terminal.until_stopped();
        give_back(&mut terminal);
        terminal.resize(columns, rows);
        kill(Pid::from_raw(terminal.pid()), Signal::SIGCONT).unwrap();
        terminal.until_screen("the dashboard", |screen| screen.is_alternate() && screen.text().contains("1 proposal"));
        terminal.until_shown("> asks");
    }
    terminal.types("q");
    assert_eq!(terminal.end().0, 0);
}

/// An editor that dies, and one that takes the verb that it was opened by with it, leave the dashboard as it was.
#[test]
fn a_killed_editor_gives_the_screen_back() {
    let place = place();
    for (victim, words) in [("$$", "nothing was changed"), ("$PPID", "was killed")] {
        place.write(
            "editor",
            &format!("#!/bin/sh\nprintf '\\033[?1049h\\033[?1000h'\nstty raw -echo\nkill -s KILL {victim}\n"),
        );
        fs::set_permissions(place.path("editor"), PermissionsExt::from_mode(0o755)).unwrap();
        let run = place.run(&["dashboard"]).env("TERM", "xterm").env("VISUAL", place.path("editor").display());
        let mut terminal = run.env("PATH", format!("{}:/usr/bin:/bin", crate::harness::FAKE)).on_terminal();
        terminal.until_shown("1 proposal");
        terminal.types("e");
        terminal.until("[enter] goes back to the dashboard");
        terminal.types("\r\n");
        terminal.until_screen("the dashboard", |screen| {
            screen.is_alternate()
                && screen.text().contains("> asks")
                && screen.text().contains("`claude-bottle approve")
        });
        let text = terminal.screen.text();
        assert!(terminal.seen.contains(words) || text.contains(words), "{words}: {}\n{text}", terminal.seen);
        terminal.types("q");
        give_back(&mut terminal);
        assert_eq!(terminal.end().0, 0);
    }
    assert!(!place.session_file("egress/routes.json").exists());
}

/// Without a terminal it is lines, and ends with the reader of its pipe.
#[test]
fn a_pipe_gets_lines() {
    let place = place();
    let shell = format!("{PROGRAM} dashboard | /usr/bin/head -n 4");
    let done = place.run_other("/bin/sh", &["-c", &shell]).done();
    assert!(done.status == 0 && done.stderr.is_empty(), "{done:?}");
    assert!(done.stdout.lines().count() == 4 && !done.stdout.contains('\u{1b}'), "{done:?}");
    assert!(done.stdout.starts_with("IDENTITY") && done.stdout.contains("GET api.example.org/x: please"), "{done:?}");
}

/// A proposal that comes while the dashboard is open, told as the user has chosen, once, without a word of the agent's.
#[test]
fn a_new_proposal_rings() {
    let place: Place = place();
    let identity = place.session();
    let change = json!({ "kind": "egress", "host": "new.example.org", "port": 443, "method": "GET", "path": "/z" });
    for (means, bells, command) in [
        ("bell", 1, None),
        ("osc9", 0, Some(format!("9;claude-bottle: {identity} asks (egress "))),
        ("osc777", 0, Some(format!("777;notify;claude-bottle;{identity} asks (egress "))),
        ("true", 0, None),
    ] {
        let trail = proposal("/x", "please");
        fs::write(place.session_file("audit.jsonl"), &trail).unwrap();
        let run = place.run(&["dashboard"]).env("TERM", "xterm").env("CLAUDE_BOTTLE_NOTIFY", means);
        let mut terminal = run.on_terminal();
        terminal.until_shown("1 proposal");
        assert!(terminal.screen.bells() == 0 && terminal.screen.commands().is_empty(), "what is old is no news");
        let event = json!({ "seq": 9, "time": "2100-01-01T00:00:00.000Z", "event": "proposal", "change": change, "reason": "ring\u{7}" });
        add(&place, &format!("{event}\n{event}\n"));
        terminal.until_shown("2 proposals");
        let told = terminal.screen.commands();
        assert_eq!((terminal.screen.bells(), told.len()), (bells, usize::from(command.is_some())), "{means}: {told:?}");
        assert!(command.is_none_or(|words| told[0].starts_with(&words)), "{told:?}");
        assert!(told.iter().all(|words| !words.contains("ring") && !words.contains("new.example")), "{told:?}");
        terminal.types("q");
        assert_eq!(terminal.end().0, 0);
    }
}
