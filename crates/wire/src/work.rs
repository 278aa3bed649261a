//! The work: what init reports about the workspace after the agent's program has ended.

use serde::{Deserialize, Serialize};

/// Longest `WORK` line, in bytes with its newline.
pub const MAX_WORK_BYTES: usize = 64 << 10;

/// Most commits that only a reflog leads to which are named.
pub const MAX_REFLOG_COMMITS: usize = 20;
/// Longest name of one, in characters.
pub const MAX_REFLOG_CHARS: usize = 100;

/// Work in the workspace that exists nowhere else, as init found it by its baseline.
///
/// It comes from inside the bottle and is a claim, not a fact: reliable enough to keep a volume that would otherwise be
/// removed, and to be shown once invisible characters in it are made visible.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// False: the comparison did not finish, and what is not listed here may still have changed.
    pub complete: bool,
    /// The repositories that contain work, by path.
    #[serde(default)]
    pub repositories: Vec<Repository>,
    /// Count of new or changed files outside any repository.
    #[serde(default)]
    pub files: u64,
    /// Count of refs that were pushed to a local remote, as the gate keeps them. `init` leaves it out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pushed: u64,
    /// Commits that only the reflog of a `HEAD` leads to, as they are shown: they do not count, and are named. At most
    /// [`MAX_REFLOG_COMMITS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reflog: Vec<String>,
}

/// A repository below the workspace, and the counts of what exists only in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Relative to [`crate::WORKSPACE`]; `.` for the workspace itself.
    pub path: String,
    /// Commits on no remote-tracking ref and no ref of the baseline.
    #[serde(default)]
    pub commits: u64,
    #[serde(default)]
    pub stashes: u64,
    /// Files that are changed or untracked, and not ignored.
    #[serde(default)]
    pub files: u64,
}

impl Work {
    /// Whether everything was compared and nothing was found.
    pub fn is_none(&self) -> bool {
        self.complete && self.repositories.is_empty() && self.files == 0 && self.pushed == 0
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}
