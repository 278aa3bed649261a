//! The terminal belongs to the agent while it runs, and is left as a shell wants it.

use super::{HELLO, nothing, start};
use crate::harness::{PLAIN, Place};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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
        for reset in ["\x1b7\x1b[?1049h\x1b[?1049l", "\x1b[?1000l", "\x1b[?2004l", "\x1b[<99u", "\x1b[?25h", "\x1b[0m"]
        {
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

/// As terminals send `ctrl-]` and `d`, with every protocol that a program may have switched on.
#[test]
fn detach_keys_of_every_protocol_detach() {
    for keys in ["\x1dd", "\x1b[93;5ud", "\x1b[27;5;93~d", "\x1b[53;5u\x1b[53;5:3u\x1b[100;1:1u"] {
        let place = Place::new(PLAIN);
        let mut terminal = start(&place).env("FAKE_AGENT", "stays").on_terminal();
        terminal.until(HELLO.trim());
        terminal.types(keys);
        let (status, seen) = terminal.end();
        assert_eq!((status, place.mark()["mark"].as_str()), (0, Some("detached")), "{keys:?}: {seen}");
        let identity = place.session();
        for words in ["(interactive; ctrl-],d or ctrl-5,d detaches)", &format!("detached from `{identity}`")] {
            assert!(seen.contains(words), "{words}: {seen}");
        }
        let mut terminal = place.run(&["attach", &identity]).on_terminal();
        terminal.types("\x1d\x1d");
        terminal.types(keys);
        assert_eq!((terminal.end().0, place.mark()["mark"].as_str()), (0, Some("detached")), "{keys:?}");
    }
}

/// The keys may come before the engine has started the agent: then the terminal is detached as soon as it runs.
#[test]
fn keys_that_are_typed_ahead_detach_once_the_agent_runs() {
    let place = Place::new(PLAIN);
    let mut terminal = place.run(&["start", "plain"]).env("FAKE_AGENT", "stays").on_terminal();
    terminal.until("launch this agent? [y/N] ");
    terminal.types("y\n\x1dd");
    let (status, seen) = terminal.end();
    assert_eq!((status, place.mark()["mark"].as_str()), (0, Some("detached")), "{seen}");
}

/// Everything else arrives: what is pasted, however large, a key that begins as the detach keys do, and what a terminal
/// answers.
#[test]
fn what_is_typed_arrives_byte_for_byte() {
    let place = Place::new(PLAIN);
    let mut terminal = start(&place).env("FAKE_AGENT", "echoes").on_terminal();
    terminal.until(HELLO.trim());
    let paste = format!("\x1b[200~\x1dd{}\x1b[201~", "0123456789abcdef".repeat(1 << 16));
    let typed = format!("\x1d\x1d\x1dx\x1b[?62;22c\x1b]11;rgb:dddd/dddd/dddd\x1b\\{paste}");
    std::thread::scope(|scope| {
        let mut typist = terminal.typist();
        let typed = &typed;
        scope.spawn(move || typist(typed));
        terminal.until(&format!("{HELLO}{typed}"));
    });
    terminal.types("\x1dd");
    assert_eq!(terminal.end().0, 0);
}

/// Until the client has taken the terminal, Ctrl-C is what it always is.
#[test]
fn an_engine_that_does_not_answer_can_be_interrupted() {
    for (key, code) in [("\x03", 130), ("\x1c", 131)] {
        let place = Place::new(PLAIN);
        let mut terminal = start(&place).env("FAKE_AGENT", "stays").on_terminal();
        terminal.until(HELLO.trim());
        terminal.types(key);
        assert_eq!(terminal.end().0, code);
    }
}

/// Nobody passes on keys any more, and nobody reads them for the agent beside the shell.
#[test]
fn the_client_dies_with_the_process_that_passes_keys_on() {
    let place = Place::new(PLAIN);
    let mut terminal = start(&place).env("FAKE_AGENT", "stays").on_terminal();
    terminal.until(HELLO.trim());
    kill(Pid::from_raw(terminal.pid()), Signal::SIGKILL).unwrap();
    // The client has the terminal open as well.
    terminal.end_of_output();
    let identity = place.session();
    assert!(place.run(&["list"]).done().stdout.contains("lost"));
    place.run(&["cleanup", "--yes", &identity]).done();
    nothing(&place);
}
