//! Files outside repositories: written where no file is, and over one that is here only after a question about that.
//!
//! Whether a file here is the one that went in cannot be told by its times: one that was moved here keeps its own.

use super::{Consent, is_plain, kind_here};
use crate::cmd::home_reader::HomeReader;
use crate::cmd::work::SessionWork;
use crate::cmd::work::autorun::{FileKind, is_in_git_folder};
use crate::exit::{Exit, UserError};
use crate::probe;
use crate::say;
use crate::state::{self, TooLarge, budget};
use crate::text;
use anyhow::{Context as _, Result};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Copies the bottle's files that are in no repository.
///
/// # Errors
/// `UserError` where other files are here; without a yes they stay as they are.
pub fn apply(session: &SessionWork, reader: &HomeReader, consent: &mut Consent) -> Result<Exit> {
    let fresh = tempfile::tempdir_in(session.folder.path())?;
    let mut question = reader.ask(&["work", "files"], Vec::new())?;
    let unpacked = state::unpack(&mut question, fresh.path(), budget::LOOSE_FILES);
    if let Err(error) = &unpacked
        && let Some(bound) = error.downcast_ref::<TooLarge>()
    {
        let hint = "pack what you want of them in the bottle, and bring it with `claude-bottle get`";
        return Err(UserError::new(format!("the files outside repositories are too much: {bound}")).hint(hint).into());
    }
    unpacked?;
    question.expect_success()?;
    // An agent may not write git's own files, whatever the user consents to.
    let (gits, paths): (Vec<_>, Vec<_>) =
        files_below(fresh.path())?.into_iter().partition(|path| is_in_git_folder(path));
    for path in gits {
        say::line(&format!("stays in the bottle: {}", text::path(&path)));
    }
    let copied = session.plan.workspace.as_ref();
    let place = copied.map_or_else(probe::current_dir, |workspace| Ok(workspace.from.clone()))?;
    let changes = paths.into_iter().map(|path| (path.clone(), loose_kind(&fresh.path().join(path)))).collect();
    let unwanted = match consent.left_out(&place, &changes)? {
        ControlFlow::Continue(unwanted) => unwanted,
        ControlFlow::Break(exit) => return Ok(exit),
    };
    let mut placing = Placing { root: &place, from: fresh.path(), kept: 0 };
    let (differ, new): (Vec<&Path>, Vec<&Path>) = placing
        .wanted(changes.keys().map(PathBuf::as_path).filter(|path| !unwanted.contains(*path)))?
        .into_iter()
        .partition(|path| place.join(path).symlink_metadata().is_ok());
    let replaced = match consent.replaced(&differ)? {
        ControlFlow::Continue(answer) => answer,
        ControlFlow::Break(exit) => return Ok(exit),
    };
    for path in new {
        placing.write(path, Existing::Keep)?;
    }
    for path in differ {
        match replaced {
            true => placing.write(path, Existing::Replace)?,
            false => placing.keep(path),
        }
    }
    match placing.kept {
        0 => Ok(Exit::OK),
        kept => Err(UserError::new(format!("{kept} of the files are here already, with other contents"))
            .hint("type this again on a terminal to be asked, or move them away before")
            .into()),
    }
}

/// Files on their way from a folder of ours to where they belong.
struct Placing<'a> {
    root: &'a Path,
    from: &'a Path,
    /// Count of files that are here and were not replaced.
    kept: u64,
}

/// What happens to a file that is here.
#[derive(PartialEq, Eq)]
enum Existing {
    Keep,
    Replace,
}

impl Placing<'_> {
    /// The files that are not here as they are; those whose place is taken by something else than a file stay.
    fn wanted<'b>(&mut self, paths: impl Iterator<Item = &'b Path>) -> Result<Vec<&'b Path>> {
        let mut wanted = Vec::new();
        for path in paths {
            let to = self.root.join(path);
            let here = fs::symlink_metadata(&to).ok();
            if !is_plain(self.root, path.parent().unwrap_or(Path::new("")))
                || here.as_ref().is_some_and(|m| !m.is_file())
            {
                self.keep(path);
            } else if here.is_none() || !is_same_file(&self.from.join(path), &to)? {
                wanted.push(path);
            }
        }
        Ok(wanted)
    }

    fn keep(&mut self, path: &Path) {
        say::line(&format!("not overwritten: {}", text::path(path)));
        self.kept += 1;
    }

    fn write(&mut self, path: &Path, existing: Existing) -> Result<()> {
        let (from, to) = (self.from.join(path), self.root.join(path));
        let folder = to.parent().unwrap_or(self.root);
        fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::copy(&mut fs::File::open(&from)?, &mut file)?;
        let mode = if is_executable(&from)? { 0o755 } else { 0o644 };
        file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        let written = match existing {
            Existing::Replace => file.persist(&to),
            Existing::Keep => file.persist_noclobber(&to),
        };
        match written {
            Ok(_) => Ok(say::out(&format!("{}\n", text::path(path)))?),
            // Another process has made one since the look at what is here.
            Err(error) if existing == Existing::Keep && error.error.kind() == ErrorKind::AlreadyExists => {
                self.keep(path);
                Ok(())
            }
            Err(error) => Err(error).with_context(|| format!("cannot write `{}`", to.display())),
        }
    }
}

/// A file that may be run, by its mode or by its first two bytes, is a program. It is a plain file of ours.
fn loose_kind(path: &Path) -> FileKind {
    let mut first = [0; 2];
    let is_script = fs::File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == *b"#!";
    if is_script { FileKind::Executable } else { kind_here(path) }
}

fn is_executable(path: &Path) -> Result<bool> {
    Ok(fs::metadata(path)?.mode() & 0o100 != 0)
}

/// Have both files the same content, and may both be run or none?
fn is_same_file(one: &Path, other: &Path) -> Result<bool> {
    Ok(is_executable(one)? == is_executable(other)? && have_same_content(one, other)?)
}

/// Compares in pieces: neither file need fit into memory.
fn have_same_content(one: &Path, other: &Path) -> Result<bool> {
    let (mut one, mut other) = (BufReader::new(fs::File::open(one)?), BufReader::new(fs::File::open(other)?));
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let count = left.len().min(right.len());
        if count == 0 || left[..count] != right[..count] {
            return Ok(left.is_empty() && right.is_empty());
        }
        one.consume(count);
        other.consume(count);
    }
}

/// The files below a folder, relative to it, sorted.
fn files_below(root: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))?.collect::<std::io::Result<Vec<_>>>()? {
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}
