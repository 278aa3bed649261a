//! Writes the gate's lines to `audit.jsonl`: as they come, and from the engine's log where no process was attached when
//! they came. Every line is written once, within the session's budget; the trail is read in pieces of bounded size.

use crate::docker::{Docker, ScopedStream};
use crate::exit::{EngineError, EngineErrorKind};
use crate::plan::Plan;
use crate::state::budget::{MAX_AUDIT_BYTES, MAX_AUDIT_LINE_BYTES, max_audit_bytes};
use crate::state::{Folder, TrailFile};
use crate::trail::Trail;
use anyhow::Result;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Deserialize;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use wire::{Event, Line, Work};

/// How long an engine may take for the next piece of a log that is there. One that takes longer does not answer.
pub const LOG_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads `lines` to their end: calls `tell` for each, with whether it was known, and appends those to `audit` that are not in it yet. The engine's log
/// begins with lines that are there already, and repeats some where it was rotated.
pub fn follow(lines: impl Read, audit: &Path, mut tell: impl FnMut(Event, Age)) {
    let mut writer = TrailWriter::open(audit);
    for_each_line(
        lines,
        || tail(audit),
        |line, parsed, age| {
            if age == Age::New {
                writer.append(line, &parsed);
            }
            tell(parsed.event, age);
        },
    );
    writer.count_left_out();
}

/// Whether a line of the engine's log is in the trail already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    Known,
    New,
}

/// Calls `tell` for each line, with whether it is among those of the trail, which is opened at the first line. What is not
/// a gate's line is passed over.
pub fn for_each_line<T: Read>(
    lines: impl Read,
    trail: impl FnOnce() -> Option<T>,
    mut tell: impl FnMut(&[u8], Line, Age),
) {
    let mut lines = BufReader::new(lines);
    let (mut line, mut last, mut trail) = (Vec::new(), None, Some(trail));
    while read_line(&mut lines, &mut line) {
        let Ok(parsed) = serde_json::from_slice::<Line>(&line) else { continue };
        // A resumed session had other gates before, and each counts its lines from 1. The first line belongs to this gate
        // alone: it has the fingerprint of its certificate.
        let trail = trail.take().and_then(|open| open());
        let last = last.get_or_insert_with(|| trail.map_or(0, |trail| last_since(trail, &line, &parsed)));
        let age = if parsed.seq > *last { Age::New } else { Age::Known };
        *last = parsed.seq.max(*last);
        tell(&line, parsed, age);
    }
}

/// Completes the trail from the engine's log; gives the last comparison of the work in it.
pub fn catch_up(docker: &Docker, plan: &Plan, folder: &Folder) -> Option<Work> {
    let mut stream = docker.stream(&plan.gate_log()).ok()?;
    let mut work = None;
    follow(stream.child.stdout.take()?, &folder.audit(), |event, age| {
        if age == Age::New {
            folder.count_event(&event);
        }
        if let Event::Work(found) = event {
            work = Some(found);
        }
    });
    let _ = stream.wait();
    work
}

/// What the trail of a session adds up to: see [`read_lines`].
///
/// # Errors
/// Those of [`read_lines`].
pub fn read(folder: &Folder, plan: &Plan) -> Result<Trail> {
    let mut trail = Trail::default();
    read_lines(folder, plan, |line| trail.add(line))?;
    Ok(trail)
}

/// Calls `tell` for each line of a session's trail: what is on disk, and where no process copies the engine's log to it, what
/// only that log has. Nothing is written.
///
/// # Errors
/// The disk's, and the engine's where it is asked and has the session's gate, or does not answer within [`LOG_TIMEOUT`].
pub fn read_lines(folder: &Folder, plan: &Plan, mut tell: impl FnMut(&[u8])) -> Result<()> {
    // The mark is read first: the lines of a session's end are written before its mark.
    let condition = folder.condition();
    let mut file = TrailFile::new(folder);
    while let Some(lines) = file.next_lines()? {
        lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(&mut tell);
    }
    // A session that ended with nothing to keep has no folder any more.
    if !condition.is_written_by_engine_alone() || !folder.path().exists() {
        return Ok(());
    }
    let mut stream = Docker::new(&plan.engine)?.stream(&plan.gate_log())?;
    if let Some(stdout) = stream.child.stdout.take() {
        let mut log = LogReader { stdout, is_late: false };
        for_each_line(
            &mut log,
            || file.lines_read(),
            |line, _, age| {
                if age == Age::New {
                    tell(line);
                }
            },
        );
        if log.is_late {
            drop(ScopedStream(stream));
            return Err(no_answer().into());
        }
    }
    match stream.expect_success("the engine ended its log") {
        // The gate's container is gone, and its whole log is on disk.
        Err(error) if error.kind != EngineErrorKind::Gone => Err(error.into()),
        _ => Ok(()),
    }
}

/// The error for an engine that takes longer than [`LOG_TIMEOUT`].
fn no_answer() -> EngineError {
    EngineError::new(format!("the engine does not answer: no log came within {} seconds", LOG_TIMEOUT.as_secs()))
        .kind(EngineErrorKind::Unreachable)
        .hint("the engine hangs, or its host is out of reach")
}

/// A log that is read to its end; an engine that gives no more of it for [`LOG_TIMEOUT`] ends it, too.
struct LogReader<R> {
    stdout: R,
    is_late: bool,
}

impl<R: Read + AsFd> Read for LogReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let mut fds = [PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut fds, PollTimeout::try_from(LOG_TIMEOUT).unwrap_or(PollTimeout::NONE)) {
                Err(Errno::EINTR) => {}
                Ok(0) => break,
                _ => return self.stdout.read(bytes),
            }
        }
        self.is_late = true;
        Err(std::io::ErrorKind::TimedOut.into())
    }
}

/// Calls `tell` for each line that is not longer than a gate's can be, whatever it holds.
pub fn for_each_whole_line(lines: impl Read, mut tell: impl FnMut(&[u8])) {
    let (mut lines, mut line) = (BufReader::new(lines), Vec::new());
    while read_line(&mut lines, &mut line) {
        tell(&line);
    }
}

/// Appends lines within the budget, and counts those that it leaves out.
struct TrailWriter {
    file: Option<File>,
    /// The size of the trail.
    bytes: u64,
    /// Lines left out since the last `dropped` line.
    left_out: u64,
    /// The last of them.
    last_left_out: (u64, String),
    /// A `dropped` line is written for so many, then for twice as many: the trail tells soon, and is not filled by it.
    next_count: u64,
}

impl TrailWriter {
    fn open(path: &Path) -> TrailWriter {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).ok();
        let bytes = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len());
        TrailWriter { file, bytes, left_out: 0, last_left_out: (0, String::new()), next_count: 1 }
    }

    /// `line` ends with its newline.
    fn append(&mut self, line: &[u8], parsed: &Line) {
        if self.bytes + line.len() as u64 > max_audit_bytes(&parsed.event) {
            self.left_out += 1;
            self.last_left_out = (parsed.seq, parsed.time.clone());
            if self.left_out >= self.next_count {
                self.next_count = self.next_count.saturating_mul(2);
                self.count_left_out();
            }
            return;
        }
        self.count_left_out();
        self.write(line);
    }

    /// Writes the `dropped` line for what was left out since the last one.
    fn count_left_out(&mut self) {
        if self.left_out == 0 {
            return;
        }
        let event = Event::Dropped { count: std::mem::take(&mut self.left_out), full: true };
        let limit = max_audit_bytes(&event);
        let (seq, time) = std::mem::take(&mut self.last_left_out);
        let Ok(mut line) = serde_json::to_vec(&Line { seq, time, repeated: 0, since: None, event }) else { return };
        line.push(b'\n');
        if self.bytes + line.len() as u64 <= limit {
            self.write(&line);
        }
    }

    fn write(&mut self, line: &[u8]) {
        if self.file.as_mut().is_some_and(|file| file.write_all(line).is_ok()) {
            self.bytes += line.len() as u64;
        }
    }
}

/// The end of the trail, as much as a budget allows: a trail that was written without one may be longer.
fn tail(audit: &Path) -> Option<File> {
    let mut file = File::open(audit).ok()?;
    let size = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(MAX_AUDIT_BYTES))).ok()?;
    Some(file)
}

/// Reads the next line that is not too long, with its newline; false at the end. What is longer is passed over, whatever a
/// piece of it may look like.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> bool {
    let mut is_rest = false;
    loop {
        line.clear();
        match from.by_ref().take(MAX_AUDIT_LINE_BYTES).read_until(b'\n', line) {
            Ok(0) | Err(_) => return false,
            Ok(count) if count as u64 == MAX_AUDIT_LINE_BYTES && !line.ends_with(b"\n") => is_rest = true,
            Ok(_) if is_rest => is_rest = false,
            Ok(_) => return true,
        }
    }
}

/// The highest number from the last line equal to `first` on; 0 where there is no such line.
///
/// A log that was rotated begins with a line that the trail may have left out. Its gate is the one that wrote the trail's
/// end if it is not newer than that: a session has one gate at a time.
fn last_since(trail: impl Read, first: &[u8], parsed: &Line) -> u64 {
    let (mut trail, first) = (BufReader::new(trail), first.trim_ascii_end());
    let (mut line, mut last, mut end) = (Vec::new(), None, None);
    while read_line(&mut trail, &mut line) {
        let Ok(LineHead { seq, time }) = serde_json::from_slice(&line) else { continue };
        last = if line.trim_ascii_end() == first { Some(seq) } else { last.map(|last: u64| last.max(seq)) };
        end = Some((seq, time));
    }
    let is_rotated = parsed.seq > 1;
    last.or(end.filter(|(_, time)| is_rotated && *time >= parsed.time).map(|(seq, _)| seq)).unwrap_or(0)
}

/// What [`last_since`] needs of a [`Line`].
#[derive(Deserialize)]
struct LineHead {
    seq: u64,
    time: String,
}

#[cfg(test)]
mod tests {
    use super::{TrailWriter, follow, last_since};
    use crate::state::budget::MAX_AUDIT_BYTES;
    use std::io::{Seek, SeekFrom, Write};
    use wire::{Event, Line};

    fn line(seq: u64, time: &str) -> String {
        format!(r#"{{"seq":{seq},"time":"{time}","event":"dropped","count":1}}"#)
    }

    fn text(lines: &[(u64, &str)]) -> String {
        lines.iter().map(|(seq, time)| line(*seq, time) + "\n").collect()
    }

    #[test]
    fn a_gate_before_this_one_does_not_count() {
        let have = text(&[(1, "a"), (2, "a"), (3, "a"), (1, "b"), (2, "b")]);
        let since = |time: &str| {
            let first = line(1, time);
            last_since(have.as_bytes(), first.as_bytes(), &serde_json::from_str(&first).unwrap())
        };
        assert_eq!((since("a"), since("b"), since("c")), (3, 2, 0));
    }

    /// What came while nobody listened, once each; the log of the gate before is not asked for again.
    #[test]
    fn the_trail_goes_on_across_a_detach() {
        let folder = tempfile::tempdir().unwrap();
        let audit = folder.path().join("audit.jsonl");
        let tell = |lines: &[(u64, &str)]| {
            let mut told = 0;
            follow(text(lines).as_bytes(), &audit, |_, _| told += 1);
            told
        };
        assert_eq!(tell(&[(1, "a"), (2, "a")]), 2);
        assert_eq!(tell(&[(1, "b"), (2, "b")]), 2);
        assert_eq!(tell(&[(1, "b"), (2, "b"), (3, "b"), (4, "b"), (3, "b"), (4, "b"), (5, "b")]), 7);
        let wanted = text(&[(1, "a"), (2, "a"), (1, "b"), (2, "b"), (3, "b"), (4, "b"), (5, "b")]);
        assert_eq!(std::fs::read_to_string(&audit).unwrap(), wanted);
    }

    /// The first line of a rotated log is not in a trail that was full: the gate is known by the time.
    #[test]
    fn a_rotated_log_goes_on_where_a_full_trail_ends() {
        let since = |have: &str, seq, time: &str| {
            let first = line(seq, time);
            last_since(have.as_bytes(), first.as_bytes(), &serde_json::from_str(&first).unwrap())
        };
        let have = text(&[(1, "b"), (700, "d")]);
        assert_eq!((since(&have, 300, "c"), since(&have, 300, "e"), since(&have, 1, "c")), (700, 0, 0));
    }

    fn event(seq: u64, event: &str) -> (Vec<u8>, Line) {
        let text = format!(r#"{{"seq":{seq},"time":"t","event":{event}}}"#) + "\n";
        (text.clone().into_bytes(), serde_json::from_str(&text).unwrap())
    }

    const REQUEST: &str = r#""request","host":"a.org","port":443,"verdict":"deny","sent":0,"received":0,"ms":0"#;
    const ALARM: &str = r#""alarm","host":"a.org","port":443,"finding":"a token","done":"blocked""#;
    const FAILED: &str = r#""failed","reason":"x""#;

    /// A flood of one kind takes the room of no other, and what is missing is counted.
    #[test]
    fn a_full_trail_still_takes_alarms_and_then_the_sessions_own_events() {
        let folder = tempfile::tempdir().unwrap();
        let audit = folder.path().join("audit.jsonl");
        let kinds = [REQUEST, ALARM, FAILED];
        let mut taken = Vec::new();
        for full in [0, 53 << 20, 61 << 20, MAX_AUDIT_BYTES - 100, MAX_AUDIT_BYTES] {
            std::fs::File::create(&audit).unwrap().set_len(full).unwrap();
            let mut writer = TrailWriter::open(&audit);
            for (seq, kind) in (1..).zip(kinds) {
                let (text, parsed) = event(seq, kind);
                writer.append(&text, &parsed);
            }
            writer.count_left_out();
            let mut file = std::fs::File::open(&audit).unwrap();
            file.seek(SeekFrom::Start(full)).unwrap();
            let written = std::io::read_to_string(file).unwrap();
            let lines: Vec<Line> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let dropped = |line: &Line| match line.event {
                Event::Dropped { count, full: true } => count,
                _ => 0,
            };
            taken
                .push((lines.iter().filter(|line| dropped(line) == 0).count(), lines.iter().map(dropped).sum::<u64>()));
            assert!(std::fs::metadata(&audit).unwrap().len() <= MAX_AUDIT_BYTES, "{full}");
        }
        assert_eq!(taken[..3], [(3, 0), (2, 1), (1, 2)]);
        assert_eq!((taken[3].0, taken[4]), (0, (0, 0)));
    }

    /// Ten thousand lines more than fit: the file stays below the bound, with few lines that count the rest, and what comes
    /// again from the engine's log is known.
    #[test]
    fn a_flood_ends_in_a_count() {
        let folder = tempfile::tempdir().unwrap();
        let audit = folder.path().join("audit.jsonl");
        let first = line(1, "a") + "\n";
        std::fs::write(&audit, &first).unwrap();
        let mut file = std::fs::OpenOptions::new().append(true).open(&audit).unwrap();
        file.write_all((" ".repeat((64 << 10) - 1) + "\n").repeat(53 << 4).as_bytes()).unwrap();
        let flood: Vec<u8> = (2..10_000).flat_map(|seq| event(seq, REQUEST).0).collect();
        let log = [first.as_bytes(), &flood].concat();
        let size = |log: &[u8]| {
            let before = std::fs::metadata(&audit).unwrap().len();
            let mut told = 0;
            follow(log, &audit, |_, _| told += 1);
            assert_eq!(told, 9_999);
            std::fs::metadata(&audit).unwrap().len() - before
        };
        assert!((1..2_000).contains(&size(&log)), "14 lines that count");
        assert_eq!(size(&log), 0, "all of it was counted before");
    }

    #[test]
    fn a_line_of_any_length_is_passed_over_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let audit = folder.path().join("audit.jsonl");
        let (good, mut told) = (text(&[(1, "a"), (2, "a")]), 0);
        let long = "x".repeat((256 << 10) * 2) + &line(9, "z") + "\n";
        follow((good.clone() + &long).as_bytes(), &audit, |_, _| told += 1);
        assert_eq!((told, std::fs::read_to_string(&audit).unwrap()), (2, good));
    }
}
