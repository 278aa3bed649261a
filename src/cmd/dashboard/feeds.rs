//! What the dashboard knows of each session: its folder's mark, and its trail as it grows. Of a session without an owner the
//! trail is the engine's log, which one call of the engine follows; nothing else asks the engine, and nothing waits for it.

use crate::dashboard::{Ask, Asked, BottleRow};
use crate::docker::{Docker, ScopedStream, Stream};
use crate::exit::{EngineError, EngineErrorKind};
use crate::facts::Engine;
use crate::plan::Plan;
use crate::render;
use crate::session::audit::{self, Age, LOG_TIMEOUT};
use crate::state::{Condition, Folder, Home, OpenAsks, Overview, TrailFile};
use crate::trail::Trail;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};

/// Between two looks at the folders and their marks.
const FOLDER_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of trails that are read before keys are looked for again.
const MAX_STEP_BYTES: usize = 4 << 20;
/// Refusals of one bottle that are shown: those refused last.
const MAX_REFUSALS: usize = 200;
/// Sessions whose logs are followed at the engine.
const MAX_FOLLOWED_LOGS: usize = 64;
/// Between two attempts to follow a log of an engine that failed.
const LOG_RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// What is told of an engine that gives no line of a log that is there.
const NO_ANSWER: &str = "the engine does not answer";
/// What is told of a session whose log is not followed.
const NOT_FOLLOWED: &str = "not followed: too many are detached";

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
    /// When something was decided about it last.
    decided_at: [Option<SystemTime>; 2],
    trail: Trail,
    source: Source,
    /// What is wrong with its trail.
    trouble: Option<String>,
    row: Option<Rc<BottleRow>>,
}

enum Source {
    File(TrailFile),
    Log(FollowedLog),
}

/// The lines that the trail on disk lacks, from the engine.
struct FollowedLog {
    news: Receiver<LogNews>,
    began: Instant,
    has_answered: bool,
    /// `None` once it has ended.
    stream: Option<Stream>,
}

enum LogNews {
    /// The engine gives the log.
    Answer,
    /// A line that the disk has not.
    Line(Vec<u8>),
    End,
}

impl Feeds {
    /// What wakes the loop, for another thread.
    pub fn wake(&self) -> std::io::Result<UnixStream> {
        self.wake.try_clone()
    }

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
            self.has_changed |= read > 0 || feed.row.is_none();
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
            let (condition, decided_at) = (folder.condition(), folder.decided_at());
            if let Some(feed) = self.all.get_mut(&folder.identity).filter(|feed| feed.decided_at != decided_at) {
                // Decided while no gate ran, which its trail does not tell.
                (feed.decided_at, feed.row) = (decided_at, None);
            }
            let known = self.all.get(&folder.identity);
            if known.is_some_and(|feed| feed.condition == condition && !feed.is_to_be_retried()) {
                continue;
            }
            self.has_changed = true;
            let is_file = known.is_some_and(|feed| matches!(feed.source, Source::File(_)));
            let needs_log = condition.is_written_by_engine_alone();
            match self.all.get_mut(&folder.identity) {
                // The trail goes on where it is.
                Some(feed) if is_file && !needs_log => {
                    (feed.condition, feed.row, feed.trouble) = (condition, None, None);
                }
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
        let is_followed =
            |feed: &&Feed| feed.folder.identity != folder.identity && matches!(feed.source, Source::Log(_));
        let (mut log, mut trouble) = (None, None);
        if condition.is_written_by_engine_alone() {
            while read_file(&mut trail, &mut file, usize::MAX) > 0 {}
            match self.all.values().filter(is_followed).count() < MAX_FOLLOWED_LOGS {
                true => log = folder.plan().ok().and_then(|plan| self.follow(&plan, &file)),
                false => trouble = Some(NOT_FOLLOWED.to_owned()),
            }
        }
        let source = log.map_or(Source::File(file), Source::Log);
        let decided_at = folder.decided_at();
        Feed { folder, condition, decided_at, trail, source, trouble, row: None }
    }

    fn follow(&self, plan: &Plan, file: &TrailFile) -> Option<FollowedLog> {
        let mut stream = Docker::new(&plan.engine).ok()?.stream(&plan.follow_gate()).ok()?;
        let (stdout, have, mut wake) = (stream.child.stdout.take()?, file.lines_read(), self.wake.try_clone().ok()?);
        let (send, news) = channel();
        let follower = sys::thread::spawn(move || {
            let mut tell = |event: LogNews| {
                if send.send(event).is_ok() {
                    let _ = wake.write(&[0]);
                }
            };
            let mut is_first = true;
            audit::for_each_line(
                stdout,
                || have,
                |line, _, age| {
                    if std::mem::take(&mut is_first) {
                        tell(LogNews::Answer);
                    }
                    if age == Age::New {
                        tell(LogNews::Line(line.to_vec()));
                    }
                },
            );
            tell(LogNews::End);
        });
        follower.ok().map(|_| FollowedLog { news, began: Instant::now(), has_answered: false, stream: Some(stream) })
    }
}

impl Drop for FollowedLog {
    fn drop(&mut self) {
        drop(self.stream.take().map(ScopedStream));
    }
}

impl FollowedLog {
    /// Why its lines are not all that there are.
    fn trouble(&self) -> Option<&'static str> {
        (!self.has_answered && self.began.elapsed() >= LOG_TIMEOUT).then_some(NO_ANSWER)
    }

    /// Why it ended, where that is not the end of its gate.
    fn end(&mut self) -> Option<EngineError> {
        let ended = self.stream.take()?.expect_success("the engine ended its log");
        ended.err().filter(|error| error.kind != EngineErrorKind::Gone)
    }
}

/// What is known of all sessions now, engines' logs read to their ends. An engine that did not answer is not asked again.
pub fn read_once(home: &Home) -> Vec<Rc<BottleRow>> {
    let mut mute: Vec<Engine> = Vec::new();
    let read = |folder: Folder| {
        let (mut trail, mut trouble) = (Trail::default(), None);
        // What cannot be read is as what is not there: the row shows what is known.
        if let Ok(plan) = folder.plan() {
            let needs_engine = folder.condition().is_written_by_engine_alone();
            if needs_engine && mute.contains(&plan.engine) {
                trouble = Some(NO_ANSWER.to_owned());
                while read_file(&mut trail, &mut TrailFile::new(&folder), usize::MAX) > 0 {}
            } else if let Err(error) = audit::read_lines(&folder, &plan, |line| trail.add(line)) {
                if error.downcast_ref::<EngineError>().is_some_and(|error| error.kind == EngineErrorKind::Unreachable) {
                    mute.push(plan.engine.clone());
                }
                trouble = Some(format!("{error:#}"));
            }
        }
        Rc::new(row(&folder, &trail, trouble))
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
    /// Reads about `max` bytes at most; the bytes that were read.
    fn read(&mut self, max: usize) -> usize {
        let (mut read, mut trouble) = (0, self.trouble.clone());
        match &mut self.source {
            Source::File(file) => read = read_file(&mut self.trail, file, max),
            Source::Log(log) => {
                while read < max
                    && let Ok(news) = log.news.try_recv()
                {
                    match news {
                        LogNews::Answer => (log.has_answered, trouble) = (true, None),
                        LogNews::Line(line) => {
                            self.trail.add(&line);
                            read += line.len();
                        }
                        LogNews::End => {
                            log.has_answered = true;
                            trouble = log.end().map(|error| format!("{NO_ANSWER}: {error}"));
                        }
                    }
                }
                trouble = trouble.or_else(|| log.trouble().map(str::to_owned));
            }
        }
        if read > 0 || trouble != self.trouble {
            self.row = None;
        }
        self.trouble = trouble;
        read
    }

    /// Did its engine fail, long enough ago?
    fn is_to_be_retried(&self) -> bool {
        match &self.source {
            Source::Log(log) => {
                log.stream.is_none() && self.trouble.is_some() && log.began.elapsed() >= LOG_RETRY_INTERVAL
            }
            Source::File(_) => false,
        }
    }

    fn row(&mut self) -> Rc<BottleRow> {
        let (folder, trail, trouble) = (&self.folder, &self.trail, &self.trouble);
        self.row.get_or_insert_with(|| Rc::new(row(folder, trail, trouble.clone()))).clone()
    }
}

fn row(folder: &Folder, trail: &Trail, trouble: Option<String>) -> BottleRow {
    let Overview { identity, agent, state, why, since, .. } = Overview::read(folder);
    let unix = |time: &str| render::seconds(time).and_then(|seconds| u64::try_from(seconds).ok());
    let OpenAsks { proposals, refused } = folder.open_asks(trail);
    let proposals = proposals.into_iter().map(|proposal| Ask {
        id: proposal.id,
        change: proposal.change,
        asked: Asked::Proposed,
        reason: proposal.reason,
        count: 0,
        since: unix(&proposal.since),
        time: proposal.since,
    });
    let refusals = refused.into_iter().take(MAX_REFUSALS).map(|candidate| Ask {
        id: candidate.id,
        change: candidate.change,
        asked: Asked::Refused,
        reason: candidate.example.reason.unwrap_or_default(),
        count: candidate.count,
        since: unix(&candidate.last),
        time: candidate.last,
    });
    let asks = proposals.chain(refusals).collect();
    BottleRow { identity, agent, state, since, why, trouble, totals: trail.totals.clone(), asks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Kept, Mark};
    use std::fs::{self, OpenOptions};

    fn proposal(path: &str) -> String {
        let change = format!(r#"{{"kind":"egress","host":"a.org","port":443,"method":"GET","path":"{path}"}}"#);
        let head = r#"{"seq":1,"time":"2026-01-01T00:00:00.000Z","event":"proposal","reason":"please","change":"#;
        format!("{head}{change}}}\n")
    }

    /// Steps until all is read; the rows, where something has changed.
    fn settled(feeds: &mut Feeds) -> Option<Vec<Rc<BottleRow>>> {
        // A look at the folders is due.
        feeds.looked = None;
        while feeds.step() == Progress::More {}
        feeds.changed_rows()
    }

    /// An idle look makes no row anew, reads no trail again, and gives the screen nothing to draw.
    #[test]
    fn what_has_not_changed_is_not_made_anew() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path());
        let folders: Vec<Folder> = (0..50).map(|n| home.claim(&format!("a-{n:05}")).unwrap()).collect();
        for folder in &folders {
            folder.set_mark(&Mark::Kept(Kept::new("because"))).unwrap();
            let trail: String = (0..10).map(|n| proposal(&format!("/{n}"))).collect();
            fs::write(folder.audit(), trail).unwrap();
        }
        let mut feeds = Feeds::new(home, UnixStream::pair().unwrap().0);
        let before = settled(&mut feeds).unwrap();
        assert_eq!(before.iter().map(|row| row.asks.len()).sum::<usize>(), 500);
        for _ in 0..3 {
            assert!(settled(&mut feeds).is_none(), "nothing has changed");
        }
        assert!(feeds.all.values_mut().all(|feed| feed.read(usize::MAX) == 0), "all is read");
        let mut file = OpenOptions::new().append(true).open(folders[7].audit()).unwrap();
        file.write_all(proposal("/more").as_bytes()).unwrap();
        let after = settled(&mut feeds).unwrap();
        let is_same = |n: usize| Rc::ptr_eq(&before[n], &after[n]);
        assert!((0..50).all(|n| is_same(n) == (n != 7)), "one row is made anew");
        assert_eq!(after[7].asks.len(), 11);
    }
}
