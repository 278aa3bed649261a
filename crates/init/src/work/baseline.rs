//! The baseline: what the home held before the agent's program first ran. Written once and kept for every resume, as
//! work from before a resume is still nowhere else.
//!
//! A file outside any repository is new or changed if the kernel stamped its last change at or after the baseline's
//! instant. Of a repository it is noted what was committed and what was not.

use super::super::{Failure, child};
use super::git::{differences, is_absent, lines};
use super::repository::{Repository, copy};
use super::walk::{Instant, changed, walk};
use super::{PATIENCE, Place};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Baseline {
    pub instant: Instant,
    /// By path in the workspace.
    pub repositories: BTreeMap<PathBuf, Known>,
}

/// A repository that came from the host.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Known {
    pub head: Option<String>,
    pub tips: Vec<String>,
    pub stashes: Vec<String>,
    /// Uncommitted even then: path → mode and blob, or `None` where it was deleted.
    pub dirty: BTreeMap<String, Option<(String, String)>>,
    /// Folder of its blobs, below the notes.
    pub objects: String,
}

/// PID 1, before the program starts: notes what is there, the first time only. Where that fails there is no baseline, now
/// or later: what an agent made meanwhile would be in it.
pub async fn note(home: &Path) {
    let place = Place::new(home);
    if place.notes.exists() || folder(&place.notes).is_err() {
        return;
    }
    let empty = fs::read_dir(&place.workspace).is_ok_and(|mut entries| entries.next().is_none());
    if empty {
        let _ = take(&place);
    } else {
        let _ = child::ask_ourselves(home, &["work", "baseline"], PATIENCE).await;
    }
}

fn folder(path: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes the baseline.
pub fn take(place: &Place) -> Result<(), Failure> {
    folder(&place.notes)?;
    let probe = place.notes.join("instant");
    fs::write(&probe, "")?;
    let mut baseline = Baseline { instant: changed(&probe)?, ..Baseline::default() };
    let found = walk(&place.workspace, baseline.instant)?;
    for (number, path) in found.repositories.iter().enumerate() {
        // One that cannot be read now has no baseline: all that is in it counts as made here.
        if let Ok(repository) = Repository::open(&place.workspace, path, &found)
            && let Ok(known) = know(&repository, &place.notes, number)
        {
            baseline.repositories.insert(path.clone(), known);
        }
    }
    let fresh = place.notes.join("baseline.new");
    let mut file = fs::File::create(&fresh)?;
    file.write_all(&serde_json::to_vec(&baseline)?)?;
    Ok(fs::rename(&fresh, place.notes.join("baseline.json"))?)
}

/// # Errors
/// Without a baseline nothing can be compared.
pub fn load(place: &Place) -> Result<Baseline, Failure> {
    Ok(serde_json::from_slice(&fs::read(place.notes.join("baseline.json"))?)?)
}

fn know(repository: &Repository, notes: &Path, number: usize) -> Result<Known, Failure> {
    let refs = repository.git().args(["for-each-ref", "--format=%(objectname)"]).must(b"")?;
    let mut known = Known { tips: lines(&refs), ..Known::default() };
    known.tips.sort();
    known.tips.dedup();
    known.head = repository.head()?;
    known.tips.extend(known.head.clone());
    known.stashes = repository.stashes()?;
    known.objects = format!("objects-{number}");
    known.dirty = dirty(repository, &notes.join(&known.objects), known.head.as_deref())?;
    Ok(known)
}

/// What differs from the last commit, its blobs put aside in `objects`.
fn dirty(
    repository: &Repository,
    objects: &Path,
    head: Option<&str>,
) -> Result<BTreeMap<String, Option<(String, String)>>, Failure> {
    folder(objects)?;
    let index = objects.with_extension("index");
    copy(&repository.git_dir.join("index"), &index);
    let git = || {
        // A copy keeps the time of a file's content, and neither its number nor the time of its last change: by these
        // git would read every file again.
        let git = repository.git().args(["-c", "core.checkStat=minimal", "-c", "core.trustctime=false"]);
        let git = git.env("GIT_INDEX_FILE", &index).env("GIT_OBJECT_DIRECTORY", objects);
        git.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", repository.objects.as_os_str())
    };
    if !repository.add(git())? {
        return Err(Failure("git does not read the worktree".into()));
    }
    let base = match head {
        Some(head) => head.to_owned(),
        None => repository.empty_tree()?,
    };
    let raw = git().args(["diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", &base]).must(b"")?;
    let _ = fs::remove_file(&index);
    let mut dirty = BTreeMap::new();
    for difference in differences(&raw) {
        if let Ok(path) = String::from_utf8(difference.path.to_vec()) {
            dirty.insert(path, (!is_absent(&difference.after.0)).then_some(difference.after));
        }
    }
    Ok(dirty)
}
