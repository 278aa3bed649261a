//! Where the content of an entry in the workspace comes from.

use std::path::PathBuf;

#[derive(Debug, Clone)]
pub enum Content {
    /// A file, folder or link on the disk, by its absolute path.
    File(PathBuf),
    /// The content itself, of a file that was made for the workspace.
    Bytes(Vec<u8>),
}

/// Paths relative to one directory, and what they contain.
pub type Contents = Vec<(PathBuf, Content)>;
