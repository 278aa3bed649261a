//! Secrets are nowhere but where they belong: planted values, and a search of everything that could show them.

use super::{Rig, docker, run};
use crate::harness::rig::UID;
use serde_json::json;
use std::process::Command;

const TOKEN: &str = "tok-5f1e0c7a9b3d4e2f";
const COPIED: &str = "copied-8c2d1e6f4a5b7c9d";
/// Of a proxy in the docker client's own configuration.
const PROXY: &str = "proxy-3b9d7a5e1c8f2046";

/// Every file below a folder, as one text. A socket holds nothing.
fn read_all(folder: &std::path::Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &read_all(&path);
        } else if path.is_file() {
            text += &format!("{}\n{}\n", path.display(), String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
    text
}

/// All that an onlooker could see of a running session: both containers and the volume, the gate's log, the host's
/// processes, the state on disk.
pub(super) fn everything(rig: &Rig, identity: &str) -> String {
    let objects = rig.objects();
    assert_eq!(objects.len(), 3, "{objects:?}");
    let mut shown = String::new();
    for name in &objects {
        let kind = if name.ends_with("-agent") || name.ends_with("-gate") { "container" } else { "volume" };
        shown += &docker(&[kind, "inspect", name]);
    }
    for (program, args) in [("docker", ["logs", &format!("claude-bottle-{identity}-gate")]), ("ps", ["-e", "-fww"])] {
        let output = testing::process::output(Command::new(program).args(args));
        shown += &String::from_utf8_lossy(&[output.stdout, output.stderr].concat());
    }
    shown + &read_all(&rig.state(identity))
}

#[test]
fn planted_values_are_in_the_agents_environment_and_nowhere_else() {
    let rig = Rig::new(&json!({}));
    let origin = rig.origin();
    let mut route = origin.route();
    route["auth"] = json!({ "token_ref": "PLANTED_TOKEN" });
    rig.manifest(&json!({
        "bottles": { "b": { "egress": { "routes": [route] }, "env": { "COPIED": "${PLANTED_COPY}" } } },
        "agents": { "a": { "bottle": "b", "command": ["bash", "-c",
            "curl -sS https://allowed.example.org/echo; env; tr '\\\\0' '\\\\n' < /proc/1/environ; cat /proc/net/dev; echo READY; read _; exit 1"] } },
    }));
    std::fs::create_dir(rig.path().join(".docker")).unwrap();
    let proxy = format!("http://user:{PROXY}@proxy.example.org:3128");
    let config = json!({ "proxies": { "default": { "httpProxy": proxy, "httpsProxy": proxy, "allProxy": proxy,
        "ftpProxy": proxy, "noProxy": PROXY } } });
    std::fs::write(rig.path().join(".docker/config.json"), config.to_string()).unwrap();
    let mut command = rig.ours(&["start", "--yes", "a"]);
    command.env("PLANTED_TOKEN", TOKEN).env("PLANTED_COPY", COPIED);
    let mut going = super::Going::new(&mut command);
    going.until("READY");
    let identity = rig.sessions().remove(0);
    let shown = everything(&rig, &identity);
    let log = docker(&["logs", &format!("claude-bottle-{identity}-gate")]);
    assert!(log.contains("allowed.example.org"), "the gate's log is the audit trail");
    for secret in [TOKEN, COPIED, PROXY] {
        assert!(!shown.contains(secret), "`{secret}` shows: {}", context(&shown, secret));
    }
    assert!(shown.contains("PLANTED_TOKEN"), "names are there");

    let ran = rig.run(&["exec", &identity, "--", "env"], "").code(0);
    assert!(ran.stdout.contains(&format!("COPIED={COPIED}")), "{}", ran.stdout);
    assert!(!ran.stdout.contains(TOKEN), "{}", ran.stdout);

    going.say("\n");
    let ran = going.end().code(1);
    // The upstream saw the token, in a header that the agent never had, and said so; but not to the agent.
    assert!(origin.log().contains(&format!("Bearer {TOKEN}")), "{}", origin.log());
    let said = &ran.stdout;
    assert!(said.contains(&format!("Bearer {}", "*".repeat(TOKEN.len()))), "{said}");
    assert!(!said.contains(TOKEN) && !said.contains(PROXY) && said.contains(&format!("COPIED={COPIED}")), "{said}");
    let kept = read_all(&rig.state(&identity));
    assert!(!kept.contains(TOKEN) && !kept.contains(COPIED), "{kept}");
    assert!(kept.contains("allowed.example.org"), "the audit trail is kept");
    assert!(!ran.stderr.contains(TOKEN) && !ran.stderr.contains(COPIED), "{}", ran.stderr);
}

/// A value that is typed is in the agent's environment, and nobody else saw it: not even the terminal.
#[test]
fn an_asked_value_is_in_the_agents_environment_and_nowhere_else() {
    const TYPED: &str = "typed-4b7e2d9f1a6c8035";
    let rig = Rig::new(&json!({
        "bottles": { "b": { "env": { "PIN": "?PIN for the test" } } },
        "agents": { "a": { "bottle": "b", "command": ["sh", "-c", "echo READY; read _; exit 1"] } },
    }));
    let mut going = rig.on_terminal(&["start", "--yes", "a"]);
    going.until("PIN for the test: ");
    going.say(&format!("{TYPED}\n"));
    going.until("READY");
    let identity = rig.sessions().remove(0);
    let shown = everything(&rig, &identity);
    assert!(!shown.contains(TYPED), "it shows: {}", context(&shown, TYPED));
    rig.run(&["exec", &identity, "--", "sh", "-c", "echo \"$PIN\""], "").code(0).says(TYPED);
    going.say("\n");
    let ran = going.end().code(1);
    assert!(!ran.stdout.contains(TYPED) && !ran.stderr.contains(TYPED), "{}", ran.stdout);
    assert!(!read_all(&rig.state(&identity)).contains(TYPED));
}

/// What confines both containers, as the engine has it, and as it looks from inside.
#[test]
fn both_containers_are_confined() {
    let rig = Rig::new(&json!({
        "bottles": { "b": {} },
        "agents": { "a": { "bottle": "b", "command": ["bash", "-c", "for f in x gate.sock; do touch /run/claude-bottle/$f; \
            rm -f /run/claude-bottle/$f; done 2>&1; grep -E 'Cap(Eff|Bnd)|NoNewPrivs|Seccomp:' /proc/self/status; \
            kill -9 1; echo READY; read _; exit 1"] } },
    }));
    let mut going = rig.begin(&["start", "--yes", "a"]);
    going.until("READY");
    let identity = rig.sessions().remove(0);
    let format = "{{.HostConfig.CapDrop}} {{.HostConfig.CapAdd}} {{.HostConfig.Privileged}} {{.HostConfig.Binds}} \
        {{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.PidsLimit}} {{.HostConfig.LogConfig.Type}} \
        {{.HostConfig.ReadonlyRootfs}} {{.Config.User}} {{.HostConfig.PidMode}}{{.HostConfig.UsernsMode}} \
        {{range .Mounts}}{{.Type}}:{{.Destination}}:{{.RW}} {{end}}";
    let of = |role: &str| docker(&["inspect", "--format", format, &format!("claude-bottle-{identity}-{role}")]);
    let gate = of("gate");
    let confined = "[ALL] [] false [] 1073741824 1073741824 256 json-file true 65532:65532  \
        volume:/run/claude-bottle:true";
    assert_eq!(gate.trim(), confined);
    let agent = of("agent");
    let confined = format!("[ALL] [] false [] 4294967296 4294967296 2048 none false {UID}:{UID}  ");
    assert!(agent.starts_with(&confined), "{agent}");
    let mut mounts: Vec<&str> = agent[confined.len()..].split_whitespace().collect();
    mounts.sort_unstable();
    assert_eq!(mounts, ["volume:/home/agent:true", "volume:/run/claude-bottle:false"]);
    going.say("\n");
    let said = going.end().code(1).stdout;
    for words in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(said.contains(words), "{said}");
    }
    assert!(said.matches("Read-only file system").count() >= 2, "{said}");
}

fn context<'a>(text: &'a str, word: &str) -> &'a str {
    let at = text.find(word).unwrap_or(0);
    let from = (0..=at.saturating_sub(200)).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    &text[from..at]
}

/// `"${NAME:-}"`: a variable that this machine may have or not.
#[test]
fn a_variable_that_is_not_set_here_may_be_empty_inside() {
    let rig = Rig::new(&json!({
        "bottles": { "b": { "env": { "MAYBE": "${MAYBE_HERE:-}" } } },
        "agents": { "a": { "bottle": "b", "command": ["sh", "-c", "printf '[%s]' \"${MAYBE-none}\""] } },
    }));
    for (value, inside) in
        [(None, "[]"), (Some(""), "[]"), (Some(" "), "[]"), (Some("a value of here"), "[a value of here]")]
    {
        let mut start = rig.ours(&["start", "--yes", "a"]);
        start.env_remove("MAYBE_HERE");
        value.map(|value| start.env("MAYBE_HERE", value));
        let ran = run(&mut start, "").code(0);
        assert_eq!(ran.stdout, inside, "{value:?}");
        ran.says("MAYBE (host's MAYBE_HERE, or empty)");
    }
    rig.assert_nothing_left();
}
