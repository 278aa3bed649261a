//! Commits that have a file's content where Git LFS keeps a pointer to it: an image without that filter makes them.

use crate::exit::UserError;
use crate::git::{CleanRepository, RefChange};
use crate::hint;
use crate::say;
use crate::text;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What a pointer begins with, and its greatest length in bytes (the specification of Git LFS).
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";
const MAX_POINTER_BYTES: usize = 1024;
/// Most commits, and files of Git LFS in them, that are looked at.
const MAX_COMMITS: usize = 1000;
const MAX_FILES: usize = 1000;
/// Files that are named; the others are counted.
const MAX_NAMED_FILES: usize = 20;

/// Names the files of new commits that are no pointers and should be.
///
/// # Errors
/// `UserError` if git does not read the commits.
pub fn name_wrong_commits(target: &CleanRepository, changes: &[RefChange]) -> Result<(), UserError> {
    let files = new_files(target, changes)?;
    let filters = target.filters(files.keys().map(|(path, _)| path.as_path()))?;
    let of_lfs = files.iter().zip(filters).filter(|(_, filter)| filter.as_deref() == Some(OsStr::new("lfs")));
    let mut wrong = Vec::new();
    for ((path, blob), commit) in of_lfs.map(|(file, _)| file).take(MAX_FILES) {
        let size = target.query(&["cat-file", "-s", blob])?.lines().first().and_then(|size| size.parse::<usize>().ok());
        let is_short = size.is_some_and(|size| size <= MAX_POINTER_BYTES);
        if !is_short || !target.query(&["cat-file", "blob", blob])?.stdout.starts_with(POINTER) {
            wrong.push((path, commit));
        }
    }
    for (path, commit) in wrong.iter().take(MAX_NAMED_FILES) {
        let commit: String = commit.chars().take(7).collect();
        say::line(&format!("`{}` in {commit} is the file itself, where Git LFS has a pointer", text::path(path)));
    }
    if wrong.len() > MAX_NAMED_FILES {
        say::line(&format!("and {} more", wrong.len() - MAX_NAMED_FILES));
    }
    if let Some((path, _)) = wrong.first() {
        say::hint(hint!("after a merge: git lfs migrate import --no-rewrite -- {}", path.display()));
    }
    Ok(())
}

/// The files that the new commits write: path and blob, and the last commit with that.
fn new_files(
    target: &CleanRepository,
    changes: &[RefChange],
) -> Result<BTreeMap<(PathBuf, String), String>, UserError> {
    let new = changes.iter().filter_map(|change| change.new.clone());
    let old = changes.iter().filter_map(|change| Some(format!("^{}", change.old.as_ref()?)));
    let asked: String = new.chain(old).map(|id| id + "\n").collect();
    let most = format!("--max-count={MAX_COMMITS}");
    let args = [
        "log",
        &most,
        "--stdin",
        "--raw",
        "-z",
        "--no-renames",
        "--no-abbrev",
        "--diff-filter=AM",
        "--format=commit %H",
    ];
    let known = ["--not", "--branches", "--remotes", "--tags"];
    let told = target.successful(target.git().args(args).args(known).run(asked.into_bytes())?)?;
    let (mut files, mut commit, mut blob) = (BTreeMap::new(), String::new(), None);
    for part in told.stdout.split(|byte| *byte == 0) {
        let line = String::from_utf8_lossy(part);
        let line = line.trim_start_matches('\n');
        if let Some(blob) = blob.take() {
            files.entry((PathBuf::from(OsStr::from_bytes(part)), blob)).or_insert_with(|| commit.clone());
        } else if let Some(id) = line.strip_prefix("commit ") {
            commit = id.to_owned();
        } else if line.starts_with(':') {
            // `:MODE MODE BLOB BLOB STATUS`; a link and a submodule have no filter.
            let words: Vec<&str> = line.split(' ').collect();
            blob = words.get(3).map(|blob| (*blob).to_owned());
        }
    }
    files.retain(|(path, _), _| !path.as_os_str().is_empty());
    Ok(files)
}
