//! Files of a repository, read without following a link or waiting for a pipe.

use crate::exit::UserError;
use crate::text;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Longest file of a git directory that is read here, in bytes: a configuration, a pointer, a list of folders.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The bytes of a regular file of at most 1 MiB; `None` if it is not there.
///
/// # Errors
/// `UserError` for anything else, links and pipes included.
pub fn read_small(path: &Path) -> Result<Option<Vec<u8>>, UserError> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(_) if path.is_symlink() => return Err(link(path)),
        Err(error) => return Err(UserError::unreadable(path, &error)),
    };
    let is_small = |meta: Metadata| meta.is_file() && meta.len() <= MAX_FILE_BYTES;
    if !file.metadata().is_ok_and(is_small) {
        return Err(UserError::new(format!("`{}` is not a file of at most 1 MiB", text::path(path))));
    }
    let mut bytes = Vec::new();
    let read = File::take(file, MAX_FILE_BYTES).read_to_end(&mut bytes);
    read.map_err(|error| UserError::unreadable(path, &error))?;
    Ok(Some(bytes))
}

/// What is at `name` below a git directory, if no component of it is a link; `None` if it is not there.
///
/// # Errors
/// `UserError` for a link.
pub fn below(folder: &Path, name: &str) -> Result<Option<Metadata>, UserError> {
    let mut path = folder.to_owned();
    let mut found = None;
    for part in Path::new(name) {
        path.push(part);
        match path.symlink_metadata() {
            Ok(meta) if meta.is_symlink() => return Err(link(&path)),
            Ok(meta) => found = Some(meta),
            Err(_) => return Ok(None),
        }
    }
    Ok(found)
}

/// A regular file below a git directory; `None` if it is not there.
///
/// # Errors
/// `UserError` for a link, a pipe or a folder.
pub fn file_below(folder: &Path, name: &str) -> Result<Option<PathBuf>, UserError> {
    let path = folder.join(name);
    match below(folder, name)? {
        None => Ok(None),
        Some(meta) if meta.is_file() => Ok(Some(path)),
        Some(_) => Err(UserError::new(format!("`{}` is not a file", text::path(&path)))),
    }
}

/// The error for a link where git keeps a file or a folder.
pub fn link(path: &Path) -> UserError {
    UserError::new(format!("`{}` is a link, and what it leads to may belong to another repository", text::path(path)))
        .hint("put what it leads to in its place")
}

/// Checks that only files and folders are below this folder.
///
/// # Errors
/// `UserError` if something below the folder is neither a file nor a folder, or cannot be read.
pub fn refuse_links(folder: &Path) -> Result<(), UserError> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            // git removes folders that are empty.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(UserError::unreadable(&folder, &error)),
        };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => {}
                Ok(kind) if kind.is_symlink() => return Err(link(&entry.path())),
                _ => return Err(UserError::new(format!("`{}` is not a file", text::path(&entry.path())))),
            }
        }
    }
    Ok(())
}
