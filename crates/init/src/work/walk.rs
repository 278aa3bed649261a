//! What lies in the workspace: repositories at any depth, and the files that are in none. No link is followed.

use super::super::Failure;
use std::fs;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Entries looked at before the walk gives up.
const MOST: usize = 3_000_000;

/// Seconds and nanoseconds, as the kernel stamps a change of a file: a time that no program sets.
pub type Instant = (i64, i64);

#[derive(Default)]
pub struct Found {
    /// Their worktrees, relative to the workspace.
    pub repositories: Vec<PathBuf>,
    /// New or changed outside any of them.
    pub files: Vec<PathBuf>,
    /// What cannot be looked into.
    pub closed: Vec<PathBuf>,
}

/// `since`: when a file counts as new or changed.
///
/// # Errors
/// More than can be looked at.
pub fn walk(workspace: &Path, since: Instant) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut left = MOST;
    let mut folders = vec![(PathBuf::new(), false)];
    while let Some((folder, within)) = folders.pop() {
        let entries = match fs::read_dir(workspace.join(&folder)) {
            // An agent that removed its workspace left nothing in it.
            Err(error) if folder.as_os_str().is_empty() && error.kind() == std::io::ErrorKind::NotFound => break,
            entries => entries.and_then(|entries| entries.collect::<Result<Vec<_>, _>>()),
        };
        let Ok(entries) = entries else {
            found.closed.push(folder);
            continue;
        };
        let repository = entries.iter().any(|entry| entry.file_name() == ".git");
        if repository {
            found.repositories.push(folder.clone());
        }
        for entry in entries {
            left = left.checked_sub(1).ok_or_else(|| Failure("too many files".into()))?;
            if entry.file_name() == ".git" {
                continue;
            }
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push((path, within || repository));
            } else if !within && !repository {
                match changed(&workspace.join(&path)) {
                    Ok(changed) if changed >= since => found.files.push(path),
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => found.closed.push(path),
                    _ => {}
                }
            }
        }
    }
    found.repositories.sort();
    found.files.sort();
    found.closed.sort();
    Ok(found)
}

/// A regular file that is there under this name, opened: no link is followed, and no pipe waited for.
pub fn regular(path: &Path) -> Option<(fs::File, fs::Metadata)> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let meta = file.metadata().ok()?;
    meta.is_file().then_some((file, meta))
}

/// When the file itself last changed in any way.
pub fn changed(path: &Path) -> std::io::Result<Instant> {
    let meta = fs::symlink_metadata(path)?;
    Ok((meta.ctime(), meta.ctime_nsec()))
}
