//! `check`: what would pass, as `tests/snap` has it; nothing is asked but the manifest, and no value is shown.

use crate::harness::{PLAIN, Place, Run, VARIABLES, rich};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use wire::encode_base64;

fn check<'a>(place: &'a Place, words: &[&str]) -> Run<'a> {
    let run = place.run(&[&["check", "fixer"], words].concat());
    VARIABLES.into_iter().fold(run, |run, (name, value)| run.env(name, value))
}

#[test]
fn what_would_pass_and_what_would_not() {
    let place = rich();
    let before = place.whole_home();
    for (name, words) in [
        ("allowed", &["https://api.example.org/repos/team/%61pp?page=2"][..]),
        ("credentials", &["POST", "https://me:hunter2@api.example.org/repos/team/x", "-H", "Cookie: s3cret"]),
        ("model", &["post", "https://api.anthropic.com/v1/messages"]),
        ("git", &["https://forge.example.org/team/app.git/info/refs?service=git-upload-pack"]),
        ("raw", &["tcp://db.example.org:5432"]),
        ("untouched", &["DELETE", "https://pinned.example.org/x"]),
        ("private", &["http://models.example.org/v1"]),
        ("gate", &["http://gate.bottle/"]),
        ("host", &["https://evil.example.org/"]),
        ("port", &["https://api.example.org:8443/"]),
        ("path", &["https://api.example.org/repos/other"]),
        ("method", &["PATCH", "https://api.example.org/repos/team/x"]),
        ("push", &["POST", "https://forge.example.org/team/app.git/git-receive-pack"]),
        ("dots", &["https://api.example.org/repos/team/../other"]),
        ("override", &["https://x.docs.rs/", "-H", "x_http_method_override: DELETE"]),
        ("name", &["https://x.docs.rs/", "-H", "host: evil.example.org"]),
        ("websocket", &["wss://x.docs.rs/live"]),
        ("plain", &["http://x.docs.rs:443/"]),
        ("address", &["http://0x7f.1:8080/"]),
        ("address-6", &["https://[::1]/"]),
        ("idna", &["https://ex\u{e4}mple.org/"]),
        ("no-scheme", &["me:hunter2@api.example.org/"]),
        ("bad-method", &["GE T", "https://x.docs.rs/"]),
        ("bad-header", &["https://x.docs.rs/", "-H", "s3cret"]),
        ("none", &[]),
        ("json", &["--format", "json", "https://forge.example.org/team/x"]),
        ("json-denied", &["--format", "json", "https://api.example.org/\u{202e}x"]),
    ] {
        let done = check(&place, words).snap(&format!("check-{name}"));
        for secret in ["hunter2", "s3cret", VARIABLES[0].1, VARIABLES[1].1, "\u{202e}"] {
            assert!(!done.stdout.contains(secret) && !done.stderr.contains(secret), "{words:?}: {done:?}");
        }
    }
    assert_eq!(place.calls(), [[""; 0]; 0], "`check` asks no engine");
    assert_eq!(place.whole_home(), before);
}

#[test]
fn the_gates_own_names_are_those_that_the_bottle_has() {
    for (bottle, status) in [(r#"{ "supervise": true }"#, 0), ("{}", 1)] {
        let place = Place::new(&PLAIN.replace(r#""box": {}"#, &format!(r#""box": {bottle}"#)));
        let ask = |url: &str| place.run(&["check", "plain", "POST", url]).done();
        let done = ask("http://supervise.bottle/mcp");
        assert_eq!((done.status, done.stdout.contains("the gate itself answers")), (status, status == 0), "{done:?}");
        assert_eq!(ask("https://supervise.bottle/mcp").status, 1);
    }
}

#[test]
fn no_command_is_run_and_no_variable_is_needed() {
    let place = Place::new(PLAIN);
    let witness = place.path("ran");
    let command = serde_json::json!(["/bin/sh", "-c", format!("echo x >{}; echo token", witness.display())]);
    let manifest = serde_json::json!({
        "bottles": { "box": { "env": { "PIN": "?PIN", "X": "${NOT_SET}" }, "egress": { "routes": [
            { "host": "a.example.org", "auth": { "token_cmd": command } },
            { "host": "b.example.org", "auth": { "token_ref": "NOT_SET" } }
        ] } } },
        "agents": { "plain": { "bottle": "box" } }
    });
    place.write("home/.claude-bottle/claude-bottle.json", &manifest.to_string());
    for host in ["a", "b"] {
        let url = format!("https://{host}.example.org/");
        let done = place.run(&["check", "plain", "--format", "json", &url]).env("PATH", "/nowhere").done();
        assert_eq!((done.status, done.stderr.as_str()), (0, ""));
        let answer: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(answer["adds"]["header"], "authorization");
    }
    assert!(!witness.exists());
}

/// Behind the host's proxy it is the proxy that resolves.
#[test]
fn a_proxy_dials_what_is_not_private() {
    let place = rich();
    let dials = |url: &str| {
        let run = check(&place, &["--format", "json", url]);
        let done = run.env("CLAUDE_BOTTLE_UPSTREAM_PROXY", "http://me:secret@proxy.example.org:3128").done();
        assert!(!done.stdout.contains("secret") && !done.stdout.contains("proxy.example.org"), "{done:?}");
        serde_json::from_str::<Value>(&done.stdout).unwrap()["dials"]["proxy"].clone()
    };
    assert_eq!(dials("https://x.docs.rs/"), true);
    assert_eq!(dials("http://models.example.org/"), false);
}

/// A program in the gate's place, that answers this and keeps what it was told.
fn stand_in(place: &Place, answer: &str) -> String {
    let told = place.path("told");
    let script = format!(
        "#!/bin/sh\n{{ echo \"$@\"; env; }} >{0}.seen\ncat >{0}\n[ -n '{answer}' ] && echo '{answer}'\nexit 2\n",
        told.display()
    );
    place.write("stand-in", &script);
    std::fs::set_permissions(place.path("stand-in"), std::fs::Permissions::from_mode(0o755)).unwrap();
    place.path("stand-in").to_str().unwrap().to_owned()
}

/// The gate's program hears the values on its standard input, and they are nowhere else.
#[test]
fn a_body_is_searched_by_the_gates_program() {
    let place = rich();
    let gate = stand_in(&place, r#"{"findings":[],"read":5,"unmatched":{}}"#);
    let url = "https://api.anthropic.com/v1/messages";
    let run = || check(&place, &["POST", url, "-H", "x-a: b", "--body", "-"]).env("CLAUDE_BOTTLE_GATE", &gate);
    let done = run().stdin("hello").done();
    assert_eq!((done.status, done.stderr.as_str()), (0, ""), "{done:?}");
    assert!(done.stdout.contains("carries  5 bytes, and nothing that must not leave\n"), "{done:?}");
    let told = std::fs::read_to_string(place.path("told")).unwrap();
    let [document, head, body] = told.splitn(3, '\n').collect::<Vec<_>>()[..] else { panic!("{told}") };
    let values = &serde_json::from_str::<Value>(document).unwrap()["values"];
    for (name, (_, secret)) in ["env:REGION", "token:env:CLAUDE_CODE_OAUTH_TOKEN"].iter().zip(VARIABLES) {
        assert_eq!(values[name], encode_base64(secret.as_bytes()), "{values}");
    }
    let wanted = serde_json::json!({
        "host": "api.anthropic.com", "port": 443, "method": "POST", "target": "/v1/messages", "headers": [["x-a", "b"]],
    });
    assert_eq!((serde_json::from_str::<Value>(head).unwrap(), body), (wanted, "hello"));
    let seen = std::fs::read_to_string(place.path("told.seen")).unwrap();
    assert!(
        seen.starts_with("scan\n")
            && !VARIABLES.iter().any(|(name, value)| seen.contains(name) || seen.contains(value))
    );

    // Who is refused for the address alone, or has no gate, does not need one.
    let none = |words: &[&str]| check(&place, words).env("CLAUDE_BOTTLE_GATE", "/nowhere").stdin("x").done();
    assert_eq!(none(&["https://evil.example.org/", "--body", "-"]).status, 1);
    assert_eq!(none(&["tcp://db.example.org:5432", "--body", "-"]).status, 0);
    assert_eq!(none(&["http://gate.bottle/", "--body", "-"]).status, 0);
}

#[test]
fn a_body_that_cannot_be_searched_is_said() {
    let place = rich();
    let url = "https://x.docs.rs/";
    let run = |body: &str, gate: &str| check(&place, &[url, "--body", body]).env("CLAUDE_BOTTLE_GATE", gate);
    run("-", &stand_in(&place, "")).snap("body-no-answer");
    run("-", "/nowhere").snap("body-no-gate");
    place.write("text", "no program");
    run("-", place.path("text").to_str().unwrap()).snap("body-not-executable");
    std::fs::set_permissions(place.path("text"), std::fs::Permissions::from_mode(0o755)).unwrap();
    place.write("text", "\x7fELF, and of another machine");
    run("-", place.path("text").to_str().unwrap()).snap("body-other-machine");
    run("nothing", "/nowhere").snap("body-no-file");
}

/// What the gate would say of git, by the rules of the remote; nothing of it is asked for.
#[test]
fn what_git_may_do() {
    let place = Place::new(
        r#"{ "bottles": { "box": { "git": { "remotes": [
            { "name": "app", "upstream": "git@git.example.org:team/app.git", "identity_file": "none",
              "protected": ["refs/heads/main"], "refs": ["refs/heads/*", "refs/tags/v*"] },
            { "name": "open", "upstream": "https://git.example.org/team/open.git", "allow_force": true, "allow_delete": true },
            { "name": "host", "local": true } ] } } },
          "agents": { "plain": { "bottle": "box" } } }"#,
    );
    let check = |words: &[&str]| place.run(&[&["check", "plain"], words].concat());
    for (name, words) in [
        ("push", &["git", "push", "app", "topic", "HEAD:refs/tags/v1"][..]),
        ("protected", &["git", "push", "app", "topic", "HEAD:main"]),
        ("forced", &["git", "push", "app", "+topic"]),
        ("deleted", &["git", "push", "app", ":topic"]),
        ("hidden", &["git", "push", "app", "refs/notes/x", "tags/x"]),
        ("bad-name", &["git", "push", "app", "a..b"]),
        ("open", &["git", "push", "--force", "open", "topic", ":old"]),
        ("local", &["git", "push", "host", "topic"]),
        ("fetch", &["git", "fetch", "app"]),
        ("unknown", &["git", "fetch", "ap"]),
        ("json", &["--format", "json", "git", "push", "--delete", "app", "topic"]),
        ("no-ref", &["git", "push", "app"]),
        ("head", &["git", "push", "app", "HEAD"]),
        ("other", &["git", "clone", "app"]),
        ("with-body", &["git", "fetch", "app", "-H", "a: b"]),
        ("fetch-forced", &["git", "fetch", "--force", "app"]),
        ("url-forced", &["--force", "https://x.example.org/"]),
        ("too-many", &["GET", "https://x.example.org/", "y"]),
        ("https", &["https://git.example.org/team/app/info/refs?service=git-upload-pack"]),
        ("https-push", &["POST", "https://git.example.org/team/open.git/git-receive-pack"]),
    ] {
        check(words).snap(&format!("check-git-{name}"));
    }
    assert_eq!(place.calls(), [[""; 0]; 0]);
}
