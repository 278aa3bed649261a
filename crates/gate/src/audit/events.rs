//! The gate's stdout, which is the audit trail: one JSON object a line, written by a thread of its own.
//!
//! A slow or missing reader never delays a request: the queue is bounded, the oldest lines are dropped, and a `dropped`
//! line stands in their place. Before that, a flood of like events is folded into lines that count them.

use super::fold::{FOLD_WINDOW, Folded, Folds};
use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use time::OffsetDateTime;
use wire::{Event, Line};

/// Lines in the queue; the oldest is dropped for one more.
const MAX_QUEUED_LINES: usize = 4096;
/// Lines that the writer takes out of the queue at once. The others can still be dropped while the reader is slow.
const MAX_BATCH_LINES: usize = 64;
/// The writer's pause after it has emptied the queue: under load, one wake-up then serves many lines, instead of each
/// request paying for its own.
const BATCH_INTERVAL: Duration = Duration::from_millis(2);
/// Bytes of the writer thread's stack.
const WRITER_STACK: usize = 128 * 1024;

/// The queue of events, shared by all that report some.
pub struct Events {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    lines: VecDeque<QueuedLine>,
    folds: Folds,
    next_seq: u64,
    /// Lines dropped since the last one that was written.
    dropped: u64,
    /// Lines dropped since the start.
    dropped_total: u64,
    /// Alarms since the start, dropped ones included.
    alarms: u64,
    /// The writer holds lines that it has not written yet.
    is_writing: bool,
    /// The writer sleeps, and has to be woken.
    is_idle: bool,
}

struct QueuedLine {
    seq: u64,
    time: SystemTime,
    event: Event,
    /// How many like events it stands for, and since when.
    repeated: Option<(u64, SystemTime)>,
}

impl Queue {
    fn push(&mut self, event: Event, time: SystemTime, repeated: Option<(u64, SystemTime)>) {
        if self.lines.len() >= MAX_QUEUED_LINES {
            self.lines.pop_front();
            self.dropped += 1;
            self.dropped_total += 1;
        }
        let seq = self.next_seq;
        self.next_seq += 1;
        self.lines.push_back(QueuedLine { seq, time, event, repeated });
    }

    /// Queues the folded lines whose window has ended at `now`.
    fn push_due(&mut self, now: Instant) {
        for Folded { event, count, first, last, .. } in self.folds.take_due(now) {
            self.push(event, last, Some((count, first)));
        }
    }
}

impl Events {
    /// Starts the thread that writes to stdout.
    pub fn start() -> std::io::Result<Arc<Events>> {
        let events = Arc::new(Events::without_writer());
        let writer = events.clone();
        std::thread::Builder::new().name("events".into()).stack_size(WRITER_STACK).spawn(move || writer.write())?;
        Ok(events)
    }

    /// Events that are not written, but stay in the queue until they are taken.
    pub fn without_writer() -> Events {
        let queue = Queue {
            lines: VecDeque::new(),
            folds: Folds::new(Instant::now()),
            next_seq: 1,
            dropped: 0,
            dropped_total: 0,
            alarms: 0,
            is_writing: false,
            is_idle: false,
        };
        Events { queue: Mutex::new(queue), changed: Condvar::new() }
    }

    /// Empties the queue.
    pub fn take(&self) -> Vec<Event> {
        self.lock().lines.drain(..).map(|line| line.event).collect()
    }

    pub fn push(&self, event: Event) {
        let mut queue = self.lock();
        queue.alarms += u64::from(matches!(event, Event::Alarm(_)));
        let has_window = !queue.folds.is_empty();
        let now = Instant::now();
        match queue.folds.admit(event, now) {
            Some(event) => {
                // The agent's program has ended, and so may the gate before a window does.
                if matches!(event, Event::Work(_)) {
                    queue.push_due(now + FOLD_WINDOW);
                }
                queue.push(event, SystemTime::now(), None);
            }
            // The writer waits for the end of the first window already.
            None if has_window => return,
            None => {}
        }
        let is_idle = queue.is_idle;
        drop(queue);
        if is_idle {
            self.changed.notify_all();
        }
    }

    /// Lines that were dropped since the start.
    pub fn dropped_total(&self) -> u64 {
        self.lock().dropped_total
    }

    /// Alarms since the start, dropped ones included.
    pub fn alarms(&self) -> u64 {
        self.lock().alarms
    }

    /// Waits until all lines are written, folded ones included, at most `timeout`.
    pub fn flush(&self, timeout: Duration) {
        let mut queue = self.lock();
        queue.push_due(Instant::now() + FOLD_WINDOW);
        self.changed.notify_all();
        let is_busy = |queue: &mut Queue| queue.is_writing || !queue.lines.is_empty();
        let _ = self.changed.wait_timeout_while(queue, timeout, is_busy);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) {
        let mut text = Vec::new();
        loop {
            let mut queue = self.lock();
            queue.is_writing = false;
            self.changed.notify_all();
            queue.is_idle = true;
            loop {
                let now = Instant::now();
                queue.push_due(now);
                if !queue.lines.is_empty() {
                    break;
                }
                let window = queue.folds.next_due().map_or(Duration::MAX, |due| due.saturating_duration_since(now));
                queue = self.changed.wait_timeout(queue, window).unwrap_or_else(PoisonError::into_inner).0;
            }
            queue.is_idle = false;
            queue.is_writing = true;
            let dropped = std::mem::take(&mut queue.dropped);
            let count = queue.lines.len().min(MAX_BATCH_LINES);
            let batch: Vec<_> = queue.lines.drain(..count).collect();
            let is_empty = queue.lines.is_empty();
            drop(queue);
            if let (true, Some(first)) = (dropped > 0, batch.first()) {
                let event = Event::Dropped { count: dropped, full: false };
                render(&mut text, QueuedLine { seq: first.seq - 1, time: first.time, event, repeated: None });
            }
            for line in batch {
                render(&mut text, line);
            }
            let mut stdout = std::io::stdout().lock();
            // A reader that is gone is no reason to stop serving.
            let _ = stdout.write_all(&text).and_then(|()| stdout.flush());
            text.clear();
            if is_empty {
                std::thread::sleep(BATCH_INTERVAL);
            }
        }
    }
}

fn render(text: &mut Vec<u8>, line: QueuedLine) {
    let QueuedLine { seq, time, event, repeated } = line;
    let (repeated, since) = repeated.map_or((0, None), |(count, first)| (count, Some(format_rfc3339(first))));
    if serde_json::to_writer(&mut *text, &Line { seq, time: format_rfc3339(time), repeated, since, event }).is_ok() {
        text.push(b'\n');
    }
}

/// UTC with milliseconds.
pub fn format_rfc3339(time: SystemTime) -> String {
    let utc = OffsetDateTime::from(time);
    let (date, time) = (utc.date(), utc.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that does not read loses the oldest lines, and they are counted.
    #[test]
    fn a_full_queue_drops_its_oldest_lines() {
        let events = Events::without_writer();
        for _ in 0..MAX_QUEUED_LINES + 3 {
            events.push(Event::Refresh { value: "token".to_owned() });
        }
        assert_eq!((events.dropped_total(), events.take().len()), (3, MAX_QUEUED_LINES));
    }

    /// What was folded is not lost with a gate that is killed at the end of the session.
    #[test]
    fn folded_events_are_written_before_the_work_is() {
        let events = Events::without_writer();
        let denied = || Event::Request(wire::Audit::default());
        (0..1000).for_each(|_| events.push(denied()));
        let written = events.take().len();
        events.push(Event::Work(wire::Work::default()));
        let mut queue = events.lock();
        let lines: Vec<_> =
            queue.lines.drain(..).map(|line| (line.event, line.repeated.map_or(0, |(count, _)| count))).collect();
        assert_eq!(lines, [(denied(), 1000 - written as u64), (Event::Work(wire::Work::default()), 0)]);
    }

    #[test]
    fn time_is_utc_with_milliseconds() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_042);
        assert_eq!(format_rfc3339(at), "2023-11-14T22:13:20.042Z");
    }
}
