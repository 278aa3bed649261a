//! The program against the fake engine, which logs its arguments and fails on demand: no container, no daemon.

mod approve;
mod attach;
mod cleanup;
mod consent;
mod cut_off;
mod dashboard;
mod dashboard_terminal;
mod doctor;
mod ends;
mod engines;
mod faults;
mod forward;
mod git;
mod images;
mod keystone;
mod list;
mod logs;
mod old_plans;
mod output;
mod packages;
mod prompt_file;
mod refresh;
mod resume;
mod seccomp;
mod signals;
mod start;
mod stop;
mod terminal;
mod traps;
mod work;
mod work_again;
mod work_repositories;

use crate::harness::{Place, Run, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;

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
