//! The seeds of the fuzz targets, and what they once found, run as ordinary tests: `make fuzz` needs a compiler of its own.

#[cfg(feature = "gate")]
#[path = "../../fuzz/inputs/answers.rs"]
mod answers;
#[cfg(feature = "gate")]
#[path = "../../fuzz/inputs/dlp.rs"]
mod dlp;
#[path = "../../fuzz/inputs/line.rs"]
mod line;
#[path = "../../fuzz/inputs/messages.rs"]
mod messages;
#[path = "../../fuzz/inputs/path.rs"]
mod path;

#[cfg(feature = "gate")]
use crate::gate::encodings;
use crate::policy::oracle;
use std::fs;
use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
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
fn seeds_of_line() {
    replay("line", line::run);
}

#[test]
fn seeds_of_messages() {
    replay("messages", messages::run);
}

#[cfg(feature = "gate")]
#[test]
fn seeds_of_dlp() {
    replay("dlp", dlp::run);
}

#[cfg(feature = "gate")]
#[test]
fn seeds_of_answers() {
    replay("answers", answers::run);
}
