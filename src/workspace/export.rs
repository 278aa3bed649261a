//! Exports a repository as a new `.git` that depends on nothing else: not on the main worktree, the repository around a
//! submodule, or borrowed objects.
//!
//! Invariant: it contains nothing that runs and no credential. Only files named here are copied; hooks, other logs and
//! `FETCH_HEAD` (which hold URLs) and caches are not.

mod config;

use super::content::{Content, Contents};
use crate::exit::UserError;
use crate::git::{CleanRepository, Repository};
use std::fs;
use std::path::{Path, PathBuf};

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

/// The content of the exported `.git` of a worktree, or of an exported repository without one.
///
/// # Errors
/// `UserError` if git does not read the repository.
pub fn export(clean: &CleanRepository) -> Result<Contents, UserError> {
    let repository = &clean.repository;
    let mut exported: Contents = vec![
        ("HEAD".into(), Content::Bytes(head(clean)?)),
        ("config".into(), Content::Bytes(config::config(repository))),
    ];
    exported.extend(refs(clean)?);
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
            add_files(&repository.own.join(name), Path::new(name), &mut exported, |_| true);
        }
    }
    add_objects(repository, &mut exported)?;
    // Without these two folders git does not recognise a repository.
    for name in ["objects/pack", "refs/heads"] {
        exported.push((name.into(), Content::File(repository.top.clone())));
    }
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
    let listed = clean.query(&["for-each-ref", "--format=%(objectname) %(refname) %(symref)"])?;
    let (mut packed, mut symbolic) = (Vec::new(), Vec::new());
    for line in listed.lines() {
        let [id, name, target] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else { continue };
        if name.starts_with("refs/bottles/") {
            continue;
        }
        match target {
            "" => packed.extend_from_slice(format!("{id} {name}\n").as_bytes()),
            target => symbolic.push((PathBuf::from(name), Content::Bytes(format!("ref: {target}\n").into_bytes()))),
        }
    }
    symbolic.push(("packed-refs".into(), Content::Bytes(packed)));
    Ok(symbolic)
}

/// Adds the regular files below `folder` that are wanted. `inside` is the folder's path in the export.
fn add_files(folder: &Path, inside: &Path, exported: &mut Contents, wanted: impl Fn(&Path) -> bool + Copy) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let inside = inside.join(entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            add_files(&entry.path(), &inside, exported, wanted);
        } else if kind.is_file() && wanted(&inside) {
            exported.push((inside, Content::File(entry.path())));
        }
    }
}

/// Adds the repository's own objects and those that it borrows.
fn add_objects(repository: &Repository, exported: &mut Contents) -> Result<(), UserError> {
    let own = repository.shared.join("objects");
    for store in [&own].into_iter().chain(&repository.alternates) {
        fs::read_dir(store).map_err(|error| UserError::unreadable(store, &error))?;
        add_files(store, Path::new("objects"), exported, |path| {
            is_object(path) || (*store == own && is_store_index(path))
        });
    }
    Ok(())
}

/// Whether this is a loose object, or a pack or one of its companions. Nothing else is copied, because a repository may name
/// any folder as the one from which it borrows.
fn is_object(path: &Path) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<&str> = path.iter().skip(1).filter_map(|part| part.to_str()).collect();
    match parts[..] {
        ["pack", name] => {
            const KINDS: [&str; 7] = ["bitmap", "idx", "keep", "mtimes", "pack", "promisor", "rev"];
            let parts = name.strip_prefix("pack-").and_then(|name| name.split_once('.'));
            parts.is_some_and(|(id, kind)| hex(id) && KINDS.contains(&kind))
        }
        [fan, rest] => fan.len() == 2 && [38, 62].contains(&rest.len()) && hex(fan) && hex(rest),
        _ => false,
    }
}

/// Whether this is an index over all packs or commits of a store. It would be wrong for two stores merged into one.
fn is_store_index(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.starts_with("objects/pack") && name.starts_with("multi-pack-index")
        || path.starts_with("objects/info/commit-graphs") && name.ends_with(".graph")
        || path.starts_with("objects/info") && ["commit-graph", "commit-graph-chain", "packs"].contains(&&*name)
}
