//! The reader: a container that is made for one question about a session's home. It has no network and cannot write.
//!
//! Every call of git on a repository of a bottle runs in there, because its `.git` may be hostile.

use super::images;
use crate::docker::{Docker, Stream};
use crate::exit::{EngineError, UserError};
use crate::plan::Plan;
use crate::state::Home;
use crate::state::budget::{MAX_ANSWER_BYTES, MAX_WORK_FILE_BYTES};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::path::Path;
use tempfile::NamedTempFile;
use wire::Work;

/// The error for a reader that failed without a message.
pub const FAILED: &str = "the reader failed";
/// The exit code of `init work` where there is nothing new.
const NOTHING_NEW: i32 = 3;

pub struct HomeReader<'a> {
    docker: &'a Docker,
    plan: &'a Plan,
    image: String,
}

/// The size of a session's home.
#[derive(Debug, Serialize, Deserialize)]
pub struct HomeSize {
    pub files: u64,
    pub bytes: u64,
}

impl<'a> HomeReader<'a> {
    /// A reader of the session's home; the gate's image, in which it runs, is built where it is missing. `None` where the
    /// home is not on its engine.
    pub fn open(docker: &'a Docker, home: &Home, plan: &'a Plan) -> Result<Option<HomeReader<'a>>> {
        HomeReader::in_image(docker, home, plan, || images::gate_image(docker, home))
    }

    /// A reader as [`HomeReader::open`] makes it, without building an image.
    ///
    /// # Errors
    /// `UserError` where the gate's image is missing.
    pub fn open_without_build(docker: &'a Docker, home: &Home, plan: &'a Plan) -> Result<Option<HomeReader<'a>>> {
        HomeReader::in_image(docker, home, plan, || images::existing_gate_image(docker, home))
    }

    fn in_image(
        docker: &'a Docker,
        home: &Home,
        plan: &'a Plan,
        image: impl FnOnce() -> Result<String>,
    ) -> Result<Option<HomeReader<'a>>> {
        // Mounting a volume that is missing would make it.
        match docker.has_volume(&plan.volume())? {
            true => {
                // The session may be older than the profiles, or than a change of them.
                home.folder(&plan.identity).set_profiles()?;
                Ok(Some(HomeReader { docker, plan, image: image()? }))
            }
            false => Ok(None),
        }
    }

    /// What is in the home and nowhere else.
    pub fn work(&self) -> Result<Work> {
        serde_json::from_slice(&self.answer(&["work", "report"], Vec::new())?).context("the reader is not understood")
    }

    /// How large the home is.
    pub fn size(&self) -> Result<HomeSize> {
        serde_json::from_slice(&self.answer(&["size"], Vec::new())?).context("the reader is not understood")
    }

    /// Starts a reader whose answer is on the stream's stdout. `words` follow `init`; a thread writes `stdin`.
    pub fn stream(&self, words: &[&str], stdin: Vec<u8>) -> Result<Stream> {
        let mut stream = self.docker.stream_with_input(&self.plan.reader(&self.image, words))?;
        let mut pipe = stream.child.stdin.take().context("no stdin")?;
        sys::thread::spawn(move || drop(pipe.write_all(&stdin)))?;
        Ok(stream)
    }

    /// The answer in a temporary file of `folder`; `None` where there is nothing new.
    pub fn answer_in_file(&self, words: &[&str], stdin: Vec<u8>, folder: &Path) -> Result<Option<NamedTempFile>> {
        let mut file = NamedTempFile::new_in(folder)?;
        let mut stream = self.stream(words, stdin)?;
        let stdout = stream.child.stdout.take().context("no stdout")?;
        let size = std::io::copy(&mut stdout.take(MAX_WORK_FILE_BYTES), &mut file)?;
        let (status, said) = stream.wait();
        match status.and_then(|status| status.code()) {
            _ if size == MAX_WORK_FILE_BYTES => Err(UserError::new(format!(
                "the bottle has more to give than the {} GiB that are taken at once",
                MAX_WORK_FILE_BYTES >> 30
            ))
            .hint("pack a part of it in the bottle, and bring it with `claude-bottle get`")
            .into()),
            Some(0) => Ok(Some(file)),
            Some(NOTHING_NEW) => Ok(None),
            _ => Err(EngineError::new(said.lines().last().unwrap_or(FAILED)).into()),
        }
    }

    /// The answer in memory.
    pub fn answer(&self, words: &[&str], stdin: Vec<u8>) -> Result<Vec<u8>> {
        let mut stream = self.stream(words, stdin)?;
        let mut answer = Vec::new();
        let stdout = stream.child.stdout.take().context("no stdout")?;
        stdout.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
        if answer.len() as u64 == MAX_ANSWER_BYTES {
            return Err(EngineError::new("the reader's answer is too long").into());
        }
        stream.expect_success(FAILED)?;
        Ok(answer)
    }
}
