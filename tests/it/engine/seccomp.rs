//! The filter of system calls in a real bottle: a program tries what must fail and what must work, as the agent, and under
//! the very profile of gate and reader.

use super::{Rig, docker};
use crate::harness::process::run;
use crate::harness::until;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const SIGSYS: &str = "signal 31";
/// Unix, IPv4, IPv6, netlink.
const FAMILIES: [u32; 4] = [1, 2, 10, 16];

/// Rows of the probe by name.
type Rows = BTreeMap<String, String>;

fn rows(text: &str) -> Rows {
    text.lines().filter_map(|line| line.trim().split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

/// The rows that differ from what must be seen, for an agent or for a container that serves.
fn breaches(rows: &Rows, is_agent: bool) -> Vec<String> {
    let allowed = |name: &str| -> bool {
        let number = |prefix: &str| name.strip_prefix(prefix).and_then(|rest| rest.parse::<u32>().ok());
        match name {
            "getpid" | "personality_query" => true,
            "ptrace" | "shmget" | "personality_no_randomize" => is_agent,
            _ if number("netlink_").is_some() => number("netlink_") == Some(0),
            _ => number("socket_").or(number("socketpair_")).is_some_and(|family| FAMILIES.contains(&family)),
        }
    };
    let is_refused = |seen: &str| ["EPERM", "ENOSYS", SIGSYS].contains(&seen);
    let wrong = rows.iter().filter(|(name, seen)| is_refused(seen) == allowed(name));
    wrong.map(|(name, seen)| format!("{name}: {seen}")).collect()
}

fn plan(rig: &Rig) -> Value {
    let plan = rig.run(&["start", "--dry-run", "--format", "json", "agent"], "").code(0).stdout;
    serde_json::from_str(&plan).unwrap()
}

/// Removes the images that only this test's bottle has: its own, and the session's on top of it.
fn remove_images(plan: &Value) {
    for build in plan["images"]["builds"].as_array().unwrap().iter().rev().take(2) {
        docker(&["rmi", build["tag"].as_str().unwrap()]);
    }
}

/// Compiles the probe, as a static program whose memory lies where 32-bit calls can name it.
fn compile_probe(flags: &[&str], into: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/engine/probe.c");
    let mut cc = Command::new("cc");
    cc.args(["-static", "-no-pie", "-O1", "-Wall", "-Werror", source, "-o"]).arg(into.join("probe"));
    run(cc.args(flags), "").code(0);
}

#[test]
fn what_a_bottle_does_not_need_of_the_kernel_is_refused() {
    let context = tempfile::tempdir().unwrap();
    compile_probe(&[], context.path());
    let dockerfile = context.path().join("Dockerfile");
    std::fs::write(&dockerfile, "FROM claude-bottle-agent\nCOPY probe /probe\n").unwrap();
    let rig = Rig::new(&json!({
        "bottles": { "b": { "image": { "dockerfile": dockerfile, "context": context.path() } } },
        "agents": { "agent": { "bottle": "b", "command": ["sh", "-c", "/probe; exit 7"] } },
    }));
    let agent = rows(&rig.run(&["start", "--yes", "agent"], "").code(7).stdout);
    assert!(agent.len() > 200, "{agent:#?}");
    assert_eq!(breaches(&agent, true), [""; 0]);
    // The same program in a container that has the profile of gate and reader.
    let sessions = rig.sessions();
    let profile = rig.state(&sessions[0]).join("seccomp-service.json");
    let profile = format!("seccomp={}", profile.display());
    let plan = plan(&rig);
    let image = plan["images"]["agent"].as_str().unwrap();
    let fixed = ["run", "--rm", "--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
    let user = ["--user", "1000:1000", "--entrypoint", "/probe", "--security-opt"];
    let service = rows(&docker(&[&fixed[..], &user, &[&profile, image]].concat()));
    assert_eq!(breaches(&service, false), [""; 0]);
    // The table can fail: under the engine's own filter it does.
    let engines = rows(&docker(&[&fixed[..], &user[..4], &[image]].concat()));
    let found = breaches(&engines, true);
    for row in ["msgget: ok", "semget: ok"] {
        assert!(found.contains(&row.to_owned()) || cfg!(not(target_arch = "x86_64")), "{row} in {found:#?}");
    }
    rig.run(&["cleanup", "--yes"], "").code(0);
    rig.assert_nothing_left();
    remove_images(&plan);
}

/// The families that a socket can be made of: all others are refused. No socket is connected.
const SOCKETS: &str = "
import socket
open = set()
for family in range(46):
    for kind in (1, 2, 3, 5):
        try:
            socket.socket(family, kind).close()
        except PermissionError:
            continue
        except OSError:
            pass
        open.add(family)
print(*sorted(open))
";

/// A program that the engine starts beside the agent has the filter, too, and `doctor` finds that it holds. `check` is told
/// the session's identity.
pub fn filter_holds(rig: &Rig, check: impl FnOnce(&str)) {
    rig.manifest(&json!({
        "bottles": { "b": {} },
        "agents": { "agent": { "bottle": "b", "command": ["sh", "-c", "echo up; read line"] } },
    }));
    let mut going = rig.begin(&["start", "--yes", "agent"]);
    going.until("up");
    let identity = rig.sessions().remove(0);
    let made = rig.run(&["exec", &identity, "--", "python3", "-c", SOCKETS], "").code(0);
    assert_eq!(made.stdout, "1 2 10 16\n");
    // On a slow machine the engine has not answered within the time that `doctor` gives it.
    let mut found = String::new();
    until("doctor's trial of the filter", || {
        found = rig.run(&["doctor"], "").stdout;
        !found.contains("was not tried")
    });
    assert!(found.contains("ok       seccomp    claude-bottle's filter of system calls holds"), "{found}");
    check(&identity);
    going.say("\n");
    going.end();
    rig.assert_nothing_left();
}

/// The engine keeps the profile's text, so that every container that has it can be told by `inspect`.
#[test]
fn gate_and_agent_have_the_profiles_of_their_session() {
    let rig = Rig::new(&json!({}));
    filter_holds(&rig, |identity| {
        for (role, file) in [("gate", "seccomp-service.json"), ("agent", "seccomp-agent.json")] {
            let container = format!("claude-bottle-{identity}-{role}");
            let options = docker(&["inspect", "--format", "{{json .HostConfig.SecurityOpt}}", &container]);
            let options: Vec<String> = serde_json::from_str(&options).unwrap();
            let sent = options.iter().find_map(|option| option.strip_prefix("seccomp=")).unwrap();
            let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(read(sent), read(&std::fs::read_to_string(rig.state(identity).join(file)).unwrap()), "{role}");
        }
    });
}

/// Compiles a program on this machine; the image has no compiler.
fn compile(command: &mut Command, context: &Path) {
    run(command.current_dir(context), "").code(0);
}

/// Programs that people run in bottles do what they do without a filter.
#[test]
#[ignore = "installs a browser, a database and a JDK: `make slow`"]
fn real_programs_run_under_the_filter() {
    let context = tempfile::tempdir().unwrap();
    let programs = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/engine/programs");
    for name in ["hello.go", "hello.rs", "hello.js", "Hello.java", "run.sh"] {
        std::fs::copy(Path::new(programs).join(name), context.path().join(name)).unwrap();
    }
    compile_probe(&["-g"], context.path());
    let cache = tempfile::tempdir().unwrap();
    let mut go = Command::new("go");
    go.args(["build", "-o", "hello-go", "hello.go"]).env("CGO_ENABLED", "0").env("GOCACHE", cache.path());
    compile(&mut go, context.path());
    let rustc = Path::new(&std::env::var_os("CARGO").unwrap()).with_file_name("rustc");
    compile(Command::new(rustc).args(["-o", "hello-rust", "hello.rs"]), context.path());
    let dockerfile = context.path().join("Dockerfile");
    std::fs::write(
        &dockerfile,
        "FROM claude-bottle-agent\nUSER 0:0\n\
         RUN mkdir -p /usr/share/man/man1 && apt-get update && apt-get install -y --no-install-recommends \
         gdb strace default-jdk-headless nodejs postgresql chromium && rm -rf /var/lib/apt/lists/*\n\
         COPY . /programs/\nUSER 1000:1000\n",
    )
    .unwrap();
    let rig = Rig::new(&json!({
        "bottles": { "b": { "image": { "dockerfile": dockerfile, "context": context.path() } } },
        "agents": { "agent": { "bottle": "b", "command": ["bash", "/programs/run.sh"] } },
    }));
    let said = rig.run(&["start", "--yes", "agent"], "").stdout;
    rig.run(&["cleanup", "--yes"], "").code(0);
    rig.assert_nothing_left();
    remove_images(&plan(&rig));
    let of = |name: &str| {
        let found = said.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        found.unwrap_or_else(|| panic!("{name} in\n{said}"))
    };
    assert!(of("claude").contains("(Claude Code)"), "{said}");
    // The debugger stops the program, reads its memory, sets its personality, and lets it go on.
    let gdb = of("gdb");
    assert!(gdb.contains("Breakpoint 1, main") && gdb.contains("$1 = 2"), "{gdb}");
    assert!(!gdb.contains("randomization") && gdb.contains("exited normally"), "{gdb}");
    for name in ["strace", "java", "go", "node", "rust"] {
        assert!(of(name).starts_with("hello"), "{said}");
    }
    assert_eq!(of("python"), "hello [1, 2] ");
    assert!(of("postgres").contains("hello 5000050000"), "{said}");
    assert!(of("chromium").contains("<p>hello</p>"), "{said}");
}
