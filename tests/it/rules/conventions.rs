//! Every file says what it is for, has a name that says something, and calls the outside world only where it may.

use super::layers::named;
use super::machine::{foreign_host, foreign_path};
use super::sources::{assert_none, bare, files, has_word, sources, text};

#[test]
fn words_stand_only_where_they_belong() {
    // A word, and the beginnings of the paths that may use it. What a lint can forbid, Cargo.toml forbids.
    let rules: &[(&str, &[&str])] = &[
        ("xshell", &["src/docker/", "src/secrets.rs"]),
        (
            "Command::new",
            &[
                "src/docker/",
                "src/secrets.rs",
                "src/session/notify.rs",
                "src/probe/remote.rs",
                "crates/sys/",
                "crates/init/",
                "crates/gate/",
            ],
        ),
        // Both panic, or hide a panic, where no thread can be made: `sys::thread::spawn` gives an error.
        ("std::thread::spawn", &[]),
        ("use std::thread;", &[]),
    ];
    let pure = [
        "src/plan/",
        "src/render/",
        "src/facts",
        "src/spec.rs",
        "src/cli.rs",
        "src/cli/",
        "src/text.rs",
        "crates/policy/",
        "crates/scan/",
    ];
    let world = [
        "std::fs",
        "std::env",
        "std::process",
        "std::net::Tcp",
        "std::net::Udp",
        "std::thread",
        "SystemTime",
        "Instant",
        "File::",
        "fs::",
        "env::",
        "nix::",
        "dirs::",
    ];
    let mut wrong = Vec::new();
    for source in sources() {
        let within = |places: &[&str]| places.iter().any(|place| source.path.starts_with(place));
        for (n, line) in &source.code {
            for (word, places) in rules {
                if line.contains(word) && !within(places) {
                    wrong.push(format!("{}: `{}`", source.at(*n), word.trim()));
                }
            }
            for word in world.iter().filter(|word| within(&pure) && has_word(line, word)) {
                wrong.push(format!("{}: `{word}` in a pure layer", source.at(*n)));
            }
        }
    }
    assert_none(&wrong, "words out of place");
}

#[test]
fn every_source_opens_with_its_purpose() {
    let mut wrong = Vec::new();
    for file in files().into_iter().filter(|file| file.extension().is_some_and(|e| e == "rs")) {
        let text = text(&file);
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        if head.is_empty() || head.len() > 8 || head[0].trim().len() < 15 {
            wrong.push(format!("{}: {} lines of `//!`", file.display(), head.len()));
        }
    }
    assert_none(&wrong, "a file opens with its purpose and invariant, in one to eight lines");
}

#[test]
fn nobody_is_called_by_a_name_that_says_nothing() {
    let wrong: Vec<String> = files()
        .iter()
        .filter(|file| {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
            file.extension().is_some_and(|e| e == "rs")
                && ["util", "helper", "manager", "common", "misc"].iter().any(|word| stem.contains(word))
        })
        .map(|file| file.display().to_string())
        .collect();
    assert_none(&wrong, "a file's name says what is in it");
}

#[test]
fn the_rules_see_what_they_are_for() {
    assert_eq!(bare(r#"call("a // b", '"', x); // crate::docker"#), "call(, ', x);");
    assert_eq!(named("use crate::{docker, plan::Step};"), ["docker", "plan"]);
    assert_eq!(named("pub fn f(x: crate::state::Mark) -> claude_bottle::plan::Route {"), ["state", "plan"]);
    assert!(has_word("let x = fs::read(y);", "fs::") && !has_word("prefs::read(y)", "fs::"));
    // Put together here, so that this file does not name one itself.
    let url = |rest: &str| format!("https:{}{rest}", "//");
    assert_eq!(foreign_host(&url("registry.corp.net/x")), Some("registry.corp.net"));
    assert_eq!(foreign_host(&url("me:pw@mirror1.corp.net:8080/x")), Some("mirror1.corp.net"));
    assert_eq!(foreign_host(&url("registry.example.org/x")), None);
    assert_eq!(foreign_host(&url("docs.rs/registry")), None);
    let path = |rest: &str| format!("see {}{rest}", "/home");
    assert_eq!(foreign_path(&path("/somebody/x")), Some("/home/somebody"));
    assert_eq!(foreign_path(&path("/agent/workspace")), None);
    assert_eq!(foreign_path(&format!("{{top}}{}/x.json", "/home")), None);
}
