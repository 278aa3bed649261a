//! `forward` on a real engine: a real browser, and how it ends.

use super::session::shell;
use super::{Going, Rig, docker};
use crate::harness::until;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// A browser without a window, on its own profile.
struct Browser {
    child: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    fn open(url: &str) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromium");
        command.arg(format!("--user-data-dir={}", profile.path().display())).args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            url,
        ]);
        command.env("HOME", profile.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.process_group(0).spawn().unwrap_or_else(|e| panic!("chromium: {e}"));
        Browser { child, _profile: profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

pub fn python(source: &str) -> Value {
    json!({
        "bottles": { "b": { "limits": { "memory": "512m" } } },
        "agents": { "a": { "bottle": "b", "command": ["python3", "-c", source] } },
    })
}

/// The session, once it has said this, and its identity.
#[track_caller]
pub fn start(rig: &Rig, words: &str) -> (Going, String) {
    let mut session = rig.begin(&["start", "--yes", "a"]);
    session.until(words);
    (session, rig.sessions().remove(0))
}

/// `forward` of 5173, and the address it prints.
#[track_caller]
pub fn forward(rig: &Rig, identity: &str) -> (Going, String) {
    let mut forward = rig.begin(&["forward", identity, "0:5173"]);
    forward.until(" → 5173 inside\n");
    let url = String::from_utf8_lossy(&forward.seen).split(' ').next().unwrap().to_owned();
    (forward, url)
}

fn inner_ends(identity: &str) -> usize {
    docker(&["top", &format!("claude-bottle-{identity}-agent")]).matches("init pipe").count()
}

#[test]
fn a_browser_sees_the_agents_page_its_socket_and_its_reload() {
    let rig = Rig::new(&python(include_str!("dev.py")));
    let (mut session, identity) = start(&rig, "LISTENING\n");
    let (forward, url) = forward(&rig, &identity);
    let browser = Browser::open(&url);
    session.until("heard version 1, 20000000 bytes\n");
    session.until("heard version 2, 20000000 bytes\n");
    drop(browser);
    assert_eq!(inner_ends(&identity), 1);
    forward.signal(Signal::SIGINT);
    let ran = forward.end().code(130);
    assert_eq!((ran.stdout, ran.stderr), (format!("{url} → 5173 inside\n"), String::new()));
    assert_eq!(inner_ends(&identity), 0, "it leaves nothing inside");
    session.signal(Signal::SIGTERM);
    session.end().code(143);
}

#[test]
fn a_forward_ends_with_its_bottle() {
    let rig = Rig::new(&shell("echo READY; read code; exit $code"));
    for (code, told) in [(0, ""), (7, ": the agent ended with 7")] {
        let (mut session, identity) = start(&rig, "READY\n");
        let (forward, _) = forward(&rig, &identity);
        session.say(&format!("{code}\n"));
        session.end().code(code);
        let ran = forward.end().code(0);
        let hint = if code == 0 { String::new() } else { format!("hint: claude-bottle resume {identity}\n") };
        assert_eq!(ran.stderr, format!("`{identity}` has ended{told}\n{hint}"));
    }
}

/// Its inner end may be killed from inside, and it itself from outside.
#[test]
fn a_forward_that_is_broken_off() {
    let rig = Rig::new(&shell("echo READY; read _; exit 1"));
    let (mut session, identity) = start(&rig, "READY\n");
    let (broken, _) = forward(&rig, &identity);
    rig.run(&["exec", &identity, "--", "pkill", "-f", "init [p]ipe"], "").code(0);
    broken.end().code(125).says(&format!("claude-bottle: the way into `{identity}` is broken: "));

    let (mut killed, _) = forward(&rig, &identity);
    assert_eq!(inner_ends(&identity), 1);
    killed.signal(Signal::SIGKILL);
    killed.wait();
    until("the inner end of the killed program to leave", || inner_ends(&identity) == 0);
    session.say("\n");
    session.end().code(1);
}
