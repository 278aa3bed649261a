//! The go: what the agent's init does once the gate answers `GO`.

use crate::Values;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the agent's init does once the gate lets it go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Go {
    /// Environment of the command.
    pub env: BTreeMap<String, Source>,
    pub files: Vec<File>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Working directory of the command: an absolute path inside the container, made if missing.
    pub cwd: String,
    /// TCP ports that the door listens on for every name, in addition to 80 and 443.
    #[serde(default)]
    pub ports: Vec<u16>,
}

/// The answer to `GO`: the go, and exactly the values that it names.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoMessage {
    pub go: Go,
    pub values: Values,
}

/// Where the content of a variable or a file comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The content itself.
    Text(String),
    /// The name of a value.
    Value(String),
}

impl Source {
    /// The name of the value, if the content is one.
    pub fn value(&self) -> Option<&str> {
        match self {
            Source::Text(_) => None,
            Source::Value(name) => Some(name),
        }
    }
}

/// A file that init writes into the agent's home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Relative to [`crate::HOME`], without `..`.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    pub how: WriteMode,
    pub source: Source,
}

/// How init writes a [`File`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteMode {
    /// Replaces the whole file.
    Put,
    /// Both contents are JSON objects: our keys are merged deeply into the agent's own file.
    Merge,
}
