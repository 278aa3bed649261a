//! A push whose commands are known, and its objects, which are not the repository's yet.

use crate::egress::Egress;
use crate::git::children::Job;
use crate::git::confined::Confinement;
use crate::git::remote::{INCOMING, Remote};
use crate::git::tools::Tools;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use wire::{GitUpdate, NO_OBJECT};

pub struct Pending<'a> {
    pub tools: &'a Tools,
    pub egress: &'a Arc<Egress>,
    pub remote: &'a Remote,
    pub updates: &'a [GitUpdate],
    pub incoming: Incoming,
    /// Those of the host's commits and tags that are among the objects.
    pub base: Vec<String>,
}

/// Objects that were not judged yet: a folder of their own beside the repository's. Dropping it removes them.
pub struct Incoming {
    folder: PathBuf,
    known: PathBuf,
}

impl Pending<'_> {
    /// The objects to which refs are to be set.
    pub fn new_ids(&self) -> Vec<&str> {
        self.updates.iter().map(|update| update.new.as_str()).filter(|id| *id != NO_OBJECT).collect()
    }

    /// Arguments that leave out what is no news: all that the repository's refs lead to, and what the host has.
    pub fn known(&self) -> impl Iterator<Item = String> {
        ["--not", "--all"].map(str::to_owned).into_iter().chain(self.base.iter().cloned())
    }

    /// git on the repository and the objects of the push.
    pub fn git(&self) -> Job {
        let Incoming { folder, known } = &self.incoming;
        let job = self.remote.git(Confinement::Plain).env("GIT_OBJECT_DIRECTORY", folder);
        job.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted(known))
    }
}

impl Incoming {
    pub fn new(remote: &Remote) -> io::Result<Incoming> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let folder = remote.folder.join(format!("{INCOMING}{}", COUNT.fetch_add(1, Relaxed)));
        std::fs::create_dir_all(folder.join("pack"))?;
        Ok(Incoming { folder, known: remote.folder.join("objects") })
    }

    /// Moves the packs into the repository, each one's index last, by which git knows it.
    pub fn keep(&self) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.folder.join("pack"))? {
            names.push(entry?.file_name());
        }
        names.sort_by_key(|name| name.to_string_lossy().ends_with(".idx"));
        for name in names {
            std::fs::rename(self.folder.join("pack").join(&name), self.known.join("pack").join(&name))?;
        }
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A path in git's list of them, where a colon would begin another one.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\""))
}
