//! The keystone: what a dry run prints is what a start does. The printed script and the program itself run against the
//! fake engine, and both logs of calls, both documents that the gates got, are compared.

use crate::harness::{ENGINES, FAKE, PLAIN, PROGRAM, Place, Run, VARIABLES, rich, text};
use std::fs;
use std::path::Path;
use testing::process::try_output;

type Calls = Vec<Vec<String>>;

/// What came of one run: the plan's own calls and the gate's document, the identity replaced.
struct Trace {
    calls: Calls,
    document: String,
}

fn with_variables<'a>(mut run: Run<'a>) -> Run<'a> {
    for (name, value) in VARIABLES {
        run = run.env(name, value);
    }
    run
}

/// The calls since the last trace, without the probes, which are no part of a plan.
fn trace(place: &Place) -> Trace {
    let steady = |word: &String| match word {
        word if word.starts_with("label=level:s0:") => "label=level:s0:[LEVEL]".to_owned(),
        // The script writes the profiles into a folder of its own.
        word if word.starts_with("seccomp=") => format!("seccomp={}", word.rsplit('/').next().unwrap()),
        _ => place.steady(word),
    };
    let calls: Calls = place.calls().iter().map(|call| call.iter().map(steady).collect()).collect();
    let calls = calls.into_iter().filter(|call: &Vec<String>| !["info", "image"].contains(&call[0].as_str())).collect();
    let documents: Vec<_> =
        fs::read_dir(place.engine("documents")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(documents.len(), 1, "{documents:?}");
    let document = place.steady(&text(&documents[0]));
    fs::remove_file(&documents[0]).unwrap();
    place.forget_calls();
    Trace { calls, document }
}

/// Where in the log the call is whose words these are.
#[track_caller]
fn at(calls: &Calls, words: &[&str]) -> usize {
    let mut found =
        calls.iter().enumerate().filter(|(_, call)| words.iter().all(|word| call.iter().any(|w| w.ends_with(word))));
    let (at, _) = found.next().unwrap_or_else(|| panic!("no `{words:?}` in {calls:#?}"));
    assert!(found.next().is_none(), "`{words:?}` twice in {calls:#?}");
    at
}

/// The order that matters, whoever runs the steps.
#[track_caller]
fn in_order(calls: &Calls) {
    let create_gate = at(calls, &["create", "-gate", "serve"]);
    let create_agent = at(calls, &["create", "-agent", "init"]);
    let start_agent = at(calls, &["start", "-agent"]);
    let (inspect, copy) = (at(calls, &["inspect", "-agent"]), at(calls, &["cp", "-"]));
    let (remove_gate, remove_agent) = (at(calls, &["rm", "-gate"]), at(calls, &["rm", "-agent"]));
    let remove_volume = at(calls, &["volume", "rm"]);
    assert!(create_gate < at(calls, &["start", "-gate"]) && create_gate < create_agent && create_agent < start_agent);
    assert!(start_agent < inspect && start_agent < copy && inspect < remove_gate);
    // The gate goes while the copy comes, so that one may overtake the other.
    assert!(copy < remove_agent && remove_gate < remove_volume && remove_agent < remove_volume, "{calls:#?}");
}

fn sorted(calls: &Calls) -> Calls {
    let mut calls = calls.clone();
    calls.sort();
    calls
}

/// The shells that are here; `sh` always is.
fn shells() -> Vec<&'static str> {
    let shells = ["/bin/sh", "/bin/bash", "/bin/dash", "/bin/zsh", "/usr/bin/zsh", "/bin/ksh", "/bin/busybox"];
    shells.into_iter().filter(|shell| Path::new(shell).exists()).collect()
}

fn script<'a>(place: &'a Place, shell: &str, file: &str) -> Run<'a> {
    let path = place.path(file);
    let path = path.to_str().unwrap();
    let args = if shell.ends_with("busybox") { vec!["sh", path] } else { vec![path] };
    place.run_other(shell, &args).env("PATH", format!("{FAKE}:/usr/bin:/bin"))
}

fn compare(place: &Place, agent: &str, code: i32) {
    let tar = place.transcript();
    let run = |run: Run| with_variables(run).env("FAKE_TAR", &tar).env("FAKE_CODE", code).done();
    // The first start meets the engine: from then on a dry run knows what a start knows.
    run(place.run(&["start", "--yes", agent]));
    for identity in place.sessions() {
        place.run(&["cleanup", "--yes"]).done();
        assert_eq!(place.sessions(), [""; 0], "{identity}");
    }
    fs::remove_dir_all(place.engine("documents")).unwrap();
    fs::create_dir(place.engine("documents")).unwrap();
    place.forget_calls();

    let real = run(place.run(&["start", "--yes", agent]));
    assert_eq!((real.status, real.stdout.as_str()), (code, "hello from the agent\n"), "{}", real.stderr);
    let real = trace(place);
    if code == 0 {
        in_order(&real.calls);
    }
    for identity in place.sessions() {
        place.run(&["cleanup", "--yes"]).done();
        assert_eq!(place.sessions(), [""; 0], "{identity}");
        place.forget_calls();
    }
    let dry = place.run(&["start", "--dry-run", "--format", "sh", agent]).done();
    assert_eq!((dry.status, dry.stderr.as_str()), (0, ""));
    place.write("script", &dry.stdout);
    for shell in shells() {
        let done = run(script(place, shell, "script"));
        assert_eq!((done.status, done.stdout.as_str()), (code, "hello from the agent\n"), "{shell}: {}", done.stderr);
        let printed = trace(place);
        if code == 0 {
            in_order(&printed.calls);
            assert_eq!(place.objects(), [""; 0]);
        }
        assert_eq!(sorted(&printed.calls), sorted(&real.calls), "{shell}");
        assert_eq!(printed.document, real.document, "{shell}");
        let volumes = place.objects();
        for volume in volumes {
            fs::remove_dir_all(place.engine("volumes").join(volume)).unwrap();
        }
    }
    let document: wire::Document = serde_json::from_str(&real.document).unwrap();
    assert_eq!(document.values["roots"].0, crate::harness::CERTIFICATE.as_bytes());
}

#[test]
fn the_script_does_what_the_program_does() {
    for engine in ENGINES {
        compare(&Place::on(engine, PLAIN), "plain", 0);
    }
    compare(&rich(), "fixer", 0);
}

#[test]
fn and_keeps_what_the_program_keeps() {
    for engine in ENGINES {
        compare(&Place::on(engine, PLAIN), "plain", 7);
    }
}

/// No secret but by reference: neither in what is printed, nor in any call, nor on the disk.
#[test]
fn no_secret_is_in_plan_calls_or_state() {
    let place = rich();
    let secrets = [VARIABLES[0].1, VARIABLES[1].1, "from-a-command"].map(|value| value.to_owned());
    let coded: Vec<String> = secrets.iter().map(|value| wire::encode_base64(value.as_bytes())).collect();
    let mut all = String::new();
    for format in ["text", "json", "sh"] {
        all.push_str(&with_variables(place.run(&["start", "--dry-run", "--format", format, "fixer"])).done().stdout);
    }
    let done = with_variables(place.run(&["start", "--yes", "fixer"])).env("FAKE_CODE", 7).done();
    assert_eq!(done.status, 7, "{}", done.stderr);
    all.push_str(&done.stderr);
    all.push_str(&format!("{:?}", place.calls()));
    for (path, _, bytes) in place.whole_home() {
        all.push_str(&format!("{path:?} {}", String::from_utf8_lossy(&bytes)));
    }
    // The command itself is in the plan, its output is not.
    let all = all.replace("[\"/bin/echo\", \"from-a-command\"]", "").replace("/bin/echo from-a-command", "");
    let all = all.replace("\"/bin/echo\",\n", "").replace("        \"from-a-command\"\n", "");
    let all: String = all.lines().filter(|line| line.trim() != "\"from-a-command\"").collect::<Vec<_>>().join("\n");
    for secret in secrets.iter().chain(&coded) {
        assert!(!all.contains(secret.as_str()), "`{secret}` is somewhere");
    }
    let documents: Vec<_> = fs::read_dir(place.engine("documents")).unwrap().collect();
    let document = text(&documents[0].as_ref().unwrap().path());
    for secret in coded {
        assert!(document.contains(&secret), "the gate got it");
    }
}

#[test]
fn shellcheck_has_nothing_to_say() {
    for (place, agent) in [(Place::new(PLAIN), "plain"), (rich(), "fixer")] {
        let dry = place.run(&["start", "--dry-run", "--format", "sh", agent]).done();
        place.write("script.sh", &dry.stdout);
        for file in [place.path("script.sh"), Path::new(FAKE).join("docker")] {
            let checked = try_output(std::process::Command::new("shellcheck").arg(&file));
            let checked = checked.unwrap_or_else(|why| panic!("{why}: type `scripts/packages shellcheck`"));
            assert!(checked.status.success(), "{}{}", String::from_utf8_lossy(&checked.stdout), dry.stdout);
        }
    }
}

/// A script that arrives cut short does nothing: it is one function, called on its last line.
#[test]
fn a_script_cut_short_does_nothing() {
    let place = Place::new(PLAIN);
    let whole = place.run(&["start", "--dry-run", "--format", "sh", "plain"]).done().stdout;
    let lines: Vec<&str> = whole.lines().collect();
    for count in [5, lines.len() / 2, lines.len() - 1] {
        place.write("script", &format!("{}\n", lines[..count].join("\n")));
        script(&place, "/bin/sh", "script").done();
        assert_eq!(place.calls(), [[""; 0]; 0], "{count} lines");
    }
}

/// `… --format sh | sh` on a terminal: the shell's input is the script, the agent's is the terminal.
#[test]
fn a_piped_script_gives_the_agent_the_terminal() {
    let place = Place::new(PLAIN);
    let line = format!("{PROGRAM} start --dry-run --format sh plain | sh");
    let run = place.run_other("/bin/sh", &["-c", &line]).env("PATH", format!("{FAKE}:/usr/bin:/bin"));
    let mut terminal = run.env("FAKE_AGENT", "echoes").on_terminal();
    terminal.until("hello from the agent");
    terminal.types("typed by a person\n\u{4}");
    let (status, seen) = terminal.end();
    assert_eq!((status, seen.as_str()), (0, "hello from the agent\ntyped by a person\ntyped by a person\n"));
    assert!(place.calls().iter().any(|call| call[..2] == ["create", "-it"]));
    assert_eq!(place.objects(), [""; 0]);
}

/// The script says what it lacks, before it makes anything.
#[test]
fn a_script_without_its_variables_makes_nothing() {
    let place = rich();
    place.write("script", &place.run(&["start", "--dry-run", "--format", "sh", "fixer"]).done().stdout);
    script(&place, "/bin/sh", "script").status(2).stderr("set MY_REGION first\n").test();
    assert_eq!(place.calls(), [[""; 0]; 0]);
}

/// A gate that does not come up, and every call of the way up that fails: nothing is left, but an agent's home.
#[test]
fn a_script_that_fails_leaves_nothing() {
    for gate in ["failed", "silent", "mute"] {
        let place = Place::new(PLAIN);
        place.write("script", &place.run(&["start", "--dry-run", "--format", "sh", "plain"]).done().stdout);
        let done = script(&place, "/bin/sh", "script").env("FAKE_GATE", gate).done();
        assert_eq!((done.status, done.stdout.as_str()), (125, ""), "{gate}: {}", done.stderr);
        assert_eq!(place.objects(), [""; 0], "{gate}");
    }
    for number in 1..=4 {
        let place = Place::new(PLAIN);
        place.write("script", &place.run(&["start", "--dry-run", "--format", "sh", "plain"]).done().stdout);
        let done = script(&place, "/bin/sh", "script").env("FAKE_FAIL_AT", number).done();
        assert_ne!(done.status, 0, "{number}: {}", done.stderr);
        let kept = done.stderr.contains("kept: volume");
        let left = place.objects();
        assert!(
            left.iter().all(|name| kept && !name.ends_with("-agent") && !name.ends_with("-gate")),
            "{number}: {left:?}"
        );
    }
}
