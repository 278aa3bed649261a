//! How sessions end, on the fake engine: what is said, what stays on the disk and on the engine, and the exit code.

use crate::cli::kept;
use crate::run::{ENGINES, PLAIN, Place, Run, compare, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

const HELLO: &str = "hello from the agent\n";

/// What a session that could not be asked about any more, or that failed, must still have: nothing but its volume.
#[track_caller]
fn only_the_volume(place: &Place) {
    assert_eq!(place.objects(), [format!("claude-bottle-{}", place.session())]);
}

#[track_caller]
fn nothing(place: &Place) {
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
}

fn start(place: &Place) -> Run<'_> {
    place.run(&["start", "--yes", "plain"]).env("FAKE_TAR", place.transcript())
}

/// The transcript came home with its names, and private modes.
#[track_caller]
fn transcript(place: &Place) {
    let file = place.session_file("transcript/-home-agent-workspace/one.jsonl");
    assert_eq!(text(&file), "{\"said\":1}\n");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let folder = fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o7777;
    assert_eq!(folder, 0o700);
}

/// A bottle's name is part of the tag of its own image. Whatever it is, that image is built where the chain to the agent's
/// image needs it, and nowhere else.
#[test]
fn a_bottle_may_be_named_like_an_image_of_ours() {
    for name in ["gate", "agent", "session", "box"] {
        let manifest = r#"{ "bottles": { "NAME": { "image": { "dockerfile": "own.Dockerfile" } } },
            "agents": { "plain": { "bottle": "NAME" } } }"#;
        let place = Place::new(&manifest.replace("NAME", name));
        place.write("home/.claude-bottle/own.Dockerfile", "FROM claude-bottle-agent\n");
        let built = || {
            place.forget_calls();
            let done = place.run(&["build", "plain"]).env("FAKE_IMAGES", "built").done();
            assert_eq!(done.status, 0, "{done:?}");
            let builds = place.calls().into_iter().filter(|call| call[0] == "build");
            builds.map(|call| call[3].split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let own = format!("claude-bottle-{name}");
        assert_eq!(built(), ["claude-bottle-gate", "claude-bottle-agent", &own, "claude-bottle-session"]);
        let images = |prefix: &str| {
            let names = fs::read_dir(place.engine("images")).unwrap().map(|entry| entry.unwrap().file_name());
            let names = names.map(|name| name.into_string().unwrap());
            names.filter(|name| name.starts_with(prefix)).collect::<BTreeSet<_>>()
        };
        let gate = image_of(&place, "gate");
        let session = image_of(&place, "agent");
        // Every image but the two that containers are made of: they are needed by no start.
        for image in images("claude-bottle-").into_iter().filter(|image| ![&gate, &session].contains(&image)) {
            fs::remove_file(place.engine("images").join(image)).unwrap();
        }
        assert_eq!(built(), [""; 0], "a bottle named {name}");
        // The gate's alone.
        fs::remove_file(place.engine("images").join(&gate)).unwrap();
        assert_eq!((built(), images(&gate).len()), (vec!["claude-bottle-gate".to_owned()], 1), "a bottle named {name}");
        // The end of the agent's chain, and with it all that it stands on.
        fs::remove_file(place.engine("images").join(&session)).unwrap();
        assert_eq!(built(), ["claude-bottle-agent", &own, "claude-bottle-session"], "a bottle named {name}");
    }
}

/// The image that a container of the plan is made of: `gate` or `agent`.
fn image_of(place: &Place, container: &str) -> String {
    let done = place.run(&["start", "--dry-run", "--format", "json", "plain"]).done();
    let plan: Value = serde_json::from_str(&done.stdout).unwrap();
    plan["images"][container].as_str().unwrap().to_owned()
}

#[test]
fn an_agent_that_ends_well_leaves_nothing() {
    let place = Place::new(PLAIN);
    let done = start(&place).snap("end-0");
    assert_eq!((done.status, done.stdout.as_str()), (0, HELLO));
    nothing(&place);
}

/// What can be sent stands out, where there is colour.
#[test]
fn labels_of_a_plan_are_painted() {
    let place = Place::new(PLAIN);
    let painted = place.run(&["start", "--yes", "--color", "always", "plain"]).done().stderr;
    assert!(painted.starts_with("\x1b[2magent\x1b[0m    plain "), "{painted:?}");
    let plain = place.run(&["start", "--yes", "plain"]).done().stderr;
    assert!(!plain.contains('\x1b'), "{plain:?}");
    let bare = painted.replace("\x1b[2m", "").replace("\x1b[1m", "").replace("\x1b[0m", "");
    assert_eq!(place.steady(&bare), place.steady(&plain));
}

#[test]
fn an_agent_that_fails_is_kept() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_CODE", 7).env("FAKE_WORK", "silent").snap("end-7").status, 7);
    only_the_volume(&place);
    transcript(&place);
    assert_eq!(place.kept(), "the agent ended with 7");
    let audit = text(&place.session_file("audit.jsonl"));
    assert_eq!(audit.lines().count(), 2, "{audit}");
    for file in ["audit.jsonl", "plan.json", "mark", "lock"] {
        let mode = fs::metadata(place.session_file(file)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600, "{file}");
    }
}

/// An end with 0 takes the home along only where nothing in it is nowhere else.
#[test]
fn work_that_is_nowhere_else_keeps_the_session() {
    let app = r#"{"path":"app","commits":2,"stashes":0,"files":1}"#;
    let work = format!(r#""complete":true,"files":3,"repositories":[{app}]"#);
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_WORK", &work).snap("end-work").status, 0);
    only_the_volume(&place);
    transcript(&place);
    assert_eq!(place.mark()["work"]["repositories"][0]["commits"], 2);

    for (work, name) in [(r#""complete":false,"files":0"#, "end-incomplete"), ("silent", "end-unknown")] {
        let place = Place::new(PLAIN);
        assert_eq!(start(&place).env("FAKE_WORK", work).snap(name).status, 0);
        only_the_volume(&place);
        assert_eq!(place.kept(), "what is in it could not be compared");
        assert_eq!(place.mark().get("work"), None);
    }
}

/// What another terminal comes back to is weighed in the same way.
#[test]
fn work_keeps_an_attached_session() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_AGENT", "detaches").done().status, 0);
    let attach = place.run(&["attach", &place.session()]).env("FAKE_ATTACH", "ends");
    assert_eq!(attach.env("FAKE_WORK", r#""complete":true,"files":1"#).snap("attach-work").status, 0);
    only_the_volume(&place);
    assert_eq!(place.kept(), "work that is nowhere else: 1 file outside repositories");
}

#[test]
fn killed_and_out_of_memory_in_words() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_AGENT", "oom").snap("end-oom").status, 137);
    only_the_volume(&place);
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_CODE", 137).snap("end-137").status, 137);
    only_the_volume(&place);
}

#[test]
fn an_agent_that_cannot_start_is_the_engines_failure() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_AGENT", "broken").snap("end-broken").status, 125);
    only_the_volume(&place);
}

#[test]
fn a_gate_that_does_not_come_up_leaves_nothing() {
    for gate in ["failed", "silent", "mute"] {
        let place = Place::new(PLAIN);
        let done = start(&place).env("FAKE_GATE", gate).snap(&format!("end-gate-{gate}"));
        assert_eq!((done.status, done.stdout.as_str()), (125, ""), "the agent never ran");
        nothing(&place);
    }
}

#[test]
fn a_gate_that_dies_takes_the_agent_down() {
    let place = Place::new(PLAIN);
    let done = start(&place).env("FAKE_GATE", "dies").env("FAKE_AGENT", "stays").snap("end-gate-dies");
    assert_eq!(done.status, 125);
    only_the_volume(&place);
    transcript(&place);
}

#[test]
fn a_signal_keeps_the_session() {
    for (signal, code) in [("HUP", 129), ("INT", 130), ("QUIT", 131), ("TERM", 143)] {
        let place = Place::new(PLAIN);
        let run = start(&place).env("FAKE_AGENT", format!("signal {signal}"));
        assert_eq!(run.snap(&format!("end-{signal}")).status, code);
        only_the_volume(&place);
        transcript(&place);
        let stop = place.calls().into_iter().find(|call| call[0] == "stop").unwrap();
        assert_eq!(stop[1..3], ["-t", "3"]);
    }
}

/// Ctrl-C reaches the client, too, and without a terminal it comes back with 0 at once: that is not a detach.
#[test]
fn a_signal_to_the_whole_group_keeps_the_session() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_AGENT", "forwards INT").snap("end-forwarded").status, 130);
    only_the_volume(&place);
    transcript(&place);
    assert!(place.calls().iter().any(|call| call[0] == "stop"));
}

/// A session stays on the engine it was started on, whatever the environment says later.
#[test]
fn the_engine_of_a_session_is_recorded() {
    let variables = [["DOCKER_HOST", "DOCKER_CONTEXT"], ["CONTAINER_HOST", "CONTAINER_CONNECTION"]];
    for (engine, [host, context]) in ENGINES.into_iter().zip(variables) {
        let place = Place::on(engine, PLAIN);
        let one = "ssh://one.example.org";
        assert_eq!(start(&place).env(host, one).env("FAKE_CODE", 7).done().status, 7);
        let identity = place.session();
        let resume = || place.run(&["resume", "--yes", &identity]).env(host, "ssh://two.example.org");
        assert_eq!(resume().env("FAKE_AGENT", "detaches").done().status, 0);
        let attach = place.run(&["attach", &identity]).env(context, "three").env("FAKE_ATTACH", "ends");
        assert_eq!(attach.done().status, 0);
        assert!(place.hosts().iter().all(|host| host == one), "{:?}", place.hosts());
        nothing(&place);
    }
}

/// What kind of engine it is, it says itself; until it was asked, its program's name does.
#[test]
fn podman_is_known_by_its_name_or_by_its_word() {
    let row = |run: Run| {
        let done = run.done();
        done.stdout.lines().chain(done.stderr.lines()).find(|line| line.starts_with("engine ")).unwrap().to_owned()
    };
    let place = Place::on("podman", PLAIN);
    let dry = || row(place.run(&["start", "--dry-run", "plain"]));
    assert_eq!(dry(), "engine   podman (default), taken for podman by its name, decided at start");
    assert_eq!(row(start(&place)), "engine   podman (default)");
    assert_eq!(dry(), "engine   podman (default)");
    nothing(&place);

    let place = Place::new(PLAIN);
    assert_eq!(row(place.run(&["start", "--dry-run", "plain"])), "engine   docker (default)");
    assert_eq!(row(start(&place).env("FAKE_PODMAN", "yes")), "engine   docker (default), which is podman");
    nothing(&place);
    // What it was seen to be serves every verb.
    assert_eq!(start(&place).env("FAKE_PODMAN", "yes").env("FAKE_CODE", 7).done().status, 7);
    let resume = place.run(&["resume", "--yes", &place.session()]).env("FAKE_PODMAN", "yes");
    assert_eq!(resume.done().status, 0);
    assert_eq!(place.run(&["cleanup", "--yes"]).env("FAKE_PODMAN", "yes").done().status, 0);
    nothing(&place);
}

/// What goes into the home goes in before the agent starts, and the image's own home is there by then.
#[test]
fn a_home_is_filled_before_its_agent_starts() {
    let docker = ["create", "start", "create", "cp", "start"];
    let podman = ["create", "init", "start", "volume", "create", "init", "cp", "start"];
    for (engine, wanted) in ENGINES.into_iter().zip([&docker[..], &podman]) {
        let place = Place::on(engine, PLAIN);
        place.write("work/a", "a file");
        let done = place.run(&["start", "--yes", "--cwd", "plain"]).done();
        assert_eq!(done.status, 0, "{done:?}");
        let calls = place.calls();
        let made = calls.iter().map(|call| call[0].as_str()).filter(|verb| !["info", "image"].contains(verb));
        let mut made: Vec<&str> = made.take(wanted.len()).collect();
        // The gate's client is on its way while the next ones come.
        let at = made.iter().position(|verb| *verb == "start").unwrap();
        let gate = made.remove(at);
        made.insert(if engine == "docker" { 1 } else { 2 }, gate);
        assert_eq!(made, wanted);
        nothing(&place);
    }
}

/// Who asks twice does not wait for an agent that does not listen.
#[test]
fn a_second_signal_kills() {
    let place = Place::new(PLAIN);
    let run = start(&place).env("FAKE_AGENT", "signal INT").env("FAKE_STOP", "second signal");
    assert_eq!(run.snap("end-twice").status, 130);
    only_the_volume(&place);
    assert!(place.calls().iter().any(|call| call[0] == "kill"));
}

#[test]
fn an_agent_without_a_transcript_is_no_failure() {
    let place = Place::new(PLAIN);
    place.run(&["start", "--yes", "plain"]).snap("end-no-transcript");
    nothing(&place);
}

#[test]
fn a_transcript_that_is_broken_keeps_everything() {
    let place = Place::new(PLAIN);
    place.write("broken.tar", "no archive at all, and longer than nothing");
    let tar = place.path("broken.tar");
    place.run(&["start", "--yes", "plain"]).env("FAKE_TAR", tar.display()).snap("end-broken-transcript");
    let (volume, agent) = (format!("claude-bottle-{}", place.session()), "the only copy is in the agent's container");
    assert_eq!(place.objects(), [format!("{volume}-agent"), volume], "{agent}");
    place.run(&["cleanup", "--yes"]).done();
    nothing(&place);
}

/// The engine goes away under a running session: all stays where it is, and the next verb that reaches it goes on.
#[test]
fn an_engine_that_goes_away_loses_nothing() {
    for (agent, verb) in [("engine gone", "resume"), ("cut off", "attach"), ("cut off", "cleanup")] {
        let place = Place::new(PLAIN);
        assert_eq!(start(&place).env("FAKE_AGENT", agent).snap("end-engine-gone").status, 125);
        assert_eq!(place.objects().len(), 3);
        let identity = place.session();
        place.run(&["resume", "--yes", &identity]).snap("resume-engine-gone");
        assert_eq!((place.kept(), place.objects().len()), ("the engine could not be asked: `docker container inspect`: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?".to_owned(), 3));
        fs::remove_file(place.engine("gone")).unwrap();
        if agent == "cut off" {
            // It runs on all the while: there is somebody to go back to.
            place.run(&["resume", "--yes", &identity]).snap("resume-runs-on");
        }
        let args: &[&str] = match verb {
            "attach" => &["attach", &identity],
            "resume" => &["resume", "--yes", &identity],
            _ => &["cleanup", "--yes"],
        };
        let done = place.run(args).env("FAKE_TAR", place.transcript()).env("FAKE_ATTACH", "ends").done();
        assert_eq!(done.status, 0, "{done:?}");
        nothing(&place);
    }
}

#[test]
fn without_a_terminal_the_agent_gets_the_pipes() {
    let place = Place::new(PLAIN);
    let done = start(&place).env("FAKE_AGENT", "echoes").stdin("to the agent").done();
    assert_eq!((done.status, done.stdout), (0, format!("{HELLO}to the agent")));
}

#[test]
fn detached_attached_and_ended() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_AGENT", "detaches").snap("end-detached").status, 0);
    let identity = place.session();
    assert_eq!(place.mark()["mark"], "detached");
    assert_eq!(place.objects().len(), 3);
    // A detached session is nobody's to clean up, and no other start touches it.
    place.run(&["cleanup", "--yes"]).stderr("nothing to remove\n").test();
    assert_eq!(start(&place).done().status, 0);
    assert_eq!((place.session(), place.objects().len()), (identity.clone(), 3));
    place.run(&["resume", "--yes", &identity]).snap("resume-running");
    place.run(&["exec", &identity, "--", "ls", "-l"]).snap("exec");
    place.run(&["exec", &identity]).env("FAKE_CODE", 3).snap("exec-shell");
    place.run(&["attach", &identity]).env("FAKE_ATTACH", "detaches").snap("attach-detached");
    assert_eq!(place.mark()["mark"], "detached");
    place
        .run(&["attach", &identity])
        .env("FAKE_ATTACH", "ends")
        .env("FAKE_TAR", place.transcript())
        .snap("attach-ends");
    nothing(&place);
}

/// Who has a session shares it with nobody; what is refused changes nothing.
#[test]
fn one_terminal_at_a_time() {
    let place = Place::new(PLAIN);
    let mut terminal = start(&place).env("FAKE_AGENT", "stays").on_terminal();
    terminal.until("hello from the agent");
    let identity = place.session();
    for args in [vec!["attach", &identity], vec!["resume", "--yes", &identity], vec!["cleanup", "--yes", &identity]] {
        place.run(&args).snap(&format!("busy-{}", args[0]));
    }
    assert_eq!((place.mark()["mark"].as_str(), place.objects().len()), (Some("live"), 3));
    terminal.hang_up();
    assert_eq!(terminal.end().0, 129);
}

#[test]
fn no_at_the_question_leaves_nothing() {
    for answer in ["n\n", "\n", "\u{4}", "maybe\n"] {
        let place = Place::new(PLAIN);
        let mut terminal = place.run(&["start", "plain"]).on_terminal();
        terminal.until("launch this agent? [y/N] ");
        terminal.types(answer);
        let (status, seen) = terminal.end();
        assert_eq!(status, 0, "{seen}");
        nothing(&place);
        assert!(!seen.contains("hello"), "{seen}");
        assert!(place.calls().iter().any(|call| call[0] == "create"), "it was prepared meanwhile");
        let documents = fs::read_dir(place.engine("documents")).unwrap();
        for document in documents {
            assert_eq!(text(&document.unwrap().path()), "", "the gate was told nothing");
        }
    }
}

#[test]
fn no_at_a_resume_keeps_what_was_kept() {
    let place = kept();
    let (identity, before) = (place.session(), place.mark());
    let mut terminal = place.run(&["resume", &identity]).on_terminal();
    terminal.until("launch this agent? [y/N] ");
    terminal.types("n\n");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(place.mark(), before);
    only_the_volume(&place);
    transcript(&place);
}

#[test]
fn yes_at_the_question_launches() {
    for answer in ["y\n", "YES\n"] {
        let place = Place::new(PLAIN);
        let mut terminal = place.run(&["start", "plain"]).on_terminal();
        terminal.until("launch this agent? [y/N] ");
        terminal.types(answer);
        let (status, seen) = terminal.end();
        assert!(status == 0 && seen.contains("hello from the agent"), "{status} {seen}");
        assert!(place.calls().iter().any(|call| call[..2] == ["create", "-it"]), "a terminal for the agent");
        nothing(&place);
    }
}

/// Ctrl-C, and a window that is closed.
#[test]
fn a_signal_at_the_question_leaves_nothing() {
    let place = Place::new(PLAIN);
    let mut terminal = place.run(&["start", "plain"]).on_terminal();
    terminal.until("launch this agent? [y/N] ");
    terminal.types("\u{3}");
    assert_eq!(terminal.end().0, 130);
    nothing(&place);
    let place = Place::new(PLAIN);
    let mut terminal = place.run(&["start", "plain"]).on_terminal();
    terminal.until("launch this agent? [y/N] ");
    terminal.hang_up();
    let (status, seen) = terminal.end();
    assert!(status == 129 || status == 0, "{status} {seen}");
    nothing(&place);
}

#[test]
fn a_closed_terminal_keeps_the_session() {
    let place = Place::new(PLAIN);
    let tar = place.transcript();
    let run = place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "stays").env("FAKE_TAR", tar);
    let mut terminal = run.on_terminal();
    terminal.until("hello from the agent");
    terminal.hang_up();
    assert_eq!(terminal.end().0, 129);
    only_the_volume(&place);
    transcript(&place);
}

/// The terminal is left as a shell wants it, however the agent ended.
#[test]
fn the_terminal_is_reset() {
    let ends = [
        (vec![], 0),
        (vec![("FAKE_CODE", "7")], 7),
        (vec![("FAKE_AGENT", "oom")], 137),
        (vec![("FAKE_AGENT", "detaches")], 0),
        (vec![("FAKE_AGENT", "signal TERM")], 143),
        (vec![("FAKE_AGENT", "engine gone")], 125),
        (vec![("FAKE_AGENT", "stays"), ("FAKE_GATE", "dies")], 125),
    ];
    for (end, code) in ends {
        let place = Place::new(PLAIN);
        let mut run = place.run(&["start", "--yes", "plain"]);
        for (name, value) in &end {
            run = run.env(name, value);
        }
        let (status, seen) = run.on_terminal().end();
        assert_eq!(status, code, "{end:?}: {seen}");
        let after = seen.split("hello from the agent").nth(1).unwrap();
        for reset in ["\x1b7\x1b[?1049l", "\x1b[?1000l", "\x1b[?2004l", "\x1b[<u", "\x1b[?25h", "\x1b[0m"] {
            assert!(after.contains(reset), "{end:?}: {reset:?} in {after:?}");
        }
        // What was said before would be gone with a full-screen program's screen.
        let left = after.find("\x1b[?1049l").unwrap();
        for words in ["kept `", "hint: ", "detached from"] {
            assert!(after.find(words).is_none_or(|said| said > left), "{end:?}: `{words}` too early in {after:?}");
        }
    }
}

/// What is asked is typed unseen, goes into the gate's document, and is nowhere else.
#[test]
fn an_asked_value_reaches_the_gate_and_nothing_else() {
    const PIN: &str = "typed-9d3f7a1c5e";
    let place = Place::new(
        r#"{ "bottles": { "box": { "env": { "PIN": "?PIN of the demo" } } }, "agents": { "plain": { "bottle": "box" } } }"#,
    );
    let mut terminal = place.run(&["start", "plain"]).env("FAKE_CODE", 7).on_terminal();
    terminal.until("PIN (asked)");
    terminal.until("launch this agent? [y/N] ");
    terminal.types("y\n");
    terminal.until("PIN of the demo: ");
    terminal.types(&format!("{PIN}\n"));
    let (status, seen) = terminal.end();
    assert_eq!(status, 7, "{seen}");
    let documents: Vec<_> =
        fs::read_dir(place.engine("documents")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let document: wire::Document = serde_json::from_str(&text(&documents[0])).unwrap();
    assert_eq!(document.values["env:PIN"].0, PIN.as_bytes());
    let home: Vec<u8> = place.whole_home().into_iter().flat_map(|(_, _, bytes)| bytes).collect();
    for shown in [&seen, &format!("{:?}", place.calls()), &String::from_utf8_lossy(&home).into_owned()] {
        for secret in [PIN, &wire::encode_base64(PIN.as_bytes())] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    // The home remembers the question, and asks again.
    let identity = place.session();
    let mut terminal = place.run(&["resume", "--yes", &identity]).on_terminal();
    terminal.until("PIN of the demo: ");
    // Who does not answer starts nothing, and loses nothing.
    terminal.types("\n");
    let (status, seen) = terminal.end();
    assert!(status == 2 && seen.contains("no answer to `?PIN of the demo`"), "{status} {seen}");
    only_the_volume(&place);
    let mut terminal = place.run(&["resume", "--yes", &identity]).on_terminal();
    terminal.until("PIN of the demo: ");
    terminal.types("\u{3}");
    assert_eq!(terminal.end().0, 130);
    only_the_volume(&place);
}

#[test]
fn a_dry_run_touches_nothing() {
    let place = Place::new(PLAIN);
    let before = place.whole_home();
    for format in ["text", "json", "sh"] {
        let dry = place.run(&["start", "--dry-run", "--format", format, "plain"]).done();
        let told = place.run(&["start", "--format", format, "plain"]).env("CLAUDE_BOTTLE_DRY_RUN", 1).done();
        assert_eq!((dry.status, dry.stderr.as_str()), (0, ""));
        let lines = |text: &str| text.lines().count();
        assert_eq!((told.status, told.stderr, lines(&told.stdout)), (0, String::new(), lines(&dry.stdout)));
    }
    // Not even an engine is needed.
    let dry = place.run(&["start", "--dry-run", "plain"]).env("PATH", "/nowhere").done();
    assert_eq!(dry.status, 0);
    assert_eq!(place.whole_home(), before);
    assert_eq!(place.calls(), [[""; 0]; 0]);
    let place = kept();
    let (identity, before) = (place.session(), place.whole_home());
    assert_eq!(place.run(&["resume", "--dry-run", &identity]).done().status, 0);
    assert_eq!(place.whole_home(), before);
    assert_eq!(place.calls(), [[""; 0]; 0]);
}

/// All four states, as `list` tells them, without a call of the engine.
#[test]
fn every_state_is_listed() {
    let place = Place::new(PLAIN);
    let states = || {
        let rows: serde_json::Value =
            serde_json::from_str(&place.run(&["list", "--format", "json"]).done().stdout).unwrap();
        let table = place.run(&["list"]).done().stdout;
        let mut states: Vec<String> =
            rows.as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect();
        assert!(states.iter().all(|state| table.contains(&format!("  {state:<8}  "))), "{states:?}\n{table}");
        states.sort();
        states
    };
    assert_eq!(start(&place).env("FAKE_CODE", 7).done().status, 7);
    assert_eq!(start(&place).env("FAKE_AGENT", "detaches").done().status, 0);
    assert_eq!(start(&place).env("FAKE_AGENT", "signal KILL").done().status, 137);
    let mut terminal = start(&place).env("FAKE_AGENT", "stays").on_terminal();
    terminal.until("hello from the agent");
    let calls = place.calls().len();
    assert_eq!(states(), ["detached", "kept", "live", "lost"]);
    assert_eq!(place.calls().len(), calls);
    // Kept and lost ones go; a live and a detached one are nobody's to clean up.
    place.run(&["cleanup", "--yes"]).done();
    assert_eq!(states(), ["detached", "live"]);
    terminal.hang_up();
    assert_eq!(terminal.end().0, 129);
    assert_eq!(states(), ["detached", "kept"]);
}

/// A terminal's signals reach the foreground group: of all children of the engine's program only the agent's is in it.
#[test]
fn only_the_terminals_child_hears_the_terminal() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_CODE", 7).done().status, 7);
    for (call, own) in place.calls().iter().zip(place.own_groups()) {
        let terminals = call[0] == "start" && call.last().unwrap().ends_with("-agent");
        assert_eq!(own, !terminals, "{call:?}");
    }
}

/// A detached agent that ended, and one whose container is gone, are no place to go to.
#[test]
fn an_agent_that_ended_alone_is_not_entered() {
    let place = Place::new(PLAIN);
    assert_eq!(start(&place).env("FAKE_AGENT", "detaches").done().status, 0);
    let identity = place.session();
    let engine = |args: &[&str]| place.run_other(&format!("{}/docker", crate::run::FAKE), args).done();
    let agent = format!("claude-bottle-{identity}-agent");
    engine(&["stop", &agent]);
    for _ in 0..2 {
        for verb in ["attach", "exec"] {
            place.run(&[verb, &identity]).snap(&format!("ended-{verb}"));
        }
        engine(&["rm", "-f", &agent]);
    }
    assert_eq!(place.sessions(), [identity]);
}

/// The keys of one's own choice, also when it is attached again elsewhere.
#[test]
fn detach_keys_are_recorded() {
    let place = Place::new(PLAIN);
    let keys = "ctrl-p,ctrl-q,DEL,x";
    let run = start(&place).env("FAKE_AGENT", "detaches").env("CLAUDE_BOTTLE_DETACH_KEYS", keys);
    assert_eq!(run.done().status, 0);
    let identity = place.session();
    assert_eq!(place.run(&["attach", &identity]).env("FAKE_ATTACH", "ends").done().status, 0);
    let with_keys = |call: &&Vec<String>| call.windows(2).any(|words| words == ["--detach-keys", keys]);
    let verbs: Vec<_> = place.calls().iter().filter(with_keys).map(|call| call[0].clone()).collect();
    assert_eq!(verbs, ["start", "attach"]);
}

/// How both containers are made, whole.
#[test]
fn containers_are_confined() {
    for (engine, name) in ENGINES.into_iter().zip(["create", "create-podman"]) {
        confined(&Place::on(engine, PLAIN), name);
    }
}

fn confined(place: &Place, name: &str) {
    assert_eq!(start(place).done().status, 0);
    let mut made = String::new();
    let mut levels = Vec::new();
    for call in place.calls().iter().filter(|call| call[..2].contains(&"create".to_owned())) {
        for word in call {
            match word.strip_prefix("label=level:") {
                Some(level) => levels.push(level.to_owned()),
                None => made.push_str(&format!("{}\n", place.steady(word))),
            }
        }
        made.push('\n');
    }
    assert!(levels.len() == 2 && levels[0] == levels[1] && levels[0].starts_with("s0:c"), "{levels:?}");
    compare(name, &made);
}

/// Killed, the program takes its children of the engine along, but not the terminal's; what is left is found again.
#[test]
fn a_killed_owner_leaves_a_lost_session() {
    for verb in ["resume", "cleanup"] {
        let place = Place::new(PLAIN);
        let done = start(&place).env("FAKE_AGENT", "signal KILL").done();
        assert_eq!((done.status, done.stdout.as_str()), (137, HELLO));
        let identity = place.session();
        assert_eq!(place.mark()["mark"], "live");
        assert_eq!(place.objects().len(), 3);
        let pipe = |role: &str| place.engine(&format!("pipes/claude-bottle-{identity}-{role}"));
        while has_reader(&pipe("gate")) {
            std::thread::yield_now();
        }
        assert!(has_reader(&pipe("agent")), "the terminal's client lives on");
        let listed = place.run(&["list"]).done().stdout;
        assert!(listed.contains("lost"), "{listed}");
        if verb == "resume" {
            // The agent still runs: nobody may start a second one on its home.
            place.run(&["resume", "--yes", &identity]).snap("resume-lost-running");
            let stop = place.run_other(
                &format!("{}/docker", crate::run::FAKE),
                &["stop", &format!("claude-bottle-{identity}-agent")],
            );
            assert_eq!(stop.done().status, 0);
            place.run(&["resume", "--yes", &identity]).env("FAKE_TAR", place.transcript()).snap("resume-lost");
        } else {
            place.run(&["cleanup", "--yes"]).env("FAKE_TAR", place.transcript()).snap("cleanup-lost");
        }
        nothing(&place);
    }
}

/// A client of the fake engine holds its container's pipe open. A pipe without a reader cannot be opened for writing.
fn has_reader(pipe: &Path) -> bool {
    OpenOptions::new().write(true).custom_flags(nix::libc::O_NONBLOCK).open(pipe).is_ok()
}

/// The engine takes no more of what goes in, or takes it and says nothing: a signal ends that, too.
#[test]
fn a_copy_that_does_not_go_on_can_be_ended() {
    for fill in ["stalls", "hangs"] {
        let place = Place::new(PLAIN);
        std::fs::File::create(place.path("work/big")).unwrap().set_len(64 << 20).unwrap();
        let done = place.run(&["start", "--yes", "--cwd", "plain"]).env("FAKE_FILL", fill).done();
        assert_eq!((done.status, done.stdout.as_str()), (143, ""), "{fill}: {done:?}");
        assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()), "{fill}");
    }
}
