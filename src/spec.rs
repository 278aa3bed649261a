//! What the user requests: the words of one `start` or `resume`, without defaults and without facts about the machine.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One launch as the user requested it. The plan keeps it, so that `resume` can request the same again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub agent: String,
    /// The directory in which the user typed the command; its manifest counts.
    pub cwd: PathBuf,
    pub mode: Mode,
    pub prompt: Option<String>,
    pub remote_control: bool,
    /// Arguments for the agent's program.
    pub args: Vec<String>,
    pub beginning: Beginning,
    /// What of `cwd` is copied into the workspace; `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyScope>,
}

/// Which files of a directory are copied into the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CopyScope {
    /// All files except those that git ignores.
    Unignored,
    All,
}

/// How the user and the agent talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// On a terminal.
    Interactive,
    /// Over pipes; the agent answers the prompt once.
    Headless,
}

/// With which home the agent begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Beginning {
    /// A new home.
    New,
    /// The home that was kept. Claude Code continues its last conversation.
    Resume,
    /// A new home into which the transcript is put back, because the old home is gone. Claude Code continues its last
    /// conversation.
    Transcript,
}
