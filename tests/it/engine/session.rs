//! How sessions end on a real engine: codes, what is kept, what goes, and going on.

use super::{Rig, docker, lines};
use crate::harness::rig::UID;
use crate::harness::until;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// An agent that runs a shell's words.
pub fn shell(words: &str) -> Value {
    json!({
        "bottles": { "b": { "limits": { "memory": "256m" } } },
        "agents": { "a": { "bottle": "b", "command": ["sh", "-c", words] } },
    })
}

#[test]
fn an_end_with_0_leaves_nothing() {
    let rig = Rig::new(&shell("echo out; echo err >&2; cat"));
    let ran = rig.run(&["start", "--yes", "a"], "from stdin").code(0);
    assert_eq!(ran.stdout, "out\nfrom stdin");
    assert!(ran.stderr.ends_with("err\n"), "{}", ran.stderr);
    rig.assert_nothing_left();
}

#[test]
fn a_failed_session_is_kept_resumed_and_cleaned_up() {
    let words = "if [ -f ~/note ]; then cat ~/note; else echo work >~/note; \
        mkdir -p ~/.claude/projects/p; echo '{}' >~/.claude/projects/p/s.jsonl; chmod 600 ~/.claude/projects/p/s.jsonl; exit 7; fi";
    let rig = Rig::new(&shell(words));
    let ran = rig.run(&["start", "--yes", "a"], "").code(7);
    let identity = rig.sessions().remove(0);
    ran.says(&format!("kept `{identity}`: the agent ended with 7"));
    ran.says(&format!("hint: claude-bottle resume {identity}"));
    assert_eq!(std::fs::read_to_string(rig.state(&identity).join("transcript/p/s.jsonl")).unwrap(), "{}\n");
    assert_eq!(rig.objects(), [format!("claude-bottle-{identity}")], "the home volume, and no container");

    let listed: Value = serde_json::from_str(&rig.run(&["list", "--format", "json"], "").code(0).stdout).unwrap();
    assert_eq!(listed[0]["identity"], identity.as_str());
    assert_eq!(listed[0]["state"], "kept");

    // "no" to the question (there is no terminal here, so: a refusal) changes nothing kept.
    rig.run(&["resume", &identity], "").code(2).says("no terminal to ask on, and no `--yes`");
    rig.run(&["resume", &identity, "--dry-run"], "").code(0).says("resumed: new containers on the kept home");
    assert_eq!(rig.sessions(), std::slice::from_ref(&identity));

    let ran = rig.run(&["resume", "--yes", &identity], "").code(0);
    assert_eq!(ran.stdout, "work\n");
    rig.assert_nothing_left();

    rig.run(&["start", "--yes", "a"], "").code(7);
    rig.run(&["cleanup"], "").code(2).says("no terminal to ask on, and no `--yes`");
    rig.run(&["cleanup", "--yes"], "").code(0);
    rig.assert_nothing_left();
}

#[test]
fn signals_are_passed_on_exactly() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGQUIT, 131)]
    {
        let rig = Rig::new(&shell("trap 'echo told; exit 0' TERM; echo READY; while :; do sleep 0.1; done"));
        let mut going = rig.begin(&["start", "--yes", "a"]);
        going.until("READY");
        going.signal(signal);
        let ran = going.end().code(code);
        ran.says(&format!("ended by {}", signal.as_str()));
        assert_eq!(rig.sessions().len(), 1);
        assert_eq!(rig.objects().len(), 1, "{:?}", rig.objects());
    }
}

/// `nohup` means it.
#[test]
fn an_ignored_hangup_stays_ignored() {
    let rig = Rig::new(&shell("echo READY; read _; exit 0"));
    let mut command = std::process::Command::new("env");
    command.args(["--ignore-signal=HUP", env!("CARGO_BIN_EXE_claude-bottle"), "start", "--yes", "a"]);
    rig.dress(&mut command);
    let mut going = super::Going::new(&mut command);
    going.until("READY");
    going.signal(Signal::SIGHUP);
    going.say("\n");
    going.end().code(0);
    rig.assert_nothing_left();
}

#[test]
fn killed_and_out_of_memory_are_told_apart() {
    let rig = Rig::new(&shell("kill -9 $$"));
    rig.run(&["start", "--yes", "a"], "").code(137).says("killed (137)");
    let rig = Rig::new(&shell("exec python3 -c 'x = b\"x\" * (1 << 30)'"));
    rig.run(&["start", "--yes", "a"], "").code(137).says("out of memory (137)");
}

#[test]
fn a_gate_that_dies_takes_the_agent_down_and_everything_is_kept() {
    let rig = Rig::new(&shell("echo READY; exec sleep 600"));
    let mut going = rig.begin(&["start", "--yes", "a"]);
    going.until("READY");
    let identity = rig.sessions().remove(0);
    docker(&["kill", &format!("claude-bottle-{identity}-gate")]);
    going.end().code(125).says("the gate died");
    assert_eq!(rig.objects(), [format!("claude-bottle-{identity}")]);
}

#[test]
fn the_question_is_asked_on_the_terminal() {
    let rig = Rig::new(&shell("echo it runs; stty size; exit 3"));
    let mut going = rig.on_terminal(&["start", "a"]);
    going.until("launch this agent? [y/N] ");
    going.say("n\n");
    going.end().code(0);
    rig.assert_nothing_left();

    let mut going = rig.on_terminal(&["start", "a"]);
    going.until("launch this agent? [y/N] ");
    going.say("y\n");
    going.until("it runs\r\n40 120\r\n");
    going.end().code(3).says("kept");
    assert_eq!(rig.sessions().len(), 1);
}

#[test]
fn detached_sessions_run_on_and_are_attached_again() {
    assert_eq!(detached_again_and_again(Rig::new), 6);
}

/// `ctrl-]` and `d`, as terminals send them: without a protocol, by kitty's, by `modifyOtherKeys`, and with events.
const DETACH_KEYS: [&str; 4] =
    ["\u{1d}d", "\u{1b}[93;5ud", "\u{1b}[27;5;93~d", "\u{1b}[93;5u\u{1b}[93;5:3u\u{1b}[100;1:1u"];

/// Through `start`, `attach` and `resume`, three times each. Gives how often the terminal that was attached got the program's
/// modes.
pub fn detached_again_and_again(rig: fn(&Value) -> Rig) -> u32 {
    let rig = rig(&shell(
        r#"printf '\033[?2004h'; echo READY; while read line; do echo "got $line"; [ "$line" = end ] && exit 7; done"#,
    ));
    let mut keys = DETACH_KEYS.iter().cycle();
    let mut with_modes = 0;
    let mut detach = |mut going: super::Going| {
        // What is pasted is no key.
        going.say("\u{1b}[200~\u{1d}d\u{1b}[201~\n");
        going.until("got \u{1b}[200~\u{1d}d\u{1b}[201~");
        going.say(keys.next().unwrap());
        let ran = going.end().code(0);
        ran.says("detached from");
        assert!(!ran.stderr.contains("failed"), "{}", ran.stderr);
    };
    let mut going = rig.on_terminal(&["start", "--yes", "a"]);
    going.until("READY\r\n");
    detach(going);
    let identity = rig.sessions().remove(0);
    for round in ["of start", "of resume"] {
        let listed: Value = serde_json::from_str(&rig.run(&["list", "--format", "json"], "").code(0).stdout).unwrap();
        assert_eq!(listed[0]["state"], "detached");
        rig.run(&["cleanup", "--yes"], "").code(0).says("nothing to remove");
        for turn in ["first", "second", "third"] {
            let mut going = rig.on_terminal(&["attach", &identity]);
            going.say(&format!("{turn} {round}\n"));
            going.until(&format!("got {turn} {round}\r\n"));
            let seen = String::from_utf8_lossy(&going.seen);
            with_modes += u32::from(seen.contains("\u{1b}[?2004h"));
            detach(going);
        }
        let mut going = rig.on_terminal(&["attach", &identity]);
        going.say("end\n");
        going.until("got end");
        going.end().code(7).says("kept");
        if round == "of start" {
            let mut going = rig.on_terminal(&["resume", "--yes", &identity]);
            going.until("READY\r\n");
            detach(going);
        }
    }
    rig.run(&["cleanup", &identity, "--yes"], "").code(0);
    rig.assert_nothing_left();
    with_modes
}

#[test]
fn the_audit_trail_catches_up() {
    let words = "ask() { curl -s http://$1.example.org/ >~/$1; }; mkfifo ~/go; \
        ask one; echo READY; read _ <~/go; ask two; echo >~/go; read _; ask three; exit 7";
    let rig = Rig::new(&shell(words));
    let mut going = rig.on_terminal(&["start", "--yes", "a"]);
    going.until("READY");
    going.say("\u{1d}d");
    going.end().code(0);
    let identity = rig.sessions().remove(0);
    rig.run(&["exec", &identity, "--", "sh", "-c", "echo >~/go; read _ <~/go"], "").code(0);
    let mut going = rig.on_terminal(&["attach", &identity]);
    going.say("\n");
    going.end().code(7);
    let audit = std::fs::read_to_string(rig.state(&identity).join("audit.jsonl")).unwrap();
    let lines: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let hosts: Vec<&str> = lines.iter().filter_map(|line| line["host"].as_str()).collect();
    assert_eq!(hosts, ["one.example.org", "two.example.org", "three.example.org"], "{audit}");
    assert!(lines.iter().zip(1..).all(|(line, number)| line["seq"] == number), "{audit}");
}

#[test]
fn a_lost_session_is_settled_by_cleanup() {
    lost_and_settled(Rig::new);
}

/// On any kind of engine.
pub fn lost_and_settled(rig: fn(&Value) -> Rig) {
    let rig = rig(&shell("echo READY; exec sleep 600"));
    let mut going = rig.begin(&["start", "--yes", "a"]);
    going.until("READY");
    going.signal(Signal::SIGKILL);
    // The terminal's own child outlives it, with our pipe.
    assert_eq!(going.wait().code(), None);
    rig.run(&["list"], "").code(0).says("lost");
    rig.run(&["cleanup", "--yes"], "").code(0);
    rig.assert_nothing_left();
}

#[test]
fn homes_do_not_see_each_other() {
    let (one, two) = (Rig::new(&shell("exit 1")), Rig::new(&shell("exit 1")));
    one.run(&["start", "--yes", "a"], "").code(1);
    two.run(&["start", "--yes", "a"], "").code(1);
    let (mine, theirs) = (one.sessions().remove(0), two.sessions().remove(0));
    let listed = one.run(&["list"], "").code(0).stdout;
    assert!(listed.contains(&mine) && !listed.contains(&theirs), "{listed}");
    one.run(&["info", &mine], "").code(0).says(&format!("home       claude-bottle-{mine} ("));
    for verb in [&["info"][..], &["cleanup", "--yes"]] {
        let ran = one.run(&[verb, &[&theirs]].concat(), "").code(2);
        assert!(ran.stderr.starts_with("claude-bottle: no session ") && ran.stderr.contains(&theirs), "{}", ran.stderr);
    }
    let offered = one.run(&["cleanup", "--dry-run"], "").code(0).stdout;
    assert!(offered.contains(&mine) && !offered.contains(&theirs), "{offered}");
    one.run(&["cleanup", "--yes"], "").code(0);
    one.assert_nothing_left();
    assert_eq!((two.sessions().len(), two.objects().len()), (1, 1));
}

#[test]
fn a_gate_that_does_not_come_up_says_why_and_the_agent_never_runs() {
    let rig = Rig::new(&shell("echo THE AGENT RAN"));
    // Whole, so that the plan takes it, and empty.
    let roots = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    std::fs::write(rig.path().join("roots.pem"), roots).unwrap();
    let mut command = rig.ours(&["start", "--yes", "a"]);
    command.env("CLAUDE_BOTTLE_UPSTREAM_CA", rig.path().join("roots.pem"));
    let ran = super::run(&mut command, "").code(125);
    ran.says("the gate did not come up");
    assert!(!ran.stdout.contains("THE AGENT RAN"));
    rig.assert_nothing_left();
}

/// A bottle whose image is built of these lines.
fn built_of(lines: &str) -> Rig {
    let rig = Rig::new(&json!({}));
    std::fs::write(rig.path().join("own.Dockerfile"), format!("FROM claude-bottle-agent\n{lines}\n")).unwrap();
    rig.manifest(&json!({
        "bottles": { "b": { "image": { "dockerfile": "own.Dockerfile" } } },
        "agents": { "a": { "bottle": "b", "command": ["true"] } },
    }));
    rig
}

/// Without a terminal the steps are told, and all that was said once it is of use.
#[test]
fn an_image_that_does_not_build_says_so_in_the_engines_words() {
    let rig = built_of(&format!("RUN : {}; echo GO''OD\nRUN echo WHY''NOT; exit 42", super::unique()));
    let ran = rig.run(&["start", "--yes", "a"], "").code(125);
    ran.says("returned a non-zero code: 42");
    let (steps, all) = ran.stderr.split_once("Sending build context").unwrap();
    assert!(steps.contains("\nStep 3/4 : RUN echo WHY") && !steps.contains("GOOD"), "{}", ran.stderr);
    assert!(all.contains("\nGOOD\n") && all.contains("\nWHYNOT\n"), "{}", ran.stderr);
    // The classic builder keeps what did build, without a name.
    let kept = all.split_once("GOOD\n").and_then(|(_, rest)| rest.split(" ---> ").nth(1)).unwrap();
    docker(&["rmi", kept.lines().next().unwrap()]);
    rig.assert_nothing_left();
}

#[test]
fn a_build_that_is_interrupted_leaves_nothing() {
    let word = super::unique();
    let rig = built_of(&format!("RUN echo BEG''UN; sleep 1000; echo {word}"));
    let mut going = rig.on_terminal(&["start", "--yes", "a"]);
    going.until("BEGUN");
    going.say("\x03");
    going.end().code(130);
    // The engine takes its own time to notice that nobody waits for the image.
    let left = || docker(&["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Command}}"]).contains(&word);
    until("the engine to drop the build", || !left());
    rig.assert_nothing_left();
}

#[test]
fn the_printed_script_runs_a_bottle_without_us() {
    let rig = Rig::new(&shell("cat; getent hosts example.org; exit 4"));
    let script = rig.run(&["start", "--dry-run", "--format", "sh", "a"], "").code(0).stdout;
    let mut sh = std::process::Command::new("sh");
    sh.args(["-c", &script]);
    let ran = super::run(&mut sh, "given\n").code(4);
    assert!(ran.stdout.starts_with("given\n127.64.0.1"), "{}", ran.stdout);
    // It keeps the home of an agent that failed, and says what.
    let volume = ran.stderr.lines().find_map(|line| line.strip_prefix("kept: volume ")).unwrap();
    let volume = volume.split(',').next().unwrap();
    assert_eq!(lines(&docker(&["volume", "ls", "-q", "--filter", &format!("name={volume}")])), [volume]);
    docker(&["volume", "rm", volume]);
    let folder = ran.stderr.split(", ").find_map(|part| part.split("/transcript.tar").next()).unwrap();
    let _ = std::fs::remove_dir_all(folder);
    assert_eq!(lines(&docker(&["ps", "-aq", "--filter", &format!("name={volume}")])), Vec::<String>::new());
}

/// An image that knows nothing of us: what makes it an agent's is our last layer.
#[test]
fn a_users_image_by_name() {
    let base = std::env::var("CLAUDE_BOTTLE_BASE_IMAGE").unwrap();
    let words = "id -u; pwd; echo $HOME; touch here; rm here; readlink /etc/ssl/certs/ca-certificates.crt; \
        grep -c BEGIN /etc/ssl/certs/ca-certificates.crt; getent hosts example.org";
    let rig = Rig::new(&json!({
        "bottles": { "b": { "image": { "name": base } } },
        "agents": { "a": { "bottle": "b", "command": ["sh", "-c", words] } },
    }));
    let ran = rig.run(&["start", "--yes", "a"], "").code(0);
    let lines = lines(&ran.stdout);
    assert_eq!(
        lines[..4],
        [&*UID.to_string(), "/home/agent/workspace", "/home/agent", "/run/claude-bottle/ca-bundle.pem"],
        "{}",
        ran.stdout
    );
    assert!(lines[4].parse::<u32>().unwrap() > 1 && lines[5].starts_with("127.64.0.1"), "{}", ran.stdout);
    rig.assert_nothing_left();
    let built = ran.stderr.lines().find_map(|line| line.strip_prefix("building image `claude-bottle-session:"));
    if let Some(tag) = built {
        docker(&["rmi", &format!("claude-bottle-session:{}", tag.trim_end_matches('`'))]);
    }
}

/// A new terminal's name is in no image for years.
#[test]
fn a_terminal_that_the_image_does_not_know_is_replaced_and_told() {
    let rig = Rig::new(&shell("echo \"TERM is $TERM\"; tput cols; read _"));
    let mut command = rig.terminal_command(&["start", "--yes", "a"]);
    let mut going = super::Going::new(command.env("TERM", "xterm-ghostty"));
    going.until("the image does not know the terminal `xterm-ghostty`");
    going.until("TERM is xterm-256color\r\n120\r\n");
    let identity = rig.sessions().remove(0);
    let mut inside = rig.on_terminal(&["exec", &identity, "--", "sh", "-c", "echo $TERM; read _"]);
    inside.until("xterm-256color\r\n");
    inside.say("\n");
    assert!(!inside.end().code(0).stdout.contains("does not know"));
    going.say("\n");
    going.end().code(0);
    rig.assert_nothing_left();
}

/// However its client ends: nothing of the command is left inside, and no words of the engine's client are shown.
#[test]
fn a_command_inside_ends_with_its_client() {
    let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGKILL];
    commands_end_with_their_client(Rig::new, &signals);
}

/// On any kind of engine.
pub fn commands_end_with_their_client(rig: fn(&Value) -> Rig, signals: &[Signal]) {
    let rig = rig(&shell("echo READY; read _"));
    let mut going = rig.begin(&["start", "--yes", "a"]);
    going.until("READY");
    let identity = rig.sessions().remove(0);
    let left = || rig.run(&["exec", &identity, "--", "pgrep", "-f", "sleep 12[3]4"], "").code == Some(0);
    let words = ["exec", &identity, "--", "sh", "-c", "echo BEGUN; sleep 1234"];
    let pipes = || rig.begin(&words);
    let terminal = || rig.on_terminal(&words);
    for signal in signals {
        let mut inside = pipes();
        inside.until("BEGUN");
        assert!(left());
        inside.signal(*signal);
        let status = inside.wait();
        if *signal != Signal::SIGKILL {
            assert_eq!(status.code(), Some(128 + *signal as i32));
        }
        let ran = inside.end();
        assert_eq!(ran.stderr, "", "{signal}");
        until(&format!("the command has ended after {signal}"), || !left());
    }
    // The terminal is closed.
    let mut inside = terminal();
    inside.until("BEGUN");
    assert!(left());
    inside.signal(Signal::SIGKILL);
    inside.wait();
    until("the command has ended with its terminal", || !left());
    // The reader of the output goes away.
    let line = "for i in 1 2 3; do echo $i; sleep 1; done; exec sleep 1234";
    let words =
        shlex::try_join([env!("CARGO_BIN_EXE_claude-bottle"), "exec", &identity, "--", "sh", "-c", line]).unwrap();
    let mut head = std::process::Command::new("sh");
    rig.dress(head.args(["-c", &format!("{words} </dev/null | head -n 1")]));
    assert_eq!(super::run(&mut head, "").code(0).stdout, "1\n");
    until("the command has ended with its reader", || !left());
    going.say("\n");
    going.end().code(0);
    rig.assert_nothing_left();
}

#[test]
fn a_shell_inside_is_the_agents_own_world() {
    let rig = Rig::new(&shell("echo READY; read _"));
    let mut going = rig.begin(&["start", "--yes", "a"]);
    going.until("READY");
    let identity = rig.sessions().remove(0);
    assert!(rig.run(&["list"], "").code(0).stdout.contains("  live "));
    let mut inside = rig.on_terminal(&["exec", &identity]);
    inside.until("$ ");
    // A job in the background, which has the terminal, too, holds nothing up.
    inside.say("sleep 1000 & tty; echo $CLAUDE_BOTTLE $((40 + 2)); stty size; exit 5\n");
    inside.until(&format!("/dev/pts/0\r\n{identity} 42\r\n40 120\r\n"));
    inside.end().code(5);
    let mut inside = rig.on_terminal(&["exec", &identity, "--", "stty", "size"]);
    inside.until("40 120");
    inside.end().code(0);
    // Without a terminal, too, and what it reads and prints is only its own.
    let ran = rig.run(&["exec", &identity, "--", "sh", "-c", "cat; exit 6"], "through").code(6);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("through", ""));
    going.say("\n");
    going.end().code(0);
    rig.assert_nothing_left();
}
