//! The seeds of the fuzz targets, and what they once found, run as ordinary tests: `make fuzz` needs a compiler of its own.

#![allow(clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

use inputs::{answers, dlp, frames, git, line, messages, path};
use proptest::collection::vec;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds").join(target);
    let seeds: Vec<_> = fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!seeds.is_empty());
    for seed in seeds {
        run(&fs::read(seed).unwrap());
    }
}

#[test]
fn seeds_of_path() {
    replay("path", path::run);
}

#[test]
fn seeds_of_git() {
    replay("git", git::run);
}

#[test]
fn seeds_of_line() {
    replay("line", line::run);
}

#[test]
fn seeds_of_messages() {
    replay("messages", messages::run);
}

#[test]
fn seeds_of_dlp() {
    replay("dlp", dlp::run);
}

#[test]
fn seeds_of_answers() {
    replay("answers", answers::run);
}

#[test]
fn seeds_of_frames() {
    replay("frames", frames::run);
}

/// Well-formed frames in any order, as no random bytes would be.
fn conversation(words: &[(u8, u8)]) -> Vec<u8> {
    let mut said = vec![0, 0, 0, 0, 0, 0, 1, 1];
    for (kind, channel) in words {
        let bytes: &[u8] = match kind {
            0 => &[1],
            1 => &[0, 80],
            2 => b"some",
            4 => &[0, 0, 0, 1],
            _ => &[],
        };
        said.extend([*kind, 0, 0, 0, *channel, 0, bytes.len() as u8]);
        said.extend(bytes);
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn an_inner_end_that_says_anything(words in vec((2..7u8, 1..3u8), 0..12)) {
        frames::run(&conversation(&words));
    }
}
