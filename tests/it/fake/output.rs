//! What a session says while it is made: quiet, each call as it can be typed, and times.

use crate::harness::{ENGINES, PLAIN, Place, VARIABLES, kept, rich};

/// What goes as it should is not said; what must be known is.
#[test]
fn quiet() {
    let place = Place::new(PLAIN);
    let quiet = |args: &[&str]| place.run(&[&["-q"], args].concat());
    quiet(&["list"]).test();
    quiet(&["start", "--yes", "plain"]).stdout("hello from the agent\n").test();
    quiet(&["build"]).env("FAKE_IMAGES", "built").test();
    quiet(&["cleanup", "--yes"]).test();
    quiet(&["start", "--dry-run", "plain"]).snap("quiet-dry");
    quiet(&["start", "--yes", "plain"]).env("FAKE_CODE", 7).snap("quiet-kept");
    quiet(&["cleanup", "--yes"]).test();
    assert_eq!(place.sessions(), [""; 0]);
    quiet(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").stdout("hello from the agent\n").test();
    quiet(&["info", "nobody-aaaaa"]).snap("quiet-error");
}

/// A build that fails has its output, which was not shown as it came.
#[test]
fn a_quiet_build_that_fails() {
    let place = Place::new(PLAIN);
    let done = place.run(&["-q", "build"]).env("FAKE_IMAGES", "built").env("FAKE_LOST_AT", 4).done();
    assert_eq!(done.status, 125, "{done:?}");
    assert!(done.stderr.contains("Step 1/1 : FROM scratch") && done.stderr.contains("did not build"), "{done:?}");
}

/// Consent needs to know to what.
#[test]
fn a_quiet_question_shows_the_plan() {
    let place = Place::new(PLAIN);
    let mut terminal = place.run(&["-q", "start", "plain"]).env("NO_COLOR", 1).on_terminal();
    terminal.until("launch this agent? [y/N] ");
    terminal.types("n\n");
    let (status, seen) = terminal.end();
    assert!(status == 0 && seen.contains("\nbottle   box\n"), "{seen}");
}

/// The words of the calls that stderr shows, behind what a build needs of the environment.
fn shown(stderr: &str) -> Vec<Vec<String>> {
    let (mut calls, mut call) = (Vec::new(), String::new());
    for line in stderr.lines() {
        let line = line.strip_prefix("BUILDAH_FORMAT=docker ").unwrap_or(line);
        if call.is_empty() && !line.starts_with("docker ") {
            continue;
        }
        call.push_str(line);
        // An argument may have several lines.
        match shlex::split(&call) {
            Some(words) => {
                calls.push(words[1..].to_vec());
                call.clear();
            }
            None => call.push('\n'),
        }
    }
    assert_eq!(call, "", "no end");
    calls
}

/// Each call is shown, as it can be typed, and nothing that was not made.
#[test]
fn verbose() {
    let place = rich();
    let secrets = VARIABLES.map(|(_, value)| value);
    let run = |args: &[&str]| {
        let run = place.run(args).env("FAKE_TAR", place.transcript()).env("FAKE_IMAGES", "built");
        let done = VARIABLES.iter().fold(run, |run, (name, value)| run.env(name, value)).done();
        let (mut shown, mut made) = (shown(&done.stderr), place.calls());
        place.forget_calls();
        shown.sort();
        made.sort();
        assert_eq!(shown, made, "{}", done.stderr);
        assert!(secrets.iter().all(|secret| !done.stderr.contains(secret)), "{}", done.stderr);
        assert!(!done.stderr.contains("from-a-command\n"), "{}", done.stderr);
        done
    };
    assert_eq!(run(&["-v", "build", "fixer"]).status, 0);
    assert_eq!(run(&["start", "--verbose", "--yes", "fixer"]).status, 0);
    let without: Vec<String> = shown(&run(&["list", "-v"]).stderr).concat();
    assert_eq!(without, [""; 0]);
}

/// What the environment says otherwise stands before the call.
#[test]
fn verbose_names_the_engine_of_the_session() {
    for (engine, host, other) in
        [(ENGINES[0], "DOCKER_HOST", "DOCKER_CONTEXT"), (ENGINES[1], "CONTAINER_HOST", "CONTAINER_CONNECTION")]
    {
        let place = Place::on(engine, PLAIN);
        let far = "ssh://far.example.org";
        let done = place.run(&["start", "--yes", "plain"]).env(host, far).env("FAKE_CODE", 7).done();
        assert_eq!(done.status, 7, "{done:?}");
        let identity = place.session();
        let look = |run: crate::harness::Run| {
            let stderr = run.done().stderr;
            stderr
                .lines()
                .find(|line| line.contains(" container inspect "))
                .unwrap_or_else(|| panic!("{stderr}"))
                .to_owned()
        };
        let info = || place.run(&["-v", "info", &identity]);
        assert!(look(info()).starts_with(&format!("{host}={far} {engine} container")), "{}", look(info()));
        assert!(look(info().env(host, far)).starts_with(&format!("{engine} container")));
        let beside = look(info().env(other, "elsewhere"));
        assert!(beside.starts_with(&format!("env -u {other} {host}={far} {engine} container")), "{beside}");
    }
}

/// On the terminal no line comes between what the agent draws: calls that are made meanwhile are shown after it.
#[test]
fn verbose_does_not_draw_on_the_agents_screen() {
    let place = Place::new(PLAIN);
    let run = place.run(&["-v", "start", "--yes", "plain"]).env("FAKE_AGENT", "signal TERM");
    let (status, seen) = run.on_terminal().end();
    assert_eq!(status, 143, "{seen}");
    let (before, drawn) = seen.split_once("hello from the agent").unwrap();
    let (drawn, after) = drawn.split_once("\u{1b}>").unwrap_or_else(|| panic!("no reset: {}", seen.escape_debug()));
    assert!(before.contains("docker start -ai --detach-keys"), "{before}");
    assert!(!drawn.contains("docker"), "{}", drawn.escape_debug());
    assert!(after.contains("docker stop -t 3 claude-bottle-plain-"), "{}", after.escape_debug());
}

/// The phases of a start, in order, and below each what was asked of the engine.
#[test]
fn timings() {
    let place = kept();
    let identity = place.session();
    let names = |stderr: &str| -> Vec<String> {
        let table = stderr.lines().skip_while(|line| !line.starts_with("timings, ms ")).skip(1);
        let name = |line: &str| {
            let indent = if line.starts_with(' ') { "  " } else { "" };
            place.steady(&format!("{indent}{}", line.trim_start().split("  ").next().unwrap()))
        };
        table.map(name).collect()
    };
    let done = place.run(&["--timings", "resume", "--yes", &identity]).done();
    assert_eq!((done.status, done.stdout.as_str()), (0, "hello from the agent\n"));
    let told = names(&done.stderr);
    let phases: Vec<&String> = told.iter().filter(|name| !name.starts_with(' ')).collect();
    assert_eq!(phases, ["plan", "prepare", "until the agent's start", "run", "end", "all"], "{}", done.stderr);
    for call in ["create plain-[ID]-gate", "create plain-[ID]-agent", "rm plain-[ID]-gate", "volume rm plain-[ID]"] {
        assert!(told.contains(&format!("  docker {call}")), "{call}: {told:?}");
    }
    place.run(&["list"]).stderr("no sessions\n").test();
    let listed = place.run(&["list", "--timings"]).done();
    assert_eq!(names(&listed.stderr), ["plan", "all"]);
}
