//! The objects that a push adds, one after the other, with what each is called.

use crate::git::children::Child;
use crate::git::failure::Failure;
use crate::git::limits::{MAX_PUSH_OBJECT_BYTES, MAX_PUSH_OBJECTS};
use crate::git::pending::Pending;
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::ChildStdout;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wire::is_object_id;

/// Objects that were asked for and not read yet.
const ASKED_AHEAD: usize = 256;
/// Bytes of the name of a file, as `git rev-list` prints it.
const MAX_NAME_BYTES: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    Commit,
    Tag,
    Tree,
    Blob,
}

/// The head of an object. Its bytes are to be read next.
#[derive(Debug)]
pub struct ObjectHead {
    pub id: String,
    pub kind: ObjectKind,
    pub size: u64,
    /// The path under which it was met first; empty for commits and tags.
    pub path: String,
}

pub struct Objects {
    lister: Child,
    reader: Child,
    asked: mpsc::Receiver<(String, String)>,
    feed: JoinHandle<io::Result<()>>,
    output: BufReader<ChildStdout>,
    count: u64,
    bytes: u64,
    /// Bytes of the present object that were not read yet.
    left: u64,
}

impl Objects {
    /// Lists what the new ids of a push lead to and the refs of the repository do not.
    pub fn start(pending: &Pending<'_>) -> Result<Objects, Failure> {
        let runner = &pending.tools.runner;
        let no_pipes = || Failure::error("git has no pipes");
        let list = pending.git().args(["rev-list", "--objects"]).args(pending.new_ids()).args(pending.known());
        let mut lister = runner.spawn(list.piped())?;
        let mut reader = runner.spawn(pending.git().args(["cat-file", "--batch"]).piped())?;
        let list = lister.stdout.take().ok_or_else(no_pipes)?;
        let mut input = reader.stdin.take().ok_or_else(no_pipes)?;
        let output = BufReader::with_capacity(64 << 10, reader.stdout.take().ok_or_else(no_pipes)?);
        let (ask, asked) = mpsc::channel(ASKED_AHEAD);
        let feed = tokio::spawn(async move {
            let mut list = BufReader::new(list);
            let mut line = Vec::new();
            loop {
                line.clear();
                let limit = (MAX_NAME_BYTES + 64) as u64;
                if (&mut list).take(limit).read_until(b'\n', &mut line).await? == 0 {
                    return Ok(());
                }
                if line.last() != Some(&b'\n') {
                    return Err(io::Error::other("the path of a file is too long"));
                }
                let text = String::from_utf8_lossy(&line);
                let (id, path) = text.trim_end_matches('\n').split_once(' ').unwrap_or((text.trim_end(), ""));
                if !is_object_id(id) {
                    return Err(io::Error::other("git lists what is no object"));
                }
                let asked = (id.to_owned(), path.to_owned());
                let question = format!("{id}\n");
                if ask.send(asked).await.is_err() {
                    return Ok(());
                }
                input.write_all(question.as_bytes()).await?;
            }
        });
        Ok(Objects { lister, reader, asked, feed, output, count: 0, bytes: 0, left: 0 })
    }

    /// The next object; `None`: there are no more.
    pub async fn next(&mut self) -> Result<Option<ObjectHead>, Failure> {
        let lost = |error: io::Error| Failure::error(format!("git does not show the objects of the push: {error}"));
        let Some((id, path)) = self.asked.recv().await else { return Ok(None) };
        let mut line = Vec::new();
        (&mut self.output).take(256).read_until(b'\n', &mut line).await.map_err(lost)?;
        let text = String::from_utf8_lossy(&line);
        let mut words = text.trim_end().split(' ');
        let (found, kind, size) = (words.next(), words.next(), words.next().and_then(|size| size.parse().ok()));
        let kind = match kind {
            Some("commit") => ObjectKind::Commit,
            Some("tag") => ObjectKind::Tag,
            Some("tree") => ObjectKind::Tree,
            Some("blob") => ObjectKind::Blob,
            _ => return Err(missing(&id)),
        };
        let Some(size) = size.filter(|_| found == Some(&id)) else { return Err(missing(&id)) };
        (self.count, self.bytes, self.left) = (self.count + 1, self.bytes.saturating_add(size), size);
        if self.count > MAX_PUSH_OBJECTS || self.bytes > MAX_PUSH_OBJECT_BYTES {
            return Err(Failure::denied(format!(
                "the push adds more than {MAX_PUSH_OBJECTS} objects or {} GiB, unpacked: push in parts",
                MAX_PUSH_OBJECT_BYTES >> 30
            )));
        }
        Ok(Some(ObjectHead { id, kind, size, path }))
    }

    /// Reads more of the present object. `false`: it has ended.
    pub async fn read(&mut self, into: &mut Vec<u8>) -> Result<bool, Failure> {
        let lost = |error: io::Error| Failure::error(format!("git does not show an object of the push: {error}"));
        into.clear();
        if self.left == 0 {
            // A line feed follows each object.
            self.output.read_u8().await.map_err(lost)?;
            return Ok(false);
        }
        let count = {
            let part = self.output.fill_buf().await.map_err(lost)?;
            let count = part.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            into.extend_from_slice(&part[..count]);
            count
        };
        if count == 0 {
            return Err(lost(io::ErrorKind::UnexpectedEof.into()));
        }
        self.output.consume(count);
        self.left -= count as u64;
        Ok(true)
    }

    /// All were read. Fails where git found that something is missing.
    pub async fn finish(self) -> Result<(), Failure> {
        let Objects { lister, reader, feed, output, .. } = self;
        let fed = feed.await;
        drop(output);
        let ended = lister.wait().await?;
        if !ended.is_good() {
            return Err(Failure::denied(format!("the push is not complete: {}", ended.reason())));
        }
        drop(reader);
        match fed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::error(format!("the objects of the push cannot be listed: {error}"))),
            Err(_) => Err(Failure::error("the objects of the push cannot be listed")),
        }
    }
}

fn missing(id: &str) -> Failure {
    Failure::denied(format!("the push is not complete: the object {id} is missing"))
}
