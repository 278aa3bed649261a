//! Where the content of an entry in the workspace comes from.

use super::objects::Objects;
use std::path::PathBuf;
use std::rc::Rc;

#[derive(Debug, Clone)]
pub enum Content {
    /// A file, folder or link on the disk, by its absolute path.
    File(PathBuf),
    /// The content itself, of a file that was made for the workspace.
    Bytes(Vec<u8>),
    /// The objects of an exported repository, as files beside this path.
    Objects(Rc<Objects>),
}

/// Paths relative to one directory, and what they contain.
pub type Contents = Vec<(PathBuf, Content)>;
