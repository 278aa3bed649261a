//! What took how long: the phases of this run, and the engine calls in them. Kept only where somebody asked for it.

use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

struct Kept {
    began: Instant,
    entries: Mutex<Vec<Entry>>,
}

struct Entry {
    what: What,
    name: String,
    at: Duration,
    /// `None`: it goes on.
    took: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Phase,
    Call,
}

static KEPT: OnceLock<Kept> = OnceLock::new();

/// From now on.
pub fn keep() {
    let _ = KEPT.set(Kept { began: Instant::now(), entries: Mutex::new(Vec::new()) });
}

/// What comes now is another phase, and the one before is over.
pub fn phase(name: &str) {
    let Some(kept) = KEPT.get() else { return };
    let now = kept.began.elapsed();
    if let Ok(mut entries) = kept.entries.lock() {
        end_phase(&mut entries, now);
        entries.push(Entry { what: What::Phase, name: name.to_owned(), at: now, took: None });
    }
}

fn end_phase(entries: &mut [Entry], now: Duration) {
    if let Some(last) = entries.iter_mut().rev().find(|entry| entry.what == What::Phase) {
        last.took = Some(now - last.at);
    }
}

/// A call under way; it ends when this is dropped.
pub struct Call(Option<usize>);

pub fn call(name: impl FnOnce() -> String) -> Call {
    let Some(kept) = KEPT.get() else { return Call(None) };
    let at = kept.began.elapsed();
    let entry = Entry { what: What::Call, name: name(), at, took: None };
    let pushed = kept.entries.lock().map(|mut entries| {
        entries.push(entry);
        entries.len() - 1
    });
    Call(pushed.ok())
}

impl Drop for Call {
    fn drop(&mut self) {
        if let (Some(number), Some(kept)) = (self.0, KEPT.get())
            && let Ok(mut entries) = kept.entries.lock()
        {
            let now = kept.began.elapsed();
            entries[number].took = Some(now - entries[number].at);
        }
    }
}

/// All of it, in milliseconds: when each began, and how long it took. `None` where nobody asked.
pub fn table() -> Option<String> {
    let kept = KEPT.get()?;
    let now = kept.began.elapsed();
    let mut entries = kept.entries.lock().ok()?;
    end_phase(&mut entries, now);
    entries.push(Entry { what: What::Phase, name: "all".to_owned(), at: Duration::ZERO, took: Some(now) });
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1000.0);
    let rows = entries.iter().map(|entry| {
        let indent = if entry.what == What::Call { "  " } else { "" };
        [format!("{indent}{}", entry.name), ms(entry.at), entry.took.map_or_else(|| "goes on".to_owned(), ms)]
    });
    let rows: Vec<_> = [["timings, ms", "at", "took"].map(str::to_owned)].into_iter().chain(rows).collect();
    let [name, at, took] = [0, 1, 2].map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    Some(rows.iter().map(|row| format!("{:<name$}  {:>at$}  {:>took$}\n", row[0], row[1], row[2])).collect())
}
