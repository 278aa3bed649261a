//! The same bottles on podman, Debian's, as far as it runs beside Docker: its images are Docker's, carried over.

use super::forward::{self, python};
use super::seccomp::filter_holds;
use super::session::{commands_end_with_their_client, detached_again_and_again, lost_and_settled, shell};
use super::{ImageTags, Rig, docker, images, lines, told};
use crate::harness::rig::UID;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use testing::process::{end, output, try_output};

const PODMAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/engine/podman.sh");

fn rig(manifest: &Value) -> Rig {
    static READY: OnceLock<()> = OnceLock::new();
    READY.get_or_init(carry);
    Rig::on(PODMAN, manifest)
}

/// The images of agents, gates and readers; podman builds the last layer itself. Earlier gates go: each build has one of its
/// own.
fn carry() {
    let ImageTags { agent, gate, git } = images();
    let has = |image: &str| output(Command::new(PODMAN).args(["image", "exists", image])).status.success();
    if !has(gate) {
        for name in ["gate", "git", "session"] {
            let filter = format!("reference=localhost/claude-bottle-{name}");
            let old = lines(&told(PODMAN, &["images", "--filter", &filter, "--format", "{{.Repository}}:{{.Tag}}"]));
            for image in old {
                // Without `-f`, which would take the containers along: another run's may be in use.
                let _ = try_output(Command::new(PODMAN).args(["rmi", &image]));
            }
        }
    }
    for image in [agent, gate, git].into_iter().filter(|image| !has(image)) {
        docker(&["image", "inspect", "--format", "{{.Id}}", image]);
        let mut save = Command::new("docker").args(["save", image]).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = save.stdout.take().unwrap();
        let mut load = Command::new(PODMAN).args(["load", "-q"]).stdin(stdin).stdout(Stdio::null()).spawn().unwrap();
        assert!(end("podman load", &mut load).success());
        assert!(end("docker save", &mut save).success());
    }
}

/// Names lead to the door and nowhere else, what is refused is told, and a route leads out.
#[test]
fn podmans_agent_has_names_and_no_network() {
    let rig = rig(&json!({}));
    let origin = rig.origin();
    let words = "cat /etc/resolv.conf; getent hosts localhost \"$(hostname)\" | cut -d' ' -f1; ls /sys/class/net; \
        curl -sS http://gate.bottle/ | head -n 1; curl -sS http://refused.example/; \
        curl -sS https://allowed.example.org/hello; cat";
    rig.manifest(&json!({
        "bottles": { "b": { "egress": { "routes": [origin.route()] } } },
        "agents": { "a": { "bottle": "b", "command": ["sh", "-c", words] } },
    }));
    let ran = rig.run(&["start", "--yes", "a"], "from stdin").code(0);
    ran.says("engine   ");
    assert!(ran.stdout.starts_with("nameserver 127.0.0.1\nsearch .\n127.0.0.1\n127.0.0.1\nlo\n"), "{}", ran.stdout);
    ran.says("the network of this bottle is an allowlist");
    ran.says("refused: host `refused.example` is not on the allowlist");
    ran.says("hello from the origin");
    assert!(ran.stdout.ends_with("from stdin"), "{}", ran.stdout);
    rig.assert_nothing_left();
}

/// The agent is confined, and the volume that the gate shares with it goes, too.
#[test]
fn podmans_agent_is_confined_and_nothing_stays() {
    let rig = rig(&shell(
        "id -u; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status | tr -s '\t' ' '; \
        touch /run/claude-bottle/x 2>/dev/null || echo read-only; cat /etc/hosts; echo HERE; read _",
    ));
    let mut going = rig.begin(&["start", "--yes", "a"]);
    going.until(&format!("{UID}\nCapEff: 0000000000000000\nNoNewPrivs: 1\nread-only\n"));
    going.until("HERE");
    let identity = rig.sessions().remove(0);
    let names = ["agent", "gate"].map(|role| format!("claude-bottle-{identity}-{role}"));
    let mounts = r#"{{range .Mounts}}{{.Type}} {{.Name}}{{"\n"}}{{end}}"#;
    let mounts = rig.engine(&["container", "inspect", "--format", mounts, &names[0], &names[1]]);
    let mut volumes: Vec<&str> = mounts.lines().filter_map(|line| line.strip_prefix("volume ")).collect();
    volumes.sort_unstable();
    volumes.dedup();
    assert_eq!(volumes.len(), 2, "the home, and the gate's: {mounts}");
    let inside = rig.run(&["exec", &identity, "--", "cat", "/etc/hosts"], "").code(0);
    let host = fs::read_to_string("/etc/hostname").unwrap();
    assert!(!inside.stdout.contains(host.trim()), "the host's own names: {}", inside.stdout);
    going.say("\n");
    going.end().code(0);
    rig.assert_nothing_left();
    for volume in volumes {
        assert!(!lines(&rig.engine(&["volume", "ls", "-q"])).contains(&volume.to_owned()), "{volume} stays");
    }
}

#[test]
fn podmans_failed_session_is_kept_resumed_and_cleaned_up() {
    let words = "if [ -f ~/note ]; then cat ~/note; rm ~/note; else echo work >~/note; \
        mkdir -p ~/.claude/projects/p; echo '{}' >~/.claude/projects/p/s.jsonl; exit 7; fi";
    let rig = rig(&shell(words));
    let ran = rig.run(&["start", "--yes", "a"], "").code(7);
    let identity = rig.sessions().remove(0);
    ran.says(&format!("kept `{identity}`: the agent ended with 7"));
    assert_eq!(fs::read_to_string(rig.state(&identity).join("transcript/p/s.jsonl")).unwrap(), "{}\n");
    assert_eq!(rig.objects(), [format!("claude-bottle-{identity}")], "the home volume, and no container");
    assert_eq!(rig.run(&["resume", "--yes", &identity], "").code(0).stdout, "work\n");
    rig.assert_nothing_left();

    rig.run(&["start", "--yes", "a"], "").code(7);
    rig.run(&["cleanup", "--yes"], "").code(0);
    rig.assert_nothing_left();
    let rig = self::rig(&shell("kill -9 $$"));
    rig.run(&["start", "--yes", "a"], "").code(137).says("killed (137)");
}

/// What goes in is the agent's, beside what the image has in the home; what is new comes out through a reader.
#[test]
fn podmans_workspace_goes_in_and_work_comes_out() {
    let rig = rig(&shell("cat note; ls -A ~; echo new >fresh"));
    let work = rig.path().join("work");
    fs::create_dir(&work).unwrap();
    fs::write(work.join("note"), "a note\n").unwrap();
    let mut start = rig.ours(&["start", "--yes", "--cwd", "a"]);
    let ran = super::run(start.current_dir(&work), "").code(0);
    assert!(ran.stdout.starts_with("a note\n"), "{}", ran.stdout);
    ran.says(".bashrc");
    let identity = rig.sessions().remove(0);
    ran.says("changes not copied back yet: 1 file outside repositories");
    rig.run(&["work", "diff", &identity], "").code(0).says("fresh");
    rig.run(&["cleanup", "--yes", &identity], "").code(0);
    rig.assert_nothing_left();
}

#[test]
fn podmans_signals_are_passed_on_exactly() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let rig = rig(&shell("trap 'echo told; exit 0' TERM; echo READY; while :; do sleep 0.1; done"));
        let mut going = rig.begin(&["start", "--yes", "a"]);
        going.until("READY");
        going.signal(signal);
        going.end().code(code).says(&format!("ended by {}", signal.as_str()));
        assert_eq!((rig.sessions().len(), rig.objects().len()), (1, 1), "{:?}", rig.objects());
    }
}

#[test]
fn podmans_detached_sessions_are_attached_again() {
    detached_again_and_again(rig);
}

#[test]
fn podmans_command_inside_ends_with_its_client() {
    commands_end_with_their_client(rig, &[Signal::SIGTERM, Signal::SIGKILL]);
}

#[test]
fn podmans_lost_session_is_settled_by_cleanup() {
    lost_and_settled(rig);
}

#[test]
fn podmans_server_is_forwarded() {
    let rig = rig(&python(include_str!("dev.py")));
    let (session, identity) = forward::start(&rig, "LISTENING\n");
    let (forward, url) = forward::forward(&rig, &identity);
    let page =
        super::run(Command::new("curl").args(["-sS", "--noproxy", "*", &url, &format!("{url}large")]), "").code(0);
    assert!(page.stdout.contains("<title>version 1</title>"), "{}", page.stdout);
    assert!(page.stdout.len() > 20_000_000);
    forward.signal(Signal::SIGINT);
    forward.end().code(130);
    session.signal(Signal::SIGTERM);
    session.end().code(143);
}

/// The script is the plan on podman, too.
#[test]
fn podmans_printed_script_gives_a_bottle() {
    let rig = rig(&shell("curl -sS http://gate.bottle/ | head -n 1; exit 0"));
    // From the first start on it is known what this engine is.
    rig.run(&["start", "--yes", "a"], "").code(0);
    let script = rig.run(&["start", "--dry-run", "--format", "sh", "a"], "").code(0).stdout;
    let ran = super::run(Command::new("sh").arg("-c").arg(&script), "").code(0);
    ran.says("the network of this bottle is an allowlist");
    rig.assert_nothing_left();
}

#[test]
fn podmans_containers_have_the_filter_of_system_calls() {
    filter_holds(&rig(&json!({})), |_| ());
}
