//! A repository's `.git`, made anew: self-contained, whatever it leaned on (the main worktree, the repository around a
//! submodule, borrowed objects), and without anything that runs or lets in. What is not named here stays out: hooks,
//! other logs and `FETCH_HEAD` (they hold URLs), caches, credentials.

mod config;

use super::survey::{From, unreadable};
use crate::exit::UserError;
use crate::git::{Git, GitOutput};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Of the worktree's own directory: what is checked out, and what is under way.
const OWN: [&str; 16] = [
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
const OWN_FOLDERS: [&str; 3] = ["rebase-apply", "rebase-merge", "sequencer"];
/// Of the directory that all worktrees share.
const SHARED: [&str; 4] = ["info/attributes", "info/exclude", "logs/refs/stash", "shallow"];

/// Repositories that borrow from one another, at most.
const BORROWED: usize = 16;

/// What an exported directory holds, by path in it.
type Exported = Vec<(PathBuf, From)>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Worktree,
    Bare,
}

/// What `.git` of this worktree is to hold; `None` where its repository says that there is no worktree here.
///
/// # Errors
/// `UserError` where git does not read it, or finds another repository, further up.
pub fn export(work: &Path) -> Result<Option<Exported>, UserError> {
    match directory(work, "--show-toplevel") {
        Ok(top) if top == work => contents(work, Kind::Worktree).map(Some),
        Ok(_) => Err(UserError::new(format!("`{}` is not a repository", work.join(".git").display()))),
        Err(_) if ask(work, &["rev-parse", "--is-bare-repository"])?.stdout == b"true\n" => Ok(None),
        Err(refused) => Err(refused),
    }
}

/// What a repository without a worktree is to hold.
///
/// # Errors
/// `UserError` where git does not read it.
pub fn export_bare(folder: &Path) -> Result<Exported, UserError> {
    contents(folder, Kind::Bare)
}

/// Is this directory a repository's own, whatever its name? As git itself tells.
pub fn is_git_directory(folder: &Path) -> bool {
    folder.join("HEAD").symlink_metadata().is_ok() && folder.join("objects").is_dir() && folder.join("refs").is_dir()
}

fn contents(work: &Path, kind: Kind) -> Result<Exported, UserError> {
    let own = directory(work, "--absolute-git-dir")?;
    let shared = directory(work, "--git-common-dir")?;
    let mut exported: Exported =
        vec![("HEAD".into(), From::Text(head(work)?)), ("config".into(), From::Text(config::config(work, kind)?))];
    exported.extend(refs(work)?);
    for (folder, names) in [(&own, &OWN[..]), (&shared, &SHARED[..])] {
        let there = names.iter().filter(|name| folder.join(name).symlink_metadata().is_ok_and(|meta| meta.is_file()));
        exported.extend(there.map(|name| (PathBuf::from(name), From::Disk(folder.join(name)))));
    }
    for entry in fs::read_dir(&own).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("sharedindex.") {
            exported.push((entry.file_name().into(), From::Disk(entry.path())));
        }
    }
    for name in OWN_FOLDERS {
        files(&own.join(name), Path::new(name), &mut exported, |_| true);
    }
    objects(&shared.join("objects"), &mut exported)?;
    // git takes it for a repository only with these two.
    for name in ["objects/pack", "refs/heads"] {
        exported.push((name.into(), From::Disk(work.to_owned())));
    }
    Ok(exported)
}

fn ask(work: &Path, args: &[&str]) -> Result<GitOutput, UserError> {
    Git::offline(work).args(["-c", "safe.bareRepository=all"]).args(args).run(Vec::new())
}

fn must(work: &Path, args: &[&str]) -> Result<GitOutput, UserError> {
    let said = ask(work, args)?;
    match said.is_success() {
        true => Ok(said),
        false => Err(UserError::new(format!("git does not read `{}`: {}", work.display(), said.error_line()))),
    }
}

fn directory(work: &Path, which: &str) -> Result<PathBuf, UserError> {
    let mut answer = must(work, &["rev-parse", which])?.stdout;
    answer.pop();
    Ok(work.join(OsString::from_vec(answer)))
}

fn head(work: &Path) -> Result<Vec<u8>, UserError> {
    let branch = ask(work, &["symbolic-ref", "--quiet", "HEAD"])?;
    Ok(match branch.is_success() {
        true => [b"ref: ", &branch.stdout[..]].concat(),
        false => must(work, &["rev-parse", "--verify", "HEAD"])?.stdout,
    })
}

/// All but other bottles' work, in one file; symbolic ones as they are.
fn refs(work: &Path) -> Result<Exported, UserError> {
    let said = must(work, &["for-each-ref", "--format=%(objectname) %(refname) %(symref)"])?;
    let (mut packed, mut symbolic) = (Vec::new(), Vec::new());
    for line in said.lines() {
        let [id, name, target] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else { continue };
        if name.starts_with("refs/bottles/") {
            continue;
        }
        match target {
            "" => packed.extend_from_slice(format!("{id} {name}\n").as_bytes()),
            target => symbolic.push((PathBuf::from(name), From::Text(format!("ref: {target}\n").into_bytes()))),
        }
    }
    symbolic.push(("packed-refs".into(), From::Text(packed)));
    Ok(symbolic)
}

/// Regular files below a folder that are wanted, by path in what is exported.
fn files(folder: &Path, inside: &Path, exported: &mut Exported, wanted: impl Fn(&Path) -> bool + Copy) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let inside = inside.join(entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            files(&entry.path(), &inside, exported, wanted);
        } else if kind.is_file() && wanted(&inside) {
            exported.push((inside, From::Disk(entry.path())));
        }
    }
}

/// The repository's own objects, and those it borrows.
fn objects(own: &Path, exported: &mut Exported) -> Result<(), UserError> {
    let mut stores = vec![own.to_owned()];
    let mut at = 0;
    while let Some(store) = stores.get(at).cloned() {
        let borrowed = at > 0;
        fs::read_dir(&store).map_err(|error| unreadable(&store, &error))?;
        files(&store, Path::new("objects"), exported, |path| is_object(path) || (!borrowed && is_of_one_store(path)));
        let lent = fs::read(store.join("info/alternates")).unwrap_or_default();
        for line in lent.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#') {
            let path = store.join(OsString::from_vec(line.to_vec()));
            if !stores.contains(&path) && stores.len() < BORROWED {
                stores.push(path);
            }
        }
        at += 1;
    }
    Ok(())
}

/// A loose object, or a pack and what belongs to it. Nothing else: a store may be said to be anywhere.
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

/// An index over all packs or commits of a store, which is wrong for two stores in one.
fn is_of_one_store(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.starts_with("objects/pack") && name.starts_with("multi-pack-index")
        || path.starts_with("objects/info/commit-graphs") && name.ends_with(".graph")
        || path.starts_with("objects/info") && ["commit-graph", "commit-graph-chain", "packs"].contains(&&*name)
}
