//! Takes the commits of a bundle into a repository: its objects, checked, and refs of their own; nothing else.
//!
//! Invariant: no commit that was fetched before becomes unreachable.

use super::ref_name::{is_ref_name, names_beside, plain_ref};
use super::{CleanRepository, Git, GitOutput};
use crate::exit::EngineError;
use crate::text;
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Longest header of a bundle that is read, in bytes: 100,000 refs of the usual length are below it.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// What a bundle brings.
struct Header {
    /// Its refs below `refs/bottle/`: id, and the rest of the name.
    refs: Vec<(String, Vec<u8>)>,
    /// Offset of the pack in the file.
    pack: u64,
}

/// Where the refs of a bundle go. Each folder ends in a slash.
pub struct RefSpace<'a> {
    /// Folder below `refs/`.
    pub folder: &'a str,
    /// Refs below that folder, and folders of refs without the slash, that the bundle replaces. It brings no other.
    pub own: &'a [String],
    /// Folder for commits that no ref leads to any more after this, each by its id.
    pub former: &'a str,
}

impl RefSpace<'_> {
    /// Is a ref of this name, below the folder, one of the bundle's?
    fn has(&self, name: &str) -> bool {
        let is_below = |rest: &str| rest.is_empty() || rest.starts_with('/');
        self.own.iter().any(|own| name.strip_prefix(&own[..]).is_some_and(is_below))
    }
}

/// A ref that was changed; `None` for the commit of one that is not there.
pub struct RefChange {
    pub name: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// Takes the refs `refs/bottle/…` of a bundle into a folder of refs, and their objects. Refs of that folder that the bundle has
/// not are removed; a commit that was fetched before stays reachable. The changes that it brings come in its order.
///
/// A name is written by [`plain_ref`], and left out if git takes it for none. The objects are checked aside, as git does it for
/// a push: a bundle that is refused leaves nothing.
///
/// # Errors
/// `EngineError` with git's own error line.
pub fn fetch(clean: &CleanRepository, bundle: &Path, space: &RefSpace) -> Result<Vec<RefChange>> {
    let mut file = File::open(bundle)?;
    let mut header = read_header(&file)?;
    header.refs.retain(|(_, name)| space.has(&plain_ref(name)));
    let objects = clean.repository.shared.join("objects");
    // git's own name for such a folder, which `git gc` removes if it is left behind.
    let aside = tempfile::Builder::new().prefix("tmp_objdir-incoming-").tempdir_in(&objects);
    let aside = aside.with_context(|| format!("cannot write into `{}`", text::path(&objects)))?;
    fs::create_dir_all(aside.path().join("info"))?;
    fs::write(aside.path().join("info/alternates"), "..\n")?;
    let git = || -> Git { clean.git().env("GIT_OBJECT_DIRECTORY", aside.path()).writes() };
    let is_partial = clean.repository.is_partial();
    // Where objects are missing on purpose, those that are here are checked, and not what they lead to.
    let check = if is_partial { "--fsck-objects" } else { "--strict" };
    if file.metadata()?.len() > header.pack || header.refs.is_empty() {
        file.seek(SeekFrom::Start(header.pack))?;
        expect_success(&git().args(["index-pack", "--stdin", "--fix-thin", check]).run_reading(file)?)?;
    }
    let tips: String = header.refs.iter().map(|(id, _)| format!("{id}\n")).collect();
    let depth: &[&str] = if is_partial { &[] } else { &["--objects"] };
    let connected = git().args(["rev-list", "--quiet"]).args(depth).args(["--stdin", "--not", "--all"]);
    expect_success(&connected.run(tips.into_bytes())?)?;
    clean.add_ref_folder("bottles")?;
    let changes = changes(clean, header.refs, space)?;
    let moved = move_packs(&aside.path().join("pack"), &objects.join("pack"))?;
    let written = former_refs(clean, &changes, space).and_then(|former| write_refs(clean, &changes, &former));
    if written.is_err() && !is_any_written(clean, &changes) {
        moved.iter().rev().for_each(|pack| drop(fs::remove_file(pack)));
    }
    written.map(|()| changes)
}

/// The hash by which a bundle names objects, as `git init` takes it.
///
/// # Errors
/// The disk's.
pub fn object_format(bundle: &Path) -> Result<&'static str> {
    let mut lines = BufReader::new(File::open(bundle)?.take(MAX_HEADER_BYTES)).split(b'\n').skip(1);
    let is_sha256 = lines.next().transpose()?.is_some_and(|line| line == b"@object-format=sha256");
    Ok(if is_sha256 { "sha256" } else { "sha1" })
}

/// What is to change in the folder for its refs to be those of the bundle.
fn changes(clean: &CleanRepository, refs: Vec<(String, Vec<u8>)>, space: &RefSpace) -> Result<Vec<RefChange>> {
    let folder = space.folder;
    let mut here = BTreeMap::new();
    let mut taken = BTreeSet::new();
    let listed = clean.query(&["for-each-ref", "--format=%(objectname) %(refname)", folder])?;
    for line in listed.lines() {
        let Some((id, name)) = line.split_once(' ') else { continue };
        let Some(name) = name.strip_prefix(folder) else { continue };
        match space.has(name) {
            true => drop(here.insert(name.to_owned(), id.to_owned())),
            false => drop(taken.insert(name.to_owned())),
        }
    }
    let names = names_beside(taken, refs.iter().map(|(_, name)| plain_ref(name)));
    let mut changes = Vec::new();
    for (name, (id, _)) in names.into_iter().zip(&refs) {
        let old = here.remove(&name);
        if old.as_ref() != Some(id) {
            changes.push(RefChange { name: format!("{folder}{name}"), old, new: Some(id.clone()) });
        }
    }
    let gone =
        here.into_iter().map(|(name, id)| RefChange { name: format!("{folder}{name}"), old: Some(id), new: None });
    changes.extend(gone);
    Ok(changes)
}

/// Refs for commits that nothing leads to after these changes: name and id.
fn former_refs(clean: &CleanRepository, changes: &[RefChange], space: &RefSpace) -> Result<Vec<(String, String)>> {
    let changed: BTreeSet<&str> = changes.iter().map(|change| change.name.as_str()).collect();
    let listed = clean.query(&["for-each-ref", "--format=%(objectname) %(refname)"])?.lines();
    let mut stay: String = changes.iter().filter_map(|change| Some(format!("^{}\n", change.new.as_ref()?))).collect();
    for (id, _) in listed.iter().filter_map(|line| line.split_once(' ')).filter(|(_, name)| !changed.contains(name)) {
        stay.push_str(&format!("^{id}\n"));
    }
    let mut former = Vec::new();
    for old in changes.iter().filter_map(|change| change.old.as_ref()) {
        let lost = clean.git().args(["rev-list", "--max-count=1", "--stdin"]);
        let lost = lost.run(format!("{old}\n{stay}").into_bytes())?;
        expect_success(&lost)?;
        if !lost.stdout.is_empty() {
            former.push((format!("{}{old}", space.former), old.clone()));
        }
    }
    former.sort();
    former.dedup();
    Ok(former)
}

/// Writes the refs in two steps, because git writes no `fix/more` together with the removal of `fix`. What is removed in the
/// first one is kept as a former ref, so that nothing is lost between the two.
fn write_refs(clean: &CleanRepository, changes: &[RefChange], former: &[(String, String)]) -> Result<()> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (name, id) in former {
        first.extend_from_slice(format!("update {name}\0{id}\0\0").as_bytes());
    }
    for RefChange { name, old, new } in changes {
        let old = old.as_deref().unwrap_or_default();
        match new {
            // The old commit, so that what another process writes meanwhile is not overwritten.
            Some(new) => second.extend_from_slice(format!("update {name}\0{new}\0{old}\0").as_bytes()),
            None => first.extend_from_slice(format!("delete {name}\0{old}\0").as_bytes()),
        }
    }
    for updates in [first, second].into_iter().filter(|updates| !updates.is_empty()) {
        expect_success(&clean.git().args(["update-ref", "--no-deref", "--stdin", "-z"]).run(updates)?)?;
    }
    Ok(())
}

/// Is any of these refs what it was to become?
fn is_any_written(clean: &CleanRepository, changes: &[RefChange]) -> bool {
    changes.iter().filter_map(|change| Some((&change.name, change.new.as_ref()?))).any(|(name, id)| {
        clean
            .git()
            .args(["rev-parse", "--verify", "--quiet", name])
            .run(Vec::new())
            .is_ok_and(|said| said.lines().first() == Some(id))
    })
}

fn expect_success(output: &GitOutput) -> Result<()> {
    match output.is_success() {
        true => Ok(()),
        false => Err(EngineError::new(format!("the commits were not taken: {}", output.error_line())).into()),
    }
}

/// Reads the header: a line with the version, what is wanted of the reader, commits that the pack builds on, refs, and an
/// empty line. Only lines of refs have a name right behind the id.
fn read_header(file: &File) -> Result<Header> {
    let mut reader = BufReader::new(file).take(MAX_HEADER_BYTES);
    let mut header = Header { refs: Vec::new(), pack: 0 };
    let mut line = Vec::new();
    while line != b"\n" {
        line.clear();
        match reader.read_until(b'\n', &mut line)? {
            0 => break,
            count => header.pack += count as u64,
        }
        let id = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (id, name) = line.split_at(id);
        let name = name.strip_prefix(b" refs/bottle/").and_then(|name| name.strip_suffix(b"\n"));
        if let Some(name) = name.filter(|name| [40, 64].contains(&id.len()) && is_ref_name(name)) {
            header.refs.push((String::from_utf8_lossy(id).into_owned(), name.to_vec()));
        }
    }
    Ok(header)
}

/// Moves packs into the repository, each index last: with it git begins to read a pack. Returns the files that were not
/// there.
fn move_packs(from: &Path, to: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(to)?;
    // Without new objects there is no such folder.
    let mut names: Vec<_> = fs::read_dir(from).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
    names.retain(|name| name.to_string_lossy().starts_with("pack-"));
    names.sort_by_key(|name| Path::new(name).extension() == Some("idx".as_ref()));
    let mut moved = Vec::new();
    for name in names {
        let path = to.join(&name);
        let is_new = path.symlink_metadata().is_err();
        fs::rename(from.join(&name), &path).with_context(|| format!("cannot write into `{}`", text::path(to)))?;
        moved.extend(is_new.then_some(path));
    }
    Ok(moved)
}
