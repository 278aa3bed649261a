//! `dashboard` on a terminal: what it draws, what its keys do, and the terminal after it.

use crate::harness::{FAKE, PLAIN, Place, WAIT_TIMEOUT, kept, text};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Instant;

fn line(event: &serde_json::Value) -> String {
    let mut line = json!({ "seq": 1, "time": "2026-01-01T00:00:00.000Z" });
    line.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
    line.to_string() + "\n"
}

fn proposal(path: &str, reason: &str) -> String {
    let change = json!({ "kind": "egress", "host": "api.example.org", "port": 443, "method": "GET", "path": path });
    line(&json!({ "event": "proposal", "change": change, "reason": reason }))
}

fn refusal(path: &str) -> String {
    line(&json!({ "event": "request", "host": "static.example.org", "port": 443, "method": "GET", "path": path,
        "verdict": "deny", "denial": "host", "reason": "no", "sent": 0, "received": 0, "ms": 0 }))
}

fn place() -> Place {
    let place = kept();
    fs::write(place.session_file("audit.jsonl"), proposal("/x", "please") + &refusal("/y")).unwrap();
    place
}

fn add(place: &Place, lines: &str) {
    let mut file = OpenOptions::new().append(true).open(place.session_file("audit.jsonl")).unwrap();
    file.write_all(lines.as_bytes()).unwrap();
}

const LEFT: &str = "\x1b[?1049l";

#[test]
fn printed_once() {
    let place = place();
    let before = place.whole_home();
    let printed = place.run(&["dashboard", "--once"]).done();
    let [title, row, "", asked, refused] = printed.stdout.lines().collect::<Vec<_>>()[..] else {
        panic!("{printed:?}")
    };
    assert!(
        title.starts_with("IDENTITY") && row.contains("kept") && row.ends_with("the agent ended with 7"),
        "{printed:?}"
    );
    assert!(asked.starts_with("asks") && asked.ends_with("GET api.example.org/x: please"), "{asked}");
    assert!(refused.starts_with("1x") && refused.ends_with("GET static.example.org/y: no"), "{refused}");
    let json = place.run(&["dashboard", "--format", "json"]).done();
    assert!(json.stdout.contains(r#""asked": "proposed""#), "{json:?}");
    assert_eq!(place.calls(), [[""; 0]; 0], "the trail is on disk");
    assert_eq!(place.whole_home(), before);
}

/// What is shown is what is approved; the trail tells what comes, and the terminal is restored at the end.
#[test]
fn an_approval_from_the_screen() {
    let place = place();
    let mut terminal = place.run(&["dashboard"]).env("TERM", "xterm").on_terminal();
    terminal.until("1 proposal");
    add(&place, &proposal("/later", "and this"));
    terminal.until("/later");
    // A paste is no key.
    terminal.types("\x1b[200~ayq\x1b[201~a");
    terminal.until("y does it");
    terminal.types("y");
    terminal.until("approved");
    let routes = text(&place.session_file("egress/routes.json"));
    assert!(routes.contains(r#""/x""#) && !routes.contains("/later"), "{routes}");
    terminal.types("q");
    let (status, seen) = terminal.end();
    assert!(status == 0 && seen.contains(LEFT) && seen.contains("\x1b[?25h"), "{seen:?}");
}

#[test]
fn a_signal_restores_the_terminal() {
    let place = place();
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGINT, 130)] {
        let mut terminal = place.run(&["dashboard"]).env("TERM", "xterm").on_terminal();
        terminal.until("1 proposal");
        kill(Pid::from_raw(terminal.pid()), signal).unwrap();
        let (status, seen) = terminal.end();
        assert!(status == code && seen.contains(LEFT), "{signal}: {status} {seen:?}");
    }
}

/// Ctrl-Z gives the shell its screen back, and `fg` the dashboard.
#[test]
fn stopped_and_continued() {
    let place = place();
    let mut terminal = place.run(&["dashboard"]).env("TERM", "xterm").on_terminal();
    terminal.until("1 proposal");
    terminal.types("\x1a");
    let stat = format!("/proc/{}/stat", terminal.pid());
    let deadline = Instant::now() + WAIT_TIMEOUT;
    while !fs::read_to_string(&stat).unwrap().contains(") T ") {
        assert!(Instant::now() < deadline, "it does not stop");
        std::thread::yield_now();
    }
    terminal.until(LEFT);
    terminal.seen.clear();
    kill(Pid::from_raw(terminal.pid()), Signal::SIGCONT).unwrap();
    terminal.until("1 proposal");
    terminal.types("q");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn a_dumb_terminal_gets_lines() {
    let place = place();
    let mut terminal = place.run(&["dashboard"]).env("TERM", "dumb").on_terminal();
    terminal.until("api.example.org/x");
    add(&place, &proposal("/later", "and\u{1b}[2J this"));
    terminal.until("/later: and\\u{1b}[2J this");
    assert!(!terminal.seen.contains('\x1b'), "{:?}", terminal.seen);
    kill(Pid::from_raw(terminal.pid()), Signal::SIGTERM).unwrap();
    assert_eq!(terminal.end().0, 143);
}

/// The trail of a session without a terminal is the engine's log: it is asked for that, and for nothing else.
#[test]
fn the_engine_is_asked_for_the_logs_of_the_detached_alone() {
    let place = Place::new(PLAIN);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let gate = format!("claude-bottle-{}-gate", place.session());
    fs::write(place.session_file("audit.jsonl"), "").unwrap();
    place.forget_calls();
    // Printed once, it has all that the engine's log has.
    let json = place.run(&["dashboard", "--format", "json"]).done().stdout;
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&rows[0]["state"], &rows[0]["totals"]["requests"]), (&"detached".into(), &1.into()), "{json}");
    let mut terminal = place.run(&["dashboard"]).env("TERM", "xterm").on_terminal();
    terminal.until("detached");
    terminal.types("q");
    assert_eq!(terminal.end().0, 0);
    let asked: Vec<Vec<String>> = place.calls();
    assert!(
        asked.iter().all(|call| call.first().is_some_and(|verb| verb == "logs") && call.last() == Some(&gate)),
        "{asked:?}"
    );
    assert_eq!(place.run_other(&format!("{FAKE}/docker"), &["rm", "-f", "-v", &gate]).done().status, 0);
}
