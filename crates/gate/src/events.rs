//! The gate's stdout, which is the audit trail: JSON lines, written by a thread of their own.
//!
//! A reader that is slow, or gone, never holds up a request: the queue is bounded, the oldest lines are dropped, and a
//! `dropped` line stands in their place.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use wire::{Event, Line};

/// Lines that wait for the reader.
const BOUND: usize = 4096;

/// How late a line may be.
const BREATH: Duration = Duration::from_millis(2);

pub struct Events {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    waiting: VecDeque<(u64, SystemTime, Event)>,
    next: u64,
    /// Since the last line that was written.
    dropped: u64,
    dropped_ever: u64,
    alarms: u64,
    writing: bool,
    /// The writer sleeps and has to be woken.
    idle: bool,
}

impl Events {
    /// Starts the thread that writes to stdout.
    pub fn start() -> std::io::Result<Arc<Events>> {
        let events = Arc::new(Events::unheard());
        let writer = events.clone();
        std::thread::Builder::new().name("events".into()).stack_size(128 * 1024).spawn(move || writer.write())?;
        Ok(events)
    }

    /// Nobody writes them: they wait to be taken.
    pub fn unheard() -> Events {
        let queue = Queue {
            waiting: VecDeque::new(),
            next: 1,
            dropped: 0,
            dropped_ever: 0,
            alarms: 0,
            writing: false,
            idle: false,
        };
        Events { queue: Mutex::new(queue), changed: Condvar::new() }
    }

    /// Those that wait.
    pub fn take(&self) -> Vec<Event> {
        self.lock().waiting.drain(..).map(|(_, _, event)| event).collect()
    }

    pub fn push(&self, event: Event) {
        let mut queue = self.lock();
        if queue.waiting.len() >= BOUND {
            queue.waiting.pop_front();
            queue.dropped += 1;
            queue.dropped_ever += 1;
        }
        queue.alarms += u64::from(matches!(event, Event::Alarm(_)));
        let seq = queue.next;
        queue.next += 1;
        queue.waiting.push_back((seq, SystemTime::now(), event));
        let idle = queue.idle;
        drop(queue);
        if idle {
            self.changed.notify_all();
        }
    }

    /// How many lines no reader ever got.
    pub fn lost(&self) -> u64 {
        self.lock().dropped_ever
    }

    /// Findings, written or lost.
    pub fn alarms(&self) -> u64 {
        self.lock().alarms
    }

    /// Waits until all is written, or until the reader has had its chance.
    pub fn flush(&self, bound: Duration) {
        let queue = self.lock();
        let _ = self.changed.wait_timeout_while(queue, bound, |queue| queue.writing || !queue.waiting.is_empty());
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) {
        let mut text = Vec::new();
        loop {
            let mut queue = self.lock();
            queue.writing = false;
            self.changed.notify_all();
            queue.idle = true;
            while queue.waiting.is_empty() {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue.idle = false;
            queue.writing = true;
            let dropped = std::mem::take(&mut queue.dropped);
            // A part at a time: what is still in the queue can be dropped when the reader stops.
            let count = queue.waiting.len().min(64);
            let lines: Vec<_> = queue.waiting.drain(..count).collect();
            let more = !queue.waiting.is_empty();
            drop(queue);
            if let (true, Some((seq, at, _))) = (dropped > 0, lines.first()) {
                render(&mut text, (seq - 1, *at, Event::Dropped { count: dropped }));
            }
            for line in lines {
                render(&mut text, line);
            }
            let mut stdout = std::io::stdout().lock();
            // A reader that is gone is no reason to stop serving.
            let _ = stdout.write_all(&text).and_then(|()| stdout.flush());
            text.clear();
            // Under load, one wake-up for many lines: the requests pay for each.
            if more {
                continue;
            }
            std::thread::sleep(BREATH);
        }
    }
}

fn render(text: &mut Vec<u8>, (seq, at, event): (u64, SystemTime, Event)) {
    let line = Line { seq, time: rfc3339(at), event };
    if serde_json::to_writer(&mut *text, &line).is_ok() {
        text.push(b'\n');
    }
}

/// UTC with milliseconds.
pub fn rfc3339(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    let (date, time) = (at.date(), at.time());
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

/// What was asked for, on stdout. The exit code: a closed pipe is no failure.
pub fn say(text: &str) -> i32 {
    let _ = writeln!(std::io::stdout(), "{text}");
    0
}

/// A usage error, on stderr. The exit code.
pub fn complain(text: &str) -> i32 {
    let _ = writeln!(std::io::stderr(), "claude-bottle-gate: {text}");
    2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_utc_with_milliseconds() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_042);
        assert_eq!(rfc3339(at), "2023-11-14T22:13:20.042Z");
    }
}
