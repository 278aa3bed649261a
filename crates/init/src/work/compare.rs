//! Compares the workspace with the baseline.

use super::baseline::Baseline;
use super::paths::WorkPaths;
use super::repository::Repository;
use super::walk::{WorkspaceListing, walk};
use crate::failure::Failure;
use std::path::Path;
use wire::Work;

/// What is in the workspace now and was not at the baseline. Something that cannot be read makes the result incomplete,
/// and everything else is still listed.
///
/// # Errors
/// There is no baseline, or the workspace cannot be listed.
pub fn compare(paths: &WorkPaths) -> Result<Work, Failure> {
    let baseline = Baseline::load(paths)?;
    let listing = walk(&paths.workspace, baseline.instant)?;
    let complete = listing.unreadable.is_empty();
    let mut work = Work { complete, files: listing.files.len() as u64, ..Work::default() };
    for path in &listing.repositories {
        match count_new(paths, path, &listing, &baseline) {
            Ok(new) if new.commits + new.stashes + new.files > 0 => work.repositories.push(new),
            Ok(_) => {}
            Err(_) => work.complete = false,
        }
    }
    Ok(work)
}

fn count_new(
    paths: &WorkPaths,
    path: &Path,
    listing: &WorkspaceListing,
    baseline: &Baseline,
) -> Result<wire::Repository, Failure> {
    let repository = Repository::open(&paths.workspace, path, listing)?;
    Ok(wire::Repository {
        path: repository_name(path),
        commits: repository.new_commits(baseline)?.len() as u64,
        stashes: repository.new_stashes(baseline)?.len() as u64,
        files: repository.changed_files(baseline)?.len() as u64,
    })
}

/// A repository's path relative to the workspace as users see and type it; `.` for the workspace itself.
pub fn repository_name(path: &Path) -> String {
    match path.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => path.to_string_lossy().into_owned(),
    }
}
