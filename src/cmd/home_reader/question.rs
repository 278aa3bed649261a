//! One question to a reader, from its container's start to its end.
//!
//! The container is removed when the question is dropped without a whole answer. The lock tells `doctor` and `cleanup` that
//! a process awaits this answer; the kernel releases it when that process is killed.

use super::{FAILED, HomeReader, failure};
use crate::docker::{Docker, Stream};
use crate::exit::{EngineError, UserError};
use crate::plan::remove_container;
use crate::probe;
use crate::say;
use anyhow::{Context as _, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ChildStdout;
use std::time::{Duration, Instant};
use sys::{lock, random};

/// How long all the waiting for an answer may take, where the environment sets no other time.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes for which a second more is waited: a large answer over a slow line is no stall.
const BYTES_PER_SECOND: u64 = 64 << 10;
/// How long a reader whose answer is whole may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the removal of a container may take.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(20);

/// A reader at work. Reading gives its answer; an answer that takes too long is an error.
pub struct Question<'a> {
    docker: &'a Docker,
    container: String,
    stdout: ChildStdout,
    /// `None` once the client has ended.
    stream: Option<Stream>,
    /// The time that this process spent waiting for the reader. What it did with the answer does not count.
    waited: Duration,
    bytes: u64,
    timeout: Duration,
    lock: PathBuf,
    _lock: lock::Lock,
}

impl<'a> Question<'a> {
    /// Starts the reader; a thread writes `stdin`.
    pub fn ask(reader: &'a HomeReader, words: &[&str], stdin: Vec<u8>) -> Result<Question<'a>> {
        let timeout = timeout()?;
        let container = reader.plan.reader_container(&random::word(5)?);
        let path = reader.folder.reader_lock(&container);
        let taken = lock::try_lock(&path).with_context(|| format!("cannot lock `{}`", path.display()))?;
        let taken = taken.with_context(|| format!("`{}` is locked", path.display()))?;
        let args = reader.plan.reader(reader.of, &container, &reader.image, words);
        let mut stream = reader.docker.stream_of_bound_container(&args)?;
        let stdout = stream.child.stdout.take().context("no stdout")?;
        let mut pipe = stream.child.stdin.take().context("no stdin")?;
        let question = Question {
            docker: reader.docker,
            container,
            stdout,
            stream: Some(stream),
            waited: Duration::ZERO,
            bytes: 0,
            timeout,
            lock: path,
            _lock: taken,
        };
        sys::thread::spawn(move || drop(pipe.write_all(&stdin)))?;
        Ok(question)
    }

    /// Waits for the end of a reader whose answer was read; gives its exit code and the last line of its stderr.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn finish(mut self) -> Result<(i32, String)> {
        let left = self.left().max(END_TIMEOUT);
        let Some(stream) = self.stream.take() else { return Ok((0, String::new())) };
        let (status, said) = stream.wait_or_kill(left);
        match status.and_then(|status| status.code()) {
            Some(code) => Ok((code, said.lines().last().unwrap_or(FAILED).to_owned())),
            // The client was killed, and may have left the container.
            None => {
                self.remove();
                Err(self.too_late().into())
            }
        }
    }

    /// Waits for an end with 0 of a reader whose answer was read.
    ///
    /// # Errors
    /// The last line of its stderr, or it does not end in time.
    pub fn expect_success(self) -> Result<()> {
        match self.finish()? {
            (0, _) => Ok(()),
            (code, said) => Err(failure(code, said)),
        }
    }

    /// What is left of the time for the answer.
    fn left(&self) -> Duration {
        (self.timeout + Duration::from_secs(self.bytes / BYTES_PER_SECOND)).saturating_sub(self.waited)
    }

    fn too_late(&self) -> EngineError {
        let seconds = self.timeout.as_secs();
        EngineError::new(format!(
            "the reader `{}` gave no whole answer within {seconds} s, and was ended",
            self.container
        ))
        .hint("something in the bottle stalls it; `CLAUDE_BOTTLE_READER_TIMEOUT=SECONDS` waits longer")
    }

    fn remove(&self) {
        let docker = Docker::new(self.docker.engine());
        let docker = docker.map(|docker| docker.with_deadline(Instant::now() + REMOVAL_TIMEOUT));
        if let Err(error) = docker.and_then(|docker| docker.remove([&remove_container(&self.container)])) {
            say::line(&format!("the reader `{}` could not be removed: {error}", self.container));
            say::hint("claude-bottle cleanup");
        }
    }
}

impl Read for Question<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let begun = Instant::now();
        let timeout = PollTimeout::try_from(self.left()).unwrap_or(PollTimeout::MAX);
        let ready = poll(&mut [PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN)], timeout);
        self.waited += begun.elapsed();
        match ready {
            Ok(0) => Err(io::Error::other(self.too_late())),
            Ok(_) => {
                let count = self.stdout.read(buffer)?;
                self.bytes += count as u64;
                Ok(count)
            }
            Err(nix::errno::Errno::EINTR) => Err(ErrorKind::Interrupted.into()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            self.remove();
            let _ = stream.child.kill();
            let _ = stream.wait();
        }
        let _ = std::fs::remove_file(&self.lock);
    }
}

/// The error of a read, with its hint.
pub fn failed(error: io::Error) -> anyhow::Error {
    error.downcast::<EngineError>().map_or_else(anyhow::Error::from, anyhow::Error::from)
}

/// # Errors
/// `UserError` where the variable has no number of seconds.
fn timeout() -> Result<Duration, UserError> {
    const NAME: &str = "CLAUDE_BOTTLE_READER_TIMEOUT";
    let Some(value) = probe::variable(NAME) else { return Ok(TIMEOUT) };
    match value.parse() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err(UserError::new(format!("`{NAME}` is not a time")).hint("seconds from 1 to 86400, as in `1800`")),
    }
}
