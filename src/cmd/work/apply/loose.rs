//! Files outside repositories: written where no file is, and over one that is here as it went in, or as it was written here
//! before. Over any other only after a question about that.

use super::placement::{Existing, FileStamp, Placement};
use super::{kind_here, nothing_changed};
use crate::cmd::home_reader::HomeReader;
use crate::cmd::work::SessionWork;
use crate::cmd::work::autorun::{FileKind, is_in_git_folder};
use crate::cmd::work::file_consent::FileConsent;
use crate::cmd::work::place::is_plain;
use crate::exit::{Exit, UserError};
use crate::probe;
use crate::say;
use crate::state::{self, Brought, BroughtFile, TooLarge, budget};
use crate::text;
use anyhow::Result;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use wire::{Blob, ContentHash, WrittenFile};

/// Mode bits that let anyone run a file.
const EXECUTABLE: u32 = 0o111;

/// Copies the bottle's files that are in no repository.
///
/// # Errors
/// `UserError` where other files are here; without a yes they stay as they are.
pub fn apply(session: &SessionWork, reader: &HomeReader, consent: &mut FileConsent) -> Result<Exit> {
    let fresh = tempfile::tempdir_in(session.folder.path())?;
    let mut question = reader.ask(&["work", "files"], Vec::new())?;
    let unpacked = state::unpack(&mut question, fresh.path(), budget::LOOSE_FILES);
    if let Err(error) = &unpacked
        && let Some(bound) = error.downcast_ref::<TooLarge>()
    {
        let hint = "pack what you want of them in the bottle, and bring it with `claude-bottle get`";
        return Err(UserError::new(format!("the files outside repositories are too much: {bound}")).hint(hint).into());
    }
    unpacked.map_err(|error| nothing_changed(&UserError::new(format!("{error:#}"))))?;
    question.expect_success()?;
    // An agent may not write git's own files, whatever the user consents to.
    let (gits, paths): (Vec<_>, Vec<_>) =
        files_below(fresh.path())?.into_iter().partition(|path| is_in_git_folder(path));
    for path in gits {
        say::line(&format!("stays in the bottle: {}", text::path(&path)));
    }
    let copied = session.plan.workspace.as_ref();
    let place = copied.map_or_else(probe::current_dir, |workspace| Ok(workspace.from.clone()))?;
    let mut brought = session.folder.brought();
    let known = Known::new(&place, &session.folder.went_in(), &brought);
    let mut changes = BTreeMap::new();
    let mut kept = Vec::new();
    for path in paths {
        let was = FileStamp::of(&place.join(&path));
        match known.judge(&path, &fresh.path().join(&path))? {
            State::Same => brought.note_file(known.written(&path, &fresh.path().join(&path))?),
            State::Taken => kept.push(path),
            state => drop(changes.insert(path, (state, was))),
        }
    }
    let kinds = changes.keys().map(|path| (path.clone(), loose_kind(&fresh.path().join(path)))).collect();
    let unwanted = match consent.left_out(&place, &kinds)? {
        ControlFlow::Continue(unwanted) => unwanted,
        ControlFlow::Break(exit) => return Ok(exit),
    };
    FileConsent::hint_at_left_out(&unwanted);
    changes.retain(|path, _| !unwanted.contains(path));
    let differ: Vec<&Path> =
        changes.iter().filter(|(_, (state, _))| *state == State::Changed).map(|(path, _)| path.as_path()).collect();
    let replaced = match consent.replaced(&differ)? {
        ControlFlow::Continue(answer) => answer,
        ControlFlow::Break(exit) => return Ok(exit),
    };
    let mut placement = Placement::new(&place);
    let mut written = Vec::new();
    for (path, (state, was)) in changes {
        let existing = match state {
            State::Changed if !replaced => {
                kept.push(path);
                continue;
            }
            State::New => Existing::Keep,
            _ => Existing::Replace(was),
        };
        let from = fresh.path().join(&path);
        placement.add(&path, &from, known.mode(&path, &from)?, existing).map_err(|error| nothing_changed(&error))?;
        written.push(known.written(&path, &from)?);
    }
    kept.extend(placement.finish().map_err(|error| nothing_changed(&error))?);
    for file in written {
        let path = Path::new(OsStr::from_bytes(&file.after.path.0));
        if !kept.iter().any(|kept| kept == path) {
            say::out(&format!("{}\n", text::path(path)))?;
            brought.note_file(file);
        }
    }
    if !brought.is_empty() {
        session.folder.set_brought(&brought)?;
    }
    kept.sort();
    for path in &kept {
        say::line(&format!("not overwritten: {}", text::path(path)));
    }
    match kept.len() {
        0 => Ok(Exit::OK),
        count => Err(UserError::new(format!("{count} of the files are here already, with other contents"))
            .hint("type this again on a terminal to be asked, or move them away before")
            .into()),
    }
}

/// What is known of the files here, by their paths.
struct Known<'a> {
    root: &'a Path,
    /// As they went in, or as they were written here last.
    files: BTreeMap<PathBuf, Vec<WrittenFile>>,
}

/// What a file of the bottle finds in its place.
#[derive(PartialEq, Eq)]
enum State {
    /// The file is here as it is there.
    Same,
    /// Nothing is there.
    New,
    /// A file that no user has changed since it went in, or was written here.
    Untouched,
    /// A file with other content.
    Changed,
    /// Something that is no file, or it is behind a link.
    Taken,
}

impl<'a> Known<'a> {
    fn new(root: &'a Path, went_in: &[WrittenFile], brought: &Brought) -> Known<'a> {
        let mut files: BTreeMap<PathBuf, Vec<WrittenFile>> = BTreeMap::new();
        let written = brought.files.iter().filter(|file| file.root == root).map(|file| &file.after);
        for file in went_in.iter().chain(written) {
            files.entry(OsStr::from_bytes(&file.path.0).into()).or_default().push(file.clone());
        }
        Known { root, files }
    }

    fn of(&self, path: &Path) -> &[WrittenFile] {
        self.files.get(path).map_or(&[], Vec::as_slice)
    }

    /// Compares the place of this file with `fresh`, which is to come there.
    fn judge(&self, path: &Path, fresh: &Path) -> Result<State> {
        let place = self.root.join(path);
        let here = fs::symlink_metadata(&place).ok();
        if !is_plain(self.root, path.parent().unwrap_or(Path::new(""))) || here.as_ref().is_some_and(|m| !m.is_file()) {
            return Ok(State::Taken);
        }
        let Some(meta) = here else { return Ok(State::New) };
        let content = content(&place)?;
        let is_executable = meta.mode() & 0o100 != 0;
        if content == self::content(fresh)? && is_executable == (self.mode(path, fresh)? & 0o100 != 0) {
            return Ok(State::Same);
        }
        match self.of(path).iter().any(|known| known.content == content) {
            true => Ok(State::Untouched),
            false => Ok(State::Changed),
        }
    }

    /// The mode of this file once it is here. Whether a file may be run stays as it is here, unless the agent has changed it.
    fn mode(&self, path: &Path, fresh: &Path) -> Result<u32> {
        let executable = is_executable(fresh)?;
        let here = fs::symlink_metadata(self.root.join(path)).ok().map(|meta| meta.mode() & 0o777);
        Ok(match (here, self.of(path).last()) {
            (Some(here), Some(known)) if known.executable == executable => here,
            (Some(here), Some(_)) if executable => here | EXECUTABLE & (here >> 2),
            (Some(here), Some(_)) => here & !EXECUTABLE,
            _ if executable => 0o755,
            _ => 0o644,
        })
    }

    /// The note that `fresh` was written here, or is here all the same.
    fn written(&self, path: &Path, fresh: &Path) -> Result<BroughtFile> {
        let before = content(&self.root.join(path)).ok();
        let after = WrittenFile {
            path: Blob(path.as_os_str().as_bytes().to_vec()),
            content: content(fresh)?,
            executable: is_executable(fresh)?,
        };
        let before = before.filter(|before| *before != after.content);
        Ok(BroughtFile { root: self.root.to_owned(), before, after })
    }
}

fn content(path: &Path) -> std::io::Result<ContentHash> {
    ContentHash::of(fs::File::open(path)?)
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
