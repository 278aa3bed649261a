//! Brings the transcript home: a copy out of a running or stopped container, strictly unpacked beside the last copy, which
//! it replaces once it is whole.

use crate::docker::{self, Docker, Stream};
use crate::plan::Args;
use crate::state::{self, Folder, TooLarge, budget};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::thread::JoinHandle;

/// A copy under way.
pub struct Snapshot {
    stream: Stream,
    unpacking: JoinHandle<Result<()>>,
    /// Where it is unpacked.
    fresh: PathBuf,
    /// Where the last copy is.
    transcript: PathBuf,
}

/// Starts the copy.
///
/// # Errors
/// The disk's, or the engine's program cannot be run.
pub fn begin(docker: &Docker, args: &Args, folder: &Folder) -> Result<Snapshot> {
    let transcript = folder.transcript();
    let fresh = transcript.with_extension("new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    fs::create_dir(&fresh).with_context(|| format!("cannot make `{}`", fresh.display()))?;
    let mut stream = docker.stream(args)?;
    let stdout = stream.child.stdout.take().context("no stream")?;
    let into = fresh.clone();
    let unpacking = sys::thread::spawn(move || state::unpack(stdout, &into, budget::TRANSCRIPT).map(drop))?;
    Ok(Snapshot { stream, unpacking, fresh, transcript })
}

impl Snapshot {
    /// Waits for the copy, and replaces the last one.
    ///
    /// # Errors
    /// The copy is not whole; the last one stays. An agent that wrote no transcript is no error.
    pub fn finish(self) -> Result<()> {
        let fresh = self.fresh.clone();
        let finished = self.replace_last();
        if finished.is_err() {
            // What came of it would only take room: the home has all of it.
            let _ = fs::remove_dir_all(fresh);
        }
        finished
    }

    fn replace_last(self) -> Result<()> {
        let unpacked = self.unpacking.join().unwrap_or_else(|_| bail!("the reader failed"));
        let (status, stderr) = self.stream.wait();
        if unpacked.as_ref().is_err_and(|error| error.is::<TooLarge>()) {
            // The engine's program only says that its pipe was closed.
            return unpacked;
        }
        if status.is_none_or(|status| !status.success()) {
            if docker::has_nothing_to_copy(&stderr) {
                return fs::remove_dir_all(&self.fresh).map_err(Into::into);
            }
            bail!("{}", stderr.lines().last().unwrap_or("the copy failed"));
        }
        unpacked?;
        if self.transcript.exists() {
            fs::remove_dir_all(&self.transcript)?;
        }
        fs::rename(&self.fresh, &self.transcript)
            .with_context(|| format!("cannot place `{}`", self.transcript.display()))
    }
}
