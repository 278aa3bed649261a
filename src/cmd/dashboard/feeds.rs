//! What the dashboard knows of each session: its folder's mark, and its trail as it grows. Of a session without an owner the
//! trail is the engine's log, which one call of the engine follows; nothing else asks the engine.

use crate::dashboard::{Ask, Asked, BottleRow};
use crate::docker::{Docker, ScopedStream};
use crate::plan::Plan;
use crate::render;
use crate::session::audit::{self, Age};
use crate::state::{Condition, Folder, Home, Overview, TrailFile};
use crate::trail::Trail;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Between two looks at the folders and their marks.
const FOLDER_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of trails that are read before keys are looked for again.
const MAX_STEP_BYTES: usize = 4 << 20;
/// Refusals of one bottle that are shown: those refused last.
const MAX_REFUSALS: usize = 200;
/// Sessions whose logs are followed at the engine.
const MAX_FOLLOWED_LOGS: usize = 64;

/// Whether all that is written was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Done,
    More,
}

pub struct Feeds {
    home: Home,
    all: BTreeMap<String, Feed>,
    looked: Option<Instant>,
    /// Written to when a line of the engine's log has come.
    wake: UnixStream,
    has_changed: bool,
}

/// One session.
struct Feed {
    folder: Folder,
    condition: Condition,
    trail: Trail,
    source: Source,
    row: Option<Rc<BottleRow>>,
}

enum Source {
    File(TrailFile),
    /// The lines that the trail on disk lacks, from the engine.
    Log {
        lines: Receiver<Vec<u8>>,
        _stream: ScopedStream,
    },
}

impl Feeds {
    pub fn new(home: Home, wake: UnixStream) -> Feeds {
        Feeds { home, all: BTreeMap::new(), looked: None, wake, has_changed: true }
    }

    /// Takes what has come since: marks, the whole trail of a session that has lost its terminal, and a bounded part of the
    /// others.
    pub fn step(&mut self) -> Progress {
        if self.looked.is_none_or(|looked| looked.elapsed() >= FOLDER_INTERVAL) {
            self.looked = Some(Instant::now());
            self.look_at_folders();
        }
        let mut left = MAX_STEP_BYTES;
        for feed in self.all.values_mut() {
            let read = feed.read(left);
            self.has_changed |= read > 0;
            left = left.saturating_sub(read);
            if left == 0 {
                return Progress::More;
            }
        }
        Progress::Done
    }

    /// The bottles, where something has changed since they were asked for last.
    pub fn changed_rows(&mut self) -> Option<Vec<Rc<BottleRow>>> {
        std::mem::take(&mut self.has_changed).then(|| self.all.values_mut().map(Feed::row).collect())
    }

    fn look_at_folders(&mut self) {
        let folders = self.home.folders();
        let count = self.all.len();
        // They are sorted.
        let is_there = |identity: &String| folders.binary_search_by(|folder| folder.identity.cmp(identity)).is_ok();
        self.all.retain(|identity, _| is_there(identity));
        self.has_changed |= self.all.len() != count;
        for folder in folders {
            let condition = folder.condition();
            let known = self.all.get(&folder.identity);
            if known.is_some_and(|feed| feed.condition == condition) {
                continue;
            }
            self.has_changed = true;
            let is_file = known.is_some_and(|feed| matches!(feed.source, Source::File(_)));
            let needs_log = condition.is_written_by_engine_alone();
            match self.all.get_mut(&folder.identity) {
                // The trail goes on where it is.
                Some(feed) if is_file && !needs_log => (feed.condition, feed.row) = (condition, None),
                _ => {
                    let feed = self.begin(folder, condition);
                    self.all.insert(feed.folder.identity.clone(), feed);
                }
            }
        }
    }

    /// Begins anew with a session's trail: on disk, and then at the engine where no process copies it to the disk.
    fn begin(&self, folder: Folder, condition: Condition) -> Feed {
        let (mut trail, mut file) = (Trail::default(), TrailFile::new(&folder));
        let followed = self.all.values().filter(|feed| matches!(feed.source, Source::Log { .. })).count();
        let mut log = None;
        if condition.is_written_by_engine_alone() && followed < MAX_FOLLOWED_LOGS {
            while read_file(&mut trail, &mut file, usize::MAX) > 0 {}
            log = folder.plan().ok().and_then(|plan| self.follow(&plan, &file));
        }
        let source = log.unwrap_or(Source::File(file));
        Feed { folder, condition, trail, source, row: None }
    }

    fn follow(&self, plan: &Plan, file: &TrailFile) -> Option<Source> {
        let mut stream = Docker::new(&plan.engine).ok()?.stream(&plan.follow_gate()).ok()?;
        let (stdout, have, mut wake) = (stream.child.stdout.take()?, file.lines_read(), self.wake.try_clone().ok()?);
        let (send, lines) = channel();
        let stream = ScopedStream(stream);
        let follower = sys::thread::spawn(move || {
            audit::for_each_line(
                stdout,
                || have,
                |line, _, age| {
                    if age == Age::New && send.send(line.to_vec()).is_ok() {
                        let _ = wake.write(&[0]);
                    }
                },
            );
        });
        follower.ok().map(|_| Source::Log { lines, _stream: stream })
    }
}

/// What is known of all sessions now, engines' logs read to their ends.
pub fn read_once(home: &Home) -> Vec<Rc<BottleRow>> {
    let read = |folder: Folder| {
        let mut trail = Trail::default();
        // What cannot be read is as what is not there: the row shows what is known.
        let _ = folder.plan().and_then(|plan| audit::read_lines(&folder, &plan, |line| trail.add(line)));
        Rc::new(row(&folder, &trail))
    };
    home.folders().into_iter().map(read).collect()
}

/// Reads at most about `max` bytes; the bytes that were read.
fn read_file(trail: &mut Trail, file: &mut TrailFile, max: usize) -> usize {
    let mut read = 0;
    while read < max {
        // What cannot be read is as what is not there: the row shows what is known.
        let Ok(Some(lines)) = file.next_lines() else { break };
        lines.split(|byte| *byte == b'\n').for_each(|line| trail.add(line));
        read += lines.len().max(1);
    }
    read
}

impl Feed {
    fn read(&mut self, max: usize) -> usize {
        let read = match &mut self.source {
            Source::File(file) => read_file(&mut self.trail, file, max),
            Source::Log { lines, .. } => {
                let mut read = 0;
                while read < max
                    && let Ok(line) = lines.try_recv()
                {
                    self.trail.add(&line);
                    read += line.len();
                }
                read
            }
        };
        if read > 0 {
            self.row = None;
        }
        read
    }

    fn row(&mut self) -> Rc<BottleRow> {
        let (folder, trail) = (&self.folder, &self.trail);
        self.row.get_or_insert_with(|| Rc::new(row(folder, trail))).clone()
    }
}

fn row(folder: &Folder, trail: &Trail) -> BottleRow {
    let Overview { identity, agent, state, why, since, .. } = Overview::read(folder);
    let unix = |time: &str| render::seconds(time).and_then(|seconds| u64::try_from(seconds).ok());
    let proposals = trail.pending.list().into_iter().map(|proposal| Ask {
        id: proposal.id.clone(),
        change: proposal.change.clone(),
        asked: Asked::Proposed,
        reason: proposal.reason.clone(),
        count: 0,
        time: proposal.since.clone(),
        since: unix(&proposal.since),
    });
    let refusals = trail.candidates().into_iter().take(MAX_REFUSALS).map(|candidate| Ask {
        id: candidate.id,
        change: candidate.change,
        asked: Asked::Refused,
        reason: candidate.example.reason.unwrap_or_default(),
        count: candidate.count,
        since: unix(&candidate.last),
        time: candidate.last,
    });
    let asks = proposals.chain(refusals).collect();
    BottleRow { identity, agent, state, since, why, totals: trail.totals.clone(), asks }
}
