//! The terminal belongs to the agent while it runs, and is left as a shell wants it.

use super::{HELLO, start};
use crate::harness::{PLAIN, Place};

/// The terminal is left as a shell wants it, however the agent ended.
#[test]
fn the_terminal_is_reset() {
    let ends = [
        (vec![], 0),
        (vec![("FAKE_CODE", "7")], 7),
        (vec![("FAKE_AGENT", "oom")], 137),
        (vec![("FAKE_AGENT", "detaches")], 0),
        (vec![("FAKE_AGENT", "signal TERM")], 143),
        (vec![("FAKE_AGENT", "engine gone")], 125),
        (vec![("FAKE_AGENT", "stays"), ("FAKE_GATE", "dies")], 125),
    ];
    for (end, code) in ends {
        let place = Place::new(PLAIN);
        let mut run = place.run(&["start", "--yes", "plain"]);
        for (name, value) in &end {
            run = run.env(name, value);
        }
        let (status, seen) = run.on_terminal().end();
        assert_eq!(status, code, "{end:?}: {seen}");
        let after = seen.split("hello from the agent").nth(1).unwrap();
        for reset in ["\x1b7\x1b[?1049l", "\x1b[?1000l", "\x1b[?2004l", "\x1b[<99u", "\x1b[?25h", "\x1b[0m"] {
            assert!(after.contains(reset), "{end:?}: {reset:?} in {after:?}");
        }
        // What was said before would be gone with a full-screen program's screen.
        let left = after.find("\x1b[?1049l").unwrap();
        for words in ["kept `", "hint: ", "detached from"] {
            assert!(after.find(words).is_none_or(|said| said > left), "{end:?}: `{words}` too early in {after:?}");
        }
    }
}

/// A terminal's signals reach the foreground group: of all children of the engine's program only the agent's is in it.
#[test]
fn only_the_terminals_child_hears_the_terminal() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_CODE", 7).done().status, 7);
    for (call, own) in place.calls().iter().zip(place.own_groups()) {
        let terminals = call[0] == "start" && call.last().unwrap().ends_with("-agent");
        assert_eq!(own, !terminals, "{call:?}");
    }
}

#[test]
fn without_a_terminal_the_agent_gets_the_pipes() {
    let place = Place::new(PLAIN);
    let done = start(&place).env("FAKE_AGENT", "echoes").stdin("to the agent").done();
    assert_eq!((done.status, done.stdout), (0, format!("{HELLO}to the agent")));
}
