//! The home is filled before the agent starts: one tar stream through the engine's client, with progress on a terminal.
//! A signal ends it at any byte, also where the engine takes none.

use crate::docker::Docker;
use crate::exit::EngineError;
use crate::render;
use crate::say;
use crate::workspace::{Packed, Survey, pack_folder};
use anyhow::{Context as _, Result};
use nix::poll::PollFlags;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ChildStdin;
use sys::net;
use sys::signals::Signals;

pub enum Content<'a> {
    Workspace(&'a Survey),
    /// Its folder.
    Transcript(PathBuf),
}

/// # Errors
/// The disk's, and the engine's own words, which come first: a pipe that broke says nothing.
pub fn fill(docker: &Docker, args: &[String], content: Content, signals: &Signals) -> Result<()> {
    let mut stream = docker.hold(args)?;
    let stdin = stream.child.stdin.take().context("no stdin")?;
    net::set_nonblocking(&stdin)?;
    let pipe = |survey| Pipe { stdin, signals, written: 0, survey };
    let packed = match content {
        Content::Workspace(survey) => survey.pack(pipe(Some(survey))),
        Content::Transcript(folder) => {
            pack_folder(&folder, Path::new(".claude/projects"), pipe(None)).map(|()| Packed::default())
        }
    };
    // It says nothing on its stdout, which ends when it does.
    let ended = stream.child.stdout.as_ref().is_none_or(|stdout| signals.wait_fd(stdout.as_fd(), PollFlags::POLLIN));
    say::no_progress();
    if !ended {
        let _ = stream.child.kill();
        let _ = stream.end();
        return Ok(());
    }
    let ended = stream.must("the engine's client failed");
    ended.map_err(|error| EngineError::new(format!("the home could not be filled: {error}")))?;
    told(packed.context("the copy could not be read")?);
    Ok(())
}

/// To the client: a write waits for it, or fails when a signal comes.
struct Pipe<'a> {
    stdin: ChildStdin,
    signals: &'a Signals,
    written: u64,
    /// For how far it is.
    survey: Option<&'a Survey>,
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            if !self.signals.wait_fd(self.stdin.as_fd(), PollFlags::POLLOUT) {
                return Err(io::Error::other("a signal came"));
            }
            match self.stdin.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => {
                    self.written += *written.as_ref().unwrap_or(&0) as u64;
                    let copying =
                        |survey: &Survey| render::copying((self.written, survey.length()), survey.found.bytes);
                    if let Some(far) = self.survey.and_then(copying) {
                        say::progress(&far);
                    }
                    return written;
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn told(packed: Packed) {
    for (count, what) in [
        (packed.changed, "changed while they were copied, and may be incomplete"),
        (packed.left_out, "were left out: neither files, folders nor links, or not readable"),
    ] {
        if count > 0 {
            say::line(&format!("{count} of the files {what}"));
        }
    }
}
