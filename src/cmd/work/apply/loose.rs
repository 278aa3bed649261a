//! Files outside repositories: written where no file is, or over one that did not change since the bottle got it.

use super::{AutorunConsent, is_plain, kind_here};
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
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Copies the bottle's files that are in no repository.
///
/// # Errors
/// `UserError` where files here were changed by themselves; those stay as they are.
pub fn apply(session: &SessionWork, reader: &HomeReader, autorun: &mut AutorunConsent) -> Result<Exit> {
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
    let unwanted = match autorun.left_out(&place, &changes)? {
        ControlFlow::Continue(unwanted) => unwanted,
        ControlFlow::Break(exit) => return Ok(exit),
    };
    // A file that changed here after that time is not the one that the agent began with.
    let since = copied.and_then(|_| session.folder.born());
    let mut skipped = 0;
    for path in changes.keys().filter(|path| !unwanted.contains(*path)) {
        let (from, to) = (fresh.path().join(path), place.join(path));
        if !is_plain(&place, path.parent().unwrap_or(Path::new(""))) || !may_be_replaced(&from, &to, since)? {
            say::line(&format!("not overwritten: {}", text::path(path)));
            skipped += 1;
            continue;
        }
        let folder = to.parent().unwrap_or(&place);
        fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::copy(&mut fs::File::open(&from)?, &mut file)?;
        let mode = if fs::metadata(&from)?.mode() & 0o100 != 0 { 0o755 } else { 0o644 };
        file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        file.persist(&to).with_context(|| format!("cannot write `{}`", to.display()))?;
        say::out(&format!("{}\n", text::path(path)))?;
    }
    match skipped {
        0 => Ok(Exit::OK),
        _ => {
            Err(UserError::new(format!("{skipped} of the files are here already, and other than the agent found them"))
                .hint("move them away, then type this again")
                .into())
        }
    }
}

/// A file that may be run, by its mode or by its first two bytes, is a program. It is a plain file of ours.
fn loose_kind(path: &Path) -> FileKind {
    let mut first = [0; 2];
    let is_script = fs::File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == *b"#!";
    if is_script { FileKind::Executable } else { kind_here(path) }
}

/// May `to` be written? Yes where no file is there, one with the same content, or one unchanged since the bottle got it.
fn may_be_replaced(from: &Path, to: &Path, since: Option<std::time::SystemTime>) -> Result<bool> {
    let Ok(meta) = fs::symlink_metadata(to) else { return Ok(true) };
    if !meta.is_file() {
        return Ok(false);
    }
    let changed =
        std::time::UNIX_EPOCH + std::time::Duration::from_secs(u64::try_from(meta.ctime()).unwrap_or(u64::MAX));
    // Times are in whole seconds: a file that changed in the second of the copy counts as changed.
    if since.is_some_and(|since| changed + std::time::Duration::from_secs(1) <= since) {
        return Ok(true);
    }
    have_same_content(from, to)
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
