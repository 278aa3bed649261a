//! Writes the gate's lines to `audit.jsonl`: as they come, and from the engine's log where no process was attached when
//! they came. Every line is written once.

use crate::docker::Docker;
use crate::plan::Plan;
use crate::state::Folder;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use wire::{Event, Line, Work};

/// A longer line is cut into pieces that are not JSON, and so is left out. Bytes.
const MAX_LINE_BYTES: u64 = 256 << 10;

/// Reads `lines` to their end: calls `tell` for each, and appends those to `audit` that are not in it yet. The engine's log
/// begins with lines that are there already, and repeats some where it was rotated.
pub fn follow(lines: impl Read, audit: &Path, mut tell: impl FnMut(Event)) {
    let have = std::fs::read(audit).unwrap_or_default();
    let mut file = append(audit);
    for_each_line(lines, &have, |line, parsed, age| {
        if age == Age::New {
            let _ = file.as_mut().map(|file| file.write_all(line));
        }
        tell(parsed.event);
    });
}

/// Whether a line of the engine's log is in the trail already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    Known,
    New,
}

/// Calls `tell` for each line, with whether it is among those of `have`. What is not a gate's line is passed over.
pub fn for_each_line(lines: impl Read, have: &[u8], mut tell: impl FnMut(&[u8], Line, Age)) {
    let mut lines = BufReader::new(lines);
    let (mut line, mut last) = (Vec::new(), None);
    loop {
        line.clear();
        match (&mut lines).take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let Ok(parsed) = serde_json::from_slice::<Line>(&line) else { continue };
        // A resumed session had other gates before, and each counts its lines from 1. The first line belongs to this gate
        // alone: it has the fingerprint of its certificate.
        let last = last.get_or_insert_with(|| last_since(have, line.trim_ascii_end()));
        let age = if parsed.seq > *last { Age::New } else { Age::Known };
        *last = parsed.seq.max(*last);
        tell(&line, parsed, age);
    }
}

/// Completes the trail from the engine's log; gives the last comparison of the work in it.
pub fn catch_up(docker: &Docker, plan: &Plan, folder: &Folder) -> Option<Work> {
    let mut stream = docker.stream(&plan.gate_log()).ok()?;
    let mut work = None;
    follow(stream.child.stdout.take()?, &folder.audit(), |event| {
        if let Event::Work(found) = event {
            work = Some(found);
        }
    });
    let _ = stream.wait();
    work
}

/// The highest number from the last line equal to `first` on; 0 where there is no such line.
fn last_since(have: &[u8], first: &[u8]) -> u64 {
    let lines: Vec<&[u8]> = have.split(|byte| *byte == b'\n').collect();
    let Some(start) = lines.iter().rposition(|line| *line == first) else { return 0 };
    let number = |line: &&[u8]| serde_json::from_slice::<Line>(line).ok().map(|line| line.seq);
    lines[start..].iter().filter_map(number).max().unwrap_or(0)
}

fn append(path: &Path) -> Option<std::fs::File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).ok()
}

#[cfg(test)]
mod tests {
    use super::{follow, last_since};

    fn line(seq: u64, time: &str) -> String {
        format!(r#"{{"seq":{seq},"time":"{time}","event":"dropped","count":1}}"#)
    }

    fn text(lines: &[(u64, &str)]) -> String {
        lines.iter().map(|(seq, time)| line(*seq, time) + "\n").collect()
    }

    #[test]
    fn a_gate_before_this_one_does_not_count() {
        let have = text(&[(1, "a"), (2, "a"), (3, "a"), (1, "b"), (2, "b")]);
        let since = |time: &str| last_since(have.as_bytes(), line(1, time).as_bytes());
        assert_eq!((since("a"), since("b"), since("c")), (3, 2, 0));
    }

    /// What came while nobody listened, once each; the log of the gate before is not asked for again.
    #[test]
    fn the_trail_goes_on_across_a_detach() {
        let folder = tempfile::tempdir().unwrap();
        let audit = folder.path().join("audit.jsonl");
        let tell = |lines: &[(u64, &str)]| {
            let mut told = 0;
            follow(text(lines).as_bytes(), &audit, |_| told += 1);
            told
        };
        assert_eq!(tell(&[(1, "a"), (2, "a")]), 2);
        assert_eq!(tell(&[(1, "b"), (2, "b")]), 2);
        assert_eq!(tell(&[(1, "b"), (2, "b"), (3, "b"), (4, "b"), (3, "b"), (4, "b"), (5, "b")]), 7);
        let wanted = text(&[(1, "a"), (2, "a"), (1, "b"), (2, "b"), (3, "b"), (4, "b"), (5, "b")]);
        assert_eq!(std::fs::read_to_string(&audit).unwrap(), wanted);
    }
}
