//! Durations of this run's phases and of the engine calls in them. Recorded only after [`enable`].

use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// All that was recorded since [`enable`].
struct Recording {
    began: Instant,
    entries: Mutex<Vec<Entry>>,
}

struct Entry {
    kind: EntryKind,
    name: String,
    /// Start, since the recording began.
    at: Duration,
    /// Duration; `None` while it is running.
    took: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum EntryKind {
    Phase,
    Call,
}

static RECORDING: OnceLock<Recording> = OnceLock::new();

/// Records from now on.
pub fn enable() {
    let _ = RECORDING.set(Recording { began: Instant::now(), entries: Mutex::new(Vec::new()) });
}

/// Ends the current phase and starts the phase `name`.
pub fn phase(name: &str) {
    let Some(recording) = RECORDING.get() else { return };
    let now = recording.began.elapsed();
    if let Ok(mut entries) = recording.entries.lock() {
        end_phase(&mut entries, now);
        entries.push(Entry { kind: EntryKind::Phase, name: name.to_owned(), at: now, took: None });
    }
}

fn end_phase(entries: &mut [Entry], now: Duration) {
    if let Some(last) = entries.iter_mut().rev().find(|entry| entry.kind == EntryKind::Phase) {
        last.took = Some(now - last.at);
    }
}

/// A running engine call; its duration ends on drop.
pub struct Call(Option<usize>);

/// Starts the timing of an engine call. `name` is computed only if timings are recorded.
pub fn call(name: impl FnOnce() -> String) -> Call {
    let Some(recording) = RECORDING.get() else { return Call(None) };
    let at = recording.began.elapsed();
    let entry = Entry { kind: EntryKind::Call, name: name(), at, took: None };
    let pushed = recording.entries.lock().map(|mut entries| {
        entries.push(entry);
        entries.len() - 1
    });
    Call(pushed.ok())
}

impl Drop for Call {
    fn drop(&mut self) {
        if let (Some(number), Some(recording)) = (self.0, RECORDING.get())
            && let Ok(mut entries) = recording.entries.lock()
        {
            let now = recording.began.elapsed();
            entries[number].took = Some(now - entries[number].at);
        }
    }
}

/// A table of all phases and calls, in milliseconds: when each began and how long it took. `None` without [`enable`].
pub fn table() -> Option<String> {
    let recording = RECORDING.get()?;
    let now = recording.began.elapsed();
    let mut entries = recording.entries.lock().ok()?;
    end_phase(&mut entries, now);
    entries.push(Entry { kind: EntryKind::Phase, name: "all".to_owned(), at: Duration::ZERO, took: Some(now) });
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1000.0);
    let rows = entries.iter().map(|entry| {
        let indent = if entry.kind == EntryKind::Call { "  " } else { "" };
        [format!("{indent}{}", entry.name), ms(entry.at), entry.took.map_or_else(|| "goes on".to_owned(), ms)]
    });
    let rows: Vec<_> = [["timings, ms", "at", "took"].map(str::to_owned)].into_iter().chain(rows).collect();
    let [name, at, took] = [0, 1, 2].map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    Some(rows.iter().map(|row| format!("{:<name$}  {:>at$}  {:>took$}\n", row[0], row[1], row[2])).collect())
}
