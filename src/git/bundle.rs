//! Takes the commits of a bundle into a repository: its objects, checked, and refs of their own; nothing else.

use super::ref_name::{is_ref_name, names_beside, plain_ref};
use super::{CleanRepository, Git, GitOutput};
use crate::exit::{EngineError, UserError};
use crate::text;
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
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

/// Takes the refs `refs/bottle/…` of a bundle as `refs/bottles/IDENTITY/…`, and their objects.
///
/// A name is written by [`plain_ref`], beside those that earlier calls have written, and left out if git takes it for none.
/// The objects are checked aside, as git does it for a push: a bundle that is refused leaves nothing.
///
/// # Errors
/// `EngineError` with git's own error line.
pub fn fetch(clean: &CleanRepository, bundle: &Path, identity: &str) -> Result<()> {
    let mut file = File::open(bundle)?;
    let header = read_header(&file)?;
    file.seek(SeekFrom::Start(header.pack))?;
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
    expect_success(&git().args(["index-pack", "--stdin", "--fix-thin", check]).run_reading(file)?)?;
    let tips: String = header.refs.iter().map(|(id, _)| format!("{id}\n")).collect();
    let depth: &[&str] = if is_partial { &[] } else { &["--objects"] };
    let connected = git().args(["rev-list", "--quiet"]).args(depth).args(["--stdin", "--not", "--all"]);
    expect_success(&connected.run(tips.into_bytes())?)?;
    clean.add_ref_folder("bottles")?;
    let folder = format!("refs/bottles/{identity}/");
    let names = names_beside(ref_names(clean, &folder)?, header.refs.iter().map(|(_, name)| plain_ref(name)));
    let updates: String =
        header.refs.iter().zip(names).map(|((id, _), name)| format!("update {folder}{name}\0{id}\0\0")).collect();
    let moved = move_packs(&aside.path().join("pack"), &objects.join("pack"))?;
    let written = clean.git().args(["update-ref", "--no-deref", "--stdin", "-z"]).run(updates.into_bytes());
    let written = written.map_err(Into::into).and_then(|output| expect_success(&output));
    if written.is_err() {
        moved.iter().rev().for_each(|pack| drop(fs::remove_file(pack)));
    }
    written
}

/// The names of the refs in this folder, without it.
fn ref_names(clean: &CleanRepository, folder: &str) -> Result<BTreeSet<String>, UserError> {
    let listed = clean.query(&["for-each-ref", "--format=%(refname)", folder])?;
    Ok(listed.lines().iter().filter_map(|name| name.strip_prefix(folder)).map(str::to_owned).collect())
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
    let mut names: Vec<_> = fs::read_dir(from)?.flatten().map(|entry| entry.file_name()).collect();
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
