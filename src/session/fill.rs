//! The home is filled before the agent starts: one tar stream through the engine's client, with progress on a terminal.

use crate::docker::Docker;
use crate::exit::EngineError;
use crate::render;
use crate::say;
use crate::sys::signals::Signals;
use crate::workspace::{Packed, Survey, pack_folder};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

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
    let packed = match content {
        Content::Workspace(survey) => survey.pack(stdin, |bytes| {
            progress(bytes, survey.found.bytes);
            !signals.any()
        }),
        Content::Transcript(folder) => {
            pack_folder(&folder, Path::new(".claude/projects"), stdin).map(|()| Packed::default())
        }
    };
    say::no_progress();
    let stopped = packed.as_ref().is_ok_and(|packed| packed.stopped);
    if stopped {
        let _ = stream.child.kill();
    }
    let (status, said) = stream.end();
    if stopped {
        return Ok(());
    }
    if !status.is_some_and(|status| status.success()) {
        let why = said.lines().last().unwrap_or("the engine's client failed").to_owned();
        return Err(EngineError::new(format!("the home could not be filled: {why}")).into());
    }
    told(packed.context("the copy could not be read")?);
    Ok(())
}

fn progress(done: u64, all: u64) {
    // Small ones are there before anyone has read it.
    if all >= 8 << 20 {
        say::progress(&format!("copying {} % of {}", (done * 100 / all).min(100), render::size(all)));
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
