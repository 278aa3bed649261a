//! The gate's lines become `audit.jsonl`: as they come, and caught up from the engine's log where nobody was listening.

use crate::docker::Docker;
use crate::plan::Plan;
use crate::protocol::{Event, Line};
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

/// Adds what the engine's log has beyond the last line on disk.
pub fn catch_up(docker: &Docker, plan: &Plan, folder: &Folder) {
    let path = folder.audit();
    let have = std::fs::read(&path).unwrap_or_default();
    let last = have.split(|byte| *byte == b'\n').filter_map(sequence).max().unwrap_or(0);
    let (Ok(mut stream), Some(mut file)) = (docker.stream(&plan.gate_log()), append(&path)) else { return };
    let Some(stdout) = stream.child.stdout.take() else { return };
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        if sequence(&line).is_some_and(|number| number > last) {
            let _ = file.write_all(&line).and_then(|()| file.write_all(b"\n"));
        }
    }
    let _ = stream.end();
}

fn sequence(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Line>(line).ok().map(|line| line.seq)
}

fn append(path: &Path) -> Option<std::fs::File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).ok()
}
