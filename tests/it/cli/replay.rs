//! `check --replay`: yesterday's requests by today's manifest, of a file and of a session.

use crate::harness::{Place, kept, rich};
use std::fs;

/// What passed, what was refused, what cannot be told, and what a hostile bottle would like to draw.
pub const TRAIL: &str = concat!(
    r#"{"seq":1,"time":"2026-01-01T00:00:00.000Z","event":"ready","version":"0.1.0","fingerprint":"ab"}"#,
    "\n",
    r#"{"seq":2,"time":"2026-01-01T00:00:01.000Z","event":"request","host":"api.example.org","port":443,"method":"GET","path":"/repos/team/x","verdict":"allow","sent":0,"received":9,"ms":2}"#,
    "\n",
    r#"{"seq":3,"time":"2026-01-01T00:00:02.000Z","event":"request","host":"api.example.org","port":443,"method":"GET","path":"/repos/other","verdict":"allow","sent":0,"received":9,"ms":2}"#,
    "\n",
    r#"{"seq":4,"time":"2026-01-01T00:00:03.000Z","repeated":11,"since":"2026-01-01T00:00:02.000Z","event":"request","host":"api.example.org","port":443,"method":"GET","path":"/repos/other","verdict":"allow","sent":0,"received":9,"ms":2}"#,
    "\n",
    r#"{"seq":5,"time":"2026-01-01T00:00:04.000Z","event":"request","host":"x.docs.rs","port":443,"method":"GET","path":"/a","verdict":"deny","denial":"host","reason":"host `x.docs.rs` is not on the allowlist","sent":0,"received":0,"ms":0}"#,
    "\n",
    r#"{"seq":6,"time":"2026-01-01T00:00:05.000Z","event":"connection","host":"api.example.org","port":443,"verdict":"allow","sent":0,"received":0,"ms":0}"#,
    "\n",
    r#"{"seq":7,"time":"2026-01-01T00:00:06.000Z","event":"git","remote":"app","operation":"push","verdict":"allow","sent":0,"received":0,"ms":0}"#,
    "\n",
    "a line of no gate\n",
    r#"{"seq":8,"time":"2026-01-01T00:00:07.000Z","event":"request","host":"evil.example\u001b[2J","port":80,"method":"GET\u202e","path":"/\nREFUSED x","verdict":"allow","sent":0,"received":0,"ms":0}"#,
    "\n",
);

#[test]
fn a_file_of_lines_is_judged_anew() {
    let place = rich();
    place.write("work/trail", TRAIL);
    let before = place.whole_home();
    let done = place.run(&["check", "fixer", "--replay", "trail"]).snap("replay");
    assert_eq!(done.status, 1, "what was allowed would be refused");
    place.run(&["check", "fixer", "--format", "json", "--replay", "trail"]).snap("replay-json");
    let calm: String = TRAIL
        .lines()
        .filter(|line| line.contains("/repos/team") || line.contains("docs.rs"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    place.write("work/calm", &calm);
    assert_eq!(place.run(&["check", "fixer", "--replay", "calm"]).done().status, 0, "only more would pass");
    place.run(&["check", "fixer", "--replay", "nothing"]).snap("replay-none");
    place.run(&["check", "fixer", "--replay", "calm", "https://a.org/"]).snap("replay-and-url");
    assert_eq!(place.calls(), [[""; 0]; 0]);
    assert_eq!(place.whole_home(), before);
}

#[test]
fn a_session_is_judged_anew() {
    let place = kept();
    let identity = place.session();
    fs::write(place.session_file("audit.jsonl"), TRAIL).unwrap();
    let done = place.run(&["check", "plain", "--replay", &identity]).done();
    assert!(
        done.status == 1 && done.stdout.contains("GET api.example.org/repos/other (line 3, 12 of them)"),
        "{done:?}"
    );
    assert_eq!(place.calls(), [[""; 0]; 0]);
}

/// Of a session that nobody owns, the engine has the end of the trail.
#[test]
fn the_engines_log_counts() {
    let place = Place::new(crate::harness::PLAIN);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let identity = place.session();
    let whole = fs::read_to_string(place.session_file("audit.jsonl")).unwrap();
    let replayed = || place.run(&["check", "plain", "--replay", &identity]).done().stdout;
    let wanted = replayed();
    fs::write(place.session_file("audit.jsonl"), whole.lines().next().unwrap().to_owned() + "\n").unwrap();
    assert_eq!(replayed(), wanted);
    assert!(wanted.contains("1 judged"), "{wanted}");
}
