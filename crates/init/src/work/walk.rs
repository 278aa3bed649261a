//! What the workspace contains: repositories at any depth, and the files that are in none. No link is followed.

use super::file::{ChangeTime, change_time};
use crate::failure::Failure;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Entries after which the walk gives up.
const MAX_ENTRIES: usize = 3_000_000;

/// Paths relative to the workspace, each list sorted.
#[derive(Default)]
pub struct WorkspaceListing {
    /// Worktrees of repositories.
    pub repositories: Vec<PathBuf>,
    /// New or changed files outside any repository.
    pub files: Vec<PathBuf>,
    /// Files and folders that cannot be read.
    pub unreadable: Vec<PathBuf>,
}

/// Lists the workspace. A file counts as new or changed if it changed at or after `since`.
///
/// # Errors
/// There are more than [`MAX_ENTRIES`] entries.
pub fn walk(workspace: &Path, since: ChangeTime) -> Result<WorkspaceListing, Failure> {
    let mut listing = WorkspaceListing::default();
    let mut left = MAX_ENTRIES;
    // Each folder, and whether a repository contains it.
    let mut folders = vec![(PathBuf::new(), false)];
    while let Some((folder, within)) = folders.pop() {
        let entries = match fs::read_dir(workspace.join(&folder)) {
            // An agent that removed its workspace left nothing in it.
            Err(error) if folder.as_os_str().is_empty() && error.kind() == ErrorKind::NotFound => break,
            entries => entries.and_then(|entries| entries.collect::<Result<Vec<_>, _>>()),
        };
        let Ok(entries) = entries else {
            listing.unreadable.push(folder);
            continue;
        };
        let is_repository = entries.iter().any(|entry| entry.file_name() == ".git");
        if is_repository {
            listing.repositories.push(folder.clone());
        }
        for entry in entries {
            left = left.checked_sub(1).ok_or_else(|| Failure("too many files".into()))?;
            if entry.file_name() == ".git" {
                continue;
            }
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push((path, within || is_repository));
            } else if !within && !is_repository {
                match change_time(&workspace.join(&path)) {
                    Ok(changed) if changed >= since => listing.files.push(path),
                    Err(error) if error.kind() != ErrorKind::NotFound => listing.unreadable.push(path),
                    _ => {}
                }
            }
        }
    }
    listing.repositories.sort();
    listing.files.sort();
    listing.unreadable.sort();
    Ok(listing)
}
