//! A repository's `.git`, made anew: self-contained, whatever it leaned on (the main worktree, the repository around a
//! submodule, borrowed objects), and without anything that runs or lets in. What is not named here stays out: hooks,
//! other logs and `FETCH_HEAD` (they hold URLs), caches, credentials.

mod config;

use super::survey::{From, unreadable};
use crate::exit::Refused;
use crate::git::{Git, Said};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Of the worktree's own directory: what is checked out, and what is under way.
const OWN: [&str; 17] = [
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
    "sequencer/todo",
];
const OWN_FOLDERS: [&str; 3] = ["rebase-apply", "rebase-merge", "sequencer"];
/// Of the directory that all worktrees share.
const SHARED: [&str; 4] = ["info/attributes", "info/exclude", "logs/refs/stash", "shallow"];

/// Repositories that borrow from one another, at most.
const BORROWED: usize = 16;

/// What `.git` of this worktree is to hold, by path in it.
pub fn export(work: &Path) -> Result<Vec<(PathBuf, From)>, Refused> {
    let own = directory(work, "--absolute-git-dir")?;
    let shared = directory(work, "--git-common-dir")?;
    let mut exported: Vec<(PathBuf, From)> =
        vec![("HEAD".into(), From::Text(head(work)?)), ("config".into(), From::Text(config::config(work)?))];
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

fn ask(work: &Path, args: &[&str]) -> Result<Said, Refused> {
    Git::at(work).args(args).ask(Vec::new())
}

fn must(work: &Path, args: &[&str]) -> Result<Said, Refused> {
    let said = ask(work, args)?;
    match said.is_good() {
        true => Ok(said),
        false => Err(Refused::new(format!("git does not read `{}`: {}", work.display(), said.words()))),
    }
}

fn directory(work: &Path, which: &str) -> Result<PathBuf, Refused> {
    let mut answer = must(work, &["rev-parse", which])?.stdout;
    answer.pop();
    Ok(work.join(OsString::from_vec(answer)))
}

fn head(work: &Path) -> Result<Vec<u8>, Refused> {
    let branch = ask(work, &["symbolic-ref", "--quiet", "HEAD"])?;
    Ok(match branch.is_good() {
        true => [b"ref: ", &branch.stdout[..]].concat(),
        false => must(work, &["rev-parse", "--verify", "HEAD"])?.stdout,
    })
}

/// All but other bottles' work, in one file; symbolic ones as they are.
fn refs(work: &Path) -> Result<Vec<(PathBuf, From)>, Refused> {
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

/// Regular files below a folder that are wanted, by name.
fn files(folder: &Path, inside: &Path, exported: &mut Vec<(PathBuf, From)>, wanted: impl Fn(&str) -> bool + Copy) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            files(&entry.path(), &inside.join(&name), exported, wanted);
        } else if kind.is_file() && wanted(&name.to_string_lossy()) {
            exported.push((inside.join(&name), From::Disk(entry.path())));
        }
    }
}

/// The repository's own objects, and those it borrows.
fn objects(own: &Path, exported: &mut Vec<(PathBuf, From)>) -> Result<(), Refused> {
    let mut stores = vec![own.to_owned()];
    let mut at = 0;
    while let Some(store) = stores.get(at).cloned() {
        let borrowed = at > 0;
        fs::read_dir(&store).map_err(|error| unreadable(&store, &error))?;
        // An index over several packs is of this store alone.
        let wanted = |name: &str| {
            !name.starts_with("tmp_") && name != "alternates" && !(borrowed && name.starts_with("multi-pack-index"))
        };
        let mut found = Vec::new();
        files(&store, Path::new("objects"), &mut found, wanted);
        found.retain(|(path, _)| is_object(path) && !(borrowed && path.starts_with("objects/info")));
        exported.extend(found);
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

/// Loose objects, packs, and what git knows of them.
fn is_object(path: &Path) -> bool {
    let mut parts = path.iter().skip(1).map(|part| part.to_string_lossy().into_owned());
    match parts.next().as_deref() {
        Some("pack" | "info") => true,
        Some(fan) => fan.len() == 2 && fan.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => false,
    }
}
