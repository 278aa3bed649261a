//! Tokens fetched anew beside a running session, on the fake engine: which command runs, when, and where what it prints
//! goes.

use crate::harness::{FAKE, Host, Place, Run, text, until, until_some};
use std::path::Path;
use std::time::Duration;
use wire::{FreshToken, Token, encode_base64};

/// Its first run is what `first` in the home says, each other one what `second` there does. Each is a line in `runs`.
const COMMAND: &str = r#"echo run >>"$HOME/runs"
[ -e "$HOME/began" ] || { : >"$HOME/began"; . "$HOME/first"; exit; }
. "$HOME/second""#;

const GOOD: &str = r#"echo '{"token":"second-token-4712","expires_in":3600}'"#;

fn place(second: &str) -> Place {
    let command = serde_json::json!(["/bin/sh", "-c", COMMAND]);
    let place = Place::new(&format!(
        r#"{{ "bottles": {{ "box": {{ "egress": {{ "routes": [
            {{ "host": "x.example.org", "auth": {{ "token_cmd": {command} }} }},
            {{ "host": "y.example.org", "auth": {{ "token_ref": "Y_TOKEN" }} }}
        ] }} }} }}, "agents": {{ "plain": {{ "bottle": "box" }} }} }}"#
    ));
    place.write("home/first", "echo first-token-4711");
    place.write("home/second", second);
    place
}

fn start(place: &Place) -> Run<'_> {
    place.run(&["start", "--yes", "plain"]).env("Y_TOKEN", "y-token-0815")
}

fn runs(place: &Place) -> usize {
    text(&place.path("home/runs")).lines().count()
}

/// The gate was handed the second token, which stands nowhere else.
#[track_caller]
fn handed(place: &Place) {
    let fresh: FreshToken = serde_json::from_str(&text(&place.engine("handed/token"))).unwrap();
    let token = Token::read(&fresh.value.0, Duration::ZERO).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(String::from_utf8(token.value).unwrap(), "second-token-4712");
    assert!((3500..=3600).contains(&token.life.unwrap().as_secs()));
    let written =
        place.whole_home().into_iter().filter(|(path, ..)| path.starts_with(place.path("home/.claude-bottle")));
    let written: Vec<String> =
        written.map(|(path, _, bytes)| format!("{path:?} {}", String::from_utf8_lossy(&bytes))).collect();
    let all = format!("{written:?} {:?}", place.calls());
    for secret in ["second-token", "first-token", &encode_base64(b"first-token-4711"), &encode_base64(&fresh.value.0)] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
    let calls = place.calls();
    let ctl: Vec<_> = calls.iter().filter(|call| call[0] == "exec" && call[6] == "ctl").collect();
    assert!(ctl.iter().all(|call| call[3] == "-i" && call[4].ends_with("-gate")), "{ctl:?}");
    assert!(ctl.iter().any(|call| call[7..] == ["token", "token:cmd:1"]), "{ctl:?}");
    let alone = calls.iter().zip(place.own_groups()).filter(|(call, _)| call[0] == "exec").all(|(_, own)| own);
    assert!(alone, "a signal of the terminal's would reach them");
}

#[test]
fn the_command_of_a_token_that_ends_is_run_once_more() {
    let place = place(GOOD);
    // Kept, so that all that is written is still there.
    let run = start(&place).env("FAKE_GATE", "refreshes").env("FAKE_AGENT", "until token");
    let done = run.env("FAKE_WORK", "silent").done();
    assert_eq!((done.status, done.stdout.as_str()), (0, "hello from the agent\n"), "{done:?}");
    assert!(!done.stderr.contains("anew"), "{done:?}");
    let audit = text(&place.session_file("audit.jsonl"));
    assert!(audit.contains(r#""event":"refresh","value":"token:cmd:1""#), "{audit}");
    handed(&place);
    assert_eq!(runs(&place), 2, "asked for twice, run once");
}

/// What ended while nobody was there.
#[test]
fn attaching_fetches_what_is_due() {
    let place = place(GOOD);
    assert_eq!(start(&place).env("FAKE_AGENT", "detaches").done().status, 0);
    assert_eq!(runs(&place), 1);
    // The host's variables of the start are none of the attach's.
    let attach = place.run(&["attach", &place.session()]).env("FAKE_ATTACH", "until token").done();
    assert_eq!((attach.status, attach.stderr.as_str()), (0, ""), "{attach:?}");
    handed(&place);
    assert_eq!(runs(&place), 2);
}

/// In a cloned directory a `token_cmd` would obey its files, as `git credential fill` does.
#[test]
fn a_command_runs_in_the_folder_of_its_manifest() {
    let command = "printf 'protocol=https\\nhost=git.example.org\\nusername=me\\n' | git credential fill || true; \
                   pwd >>\"$HOME/where\"; echo '{\"token\":\"token-number-4711\",\"expires_in\":3600}'";
    let command = serde_json::json!(["/bin/sh", "-c", format!("{{ {command}; }} | tail -n 1")]);
    let place = Place::new(&format!(
        r#"{{ "bottles": {{ "box": {{ "egress": {{ "routes": [
            {{ "host": "x.example.org", "auth": {{ "token_cmd": {command} }} }} ] }} }} }},
            "agents": {{ "plain": {{ "bottle": "box" }} }} }}"#
    ));
    let cloned = Host::new(place.path("work"));
    let ran = place.path("ran");
    cloned.git(&["config", "credential.helper", &format!("!touch {};:", ran.display())]);
    let path = format!("{FAKE}:/usr/bin:/bin");
    let run = |words: &[&str]| place.run(words).env("PATH", &path).env("GIT_ASKPASS", "/bin/true");
    assert_eq!(run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let attach = run(&["attach", &place.session()]).env("FAKE_ATTACH", "until token").done();
    assert_eq!((attach.status, attach.stderr.as_str()), (0, ""), "{attach:?}");
    let dry = run(&["start", "--dry-run", "--format", "sh", "plain"]).done();
    place.write("script", &dry.stdout);
    let script = place.path("script");
    let script = place.run_other("/bin/sh", &[script.to_str().unwrap()]).env("PATH", &path);
    let script = script.env("GIT_ASKPASS", "/bin/true").done();
    assert_eq!(script.status, 0, "{script:?}");
    let home = place.path("home/.claude-bottle").canonicalize().unwrap();
    let home = home.to_str().unwrap();
    assert_eq!(text(&place.path("home/where")).lines().collect::<Vec<_>>(), [home, home, home]);
    assert!(!ran.exists(), "the helper that the cloned directory names was run");
}

/// A bottle without commands has nothing that could be due: its gate is not asked.
#[test]
fn without_a_command_nobody_is_asked() {
    let place = Place::new(crate::harness::PLAIN);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    assert_eq!(place.run(&["attach", &place.session()]).env("FAKE_ATTACH", "ends").done().status, 0);
    assert!(place.calls().iter().all(|call| call[0] != "exec"), "{:?}", place.calls());
}

/// The command has no terminal, and why it failed is said when the agent's program has left the screen.
#[test]
fn a_command_that_fails_is_told_at_the_end() {
    let place = place(
        r#"if (: </dev/tty) 2>/dev/null; then where=there; else where=none; fi
echo half-a-token
echo "half-a-token is no token" >&2
echo "terminal: $where, input: $(read -r line || echo none)" >&2
echo $$ >"$HOME/pid"
exit 3"#,
    );
    let mut terminal = start(&place).env("FAKE_GATE", "refreshes").env("FAKE_AGENT", "stays").on_terminal();
    terminal.until("hello from the agent");
    ended(&place.path("home/pid"));
    assert!(!terminal.seen.contains("anew"), "{}", terminal.seen);
    let agent = format!("claude-bottle-{}-agent", place.session());
    let stopped = place.run_other(&format!("{FAKE}/docker"), &["stop", "-t", "3", &agent]).done();
    assert_eq!(stopped.status, 0, "{stopped:?}");
    let (status, seen) = terminal.end();
    let told = "a token was not fetched anew: `token_cmd` `/bin/sh`: exit status: 3: terminal: none, input: none";
    assert_eq!((status, seen.matches("anew").count()), (143, 1), "{seen}");
    assert!(seen.contains(told) && !seen.contains("half-a-token"), "{seen}");
    assert!(!place.engine("handed/token").exists());
}

/// In the gate's own words.
#[test]
fn a_token_that_the_gate_does_not_take_is_told() {
    let place = place(GOOD);
    let run = start(&place).env("FAKE_GATE", "refreshes and refuses").env("FAKE_AGENT", "stays");
    let mut terminal = run.on_terminal();
    terminal.until("hello from the agent");
    ended(&place.engine("handed/refused"));
    let agent = format!("claude-bottle-{}-agent", place.session());
    place.run_other(&format!("{FAKE}/docker"), &["stop", "-t", "3", &agent]).done();
    let (_, seen) = terminal.end();
    assert!(seen.contains("a token was not fetched anew: that token has ended already\n"), "{seen}");
}

/// Words that may be the token are not repeated.
#[test]
fn what_was_printed_is_not_told() {
    let place = place("echo half-a-token\necho 'half-a-token is no token' >&2\necho $$ >\"$HOME/pid\"\nexit 3");
    let mut terminal = start(&place).env("FAKE_GATE", "refreshes").env("FAKE_AGENT", "stays").on_terminal();
    terminal.until("hello from the agent");
    ended(&place.path("home/pid"));
    let agent = format!("claude-bottle-{}-agent", place.session());
    place.run_other(&format!("{FAKE}/docker"), &["stop", "-t", "3", &agent]).done();
    let (_, seen) = terminal.end();
    assert!(seen.contains("anew: `token_cmd` `/bin/sh`: exit status: 3\n") && !seen.contains("half-a"), "{seen}");
}

/// The session does not wait for a command that does not end, and takes it along.
#[test]
fn a_command_that_hangs_ends_with_the_session() {
    let place = place("echo $$ >\"$HOME/pid\"\nkill -s STOP $$");
    let mut terminal = start(&place).env("FAKE_GATE", "refreshes").env("FAKE_AGENT", "stays").on_terminal();
    terminal.until("hello from the agent");
    until("the command to start", || place.path("home/pid").exists());
    let agent = format!("claude-bottle-{}-agent", place.session());
    place.run_other(&format!("{FAKE}/docker"), &["stop", "-t", "3", &agent]).done();
    assert_eq!(terminal.end().0, 143);
    ended(&place.path("home/pid"));
}

/// Waits until the process whose number is written there was reaped: whoever began it knows of its end.
fn ended(file: &Path) {
    let number = until_some("the command's process number", || {
        std::fs::read_to_string(file).ok().filter(|number| number.ends_with('\n'))
    });
    until("the command to be reaped", || !Path::new("/proc").join(number.trim()).exists());
}
