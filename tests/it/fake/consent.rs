//! What is asked before a session starts: which agent, whether to launch it, and values that are typed unseen.

use super::{nothing, only_the_volume, transcript};
use crate::harness::{PLAIN, Place, kept, text};
use std::fs::{self};

#[test]
fn no_at_the_question_leaves_nothing() {
    for answer in ["n\n", "\n", "\u{4}", "maybe\n"] {
        let place = Place::new(PLAIN);
        let mut terminal = place.run(&["start", "plain"]).on_terminal();
        terminal.until("launch this agent? [y/N] ");
        terminal.types(answer);
        let (status, seen) = terminal.end();
        assert_eq!(status, 0, "{seen}");
        nothing(&place);
        assert!(!seen.contains("hello"), "{seen}");
        assert!(place.calls().iter().any(|call| call[0] == "create"), "it was prepared meanwhile");
        let documents = fs::read_dir(place.engine("documents")).unwrap();
        for document in documents {
            assert_eq!(text(&document.unwrap().path()), "", "the gate was told nothing");
        }
    }
}

#[test]
fn no_at_a_resume_keeps_what_was_kept() {
    let place = kept();
    let (identity, before) = (place.session(), place.mark());
    let mut terminal = place.run(&["resume", &identity]).on_terminal();
    terminal.until("launch this agent? [y/N] ");
    terminal.types("n\n");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(place.mark(), before);
    only_the_volume(&place);
    transcript(&place);
}

#[test]
fn yes_at_the_question_launches() {
    for answer in ["y\n", "YES\n"] {
        let place = Place::new(PLAIN);
        let mut terminal = place.run(&["start", "plain"]).on_terminal();
        terminal.until("launch this agent? [y/N] ");
        terminal.types(answer);
        let (status, seen) = terminal.end();
        assert!(status == 0 && seen.contains("hello from the agent"), "{status} {seen}");
        assert!(place.calls().iter().any(|call| call[..2] == ["create", "-it"]), "a terminal for the agent");
        nothing(&place);
    }
}

/// Ctrl-C, and a window that is closed.
#[test]
fn a_signal_at_the_question_leaves_nothing() {
    let place = Place::new(PLAIN);
    let mut terminal = place.run(&["start", "plain"]).on_terminal();
    terminal.until("launch this agent? [y/N] ");
    terminal.types("\u{3}");
    assert_eq!(terminal.end().0, 130);
    nothing(&place);
    let place = Place::new(PLAIN);
    let mut terminal = place.run(&["start", "plain"]).on_terminal();
    terminal.until("launch this agent? [y/N] ");
    terminal.hang_up();
    let (status, seen) = terminal.end();
    assert!(status == 129 || status == 0, "{status} {seen}");
    nothing(&place);
}

/// What is asked is typed unseen, goes into the gate's document, and is nowhere else.
#[test]
fn an_asked_value_reaches_the_gate_and_nothing_else() {
    const PIN: &str = "typed-9d3f7a1c5e";
    let place = Place::new(
        r#"{ "bottles": { "box": { "env": { "PIN": "?PIN of the demo" } } }, "agents": { "plain": { "bottle": "box" } } }"#,
    );
    let mut terminal = place.run(&["start", "plain"]).env("FAKE_CODE", 7).on_terminal();
    terminal.until("PIN (asked)");
    terminal.until("launch this agent? [y/N] ");
    terminal.types("y\n");
    terminal.until("PIN of the demo: ");
    terminal.types(&format!("{PIN}\n"));
    let (status, seen) = terminal.end();
    assert_eq!(status, 7, "{seen}");
    let documents: Vec<_> =
        fs::read_dir(place.engine("documents")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let document: wire::Document = serde_json::from_str(&text(&documents[0])).unwrap();
    assert_eq!(document.values["env:PIN"].0, PIN.as_bytes());
    let home: Vec<u8> = place.whole_home().into_iter().flat_map(|(_, _, bytes)| bytes).collect();
    for shown in [&seen, &format!("{:?}", place.calls()), &String::from_utf8_lossy(&home).into_owned()] {
        for secret in [PIN, &wire::encode_base64(PIN.as_bytes())] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    // The home remembers the question, and asks again.
    let identity = place.session();
    let mut terminal = place.run(&["resume", "--yes", &identity]).on_terminal();
    terminal.until("PIN of the demo: ");
    // Who does not answer starts nothing, and loses nothing.
    terminal.types("\n");
    let (status, seen) = terminal.end();
    assert!(status == 2 && seen.contains("no answer to `PIN of the demo`"), "{status} {seen}");
    only_the_volume(&place);
    let mut terminal = place.run(&["resume", "--yes", &identity]).on_terminal();
    terminal.until("PIN of the demo: ");
    terminal.types("\u{3}");
    assert_eq!(terminal.end().0, 130);
    only_the_volume(&place);
}

/// What can be sent stands out, where there is colour.
#[test]
fn labels_of_a_plan_are_painted() {
    let place = Place::new(PLAIN);
    let painted = place.run(&["start", "--yes", "--color", "always", "plain"]).done().stderr;
    assert!(painted.starts_with("\x1b[2magent\x1b[0m    plain "), "{painted:?}");
    let plain = place.run(&["start", "--yes", "plain"]).done().stderr;
    assert!(!plain.contains('\x1b'), "{plain:?}");
    let bare = painted.replace("\x1b[2m", "").replace("\x1b[1m", "").replace("\x1b[0m", "");
    assert_eq!(place.steady(&bare), place.steady(&plain));
}

const TWO: &str = r#"{ "bottles": { "box": {}, "dev": {} }, "agents": {
  "plain": { "bottle": "box" },
  "fixer": { "bottle": "dev", "prompt": "\n You fix what is broken, and write a test first, and then a second one.\n And more." },
  "broken": { "bottle": "bix" } } }"#;

/// Without a name the agents are offered: by number or name, and nothing is started without a word.
#[test]
fn start_offers_its_agents() {
    let place = Place::new(TWO);
    place.write(
        "work/claude-bottle.json",
        r#"{ "agents": { "other": { "bottle": "box", "prompt": "Look.\u001b[2J" } } }"#,
    );
    let chosen = |typed: &[&str]| {
        let mut terminal = place.run(&["start", "--dry-run"]).env("NO_COLOR", 1).on_terminal();
        for words in typed {
            terminal.until("which agent? [1-4 or a name] ");
            terminal.types(words);
        }
        terminal.end()
    };
    let (status, seen) = chosen(&["3\n"]);
    assert!(status == 0 && seen.contains("agent    other ("), "{status} {seen}");
    let menu: Vec<&str> = seen.lines().take(4).collect();
    assert_eq!(menu[1], "  2  fixer   dev  You fix what is broken, and write a test first, …");
    assert_eq!(menu[2], "  3  other   box  (of this directory) Look.\\u{1b}[2J");
    assert_eq!(menu[3], "  4  plain   box");
    assert!(menu[0].starts_with("  1  broken  ?") && menu[0].contains("no bottle `bix`"), "{}", menu[0]);
    let (status, seen) = chosen(&["\n", "5\n", "plian\n", "plain\n"]);
    assert!(
        status == 0 && seen.contains("agent    plain (") && seen.contains("hint: did you mean `plain`?"),
        "{status} {seen}"
    );
    assert_eq!(chosen(&["broken\n"]).0, 2);
    for (typed, code) in [("\u{3}", 130), ("\u{4}", 0)] {
        assert_eq!(chosen(&[typed]).0, code);
    }
    assert_eq!((place.calls(), place.sessions()), (Vec::new(), Vec::new()));
    place.run(&["start"]).snap("start-no-agent");
}

/// The only one is not started without a word, either; Ctrl-C is heard at the second question, too.
#[test]
fn the_only_agent_is_taken_by_enter() {
    let place = Place::new(PLAIN);
    let begin = || {
        let mut terminal = place.run(&["start"]).on_terminal();
        terminal.until("which agent? [1 or a name, Enter takes 1] ");
        terminal.types("\n");
        terminal.until("launch this agent? [y/N] ");
        terminal
    };
    let mut terminal = begin();
    terminal.types("\u{3}");
    assert_eq!(terminal.end().0, 130);
    let mut terminal = begin();
    terminal.types("y\n");
    let (status, seen) = terminal.end();
    assert!(status == 0 && seen.contains("hello from the agent"), "{status} {seen}");
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
    let place = Place::new(r#"{ "agents": {} }"#);
    place.run(&["start"]).snap("start-none");
    // An agent that cannot be used is not none.
    let place = Place::new(r#"{ "agents": { "Bad Name": { "bottle": "b" } } }"#);
    let done = place.run(&["start"]).done();
    assert!(done.status == 2 && done.stderr.contains("`Bad Name`"), "{done:?}");
}
