//! The baseline: what the home held before the agent's program first ran. It is kept for every resume, because work from
//! before a resume still exists nowhere else.
//!
//! A file outside any repository is new or changed if the kernel stamped its last change at or after the baseline's
//! instant. For a repository the baseline holds what was committed and what was not.

use super::file::ChangeTime;
use super::git::ModeAndBlob;
use super::paths::{PathName, WorkPaths};
use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Stored as JSON in the home, and read by later versions of this program.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Baseline {
    pub instant: ChangeTime,
    /// By path relative to the workspace.
    pub repositories: BTreeMap<PathName, KnownRepository>,
}

/// A repository that came from the host.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct KnownRepository {
    /// The commit that was checked out.
    pub head: Option<String>,
    /// Commits and tags of all refs, and `head`.
    pub tips: Vec<String>,
    pub stashes: Vec<String>,
    /// Files that were uncommitted even then, by path; `None` for a deleted one.
    pub dirty: BTreeMap<PathName, Option<ModeAndBlob>>,
    /// Name of the folder that holds the blobs of `dirty`, in the folder of notes.
    pub objects: String,
}

impl Baseline {
    /// The repository at this path of the workspace.
    pub fn repository(&self, path: &Path) -> Option<&KnownRepository> {
        self.repositories.get(&PathName(path.to_owned()))
    }

    /// # Errors
    /// There is no baseline, or it cannot be read. Without one nothing can be compared.
    pub fn load(paths: &WorkPaths) -> Result<Baseline, Failure> {
        Ok(serde_json::from_slice(&fs::read(paths.baseline())?)?)
    }
}
