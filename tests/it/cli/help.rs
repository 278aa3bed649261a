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
