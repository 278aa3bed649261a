//! `logs`: what the gate of a session decided, from its trail on disk, and from the engine's log where nobody writes that.
//!
//! Nothing is changed: a line that is only on the engine stays there.

use super::launch::recorded;
use crate::cli::{ListFormat, LogsArgs};
use crate::docker::Docker;
use crate::exit::{EngineErrorKind, Exit};
use crate::plan::Plan;
use crate::render;
use crate::say;
use crate::session::audit::{self, Age};
use crate::state::{Condition, Folder, Home};
use crate::text;
use anyhow::Result;
use std::fs::File;
use std::io::Read;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use sys::{clock, pipe};
use wire::Line;

/// Between two looks at a trail that another process writes.
const BREATH: Duration = Duration::from_millis(200);

/// Bytes of one look.
const BLOCK: usize = 1 << 20;

pub fn run(asked: &LogsArgs) -> Result<Exit> {
    let (folder, plan) = recorded(&Home::locate()?, &asked.identity)?;
    let mut page = Page { asked, day: String::new() };
    let mut trail = Trail::of(&folder);
    loop {
        // First the mark, then the lines: those of a session's end are there before its mark says so.
        let condition = folder.condition();
        while let Some(lines) = trail.news()? {
            if !page.show(&lines)? {
                return Ok(Exit::OK);
            }
        }
        match condition {
            Condition::Live if !asked.follow || pipe::stdout_is_broken() => return Ok(Exit::OK),
            Condition::Live => std::thread::sleep(BREATH),
            Condition::Kept(rest) if !rest.unsettled => return Ok(Exit::OK),
            // It ended well, and nothing of it is left.
            _ if !folder.path().exists() => return Ok(Exit::OK),
            _ => return from_engine(&mut page, &plan, &trail),
        }
    }
}

/// What nobody has written down yet.
fn from_engine(page: &mut Page, plan: &Plan, trail: &Trail) -> Result<Exit> {
    let docker = Docker::new(&plan.engine)?;
    let call = if page.asked.follow { plan.follow_gate() } else { plan.gate_log() };
    let mut stream = docker.stream(&call)?;
    let have = trail.shown();
    let (send, news) = channel();
    if let Some(stdout) = stream.child.stdout.take() {
        std::thread::spawn(move || {
            audit::for_each_line(stdout, &have, |line, _, age| {
                if age == Age::New {
                    let _ = send.send(line.to_vec());
                }
            });
        });
    }
    loop {
        let read = match news.recv_timeout(BREATH) {
            Ok(line) => page.show(&line)?,
            Err(RecvTimeoutError::Timeout) => !pipe::stdout_is_broken(),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if !read {
            return Ok(Exit::OK);
        }
    }
    match stream.expect_success("the engine ended its log") {
        // Its gate is gone, and all it said is on disk.
        Err(error) if error.kind != EngineErrorKind::Gone => Err(error.into()),
        _ => Ok(Exit::OK),
    }
}

/// The file, as far as it was read.
struct Trail {
    folder: Folder,
    file: Option<File>,
    /// The beginning of a line.
    rest: Vec<u8>,
    /// Bytes of whole lines so far.
    read: u64,
}

impl Trail {
    fn of(folder: &Folder) -> Trail {
        Trail { folder: folder.clone(), file: None, rest: Vec::new(), read: 0 }
    }

    /// Whole lines that were not there before; no more than so many at a time.
    fn news(&mut self) -> Result<Option<Vec<u8>>> {
        if self.file.is_none() {
            // Its gate may not have said a word yet.
            self.file = File::open(self.folder.audit()).ok();
        }
        let Some(file) = &mut self.file else { return Ok(None) };
        let mut block = std::mem::take(&mut self.rest);
        let read = file.take(BLOCK as u64).read_to_end(&mut block)?;
        let end = block.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.rest = block.split_off(end);
        self.read += end as u64;
        Ok((read > 0).then_some(block))
    }

    /// What was given out: the trail may have grown since.
    fn shown(&self) -> Vec<u8> {
        let mut have = Vec::new();
        let read = File::open(self.folder.audit()).and_then(|file| file.take(self.read).read_to_end(&mut have));
        if read.is_err() {
            have.clear();
        }
        have
    }
}

/// Where the lines go.
struct Page<'a> {
    asked: &'a LogsArgs,
    /// Of the last line that was shown.
    day: String,
}

impl Page<'_> {
    /// False: the reader has seen enough.
    fn show(&mut self, lines: &[u8]) -> Result<bool> {
        let mut text = String::new();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.add(&mut text, line);
        }
        Ok(text.is_empty() || say::stream_out(text.as_bytes())?)
    }

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
