//! Fills the home before the agent starts: one tar stream through the engine's client, with progress on a terminal.
//! A signal ends it at any byte, even while the engine reads none.

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
use wire::WrittenFile;

/// What a home is filled with, and the user id of all of it.
pub struct HomeFill<'a> {
    pub content: HomeContent<'a>,
    pub owner: u32,
}

pub enum HomeContent<'a> {
    Workspace(&'a Survey),
    /// The transcript's folder on this disk.
    Transcript(PathBuf),
}

/// Copies what `home` says into the home by the call with these arguments. Gives the files outside repositories.
///
/// # Errors
/// The engine's own words where its client failed, since a broken pipe says nothing; else the disk's.
pub fn fill(docker: &Docker, args: &[String], home: HomeFill, signals: &Signals) -> Result<Vec<WrittenFile>> {
    let mut stream = docker.stream_with_input(args)?;
    let stdin = stream.child.stdin.take().context("no stdin")?;
    net::set_nonblocking(&stdin)?;
    let pipe = |survey| CopyPipe { stdin, signals, written: 0, survey };
    let packed = match home.content {
        HomeContent::Workspace(survey) => survey.pack(pipe(Some(survey)), home.owner),
        HomeContent::Transcript(folder) => {
            pack_folder(&folder, Path::new(".claude/projects"), pipe(None), home.owner).map(|()| Packed::default())
        }
    };
    // The client writes nothing to its stdout, which is closed when the client ends.
    let has_ended =
        stream.child.stdout.as_ref().is_none_or(|stdout| signals.wait_fd(stdout.as_fd(), PollFlags::POLLIN));
    say::no_progress();
    if !has_ended {
        let _ = stream.child.kill();
        let _ = stream.wait();
        return Ok(Vec::new());
    }
    stream
        .expect_success("the engine's client failed")
        .map_err(|error| EngineError::new(format!("the home could not be filled: {error}")))?;
    let packed = packed.context("the copy could not be read")?;
    tell_incomplete(&packed);
    Ok(packed.loose)
}

/// The client's stdin. A write waits until the client reads, or fails when a signal comes.
struct CopyPipe<'a> {
    stdin: ChildStdin,
    signals: &'a Signals,
    written: u64,
    /// For the progress: its size is the whole.
    survey: Option<&'a Survey>,
}

impl Write for CopyPipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            if !self.signals.wait_fd(self.stdin.as_fd(), PollFlags::POLLOUT) {
                return Err(io::Error::other("a signal came"));
            }
            match self.stdin.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => {
                    self.written += *written.as_ref().unwrap_or(&0) as u64;
                    let progress = |survey: &Survey| {
                        let copied = render::CopyProgress { read: self.written, all: survey.length() };
                        render::copying(copied, survey.found.bytes)
                    };
                    if let Some(text) = self.survey.and_then(progress) {
                        say::progress(&text);
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

/// Tells what is not in the copy, or perhaps not whole.
fn tell_incomplete(packed: &Packed) {
    for (count, what) in [
        (packed.changed, "changed while they were copied, and may be incomplete"),
        (packed.left_out, "were left out: neither files, folders nor links, or not readable"),
    ] {
        if count > 0 {
            say::line(&format!("{count} of the files {what}"));
        }
    }
}
