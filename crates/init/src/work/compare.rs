//! Compares the workspace with the baseline, and with what the host has of it since.

use super::baseline::Baseline;
use super::clean::CleanRepository;
use super::file::open_regular;
use super::git::differences;
use super::paths::{WorkPaths, repository_name};
use super::repository::Repository;
use super::walk::{WorkspaceListing, walk};
use crate::failure::Failure;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use wire::{ContentHash, Elsewhere, MAX_REFLOG_CHARS, MAX_REFLOG_COMMITS, Work, WrittenFile};

/// The workspace, and what it is compared with.
pub struct Comparison {
    pub baseline: Baseline,
    /// Its files are those that the host lacks.
    pub listing: WorkspaceListing,
    pub host: Elsewhere,
}

impl Comparison {
    /// # Errors
    /// There is no baseline, or the workspace cannot be listed.
    pub fn load(paths: &WorkPaths, host: Elsewhere) -> Result<Comparison, Failure> {
        let baseline = Baseline::load(paths)?;
        let mut listing = walk(&paths.workspace, baseline.instant)?;
        let written: BTreeMap<&OsStr, &WrittenFile> =
            host.files.iter().map(|file| (OsStr::from_bytes(&file.path.0), file)).collect();
        let is_as_written = |path: &Path, written: &WrittenFile| {
            let Some((file, meta)) = open_regular(&paths.workspace.join(path)) else { return false };
            let is_executable = meta.mode() & 0o100 != 0;
            is_executable == written.executable && ContentHash::of(file).is_ok_and(|content| content == written.content)
        };
        listing.files.retain(|path| !written.get(path.as_os_str()).is_some_and(|written| is_as_written(path, written)));
        Ok(Comparison { baseline, listing, host })
    }
}

/// What is in the workspace now, and was neither at the baseline nor is on the host. Something that cannot be read makes the
/// result incomplete, and everything else is still listed.
///
/// # Errors
/// There is no baseline, or the workspace cannot be listed.
pub fn compare(paths: &WorkPaths, host: Elsewhere) -> Result<Work, Failure> {
    let comparison = Comparison::load(paths, host)?;
    let listing = &comparison.listing;
    let complete = listing.unreadable.is_empty();
    let mut work = Work { complete, files: listing.files.len() as u64, ..Work::default() };
    let mut named = BTreeSet::new();
    for path in &listing.repositories {
        let repository = Repository::open(&paths.workspace, path, listing);
        if let Ok(repository) = &repository {
            name_reflog_commits(repository, &comparison, &mut named, &mut work.reflog);
        }
        match repository.and_then(|repository| count_new(paths, &repository, &comparison)) {
            Ok(new) if new.commits + new.stashes + new.files > 0 => work.repositories.push(new),
            Ok(_) => {}
            Err(_) => work.complete = false,
        }
    }
    Ok(work)
}

/// Adds the commits that only a reflog leads to, each once: worktrees of one repository share them. What cannot be read has
/// none to be named.
fn name_reflog_commits(
    repository: &Repository,
    comparison: &Comparison,
    named: &mut BTreeSet<String>,
    names: &mut Vec<String>,
) {
    let mut ids = repository.reflog_commits(&comparison.baseline, &comparison.host).unwrap_or_default();
    ids.retain(|id| !named.contains(id));
    ids.truncate(MAX_REFLOG_COMMITS - names.len().min(MAX_REFLOG_COMMITS));
    named.extend(ids.iter().cloned());
    let place = match repository_name(&repository.path).as_str() {
        "." => String::new(),
        path => format!("{path}: "),
    };
    let described = repository.describe(&ids).unwrap_or_default();
    names.extend(described.iter().map(|commit| format!("{place}{commit}").chars().take(MAX_REFLOG_CHARS).collect()));
}

fn count_new(paths: &WorkPaths, repository: &Repository, comparison: &Comparison) -> Result<wire::Repository, Failure> {
    let Comparison { baseline, host, .. } = comparison;
    let name = repository_name(&repository.path);
    let files = match host.changes.contains_key(&name) {
        true => {
            let clean = CleanRepository::new(repository, baseline, paths)?;
            let trees = clean.trees(host)?;
            // What the agent took back since is there as it was before.
            let (made, unlike_host) =
                (clean.difference(&trees.before, &trees.now)?, clean.difference(&trees.host, &trees.now)?);
            let unlike_host: BTreeSet<&[u8]> = differences(&unlike_host).iter().map(|entry| entry.path).collect();
            differences(&made).iter().filter(|entry| unlike_host.contains(entry.path)).count()
        }
        false => repository.changed_files(baseline)?.len(),
    };
    Ok(wire::Repository {
        path: name,
        commits: repository.new_commits(baseline, host)?.len() as u64,
        stashes: repository.new_stashes(baseline, host)?.len() as u64,
        files: files as u64,
    })
}
