//! The gate's lines become `audit.jsonl`: as they come, and caught up from the engine's log where nobody was listening.

use crate::docker::Docker;
use crate::plan::Plan;
use crate::protocol::{Event, Line, Work};
use crate::state::Folder;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Longest line of a gate that is right in its mind, bytes.
const LONGEST: u64 = 256 << 10;

/// Appends every line to `audit` and tells the caller of it, until the gate ends.
pub fn follow(lines: impl Read, audit: &Path, mut tell: impl FnMut(Event)) {
    let mut file = append(audit);
    let mut lines = BufReader::new(lines);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut lines).take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let Ok(parsed) = serde_json::from_slice::<Line>(&line) else { continue };
        if let Some(file) = &mut file {
            let _ = file.write_all(&line);
        }
        tell(parsed.event);
    }
}

/// Adds what the engine's log has beyond the last line on disk; gives the last comparison of the work in it. A session
/// that was resumed had gates before this one, whose lines are counted from 1, too.
pub fn catch_up(docker: &Docker, plan: &Plan, folder: &Folder) -> Option<Work> {
    let path = folder.audit();
    let have = std::fs::read(&path).unwrap_or_default();
    let (mut stream, mut file) = (docker.stream(&plan.gate_log()).ok()?, append(&path)?);
    let (mut last, mut work) = (None, None);
    for line in BufReader::new(stream.child.stdout.take()?).split(b'\n').map_while(Result::ok) {
        let Ok(parsed) = serde_json::from_slice::<Line>(&line) else { continue };
        // Its first line is this gate's alone: it has a certificate's fingerprint.
        let last = *last.get_or_insert_with(|| last_since(&have, &line));
        if parsed.seq > last {
            let _ = file.write_all(&[&line[..], b"\n"].concat());
        }
        if let Event::Work(found) = parsed.event {
            work = Some(found);
        }
    }
    let _ = stream.end();
    work
}

/// The number of the last line behind the one that is like `first`; 0 where that is not there.
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
    use super::last_since;

    #[test]
    fn a_gate_before_this_one_does_not_count() {
        let line = |seq: u64, time: &str| format!(r#"{{"seq":{seq},"time":"{time}","event":"dropped","count":1}}"#);
        let have = [line(1, "a"), line(2, "a"), line(3, "a"), line(1, "b"), line(2, "b"), String::new()].join("\n");
        let since = |first: &str| last_since(have.as_bytes(), first.as_bytes());
        assert_eq!(since(&line(1, "a")), 3);
        assert_eq!(since(&line(1, "b")), 2);
        assert_eq!(since(&line(1, "c")), 0);
    }
}
