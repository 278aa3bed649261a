//! `logs`: the trail of sessions in every condition, on the fake engine. Barriers: what was shown is waited for.

use crate::harness::{FAKE, PLAIN, PROGRAM, Place, kept, text};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File, OpenOptions};
use std::io::Write;

/// Of every kind one, and what a hostile bottle would like to draw.
const LINES: &str = concat!(
    r#"{"seq":3,"time":"2026-01-01T23:59:59.900Z","event":"request","host":"api.example.org","port":443,"method":"POST","path":"/x","verdict":"deny","rule":"/h/claude-bottle.json:7","reason":"path `/x` of `api.example.org` is not on the allowlist","status":403,"sent":0,"received":170,"ms":2}"#,
    "\n",
    r#"{"seq":4,"time":"2026-01-02T00:00:00.000Z","event":"connection","host":"db.example.org","port":5432,"verdict":"error","reason":"cannot resolve","sent":0,"received":0,"ms":9}"#,
    "\n",
    r#"{"seq":5,"time":"2026-01-02T00:00:01.000Z","event":"alarm","host":"api.example.org","port":443,"method":"POST","path":"/","finding":"a token, base64, in the body","done":"blocked"}"#,
    "\n",
    "{\"seq\":6,\"time\":\"2026-01-02T00:00:02.000Z\",\"event\":\"request\",\"host\":\"a.example\",\"port\":80,\"method\":\"GET\",\"path\":\"/\u{9b}2J\u{202e}x\\u001b[H\",\"verdict\":\"allow\",\"finding\":\"hidden text\",\"status\":200,\"sent\":2048,\"received\":5000000,\"ms\":31}\n",
    r#"{"seq":9,"time":"2026-01-02T00:00:03.000Z","event":"dropped","count":2}"#,
    "\n",
    "a line of no gate\n",
    r#"{"seq":10,"time":"2026-01-02T00:00:04.0"#,
);

fn add(place: &Place, lines: &str) {
    let mut file = OpenOptions::new().append(true).open(place.session_file("audit.jsonl")).unwrap();
    file.write_all(lines.as_bytes()).unwrap();
}

#[test]
fn of_a_kept_session() {
    let place = kept();
    let identity = place.session();
    add(&place, LINES);
    let before = place.whole_home();
    place.run(&["logs", &identity]).snap("logs");
    place.run(&["logs", "--denied", "-f", &identity]).snap("logs-denied");
    place.run(&["logs", &identity]).env("TZ", "UTC-2").snap("logs-zone");
    let json = place.run(&["logs", "--format", "json", &identity]).done();
    assert_eq!((json.status, json.stderr.as_str()), (0, ""));
    let whole = text(&place.session_file("audit.jsonl"));
    let whole = &whole[..=whole.rfind('\n').unwrap()];
    assert_eq!(json.stdout, whole.replace('\u{9b}', "\\u009b").replace('\u{202e}', "\\u202e"));
    for (shown, line) in json.stdout.lines().zip(whole.lines()).filter(|(_, line)| line.starts_with('{')) {
        let parsed = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parsed(shown), parsed(line));
    }
    let denied = place.run(&["logs", "--denied", "--format", "json", &identity]).done().stdout;
    assert_eq!(denied.lines().count(), 4, "{denied}");
    assert_eq!(place.calls(), [[""; 0]; 0], "all of it is on disk");
    assert_eq!(place.whole_home(), before);
    place.run(&["logs", "nothing"]).snap("logs-unknown");
}

/// Nobody writes the trail then: it comes from the engine, each line once, and is not written down.
#[test]
fn of_a_detached_session() {
    let place = Place::new(PLAIN);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let (identity, audit) = (place.session(), place.session_file("audit.jsonl"));
    let whole = text(&audit);
    assert_eq!(whole.lines().count(), 2);
    for have in [0, 1, 2] {
        let part: String = whole.split_inclusive('\n').take(have).collect();
        fs::write(&audit, &part).unwrap();
        place.run(&["logs", "--format", "json", &identity]).stdout(&whole).test();
        assert_eq!(text(&audit), part);
    }
    place.forget_calls();
    let silent = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
    place.run(&["logs", &identity]).env("FAKE_SAYS", silent).snap("logs-engine-silent");

    // Followed until its gate ends.
    let mut terminal = place.run(&["logs", "-f", &identity]).on_terminal();
    terminal.until("allow GET example.org/ 200");
    let gate = format!("claude-bottle-{identity}-gate");
    assert_eq!(place.run_other(&format!("{FAKE}/docker"), &["rm", "-f", "-v", &gate]).done().status, 0);
    let (status, seen) = terminal.end();
    assert_eq!((status, seen.matches("allow").count()), (0, 1), "{seen}");
}

/// A kept session whose mark says live, and whose lock this test holds.
fn live() -> (Place, Flock<File>, Vec<u8>) {
    let place = kept();
    let mark = fs::read(place.session_file("mark")).unwrap();
    fs::write(place.session_file("mark"), r#"{"mark":"live"}"#).unwrap();
    let lock = OpenOptions::new().write(true).open(place.session_file("lock")).unwrap();
    (place, Flock::lock(lock, FlockArg::LockExclusiveNonblock).unwrap(), mark)
}

#[test]
fn a_live_session_is_followed_to_its_end() {
    let (place, lock, mark) = live();
    let identity = place.session();
    let now = place.run(&["logs", &identity]).done();
    assert_eq!((now.status, now.stdout.lines().count()), (0, 4), "without -f it ends");
    let mut terminal = place.run(&["logs", "-f", &identity]).on_terminal();
    terminal.until("allow GET example.org/ 200");
    let (first, second) = LINES.split_at(40);
    add(&place, first);
    add(&place, second);
    terminal.until("DENY  POST api.example.org/x 403");
    terminal.until("2 lines are missing here");
    fs::write(place.session_file("mark"), mark).unwrap();
    drop(lock);
    let (status, seen) = terminal.end();
    assert_eq!((status, seen.matches("DENY").count()), (0, 1), "{seen}");
    assert_eq!(place.calls(), [[""; 0]; 0]);
}

/// What its owner wrote is on disk; what came after it had gone, on the engine.
#[test]
fn a_session_that_is_let_go_is_followed_on_its_engine() {
    let place = Place::new(PLAIN);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let (identity, audit) = (place.session(), place.session_file("audit.jsonl"));
    let first = text(&audit).split_inclusive('\n').next().unwrap().to_owned();
    fs::write(&audit, &first).unwrap();
    let mark = fs::read(place.session_file("mark")).unwrap();
    fs::write(place.session_file("mark"), r#"{"mark":"live"}"#).unwrap();
    let lock = OpenOptions::new().write(true).open(place.session_file("lock")).unwrap();
    let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).unwrap();
    let mut terminal = place.run(&["logs", "-f", &identity]).on_terminal();
    terminal.until("ready fingerprint=ab");
    fs::write(place.session_file("mark"), mark).unwrap();
    drop(lock);
    terminal.until("allow GET example.org/ 200");
    let gate = format!("claude-bottle-{identity}-gate");
    assert_eq!(place.run_other(&format!("{FAKE}/docker"), &["rm", "-f", "-v", &gate]).done().status, 0);
    let (status, seen) = terminal.end();
    assert_eq!((status, seen.matches("ready").count(), seen.matches("allow").count()), (0, 1, 1), "{seen}");
    assert_eq!(text(&audit), first);
}

#[test]
fn a_session_that_ends_well_ends_its_followers() {
    let (place, lock, _) = live();
    let mut terminal = place.run(&["logs", "-f", &place.session()]).on_terminal();
    terminal.until("allow GET example.org/ 200");
    fs::remove_dir_all(place.session_file("")).unwrap();
    drop(lock);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(place.calls(), [[""; 0]; 0], "what is gone is not asked for");
}

/// The one who reads has seen enough, and no new line has to come for that.
#[test]
fn a_reader_that_is_gone_ends_it() {
    let (place, _lock, _) = live();
    let identity = place.session();
    let script = format!("{{ {PROGRAM} logs -f {identity}; echo $? >&2; }} | {{ read -r line; echo \"$line\"; }}");
    place.run_other("/bin/sh", &["-c", &script]).stdout("2026-01-01\n").stderr("0\n").test();
}

/// Lost: what is on the engine is shown where it is there; where it is gone, that is no failure.
#[test]
fn of_a_lost_session() {
    let (place, lock, _) = live();
    drop(lock);
    let done = place.run(&["logs", &place.session()]).done();
    assert_eq!((done.status, done.stderr.as_str(), done.stdout.lines().count()), (0, "", 4), "{done:?}");
    assert_eq!(place.calls().len(), 1);
}
