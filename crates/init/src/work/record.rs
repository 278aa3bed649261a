//! Records the baseline, once in the life of a home.

use super::baseline::{Baseline, KnownRepository};
use super::file::{change_time, copy_regular};
use super::git::{ModeAndBlob, differences, is_absent, lines};
use super::paths::{PathName, WorkPaths};
use super::repository::Repository;
use super::walk::walk;
use crate::failure::Failure;
use crate::subprocess::run_init;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long PID 1 waits for the baseline before it starts the agent's program without one.
const BASELINE_TIMEOUT: Duration = Duration::from_secs(120);

/// How often [`await_record`] looks.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Called by PID 1 before the agent's program starts. Records the baseline if this is the home's first start. If that
/// fails there is no baseline, now or later: a later one would contain what the agent made meanwhile.
pub async fn record_if_new(home: &Path) {
    let paths = WorkPaths::new(home);
    record_once(home, &paths).await;
    let _ = create_private_folder(&paths.notes);
    mark_done(&paths);
}

/// Waits until PID 1 has called [`record_if_new`]: what another process writes to the workspace before that would be taken for
/// what came from the host, and be no work.
pub fn await_record(home: &Path) {
    let (paths, end) = (WorkPaths::new(home), Instant::now() + BASELINE_TIMEOUT);
    while !paths.baseline_done().exists() && Instant::now() < end {
        std::thread::sleep(POLL_INTERVAL);
    }
    // An agent that has removed the file makes one process wait, and not each.
    mark_done(&paths);
}

/// Fails where PID 1 has not begun: the folder is its mark.
fn mark_done(paths: &WorkPaths) {
    let _ = fs::OpenOptions::new().write(true).create_new(true).open(paths.baseline_done());
}

async fn record_once(home: &Path, paths: &WorkPaths) {
    if paths.notes.exists() || create_private_folder(&paths.notes).is_err() {
        return;
    }
    if paths.is_workspace_empty() {
        let _ = record(paths);
    } else {
        let _ = run_init(home, &["work", "baseline"], BASELINE_TIMEOUT).await;
    }
}

fn create_private_folder(path: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes the baseline of the workspace as it is now.
///
/// # Errors
/// The workspace cannot be listed, or the baseline cannot be written. A repository that cannot be read is no error: it
/// gets no baseline, and everything in it counts as made by the agent.
pub fn record(paths: &WorkPaths) -> Result<(), Failure> {
    create_private_folder(&paths.notes)?;
    // The change time of a new file is the present in the kernel's own clock.
    let probe = paths.notes.join("instant");
    fs::write(&probe, "")?;
    let mut baseline = Baseline { instant: change_time(&probe)?, ..Baseline::default() };
    let listing = walk(&paths.workspace, baseline.instant)?;
    for (number, path) in listing.repositories.iter().enumerate() {
        if let Ok(repository) = Repository::open(&paths.workspace, path, &listing)
            && let Ok(known) = describe(&repository, &paths.notes, number)
        {
            baseline.repositories.insert(PathName(path.clone()), known);
        }
    }
    let temporary = paths.notes.join("baseline.new");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(&baseline)?)?;
    Ok(fs::rename(&temporary, paths.baseline())?)
}

fn describe(repository: &Repository, notes: &Path, number: usize) -> Result<KnownRepository, Failure> {
    let refs = repository.git().args(["for-each-ref", "--format=%(objectname)"]).stdout(b"")?;
    let mut known = KnownRepository { tips: lines(&refs), ..KnownRepository::default() };
    known.tips.sort();
    known.tips.dedup();
    known.head = repository.head()?;
    known.tips.extend(known.head.clone());
    known.stashes = repository.stashes()?;
    known.objects = format!("objects-{number}");
    known.dirty = uncommitted(repository, &notes.join(&known.objects), known.head.as_deref())?;
    Ok(known)
}

/// The files that differ from the commit `head`, by path; `None` for a deleted one. Their blobs go into `objects`.
fn uncommitted(
    repository: &Repository,
    objects: &Path,
    head: Option<&str>,
) -> Result<BTreeMap<PathName, Option<ModeAndBlob>>, Failure> {
    create_private_folder(objects)?;
    let index = objects.with_extension("index");
    copy_regular(&repository.dirs.own.join("index"), &index);
    let git = || {
        // A copied worktree has the modification times of the original, but other inode numbers and change times. git
        // would compare those, too, and read every file again.
        let git = repository.git().args(["-c", "core.checkStat=minimal", "-c", "core.trustctime=false"]);
        let git = git.env("GIT_INDEX_FILE", &index).env("GIT_OBJECT_DIRECTORY", objects);
        git.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", repository.view.objects.as_os_str())
    };
    if !repository.add(git())? {
        return Err(Failure("git does not read the worktree".into()));
    }
    let base = match head {
        Some(head) => head.to_owned(),
        None => repository.empty_tree()?,
    };
    let args = ["diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", &base];
    let raw = git().args(args).stdout(b"")?;
    let _ = fs::remove_file(&index);
    let mut uncommitted = BTreeMap::new();
    for difference in differences(&raw) {
        let path = PathName(OsStr::from_bytes(difference.path).into());
        uncommitted.insert(path, (!is_absent(&difference.after.0)).then_some(difference.after));
    }
    Ok(uncommitted)
}
