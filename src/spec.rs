//! What is asked now: the words of one `start` or `resume`, without defaults and without the world.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One launch as it was asked for. Kept in the plan, so that `resume` can ask for the same again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub agent: String,
    /// The directory it was asked in: its manifest counts.
    pub cwd: PathBuf,
    pub mode: Mode,
    pub prompt: Option<String>,
    pub remote_control: bool,
    /// For the agent's program.
    pub args: Vec<String>,
    pub beginning: Beginning,
    /// Of `cwd`, into the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<Copied>,
}

/// What of a directory goes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Copied {
    /// All but what git ignores.
    Unignored,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Interactive,
    /// Pipes; the agent answers the prompt once.
    Headless,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Beginning {
    New,
    /// On the home as it was kept; Claude Code continues its last conversation.
    Resume,
    /// The same on a new home: the old one is gone, and the transcript is put back.
    Transcript,
}
