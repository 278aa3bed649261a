//! Where the agent works, and where init keeps its baseline.

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
