//! The comparison: what is there now and was not at the baseline. PID 1 asks for it when the program has ended, and tells
//! the gate.

use super::super::{Failure, child};
use super::Place;
use super::baseline::{self, Baseline};
use super::repository::Repository;
use super::walk::{Found, walk};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use wire::{self, Work};

/// The person waits for the prompt.
const PATIENCE: Duration = Duration::from_secs(10);
/// For the gate to take one line.
const HANDOVER: Duration = Duration::from_secs(2);

/// Compares, and tells the gate, which tells the host.
pub async fn tell(socket: &Path, home: &Path) {
    let place = Place::new(home);
    let empty = fs::read_dir(&place.workspace).is_ok_and(|mut entries| entries.next().is_none());
    let noted = place.notes.join("baseline.json").exists();
    let work = if empty && noted {
        Work { complete: true, ..Work::default() }
    } else {
        let answer = child::ask_ourselves(home, &["work", "report"], PATIENCE).await;
        answer.and_then(|line| serde_json::from_slice(&line).ok()).unwrap_or_default()
    };
    let _ = timeout(HANDOVER, hand_over(socket, &work)).await;
}

async fn hand_over(socket: &Path, work: &Work) -> Result<(), Failure> {
    let mut gate = UnixStream::connect(socket).await?;
    let mut line = format!("WORK {}\n", serde_json::to_string(work)?);
    if line.len() > wire::MAX_WORK_BYTES {
        line = format!("WORK {}\n", serde_json::to_string(&Work::default())?);
    }
    gate.write_all(line.as_bytes()).await?;
    // One byte: the line is in the gate's queue.
    gate.read_u8().await?;
    Ok(())
}

/// What cannot be read makes it incomplete, and hides nothing else.
///
/// # Errors
/// Without a baseline there is nothing to compare with.
pub fn compare(place: &Place) -> Result<Work, Failure> {
    let baseline = baseline::load(place)?;
    let found = walk(&place.workspace, baseline.instant)?;
    let complete = found.closed.is_empty();
    let mut work = Work { complete, files: found.files.len() as u64, ..Work::default() };
    for path in &found.repositories {
        match made(place, path, &found, &baseline) {
            Ok(made) if made.commits + made.stashes + made.files > 0 => work.repositories.push(made),
            Ok(_) => {}
            Err(_) => work.complete = false,
        }
    }
    Ok(work)
}

fn made(place: &Place, path: &Path, found: &Found, baseline: &Baseline) -> Result<wire::Repository, Failure> {
    let repository = Repository::open(&place.workspace, path, found)?;
    Ok(wire::Repository {
        path: shown(path),
        commits: repository.commits(baseline)?.len() as u64,
        stashes: repository.new_stashes(baseline)?.len() as u64,
        files: repository.changes(baseline)?.len() as u64,
    })
}

/// A repository's path as it is named.
pub fn shown(path: &Path) -> String {
    match path.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => path.to_string_lossy().into_owned(),
    }
}
