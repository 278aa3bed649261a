//! `logs`: shows what the gate of a session decided, from the audit trail on disk, and from the engine's log where no
//! process copies that to the trail.
//!
//! Nothing is changed: a line that is only on the engine stays there.

use super::live::recorded;
use crate::cli::{ListFormat, LogsArgs};
use crate::docker::Docker;
use crate::exit::{EngineErrorKind, Exit};
use crate::plan::Plan;
use crate::render;
use crate::say;
use crate::session::audit::{self, Age};
use crate::state::{Condition, Home, TrailFile};
use crate::text;
use anyhow::Result;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use sys::{clock, pipe};
use wire::Line;

/// Between two looks at a trail that another process writes.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

pub fn run(asked: &LogsArgs) -> Result<Exit> {
    let (folder, plan) = recorded(&Home::locate()?, asked.identity.as_deref())?;
    let mut page = Page { asked, day: String::new() };
    let mut trail = TrailFile::new(&folder);
    loop {
        // The mark is read first: the lines of a session's end are written before its mark.
        let condition = folder.condition();
        while let Some(lines) = trail.next_lines()? {
            if !page.show(&lines)? {
                return Ok(Exit::OK);
            }
        }
        match condition {
            Condition::Live if !asked.follow || pipe::stdout_is_broken() => return Ok(Exit::OK),
            Condition::Live => std::thread::sleep(POLL_INTERVAL),
            Condition::Kept(rest) if !rest.unsettled => return Ok(Exit::OK),
            // The session ended with nothing to keep, and its folder is gone.
            _ if !folder.path().exists() => return Ok(Exit::OK),
            _ => return show_engine_log(&mut page, &plan, &trail),
        }
    }
}

/// Shows the lines of the engine's log that the trail lacks.
fn show_engine_log(page: &mut Page, plan: &Plan, trail: &TrailFile) -> Result<Exit> {
    let docker = Docker::new(&plan.engine)?;
    let call = if page.asked.follow { plan.follow_gate() } else { plan.gate_log() };
    let mut stream = docker.stream(&call)?;
    let have = trail.lines_read();
    let (send, news) = channel();
    if let Some(stdout) = stream.child.stdout.take() {
        sys::thread::spawn(move || {
            audit::for_each_line(
                stdout,
                || have,
                |line, _, age| {
                    if age == Age::New {
                        let _ = send.send(line.to_vec());
                    }
                },
            );
        })?;
    }
    loop {
        let read = match news.recv_timeout(POLL_INTERVAL) {
            Ok(line) => page.show(&line)?,
            Err(RecvTimeoutError::Timeout) => !pipe::stdout_is_broken(),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if !read {
            return Ok(Exit::OK);
        }
    }
    match stream.expect_success("the engine ended its log") {
        // The gate's container is gone, and its whole log is on disk.
        Err(error) if error.kind != EngineErrorKind::Gone => Err(error.into()),
        _ => Ok(Exit::OK),
    }
}

/// The output: the lines that were asked for, in the format that was asked for.
struct Page<'a> {
    asked: &'a LogsArgs,
    /// The day of the last line that was shown.
    day: String,
}

impl Page<'_> {
    /// Shows these lines; false after a broken pipe, when the rest need not be shown.
    fn show(&mut self, lines: &[u8]) -> Result<bool> {
        let mut text = String::new();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.add(&mut text, line);
        }
        Ok(text.is_empty() || say::stream_out(text.as_bytes())?)
    }

    /// Adds one line to `text`, unless it was not asked for.
    fn add(&mut self, text: &mut String, line: &[u8]) {
        let parsed = serde_json::from_slice::<Line>(line);
        if self.asked.denied && parsed.as_ref().is_ok_and(|line| !render::is_refused(&line.event)) {
            return;
        }
        match (self.asked.format, parsed) {
            (ListFormat::Json, _) => text.push_str(&text::escape_json(&String::from_utf8_lossy(line))),
            (ListFormat::Text, Ok(line)) => {
                let time = render::seconds(&line.time).and_then(clock::local);
                let (day, time) = time.unwrap_or_else(|| ("?".to_owned(), "??:??:??".to_owned()));
                if day != self.day {
                    text.push_str(&format!("{day}\n"));
                    self.day = day;
                }
                text.push_str(&format!("{time} {}", render::trail(&line)));
            }
            (ListFormat::Text, Err(_)) => {
                text.push_str(&format!("??:??:?? {}", text::one_line(&String::from_utf8_lossy(line))));
            }
        }
        text.push('\n');
    }
}
