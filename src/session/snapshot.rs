//! The transcript comes home: a copy out of a running or stopped container, strictly unpacked, swapped in when whole.

use crate::docker::{Docker, Stream};
use crate::state::{self, Folder};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::thread::JoinHandle;

/// A copy under way.
pub struct Copying {
    stream: Stream,
    unpacking: JoinHandle<Result<()>>,
    fresh: PathBuf,
    place: PathBuf,
}

/// Starts the copy beside the last one, which stays until the new one is whole.
pub fn start(docker: &Docker, args: &[String], folder: &Folder) -> Result<Copying> {
    let place = folder.transcript();
    let fresh = place.with_extension("new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    fs::create_dir(&fresh).with_context(|| format!("cannot make `{}`", fresh.display()))?;
    let mut stream = docker.stream(args)?;
    let stdout = stream.child.stdout.take().context("no stream")?;
    let into = fresh.clone();
    let unpacking = std::thread::spawn(move || state::unpack(stdout, &into).map(drop));
    Ok(Copying { stream, unpacking, fresh, place })
}

impl Copying {
    /// # Errors
    /// A copy that is not whole; the last good one stays. An agent that wrote no transcript is no error.
    pub fn finish(self) -> Result<()> {
        let unpacked = self.unpacking.join().unwrap_or_else(|_| bail!("the reader failed"));
        let (status, words) = self.stream.end();
        let nothing = ["could not find the file", "no such file or directory", "no such container"];
        if status.is_none_or(|status| !status.success())
            && nothing.iter().any(|said| words.to_lowercase().contains(said))
        {
            return fs::remove_dir_all(&self.fresh).map_err(Into::into);
        }
        if status.is_none_or(|status| !status.success()) {
            bail!("{}", words.lines().last().unwrap_or("the copy failed"));
        }
        unpacked?;
        if self.place.exists() {
            fs::remove_dir_all(&self.place)?;
        }
        fs::rename(&self.fresh, &self.place).with_context(|| format!("cannot place `{}`", self.place.display()))
    }
}
