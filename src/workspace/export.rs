//! Exports a repository as a new `.git` that depends on nothing else: not on the main worktree, the repository around a
//! submodule, or borrowed objects.
//!
//! Invariant: it contains nothing that runs and no credential. Only files named here are copied; hooks, other logs and
//! `FETCH_HEAD` (which hold URLs) and caches are not.

mod config;

use super::content::{Content, Contents};
use super::objects::Objects;
use crate::exit::UserError;
use crate::git::CleanRepository;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Files of the worktree's own git directory: what is checked out, and which operations are in progress.
const WORKTREE_FILES: [&str; 16] = [
    "AUTO_MERGE",
    "BISECT_ANCESTORS_OK",
    "BISECT_EXPECTED_REV",
    "BISECT_LOG",
    "BISECT_NAMES",
    "BISECT_START",
    "BISECT_TERMS",
    "CHERRY_PICK_HEAD",
    "MERGE_HEAD",
    "MERGE_MODE",
    "MERGE_MSG",
    "ORIG_HEAD",
    "REVERT_HEAD",
    "SQUASH_MSG",
    "index",
    "info/sparse-checkout",
];
/// Folders of the worktree's own git directory, for operations in progress.
const WORKTREE_FOLDERS: [&str; 3] = ["rebase-apply", "rebase-merge", "sequencer"];
/// Files of the git directory that all worktrees share.
const SHARED_FILES: [&str; 4] = ["info/attributes", "info/exclude", "logs/refs/stash", "shallow"];

/// Longest file in which ids are looked for, in bytes. Refs of a million branches are below it.
const MAX_NAMING_BYTES: u64 = 64 << 20;

/// Digits of an id, for SHA-1 and SHA-256.
const ID_DIGITS: [usize; 2] = [40, 64];

/// The content of the exported `.git` of a worktree, or of an exported repository without one.
///
/// # Errors
/// `UserError` if git does not read the repository.
pub fn export(clean: CleanRepository) -> Result<Contents, UserError> {
    let repository = &clean.repository;
    let mut exported: Contents = vec![
        ("HEAD".into(), Content::Bytes(head(&clean)?)),
        ("config".into(), Content::Bytes(config::config(repository))),
    ];
    exported.extend(refs(&clean)?);
    for name in WORKTREE_FILES {
        exported.extend(repository.own_file(name)?.map(|path| (PathBuf::from(name), Content::File(path))));
    }
    for name in SHARED_FILES {
        exported.extend(repository.shared_file(name)?.map(|path| (PathBuf::from(name), Content::File(path))));
    }
    for entry in fs::read_dir(&repository.own).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("sharedindex.") {
            exported.extend(
                repository
                    .own_file(&entry.file_name().to_string_lossy())?
                    .map(|path| (entry.file_name().into(), Content::File(path))),
            );
        }
    }
    for name in WORKTREE_FOLDERS {
        if repository.own_folder(name)? {
            add_files(&repository.own.join(name), Path::new(name), &mut exported);
        }
    }
    // Without these two folders git does not recognise a repository.
    for name in ["objects/pack", "refs/heads"] {
        exported.push((name.into(), Content::File(repository.top.clone())));
    }
    let tips = named_in(exported.iter().map(|(_, content)| content))?;
    exported.push(("objects/pack/pack".into(), Content::Objects(Rc::new(Objects::new(clean, tips)))));
    Ok(exported)
}

/// The content of `HEAD`.
fn head(clean: &CleanRepository) -> Result<Vec<u8>, UserError> {
    let branch = clean.git().args(["symbolic-ref", "--quiet", "HEAD"]).run(Vec::new())?;
    Ok(match branch.is_success() {
        true => [b"ref: ", &branch.stdout[..]].concat(),
        false => clean.query(&["rev-parse", "--verify", "HEAD"])?.stdout,
    })
}

/// All refs except the work of other bottles: `packed-refs`, and one file for each symbolic ref.
fn refs(clean: &CleanRepository) -> Result<Contents, UserError> {
    // A name of git's need not be UTF-8.
    let listed = clean.query(&["for-each-ref", "--format=%(objectname) %(refname) %(symref)"])?.stdout;
    let (mut packed, mut symbolic) = (Vec::new(), Vec::new());
    for line in listed.split(|byte| *byte == b'\n') {
        let [id, name, target] = line.splitn(3, |byte| *byte == b' ').collect::<Vec<_>>()[..] else { continue };
        if name.starts_with(b"refs/bottles/") {
            continue;
        }
        match target {
            b"" => packed.extend([id, b" ", name, b"\n"].concat()),
            target => {
                let name = PathBuf::from(OsStr::from_bytes(name));
                symbolic.push((name, Content::Bytes([b"ref: ", target, b"\n"].concat())));
            }
        }
    }
    symbolic.push(("packed-refs".into(), Content::Bytes(packed)));
    Ok(symbolic)
}

/// Adds the regular files below `folder`. `inside` is the folder's path in the export.
fn add_files(folder: &Path, inside: &Path, exported: &mut Contents) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let inside = inside.join(entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            add_files(&entry.path(), &inside, exported);
        } else if kind.is_file() {
            exported.push((inside, Content::File(entry.path())));
        }
    }
}

/// The ids in these files: refs, `HEAD`, and what operations in progress have noted.
fn named_in<'a>(contents: impl Iterator<Item = &'a Content>) -> Result<BTreeSet<String>, UserError> {
    let mut ids = BTreeSet::new();
    for content in contents {
        match content {
            Content::Bytes(bytes) => add_ids(&bytes[..], &mut ids),
            Content::File(path) if is_naming(path) => match fs::File::open(path) {
                Ok(file) => add_ids(BufReader::new(file), &mut ids),
                Err(error) => return Err(UserError::unreadable(path, &error)),
            },
            _ => {}
        }
    }
    Ok(ids)
}

/// Is this a file of text? An index has its ids as bytes, and git itself reads it.
fn is_naming(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.is_file() && name != "index" && !name.starts_with("sharedindex.")
}

fn add_ids(text: impl BufRead, ids: &mut BTreeSet<String>) {
    for line in text.take(MAX_NAMING_BYTES).split(b'\n').map_while(Result::ok) {
        for word in line.split(|byte| !byte.is_ascii_hexdigit()).filter(|word| ID_DIGITS.contains(&word.len())) {
            ids.insert(String::from_utf8_lossy(word).into_owned());
        }
    }
}
