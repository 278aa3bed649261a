//! `dashboard` on a terminal: what it draws, what its keys do, and the terminal after it.

use crate::harness::{FAKE, PLAIN, Place, kept, text};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::Write;

pub fn line(event: &serde_json::Value) -> String {
    let mut line = json!({ "seq": 1, "time": "2026-01-01T00:00:00.000Z" });
    line.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
    line.to_string() + "\n"
}

pub fn proposal(path: &str, reason: &str) -> String {
    let change = json!({ "kind": "egress", "host": "api.example.org", "port": 443, "method": "GET", "path": path });
    line(&json!({ "event": "proposal", "change": change, "reason": reason }))
}

fn refusal(path: &str) -> String {
    line(&json!({ "event": "request", "host": "static.example.org", "port": 443, "method": "GET", "path": path,
        "verdict": "deny", "denial": "host", "reason": "no", "sent": 0, "received": 0, "ms": 0 }))
}

pub fn place() -> Place {
    let place = kept();
    fs::write(place.session_file("audit.jsonl"), proposal("/x", "please") + &refusal("/y")).unwrap();
    place
}

pub fn add(place: &Place, lines: &str) {
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
    terminal.until_shown("1 proposal");
    add(&place, &proposal("/later", "and this"));
    terminal.until_shown("/later");
    // A paste is no key.
    terminal.types("\x1b[200~ayq\x1b[201~a");
    terminal.until_shown("y does it");
    terminal.types("y");
    terminal.until_shown("approved");
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
        terminal.until_shown("1 proposal");
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
    terminal.until_shown("1 proposal");
    terminal.types("\x1a");
    terminal.until_stopped();
    terminal.until(LEFT);
    terminal.seen.clear();
    kill(Pid::from_raw(terminal.pid()), Signal::SIGCONT).unwrap();
    terminal.until_shown("1 proposal");
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
    // The engine's client has begun once its log is here.
    terminal.until_screen("one request", |screen| {
        screen.text().lines().any(|row| row.contains("detached") && row.split_whitespace().nth(4) == Some("1"))
    });
    terminal.types("q");
    assert_eq!(terminal.end().0, 0);
    let asked: Vec<Vec<String>> = place.calls();
    assert!(
        asked.iter().all(|call| call.first().is_some_and(|verb| verb == "logs") && call.last() == Some(&gate)),
        "{asked:?}"
    );
    assert_eq!(place.run_other(&format!("{FAKE}/docker"), &["rm", "-f", "-v", &gate]).done().status, 0);
}

/// A detached session and its gate's container.
fn detached(place: &Place) -> (String, String) {
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let listed = place.run(&["names", "detached"]).done().stdout;
    let identity = listed.split('\t').next().unwrap().to_owned();
    let gate = format!("claude-bottle-{identity}-gate");
    (identity, gate)
}

fn remove(place: &Place, gate: &str) {
    assert_eq!(place.run_other(&format!("{FAKE}/docker"), &["rm", "-f", "-v", gate]).done().status, 0);
}

/// A call that never ends holds up nothing but what it was made for.
#[test]
fn an_engine_that_does_not_answer_holds_up_nothing_else() {
    let place = place();
    let kept = place.session();
    let (away, gate) = detached(&place);
    let trail = place.path("home/.claude-bottle/state").join(&away).join("audit.jsonl");
    let later = proposal("/of/the/detached", "later, please").replace(":00.000Z", ":09.000Z");
    fs::write(&trail, later).unwrap();
    let screen = || place.run(&["dashboard"]).env("TERM", "xterm").env("FAKE_HANGS", "logs");
    let mut terminal = screen().on_terminal();
    terminal.until_shown("2 proposals");
    terminal.until_shown("the engine does not answer");
    // The oldest is first: that of the kept session.
    terminal.types("a");
    terminal.until_shown("y does it");
    terminal.types("y");
    terminal.until_shown("approved, from the next resume on");
    terminal.until_shown("1 proposal\n");
    // What needs that engine says so, and the keys work meanwhile.
    terminal.types("a");
    terminal.types("\x1b[B");
    terminal.until_shown("it cannot be approved so: the engine does not answer");
    terminal.types("\x1b\x1bq");
    assert_eq!(terminal.end().0, 0);
    let routes = text(&place.path("home/.claude-bottle/state").join(&kept).join("egress/routes.json"));
    assert!(routes.contains(r#""/x""#), "{routes}");
    let printed = place.run(&["dashboard", "--once"]).env("FAKE_HANGS", "logs").done();
    assert!(printed.status == 0 && printed.stdout.contains("the engine does not answer"), "{printed:?}");
    let listed = place.run(&["proposals"]).env("FAKE_HANGS", "logs").done();
    assert!(listed.status == 0 && listed.stderr.contains("the engine does not answer"), "{listed:?}");
    remove(&place, &gate);
}

/// A decision that the engine holds up is waited for once, and not made twice.
#[test]
fn a_decision_under_way_is_told_and_left_at_the_second_key() {
    let place = Place::new(PLAIN);
    let (_, gate) = detached(&place);
    fs::write(place.session_file("audit.jsonl"), proposal("/x", "please")).unwrap();
    let mut terminal = place.run(&["dashboard"]).env("TERM", "xterm").env("FAKE_HANGS", "exec").on_terminal();
    terminal.until_shown("1 proposal");
    terminal.types("a");
    terminal.until_shown("y does it");
    terminal.types("y");
    terminal.until_shown("deciding");
    terminal.types("?");
    terminal.until_shown("What is pasted is no key.");
    terminal.types("\r");
    terminal.types("a");
    terminal.until_shown("y does it");
    terminal.types("y");
    terminal.until_shown("it is being decided already");
    terminal.types("q");
    terminal.until_shown("this ends after it");
    terminal.types("q");
    assert_eq!(terminal.end().0, 0);
    remove(&place, &gate);
}

fn packages(name: &str) -> String {
    let change = json!({ "kind": "packages", "apt": [name] });
    line(&json!({ "event": "proposal", "change": change, "reason": "to build" }))
}

/// The proposals that are listed, as the dashboard and as `proposals` have them.
fn open(place: &Place) -> Vec<String> {
    let json = |args: &[&str]| -> serde_json::Value {
        let done = place.run(args).done();
        assert_eq!(done.status, 0, "{done:?}");
        serde_json::from_str(&done.stdout).unwrap()
    };
    let ids = |all: &serde_json::Value| -> Vec<String> {
        all.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let listed = json(&["proposals", "--format", "json"]);
    let listed = [ids(&listed[0]["proposals"]), ids(&listed[0]["refused"])].concat();
    assert_eq!(ids(&json(&["dashboard", "--format", "json"])[0]["asks"]), listed);
    listed
}

/// What was approved while no gate ran is in no trail, and decided all the same: at rest, and when it runs again.
#[test]
fn what_was_approved_at_rest_is_open_no_more() {
    let place = place();
    add(&place, &packages("gdb"));
    let identity = place.session();
    let all = open(&place);
    assert_eq!(all.len(), 3, "{all:?}");
    let mut terminal = place.run(&["dashboard"]).env("TERM", "xterm").on_terminal();
    terminal.until_shown("2 proposals");
    for id in &all {
        let done = place.run(&["approve", "--yes", id]).done();
        assert_eq!(done.status, 0, "{done:?}");
    }
    terminal.until_shown("0 proposals");
    terminal.until_shown("nothing waits");
    terminal.types("q");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(open(&place), [""; 0]);
    let resume =
        || place.run(&["resume", "--yes", &identity]).env("FAKE_IMAGES", "built").env("FAKE_AGENT", "detaches");
    let resumed = resume().done();
    assert_eq!(resumed.status, 0, "{resumed:?}");
    assert_eq!(open(&place), [""; 0], "the gate began with them");
    // Packages that it asks for again are no old matter; nor is a route that was taken away.
    add(&place, &packages("gdb"));
    assert_eq!(open(&place).len(), 1);
    let removed = place.run(&["routes", "remove", &identity, &all[0]]).done();
    assert_eq!(removed.status, 0, "{removed:?}");
    assert_eq!(open(&place).len(), 2);
    remove(&place, &format!("claude-bottle-{identity}-gate"));
}

/// The Dockerfile's new lines, and what becomes of the bottle, before a key approves it.
#[test]
fn packages_from_the_screen() {
    let place = Place::new(PLAIN);
    let (identity, _) = detached(&place);
    fs::write(place.session_file("audit.jsonl"), packages("gdb")).unwrap();
    let run = place.run(&["dashboard"]).env("TERM", "xterm").env("FAKE_TAR", place.transcript());
    let mut terminal = run.on_terminal();
    terminal.until_shown("1 proposal");
    terminal.types("o");
    terminal.until_shown("packages are approved for the session");
    terminal.types("a");
    terminal.until_shown("builds   RUN (apt-get");
    terminal.until_shown("its resume builds the image");
    terminal.until_shown("end the bottle for it? y does it");
    terminal.types("y");
    terminal.until_shown("has ended: its resume builds the image");
    terminal.types("q");
    let (status, seen) = terminal.end();
    assert_eq!(status, 0, "{seen}");
    assert_eq!(place.kept(), "packages were approved, and its image is to be built anew");
    assert!(text(&place.session_file("Dockerfile")).contains("-- gdb &&"));
    assert_eq!(place.session(), identity);
}
