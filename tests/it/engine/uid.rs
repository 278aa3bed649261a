//! The agent's own user id: what the kernel counts by user, and what processes of one user can do to each other.

use super::session::shell;
use super::{Rig, lines};
use crate::harness::rig::UID;
use serde_json::json;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Opens inotify instances until the kernel refuses one, prints how many, and keeps them.
const USE_UP: &str = "import ctypes,sys;libc=ctypes.CDLL(None);n=0\nwhile libc.inotify_init()>=0:n+=1\nprint('USED',n,flush=True);sys.stdin.readline()";
/// Opens one inotify instance; exits with 0 if the kernel gives it.
const OPEN_ONE: &str = "import ctypes,sys;sys.exit(ctypes.CDLL(None).inotify_init()<0)";

/// An agent that uses up what the kernel gives its user takes nothing from people of the host, whose first id is 1000.
#[test]
fn an_agent_cannot_use_up_what_a_user_of_the_host_has() {
    assert!(nix::unistd::User::from_uid(UID.into()).unwrap().is_none(), "nobody of the host has it");
    let rig = Rig::new(&json!({
        "bottles": { "b": {} },
        "agents": { "a": { "bottle": "b", "command": ["python3", "-c", USE_UP] } },
    }));
    let mut going = rig.begin(&["start", "--yes", "a"]);
    going.until("USED");
    let identity = rig.sessions().remove(0);
    let inside = rig.run(&["exec", &identity, "--", "python3", "-c", OPEN_ONE], "");
    assert_eq!(inside.code(1).stdout, "", "used up for the agent's id");
    let host = Command::new("python3").args(["-c", OPEN_ONE]).uid(1000).status().unwrap();
    assert!(host.success(), "{host}");
    going.say("\n");
    going.end().code(0);
    rig.assert_nothing_left();
}

/// Every file that the image had for its own user is the agent's, and no core file is left of a crash.
#[test]
fn the_agent_has_one_id_and_bounded_limits() {
    let rig = Rig::new(&shell(
        "id -u; id -g; id -un; stat -c %u /home/agent /home/agent/workspace /home/agent/.bashrc | sort -u; \
         find / -xdev -uid 1000 2>/dev/null; bash -c 'ulimit -c; ulimit -Hc; ulimit -i; ulimit -q'",
    ));
    let ran = rig.run(&["start", "--yes", "a"], "").code(0);
    let uid = UID.to_string();
    let wanted = [&*uid, &*uid, "agent", &*uid, "0", "0", "1024", "0"];
    assert_eq!(lines(&ran.stdout), wanted, "{}", ran.stderr);
    rig.assert_nothing_left();
}

/// A file in the workspace's place, or a folder that nothing can enter, leaves every verb on the running bottle usable.
#[test]
fn a_workspace_that_is_gone_disables_nothing() {
    let rig = Rig::new(&shell(
        "cd /; python3 -m http.server --directory /etc 5173 >/dev/null 2>&1 & \
         cd /; rm -r ~/workspace; echo x >~/workspace; echo FILE; read _; \
         rm ~/workspace; mkdir -m 0 ~/workspace; echo CLOSED; read _; rmdir ~/workspace; kill $!",
    ));
    let mut going = rig.begin(&["start", "--yes", "a"]);
    for word in ["FILE", "CLOSED"] {
        going.until(word);
        let identity = rig.sessions().remove(0);
        rig.run(&["exec", &identity, "--", "pwd"], "").code(0).says("/home/agent\n");
        rig.run(&["put", &identity, "-", &format!("~/{word}")], "content").code(0);
        assert_eq!(rig.run(&["get", &identity, &format!("~/{word}"), "-"], "").code(0).stdout, "content");
        let wait =
            "curl -sS -o /dev/null --retry 50 --retry-delay 0 --retry-connrefused http://127.0.0.1:5173/hostname";
        rig.run(&["exec", &identity, "--", "sh", "-c", wait], "").code(0);
        let (forward, url) = super::forward::forward(&rig, &identity);
        let got = Command::new("curl").args(["-sS", "--fail", &format!("{url}/hostname")]).output().unwrap();
        assert!(got.status.success(), "{got:?}");
        forward.signal(nix::sys::signal::Signal::SIGINT);
        forward.end();
        going.say("\n");
    }
    let identity = rig.sessions().remove(0);
    let _ = going.end();
    rig.run(&["cleanup", "--yes", &identity], "");
    rig.assert_nothing_left();
}

/// The first process has the agent's user id, and nothing of it can be traced, read or stopped by the agent.
#[test]
fn the_first_process_is_out_of_the_agents_reach() {
    let trace =
        "import ctypes; libc=ctypes.CDLL(None,use_errno=True); print(libc.ptrace(16,1,0,0), ctypes.get_errno())";
    let rig = Rig::new(&shell(&format!(
        "python3 -c '{trace}'; cat /proc/1/environ >/dev/null 2>&1 || echo unread; \
         kill -STOP 1; grep -c '^State:.*[SR] ' /proc/1/status"
    )));
    let ran = rig.run(&["start", "--yes", "a"], "").code(0);
    assert_eq!(lines(&ran.stdout), ["-1 1", "unread", "1"], "{}", ran.stderr);
    rig.assert_nothing_left();
}
