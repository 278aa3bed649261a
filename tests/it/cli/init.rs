//! `init` writes a manifest that works and touches nothing else.

use crate::harness::{MANIFEST, PLAIN, Place, Run, text};
use claude_bottle::manifest;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

const SECRET: &str = "sk-4f1d7a90b2c35e68";

/// A home in which nobody was yet.
fn nobody() -> Place {
    let place = Place::new("");
    fs::remove_dir_all(place.path("home/.claude-bottle")).unwrap();
    place
}

/// Password managers of these names, which nobody may run.
fn managers<'a>(place: &'a Place, run: Run<'a>, names: &[&str]) -> Run<'a> {
    for name in names {
        place.write(&format!("bin/{name}"), "#!/bin/sh\necho ran >>\"$FAKE/ran-a-manager\"\n");
        fs::set_permissions(place.path(&format!("bin/{name}")), fs::Permissions::from_mode(0o755)).unwrap();
    }
    run.env("PATH", place.path("bin").display())
}

/// The route of the model in what was written: its `auth`.
fn auth(place: &Place) -> String {
    let text = text(&place.path(MANIFEST));
    let line = text.lines().find(|line| line.contains(r#""role": "claude""#)).unwrap().to_owned();
    line.split(r#""auth": "#).nth(1).unwrap().trim_end_matches(" },").to_owned()
}

#[test]
fn init_writes_what_works() {
    let place = nobody();
    place.run(&["init", "--yes"]).snap("init-yes");
    let mode = |path: &str| fs::metadata(place.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("home/.claude-bottle"), mode(MANIFEST)), (0o700, 0o600));
    assert_eq!(fs::read_dir(place.path("work")).unwrap().count(), 0);
    let token = ("CLAUDE_CODE_OAUTH_TOKEN", SECRET);
    assert_eq!(place.run(&["start", "--dry-run", "claude"]).done().status, 0);
    assert_eq!(place.run(&["start", "--yes", "claude"]).env(token.0, token.1).done().status, 0);
    assert_eq!(place.run(&["check", "claude", "https://docs.rs/serde"]).done().status, 0);
}

/// What is there stays, whatever it is.
#[test]
fn init_touches_nothing_that_is_there() {
    for manifest in [PLAIN, "", "{ nonsense"] {
        let place = Place::new(manifest);
        let before = place.whole_home();
        place.run(&["init", "--yes"]).snap("init-there");
        assert_eq!(place.whole_home(), before);
    }
    let place = nobody();
    fs::create_dir(place.path("home/.claude-bottle")).unwrap();
    symlink("/nowhere/bottles.json", place.path(MANIFEST)).unwrap();
    place.run(&["init", "--yes"]).snap("init-there");
    assert!(place.path(MANIFEST).symlink_metadata().unwrap().is_symlink());
    assert_eq!(nobody().run(&["init"]).snap("init-no-terminal").status, 2);
}

/// A token is told by its name, and never copied.
#[test]
fn init_finds_a_token_and_does_not_copy_it() {
    for name in ["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"] {
        let place = nobody();
        let done = managers(&place, place.run(&["init", "--yes"]), &["op"]).env(name, SECRET).done();
        assert_eq!((done.status, done.stdout.as_str()), (0, ""));
        assert!(done.stderr.contains(&format!("its token is `{name}`, which is set")), "{}", done.stderr);
        assert_eq!(auth(&place), format!(r#"{{ "token_ref": "{name}" }}"#));
        assert!(!text(&place.path(MANIFEST)).contains(SECRET) && !done.stderr.contains(SECRET));
        assert!(!place.engine("ran-a-manager").exists(), "nothing is run");
        assert_eq!(place.run(&["start", "--yes", "claude"]).env(name, SECRET).done().status, 0);
    }
    // An entry of `pass` counts by its file; nothing is decrypted.
    for (entry, kind) in [("claude-code", "CLAUDE_CODE_OAUTH_TOKEN"), ("anthropic/api-key", "ANTHROPIC_API_KEY")] {
        let place = nobody();
        place.write(&format!("home/.password-store/{entry}.gpg"), SECRET);
        let done = managers(&place, place.run(&["init", "--yes"]), &["pass"]).done();
        assert!(done.stderr.contains(&format!("its token is what `pass show {entry}` prints")), "{}", done.stderr);
        assert_eq!(auth(&place), format!(r#"{{ "as": "{kind}", "token_cmd": ["pass", "show", "{entry}"] }}"#));
        assert!(!place.engine("ran-a-manager").exists(), "nothing is run");
    }
    // A manager alone is an offer, not a find.
    let place = nobody();
    managers(&place, place.run(&["init", "--yes"]), &["op", "bw", "pass"]).done();
    assert_eq!(auth(&place), r#"{ "token_ref": "CLAUDE_CODE_OAUTH_TOKEN" }"#);
}

#[test]
fn init_asks_little() {
    let place = nobody();
    let run = managers(&place, place.run(&["init"]), &["gopass", "op"]).env("ANTHROPIC_API_KEY", SECRET);
    let mut terminal = run.env("NO_COLOR", 1).on_terminal();
    terminal.until("  1  `ANTHROPIC_API_KEY`, which is set");
    terminal.until("  2  `CLAUDE_CODE_OAUTH_TOKEN`, which is not set yet");
    terminal.until("  3  what `gopass show -o claude-code` prints");
    terminal.until("the model's token? [1-4 or a name, Enter takes 1] ");
    terminal.types("opp\n");
    terminal.until("hint: did you mean `op`?");
    terminal.types("op\n");
    terminal.until("work`, too? [y/N] ");
    terminal.types("y\n");
    let (status, seen) = terminal.end();
    assert_eq!(status, 0, "{seen}");
    assert_eq!(
        auth(&place),
        r#"{ "as": "CLAUDE_CODE_OAUTH_TOKEN", "token_cmd": ["op", "read", "op://Private/claude-code/credential"] }"#
    );
    assert!(seen.contains("next:\n  put what `claude setup-token` prints where that command finds it\n  claude-bottle start --dry-run work\n  claude-bottle doctor\n"), "{seen}");
    assert!(!seen.contains(SECRET));
    let done = place.run(&["start", "--dry-run", "work"]).done();
    assert!(done.status == 0 && done.stdout.contains("defined by this directory"), "{done:?}");
    assert_eq!(fs::metadata(place.path("work/claude-bottle.json")).unwrap().permissions().mode() & 0o133, 0);

    // A home that is there is used, and left alone; its names are not hidden.
    let place = Place::new(&PLAIN.replace("plain", "work"));
    let before = place.whole_home();
    let mut terminal = place.run(&["init"]).on_terminal();
    terminal.until("is there, and stays as it is");
    terminal.until("too? [y/N] ");
    terminal.types("y\n");
    let (status, seen) = terminal.end();
    assert!(status == 0 && seen.contains("claude-bottle start --dry-run work-here"), "{status} {seen}");
    assert_eq!(place.whole_home(), before);
    assert_eq!(place.run(&["start", "--dry-run", "work-here"]).done().status, 0);
}

/// Ctrl-C and Ctrl-D at a question leave no trace.
#[test]
fn init_that_is_ended_writes_nothing() {
    for (typed, code) in [("\u{3}", 130), ("\u{4}", 0)] {
        let place = nobody();
        let mut terminal = managers(&place, place.run(&["init"]), &["op"]).on_terminal();
        terminal.until("Enter takes 1] ");
        terminal.types(typed);
        assert_eq!(terminal.end().0, code);
        assert!(place.whole_home().is_empty());
    }
    let place = nobody();
    let mut terminal = place.run(&["init"]).on_terminal();
    terminal.until("too? [y/N] ");
    terminal.types("\u{3}");
    assert_eq!(terminal.end().0, 130);
    assert!(place.whole_home().is_empty() && fs::read_dir(place.path("work")).unwrap().count() == 0);
}

/// Every example in it is one: without its slashes it is read, too.
#[test]
fn the_examples_of_init_work() {
    let place = nobody();
    place.run(&["init", "--yes"]).done();
    let written = text(&place.path(MANIFEST));
    let lines = written.lines().map(|line| {
        let example = line.trim_start().strip_prefix("// ").filter(|rest| rest.starts_with(['{', '"']));
        format!("{}\n", example.unwrap_or(line))
    });
    let all: String = lines.collect();
    let examples = written.lines().zip(all.lines()).filter(|(before, after)| before != after).count();
    assert!(examples > 9, "{examples}");
    place.write(MANIFEST, &all);
    let home = place.path("home/.claude-bottle");
    let chosen = manifest::load(&home, &home).unwrap().choose("claude").unwrap();
    assert_eq!(chosen.bottle.routes.len(), 6);
    assert!(chosen.agent.claude_md && chosen.agent.git_user.is_some());
}

#[test]
fn init_prints_the_schema() {
    let schema = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/claude-bottle.schema.json")).unwrap();
    let place = nobody();
    place.run(&["init", "--schema"]).stdout(&schema).test();
    assert!(place.whole_home().is_empty());
}
