//! What a dry run shows, as text and as JSON, and what is refused before anything is made.

use crate::harness::{FAKE, PLAIN, PROGRAM, Place, VARIABLES, compare, rich};

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
    value["agent_uid"] = "[UID]".into();
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
    let typed = with("").env("CLAUDE_CODE_OAUTH_TOKEN", "…").done();
    assert!(typed.status == 2 && typed.stderr.contains("is only dots, as a manual prints them"), "{typed:?}");
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

/// Remotes are shown with what they may do and with what they lack, and nothing starts before that is there.
#[test]
fn remotes_are_shown_and_what_they_lack_is_told() {
    let place = Place::new(
        r#"{ "bottles": { "box": { "git": { "remotes": [
            { "name": "app", "upstream": "ssh://git@git.example.org:2222/team/app.git", "identity_file": "~/.ssh/id_app",
              "protected": ["refs/heads/main"], "allow_force": true },
            { "name": "web", "upstream": "https://git.example.org/team/web.git", "token_ref": "WEB_TOKEN",
              "refs": ["refs/heads/bot/*"] }
          ] } } },
          "agents": { "plain": { "bottle": "box" } } }"#,
    );
    let start = |args: &[&str]| {
        let run = place.run(&[&["start"], args, &["plain"]].concat()).env("WEB_TOKEN", "a-token-of-the-web");
        run.env("PATH", format!("{FAKE}:/usr/bin:/bin"))
    };
    start(&["--yes"]).snap("refused-no-key");
    let key = place.path("home/.ssh/id_app");
    std::fs::create_dir_all(key.parent().unwrap()).unwrap();
    let make = |passphrase: &str| {
        let _ = std::fs::remove_file(&key);
        let args = ["-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f"];
        assert!(std::process::Command::new("ssh-keygen").args(args).arg(&key).status().unwrap().success());
    };
    make("");
    start(&["--yes"]).snap("refused-no-host-key");
    place.write("home/.ssh/known_hosts", "");
    start(&["--yes"]).env("PATH", FAKE).snap("refused-no-ssh-keygen");
    place.write("home/.ssh/known_hosts", "git.example.org ssh-ed25519 AAAA\n");
    start(&["--dry-run"]).snap("plan-remotes-not-ready");
    place.write("home/.ssh/known_hosts", "other ssh-rsa AAAA\n[git.example.org]:2222,x ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOnIQU1qp3+P+9WYxqyl045KyFgqDbXIkqxMm/zkREXQ\n");
    start(&["--dry-run"]).snap("plan-remotes");
    start(&["--yes"]).without("WEB_TOKEN").snap("refused-no-git-token");
    make("a passphrase");
    start(&["--yes"]).snap("refused-passphrase-no-terminal");
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
}

/// Whoever says yes to a plan reads that everything will be signed, by which key.
#[test]
fn a_key_that_signs_is_shown_and_git_of_the_agent_is_told_of_it() {
    let place = Place::new(
        r#"{ "bottles": { "base": { "git": { "signing_key": "~/.ssh/id_sign" } }, "box": { "extends": ["base"] } },
          "agents": { "plain": { "bottle": "box", "git": { "user": { "name": "Bot", "email": "bot@example.org" } } } } }"#,
    );
    let start = |args: &[&str]| place.run(&[&["start"], args, &["plain"]].concat());
    let key = place.path("home/.ssh/id_sign");
    std::fs::create_dir_all(key.parent().unwrap()).unwrap();
    start(&["--yes"]).snap("refused-no-signing-key");
    let args = ["-q", "-t", "ed25519", "-N", "a passphrase", "-C", "", "-f"];
    assert!(std::process::Command::new("ssh-keygen").args(args).arg(&key).status().unwrap().success());
    start(&["--dry-run"]).snap("plan-signs");
    let plan: serde_json::Value =
        serde_json::from_str(&start(&["--dry-run", "--format", "json"]).done().stdout).unwrap();
    let env = plan["go"]["env"].as_object().unwrap();
    let value = |name: &str| {
        let (number, _) = env.iter().find(|(_, source)| source["text"] == name).unwrap();
        env[&number.replace("KEY", "VALUE")]["text"].as_str().unwrap()
    };
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    assert_eq!(value("user.signingKey"), format!("key::{}", public.trim()));
    assert_eq!(value("gpg.ssh.program"), wire::GATE_BINARY);
    assert_eq!([value("commit.gpgSign"), value("tag.gpgSign"), value("gpg.format")], ["true", "true", "ssh"]);
    assert!(!plan["gate"].to_string().contains("/var/lib/claude-bottle"), "it has no repositories");
    start(&["--yes"]).snap("refused-signing-passphrase-no-terminal");
    assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
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

/// The real `jq` reads what a dry run prints.
#[test]
fn jq_reads_a_plan() {
    let place = rich();
    let line = format!("{PROGRAM} start --dry-run --format json fixer | jq -r '.policy.routes[].host'");
    let done = place.run_other("/bin/sh", &["-c", &line]).env("PATH", format!("{FAKE}:/usr/bin:/bin")).done();
    let hosts = "api.anthropic.com\napi.example.org\nforge.example.org\nmodels.example.org\ndb.example.org\npinned.example.org\n*.docs.rs\n";
    assert_eq!((done.status, done.stderr.as_str(), done.stdout.as_str()), (0, "", hosts), "jq: scripts/packages jq");
}
