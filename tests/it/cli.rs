//! What is said: status, stdout and stderr of every verb, whole, as `tests/snap` has them.

use crate::run::{ENGINES, PLAIN, PROGRAM, Place, compare};
use clap::CommandFactory;
use std::fs::File;
use std::time::{Duration, SystemTime};

/// A manifest that uses what there is to use.
pub const RICH: &str = r#"{
  // Comments are allowed.
  "bottles": {
    "base": { "egress": { "routes": [ { "host": "*.docs.rs" } ] } },
    "dev": {
      "extends": ["base"],
      "image": { "dockerfile": "dev.Dockerfile" },
      "env": { "REGION": "${MY_REGION}", "LEVEL": "high" },
      "egress": { "routes": [
        { "host": "api.anthropic.com", "role": "claude", "auth": { "token_ref": "CLAUDE_CODE_OAUTH_TOKEN" } },
        { "host": "api.example.org", "methods": ["GET", "POST"], "paths": ["/repos/team/**"],
          "auth": { "scheme": "token", "token_cmd": ["/bin/echo", "from-a-command"] } },
        { "host": "forge.example.org", "paths": ["/team/**"], "git": "fetch" },
        { "host": "models.example.org", "port": 80, "connect_to": "http://host-gateway:11434", "private": true },
        { "host": "db.example.org", "port": 5432, "protocol": "tcp" },
        { "host": "pinned.example.org", "intercept": false }
      ] },
      "git": { "user": { "name": "Bot", "email": "bot@example.org" } },
      "limits": { "memory": "2g", "cpus": 1.5, "pids": 512 }
    }
  },
  "agents": {
    "fixer": { "bottle": "dev", "skills": ["review"], "prompt": "Fix it.\nAll of it.", "settings": { "theme": "dark" } }
  }
}
"#;

pub fn rich() -> Place {
    let place = Place::new(RICH);
    place.write("home/.claude-bottle/dev.Dockerfile", "FROM claude-bottle-agent\n");
    place.write("home/.claude/skills/review/SKILL.md", "Look twice.\n");
    place
}

/// The variables that the rich manifest asks for.
pub const VARIABLES: [(&str, &str); 2] =
    [("MY_REGION", "a region of the host"), ("CLAUDE_CODE_OAUTH_TOKEN", "a token of the host")];

#[test]
fn help() {
    let place = Place::new(PLAIN);
    place.run(&["--help"]).snap("help");
    let program = claude_bottle::cli::Cli::command();
    for verb in program.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let name = verb.get_name();
        let done = place.run(&[name, "--help"]).snap(&format!("help-{name}"));
        assert_eq!(place.run(&[name, "-h"]).done(), done);
        // Without a terminal, `help` is the same.
        assert_eq!(place.run(&["help", name]).done(), done);
        for below in verb.get_subcommands() {
            place.run(&[name, below.get_name(), "--help"]).snap(&format!("help-{name}-{}", below.get_name()));
        }
    }
    place.run(&["--version"]).stdout(concat!("claude-bottle ", env!("CARGO_PKG_VERSION"), "\n")).test();
}

#[test]
fn usage() {
    let place = Place::new(PLAIN);
    place.run(&[]).snap("usage-none");
    place.run(&["strat"]).snap("usage-verb");
    place.run(&["start", "--dry", "plain"]).snap("usage-flag");
    place.run(&["start", "--format", "yaml", "plain"]).snap("usage-format");
    place.run(&["start", "--headless", "plain"]).snap("usage-headless");
    place.run(&["resume"]).snap("usage-missing");
    place.run(&["list", "-q", "-v"]).snap("usage-both");
    place.run(&["list", "--format"]).snap("usage-no-value");
    place.run(&["work", "dif"]).snap("usage-work");
    place.run(&["zebra"]).snap("usage-far");
    place.run(&["help", "strat"]).snap("usage-help");
    place.run(&["help", "work", "aply"]).snap("usage-help-work");
    place.run(&["help", "security"]).snap("usage-help-topic");
}

#[test]
fn a_plan_as_text() {
    let place = Place::new(PLAIN);
    place.run(&["start", "--dry-run", "plain"]).snap("plan-plain");
    let proxied = place.run(&["start", "--dry-run", "plain"]);
    let done =
        proxied.env("CLAUDE_BOTTLE_UPSTREAM_PROXY", "http://me:secret@proxy.example.org:3128").snap("plan-proxy");
    assert!(!done.stdout.contains("secret") && !done.stdout.contains("proxy.example.org"));
    let place = rich();
    place.run(&["start", "--dry-run", "fixer", "--", "--model", "opus"]).snap("plan-rich");
    // Names of values that no gate can look for; not the values.
    let unfit = place.run(&["start", "--dry-run", "fixer"]).env("MY_REGION", "eu-central-1-production");
    let done = unfit.env("CLAUDE_CODE_OAUTH_TOKEN", "sk-7f3a91").snap("plan-unmatched");
    assert!(!done.stdout.contains("eu-central") && !done.stdout.contains("7f3a91"));
    place.run(&["start", "--dry-run", "--headless", "-p", "-- hello", "fixer"]).snap("plan-headless");
    place.run(&["start", "--dry-run", "--remote-control", "-p", "begin here", "fixer", "--", "-c"]).snap("plan-prompt");
    place.write("work/claude-bottle.json", r#"{ "agents": { "fixer": { "bottle": "dev", "command": ["make"] } } }"#);
    place.run(&["start", "--dry-run", "fixer"]).snap("plan-hides");
    place.run(&["start", "--yes", "fixer"]).snap("refused-hides");
    place.run(&["start", "--dry-run", "-p", "hello", "fixer"]).snap("refused-not-claude");
    assert!(place.calls().iter().all(|call| call[0] == "info" || call[0] == "image"), "{:?}", place.calls());
}

/// What a route makes possible that its line does not show.
#[test]
fn a_plan_warns() {
    let routes = serde_json::json!([
        { "host": "api.forge.example", "methods": ["GET", "POST", "PUT"], "paths": ["/repos/team/**", "/graphql"],
          "auth": { "token_ref": "FORGE_TOKEN" } },
        { "host": "packages.example", "methods": ["PUT"], "paths": ["/*"], "upstream_ca": "company.pem", "agent_auth": true },
        { "host": "upload.example", "methods": ["POST"] },
        { "host": "upload.example", "methods": ["POST"], "paths": ["/gists"] },
        { "host": "*.pages.example" },
        { "host": "*.docs.rs" }
    ]);
    let manifest = serde_json::json!({
        "bottles": { "box": { "env": { "GIVEN": "${FORGE_TOKEN}" }, "egress": { "routes": routes } } },
        "agents": { "plain": { "bottle": "box" } }
    });
    let place = Place::new(&manifest.to_string());
    place.run(&["start", "--dry-run", "plain"]).snap("plan-warns");
}

/// Every variable that the manifest names is shown, whatever it is called.
#[test]
fn a_plan_hides_no_variable() {
    let names = ["AFRICA_REGION", "GIT_CONFIG_GLOBAL", "MY_CA_FILE", "X_CAINFO"];
    let env: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), "x".into())).collect();
    let manifest =
        serde_json::json!({ "bottles": { "box": { "env": env } }, "agents": { "plain": { "bottle": "box" } } });
    let said = Place::new(&manifest.to_string()).run(&["start", "--dry-run", "plain"]).done().stdout;
    let env = said.lines().find_map(|line| line.strip_prefix("env ")).unwrap();
    assert!(names.iter().all(|name| env.contains(name)), "{env}");
}

/// What is agreed to is what is shown: a cloned repository's words do not draw on the terminal.
#[test]
fn a_plan_shows_what_would_hide() {
    let place = rich();
    let command = r#"["sh", "\u001b[2J\u001b[Hnice", "\u202etxt", "\u009b2J", "a\nWRITABLE nothing"]"#;
    let agent = format!(r#"{{ "agents": {{ "other": {{ "bottle": "dev", "command": {command} }} }} }}"#);
    place.write("work/claude-bottle.json", &agent);
    place.run(&["start", "--dry-run", "other"]).snap("plan-hostile");
    let json = place.run(&["start", "--dry-run", "--format", "json", "other"]).done().stdout;
    assert!(!json.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{json}");
    let plan: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(plan["go"]["command"][2], "\u{202e}txt");
}

/// The JSON is the plan: it can be read back, and says the same again.
#[test]
fn a_plan_as_json() {
    let place = rich();
    let done = place.run(&["start", "--dry-run", "--format", "json", "fixer"]).done();
    assert_eq!((done.status, done.stderr.as_str()), (0, ""));
    let plan: claude_bottle::plan::Plan = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(claude_bottle::render::json(&plan), done.stdout);
    let mut value: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    // What an image is made of has tests of its own.
    value["images"]["builds"] = "[BUILDS]".into();
    value["home_id"] = "[HOME-ID]".into();
    value["spec"]["cwd"] = "[CWD]".into();
    compare("plan-rich.json", &place.steady(&format!("{value:#}\n")));
}

#[test]
fn refused_before_anything_is_made() {
    let place = rich();
    place.run(&["start", "--yes", "fixre"]).snap("refused-agent");
    place.run(&["start", "--yes", "fixer"]).snap("refused-variable");
    let with = |empty: &str| {
        let mut run = place.run(&["start", "--yes", "fixer"]);
        for (name, value) in VARIABLES {
            run = run.env(name, if name == empty { "" } else { value });
        }
        run
    };
    with("CLAUDE_CODE_OAUTH_TOKEN").snap("refused-empty-token");
    with("").without("MY_REGION").snap("refused-host-variable");
    with("").env("CLAUDE_BOTTLE_GATE", "/nowhere/gate").snap("refused-gate");
    with("").env("CLAUDE_BOTTLE_UPSTREAM_CA", "/nowhere/roots.pem").snap("refused-roots");
    with("").env("CLAUDE_BOTTLE_BACKEND", "vm").snap("refused-backend");
    with("").env("CLAUDE_BOTTLE_DETACH_KEYS", "ctrl-],ctrl-D").snap("refused-detach-keys");
    let mut run = place.run(&["start", "fixer"]);
    for (name, value) in VARIABLES {
        run = run.env(name, value);
    }
    run.snap("refused-no-terminal");
    assert_eq!(place.objects(), [""; 0]);
    assert_eq!(place.sessions(), [""; 0]);
    let asks = r#"{ "bottles": { "box": { "env": { "PIN": "?PIN of the demo" } } }, "agents": { "plain": { "bottle": "box" } } }"#;
    let place = Place::new(asks);
    place.run(&["start", "--dry-run", "plain"]).snap("plan-asks");
    place.run(&["start", "--dry-run", "--format", "sh", "plain"]).snap("refused-sh");
    place.run(&["start", "--yes", "plain"]).snap("refused-asks");
    assert!(place.calls().iter().all(|call| call[0] != "create"), "{:?}", place.calls());
    assert_eq!(place.sessions(), [""; 0]);
}

/// A command that gives no token gives no bottle either, and what it printed is not repeated.
#[test]
fn a_token_command_that_fails() {
    for (name, command) in [
        ("fails", r#"["/bin/sh", "-c", "echo half-a-token; exit 3"]"#),
        ("empty", r#"["/bin/sh", "-c", "echo"]"#),
        ("missing", r#"["/nowhere/pass", "show", "x"]"#),
    ] {
        let route = format!(r#"{{ "host": "x.example.org", "auth": {{ "token_cmd": {command} }} }}"#);
        let place = Place::new(&format!(
            r#"{{ "bottles": {{ "box": {{ "egress": {{ "routes": [{route}] }} }} }}, "agents": {{ "plain": {{ "bottle": "box" }} }} }}"#
        ));
        let done = place.run(&["start", "--yes", "plain"]).snap(&format!("refused-token-{name}"));
        assert!(!done.stderr.contains("half-a-token"));
        assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
        assert_eq!(place.run(&["start", "--dry-run", "plain"]).done().status, 0, "a dry run runs no command");
    }
}

/// A cloned repository names no file outside it.
#[test]
fn a_prompt_of_a_directory_stays_in_it() {
    let place = Place::new(PLAIN);
    let agent =
        |file: &str| format!(r#"{{ "agents": {{ "other": {{ "bottle": "box", "prompt_file": "{file}" }} }} }}"#);
    place.write("home/.ssh/id_app", "a secret of the host's");
    for (name, file) in [("climbs", "../home/.ssh/id_app"), ("symlink", "prompt.md")] {
        place.write("work/claude-bottle.json", &agent(file));
        let _ = std::os::unix::fs::symlink(place.path("home/.ssh/id_app"), place.path("work/prompt.md"));
        let done = place.run(&["start", "--yes", "other"]).snap(&format!("refused-prompt-{name}"));
        assert!(!done.stderr.contains("a secret"));
    }
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
}

/// The home to begin with works, and needs no engine to be looked at.
#[test]
fn the_example_is_planned() {
    let home = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/home");
    let place = Place::new(PLAIN);
    let run = || place.run(&["start", "--dry-run", "--format", "json", "fixer"]).env("CLAUDE_BOTTLE_HOME", home);
    let nowhere = "unix:///nonexistent";
    for (run, host) in [(run(), None), (run().env("DOCKER_HOST", nowhere).env("PATH", "/nowhere"), Some(nowhere))] {
        let done = run.done();
        assert_eq!((done.status, done.stderr.as_str()), (0, ""));
        let plan: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(plan["engine"]["host"].as_str(), host);
        assert_eq!(plan["spec"]["agent"], "fixer");
    }
    let mut left: Vec<_> =
        std::fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["claude-bottle.json", "prompts"]);
}

/// Installed, the program finds the gate's beside itself; else it says where it looked.
#[test]
fn the_gate_is_found_beside_the_program() {
    let place = Place::new(PLAIN);
    std::fs::create_dir_all(place.path("usr/bin")).unwrap();
    let program = place.path("usr/bin/claude-bottle");
    std::fs::copy(PROGRAM, &program).unwrap();
    let run = || {
        let run = place.run_other(program.to_str().unwrap(), &["start", "--dry-run", "plain"]);
        run.without("CLAUDE_BOTTLE_GATE").done().stdout
    };
    let gate = format!("usr/libexec/claude-bottle/claude-bottle-gate-{}", std::env::consts::ARCH);
    let missing = format!("NOT READY: no gate program at `{}`: No such file", place.path(&gate).display());
    let said = run();
    assert!(said.contains(&missing), "{said}");
    place.write(&gate, "the gate's program");
    let said = run();
    assert!(!said.contains("NOT READY"), "{said}");
}

#[test]
fn no_manifest() {
    let place = Place::new(PLAIN);
    std::fs::remove_file(place.path("home/.claude-bottle/claude-bottle.json")).unwrap();
    place.run(&["start", "--yes", "plain"]).snap("refused-no-manifest");
}

#[test]
fn no_engine() {
    let place = Place::new(PLAIN);
    let start = || place.run(&["start", "--yes", "plain"]);
    start().env("PATH", "/nowhere").snap("engine-no-program");
    start().env("CLAUDE_BOTTLE_DOCKER", "nerdctl").snap("engine-other-program");
    let silent = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
    start().env("FAKE_SAYS", silent).snap("engine-silent");
    let denied = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get \"http://%2Fvar%2Frun%2Fdocker.sock/v1.24/info\": dial unix /var/run/docker.sock: connect: permission denied";
    start().env("FAKE_SAYS", denied).snap("engine-denied");
    assert_eq!(place.sessions(), [""; 0]);
}

#[test]
fn a_name_that_is_taken() {
    let place = Place::new(PLAIN);
    let taken = "Error response from daemon: Conflict. The container name \"/x\" is already in use by container \"0f\". You have to remove (or rename) that container to be able to reuse that name.";
    // The first start remembers the engine; then the first call is the images' and the second makes the gate.
    place.run(&["start", "--yes", "plain"]).done();
    place.forget_calls();
    let done =
        place.run(&["start", "--yes", "plain"]).env("FAKE_FAIL_AT", 2).env("FAKE_WORDS", taken).snap("engine-taken");
    assert_eq!(done.status, 125);
    let removed = place.calls().iter().filter(|call| call[0] == "rm").count();
    assert_eq!(removed, 0, "what has the name is a stranger's");
    assert_eq!(place.sessions(), [""; 0]);
}

#[test]
fn images_are_built_where_they_are_missing() {
    let place = Place::new(PLAIN);
    place.run(&["build"]).env("FAKE_IMAGES", "built").snap("build");
    place.run(&["build"]).env("FAKE_IMAGES", "built").snap("build-again");
    place.run(&["build", "--force"]).env("FAKE_IMAGES", "built").snap("build-force");
    rich().run(&["build", "fixer"]).env("FAKE_IMAGES", "built").snap("build-agent");
    let place = Place::new(PLAIN);
    let own =
        r#"{ "bottles": { "box": { "image": { "name": "own:1" } } }, "agents": { "plain": { "bottle": "box" } } }"#;
    place.write("home/.claude-bottle/claude-bottle.json", own);
    place.run(&["build", "plain"]).env("FAKE_IMAGES", "built").snap("build-own");
    let place = Place::new(PLAIN);
    place.run(&["start", "--yes", "plain"]).env("FAKE_IMAGES", "built").snap("start-builds");
}

/// A kept session, as an agent that ended with 7 leaves one.
pub fn kept() -> Place {
    kept_on("docker")
}

pub fn kept_on(engine: &'static str) -> Place {
    let place = Place::on(engine, PLAIN);
    let tar = place.transcript();
    let done = place.run(&["start", "--yes", "plain"]).env("FAKE_CODE", 7).env("FAKE_TAR", tar).done();
    assert_eq!(done.status, 7, "{done:?}");
    place.forget_calls();
    place
}

#[test]
fn list() {
    let place = Place::new(PLAIN);
    place.run(&["list"]).stderr("no sessions\n").test();
    place.run(&["list", "--format", "json"]).stdout("[]\n").test();
    let place = kept();
    let before = SystemTime::now() - Duration::from_secs(3 * 3600 + 60);
    File::options().write(true).open(place.session_file("mark")).unwrap().set_modified(before).unwrap();
    place.run(&["list"]).snap("list");
    let done = place.run(&["list", "--format", "json"]).done();
    let mut rows: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert!(rows[0]["since"].is_u64());
    rows[0]["since"] = 0.into();
    compare("list.json", &place.steady(&format!("{rows:#}\n")));
    assert_eq!(place.calls(), [[""; 0]; 0], "`list` asks no engine");
}

#[test]
fn cleanup() {
    Place::new(PLAIN).run(&["cleanup"]).snap("cleanup-nothing");
    let place = kept();
    place.run(&["cleanup"]).snap("cleanup-no-terminal");
    assert_eq!(place.sessions().len(), 1);
    place.run(&["cleanup", "--yes"]).snap("cleanup-kept");
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
}

#[test]
fn cleanup_asks_on_the_terminal() {
    let place = kept();
    for (answer, left) in [("n\n", 1), ("\u{4}", 1), ("y\n", 0)] {
        let mut terminal = place.run(&["cleanup"]).on_terminal();
        terminal.until("its home volume");
        terminal.until("remove it? [y/N/a (all without work)/q] ");
        terminal.types(answer);
        let (status, seen) = terminal.end();
        assert_eq!((status, place.sessions().len(), place.objects().len()), (0, left, left), "{seen}");
    }
}

/// What has this home's label and no session on this disk goes; what has another's stays.
#[test]
fn cleanup_of_what_lost_its_state() {
    for engine in ENGINES {
        lost_state(&Place::on(engine, PLAIN));
    }
}

fn lost_state(place: &Place) {
    let start = || place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done();
    assert_eq!(start().status, 0);
    let mine = place.session();
    std::fs::remove_dir_all(place.session_file("")).unwrap();
    let id = std::fs::read(place.path("home/.claude-bottle/id")).unwrap();
    place.write("home/.claude-bottle/id", "anotherhomesid00");
    assert_eq!(start().status, 0);
    let theirs = place.session();
    std::fs::remove_dir_all(place.session_file("")).unwrap();
    std::fs::write(place.path("home/.claude-bottle/id"), id).unwrap();
    assert_eq!(place.objects().len(), 6);

    let done = place.run(&["cleanup"]).done();
    assert_eq!((done.status, place.objects().len()), (2, 6), "{done:?}");
    let lines =
        ["-agent", "-gate", ""].map(|role| format!("`claude-bottle-{mine}{role}`: left on the engine by this home\n"));
    let done = place.run(&["cleanup", "--yes"]).done();
    assert_eq!((done.status, done.stderr), (0, lines.concat()));
    assert_eq!(place.objects(), ["-agent", "-gate", ""].map(|role| format!("claude-bottle-{theirs}{role}")));
}

#[test]
fn verbs_on_a_session() {
    let place = Place::new(PLAIN);
    for verb in ["attach", "exec", "resume"] {
        place.run(&[verb, "plain-aaaaa"]).snap(&format!("unknown-{verb}"));
    }
    let place = kept();
    let identity = place.session();
    let other = if identity.ends_with('q') { 'r' } else { 'q' };
    let near = format!("{}{other}", &identity[..identity.len() - 1]);
    for verb in ["attach", "exec"] {
        place.run(&[verb, &identity]).snap(&format!("kept-{verb}"));
        place.run(&[verb, &near]).snap(&format!("near-{verb}"));
    }
    place.run(&["resume", &near]).snap("near-resume");
    place.run(&["resume", "--dry-run", &identity]).snap("plan-resume");
    place.run(&["resume", &identity]).snap("resume-no-terminal");
    assert_eq!(place.objects().len(), 1, "the home's volume is there: {:?}", place.objects());
    place.run(&["resume", "--yes", &identity]).snap("resume");
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
}

/// A reader that has seen enough is no error.
#[test]
fn a_broken_pipe_is_quiet() {
    let place = Place::new(PLAIN);
    let script = format!("{{ {PROGRAM} start --dry-run plain; echo $? >&2; }} | true");
    place.run_other("/bin/sh", &["-c", &script]).stderr("0\n").test();
}
