//! The reader: a container that is made for one question, has no network, cannot write, and sees a session's home.
//!
//! All that git has to do with a repository of a bottle's happens in there: its `.git` may be hostile.

use super::world;
use crate::docker::{Docker, Stream};
use crate::exit::{EngineError, UserError};
use crate::plan::Plan;
use crate::state::Home;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::path::Path;
use tempfile::NamedTempFile;
use wire::Work;

/// The most that an answer kept in memory may have, bytes.
const ANSWER: u64 = 64 << 20;

/// The most that one file may have, bytes.
const FILE: u64 = 8 << 30;
/// Where it says nothing of why.
pub const FAILED: &str = "the reader failed";
/// How `init work` ends where there is nothing new.
const NOTHING: i32 = 3;

pub struct Reader<'a> {
    docker: &'a Docker,
    plan: &'a Plan,
    image: String,
}

/// What a home takes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Size {
    pub files: u64,
    pub bytes: u64,
}

impl<'a> Reader<'a> {
    /// `None` where the session's home is not on its engine.
    pub fn open(docker: &'a Docker, home: &Home, plan: &'a Plan) -> Result<Option<Reader<'a>>> {
        Reader::in_image(docker, plan, || world::gate_image(docker, home))
    }

    /// The same, and nothing is built for it.
    pub fn at_hand(docker: &'a Docker, home: &Home, plan: &'a Plan) -> Result<Option<Reader<'a>>> {
        Reader::in_image(docker, plan, || world::gate_image_at_hand(docker, home))
    }

    fn in_image(
        docker: &'a Docker,
        plan: &'a Plan,
        image: impl FnOnce() -> Result<String>,
    ) -> Result<Option<Reader<'a>>> {
        // A volume that is not there would be made by the mount.
        match docker.has_volume(&plan.volume())? {
            true => Ok(Some(Reader { docker, plan, image: image()? })),
            false => Ok(None),
        }
    }

    /// What is in the home and nowhere else.
    pub fn work(&self) -> Result<Work> {
        serde_json::from_slice(&self.ask(&["work", "report"], Vec::new())?).context("the reader is not understood")
    }

    pub fn size(&self) -> Result<Size> {
        serde_json::from_slice(&self.ask(&["size"], Vec::new())?).context("the reader is not understood")
    }

    /// Asks, and gives the stream with the answer on its stdout. `words` follow `init`; `stdin` is written by a thread.
    pub fn stream(&self, words: &[&str], stdin: Vec<u8>) -> Result<Stream> {
        let mut stream = self.docker.stream_with_input(&self.plan.reader(&self.image, words))?;
        let mut pipe = stream.child.stdin.take().context("no stdin")?;
        std::thread::spawn(move || drop(pipe.write_all(&stdin)));
        Ok(stream)
    }

    /// The answer in a file of `folder` that goes when it is dropped; `None` where there is nothing to say.
    pub fn file(&self, words: &[&str], stdin: Vec<u8>, folder: &Path) -> Result<Option<NamedTempFile>> {
        let mut file = NamedTempFile::new_in(folder)?;
        let mut stream = self.stream(words, stdin)?;
        let stdout = stream.child.stdout.take().context("no stdout")?;
        let size = std::io::copy(&mut stdout.take(FILE), &mut file)?;
        let (status, said) = stream.wait();
        match status.and_then(|status| status.code()) {
            _ if size == FILE => Err(UserError::new("the bottle has more to give than can be taken").into()),
            Some(0) => Ok(Some(file)),
            Some(NOTHING) => Ok(None),
            _ => Err(EngineError::new(said.lines().last().unwrap_or(FAILED)).into()),
        }
    }

    /// The whole answer.
    pub fn ask(&self, words: &[&str], stdin: Vec<u8>) -> Result<Vec<u8>> {
        let mut stream = self.stream(words, stdin)?;
        let mut answer = Vec::new();
        let stdout = stream.child.stdout.take().context("no stdout")?;
        stdout.take(ANSWER).read_to_end(&mut answer)?;
        stream.expect_success(FAILED)?;
        Ok(answer)
    }
}
