//! Help and usage errors of every verb, as `tests/snap` has them.

use crate::harness::{PLAIN, Place};
use clap::CommandFactory;

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
fn what_other_tools_call_it_is_told() {
    let place = Place::new(PLAIN);
    for (typed, hint) in [
        ("ls", "claude-bottle list"),
        ("ps", "claude-bottle list"),
        ("status", "claude-bottle list"),
        ("run", "claude-bottle start"),
        ("rm", "claude-bottle cleanup"),
        ("prune", "claude-bottle cleanup"),
        ("inspect", "claude-bottle info"),
        ("diff", "claude-bottle work"),
        ("cp", "`claude-bottle put` copies a file in, `claude-bottle get` copies one out"),
        ("images", "claude-bottle build"),
        ("version", "claude-bottle --version"),
    ] {
        place.run(&[typed]).status(2).stderr(&format!("claude-bottle: no command `{typed}`\nhint: {hint}\n")).test();
    }
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
