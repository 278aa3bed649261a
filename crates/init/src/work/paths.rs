//! Where the agent works, where init keeps its baseline, and what a repository is called.

use std::path::{Path, PathBuf};

pub struct WorkPaths {
    pub workspace: PathBuf,
    /// Folder of the baseline and of the blobs that belong to it.
    pub notes: PathBuf,
}

impl WorkPaths {
    pub fn new(home: &Path) -> WorkPaths {
        WorkPaths { workspace: home.join("workspace"), notes: home.join(".claude-bottle/baseline") }
    }

    /// File that holds the baseline.
    pub fn baseline(&self) -> PathBuf {
        self.notes.join("baseline.json")
    }

    /// Whether the workspace is a readable folder without entries.
    pub fn is_workspace_empty(&self) -> bool {
        std::fs::read_dir(&self.workspace).is_ok_and(|mut entries| entries.next().is_none())
    }
}

/// A repository's path relative to the workspace as users see and type it; `.` for the workspace itself.
pub fn repository_name(path: &Path) -> String {
    match path.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => path.to_string_lossy().into_owned(),
    }
}
