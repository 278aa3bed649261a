//! Files on their way to their places in a directory: all of them are written beside their places first, and then all are
//! put there, or none is.
//!
//! Invariant: no link is followed below the directory, and an error puts everything back that was changed.

use crate::cmd::work::place::is_plain;
use crate::exit::UserError;
use crate::text;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempPath};

/// Beginning of the names of files that wait beside their places.
const PREFIX: &str = ".claude-bottle-";

pub struct Placement<'a> {
    root: &'a Path,
    files: Vec<PlacedFile>,
}

/// One file, relative to the root.
struct PlacedFile {
    path: PathBuf,
    /// `None`: the file is removed.
    content: Option<TempPath>,
    existing: Existing,
}

/// What happens to a file that is there.
#[derive(Clone, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is placed.
    Keep,
    /// It is replaced, if it still is what it was when that was decided.
    Replace(FileStamp),
}

/// What tells that a file is another one than before, or has changed: its inode, its length, and its times of change in
/// seconds and nanoseconds. `None`: no file is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStamp(Option<(u64, u64, [i64; 4])>);

impl FileStamp {
    pub fn of(path: &Path) -> FileStamp {
        let of_file = |meta: fs::Metadata| {
            (meta.ino(), meta.len(), [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()])
        };
        FileStamp(path.symlink_metadata().ok().filter(|meta| !meta.is_dir()).map(of_file))
    }
}

/// What takes a change back.
enum Undo {
    /// Removes a file that was new.
    Remove(PathBuf),
    /// Puts the file of the first path, which was there before, back to the second.
    PutBack(TempPath, PathBuf),
    RemoveFolder(PathBuf),
    MakeFolder(PathBuf),
}

impl<'a> Placement<'a> {
    pub fn new(root: &'a Path) -> Placement<'a> {
        Placement { root, files: Vec::new() }
    }

    /// Adds a copy of the file or link `from`, with this mode if it is a file.
    ///
    /// # Errors
    /// It cannot be read, or there is no room for it.
    pub fn add(&mut self, path: &Path, from: &Path, mode: u32, existing: Existing) -> Result<(), UserError> {
        let folder = self.folder_of(path);
        let written = || -> io::Result<TempPath> {
            if from.is_symlink() {
                return same_link(from, &folder);
            }
            let mut file = temporary(&folder)?;
            io::copy(&mut fs::File::open(from)?, &mut file)?;
            file.as_file().set_permissions(PermissionsExt::from_mode(mode))?;
            Ok(file.into_temp_path())
        };
        let content = written().map_err(|error| failed("write", &self.root.join(path), &error))?;
        self.files.push(PlacedFile { path: path.to_owned(), content: Some(content), existing });
        Ok(())
    }

    /// Adds the removal of a file that still is what it was.
    pub fn remove(&mut self, path: &Path, was: FileStamp) {
        self.files.push(PlacedFile { path: path.to_owned(), content: None, existing: Existing::Replace(was) });
    }

    /// The nearest folder of this path that is there, for what waits to be moved to it.
    fn folder_of(&self, path: &Path) -> PathBuf {
        let mut folders = path.ancestors().skip(1).map(|folder| self.root.join(folder));
        folders.find(|folder| folder.symlink_metadata().is_ok_and(|meta| meta.is_dir())).unwrap_or(self.root.to_owned())
    }

    /// Puts all files in their places; those that stayed, because another process has made one there since.
    ///
    /// # Errors
    /// Then everything is as it was before.
    pub fn finish(self) -> Result<Vec<PathBuf>, UserError> {
        for file in &self.files {
            let place = self.root.join(&file.path);
            if matches!(&file.existing, Existing::Replace(was) if *was != FileStamp::of(&place)) {
                return Err(UserError::new(format!("`{}` was changed here in the meantime", text::path(&place))));
            }
        }
        let (mut done, mut kept) = (Vec::new(), Vec::new());
        let (removed, placed): (Vec<_>, Vec<_>) = self.files.into_iter().partition(|file| file.content.is_none());
        // A folder may come where a file was, and the other way round.
        for file in removed.into_iter().chain(placed) {
            let place = self.root.join(&file.path);
            match place_one(self.root, file, &mut done) {
                Ok(None) => {}
                Ok(Some(path)) => kept.push(path),
                Err(error) => {
                    let lost = done.into_iter().rev().filter_map(|undo| take_back(undo).err()).count();
                    let error = failed("write", &place, &error);
                    return Err(match lost {
                        0 => error,
                        _ => UserError::new(format!("{}; and {lost} files could not be put back", error.what)),
                    });
                }
            }
        }
        Ok(kept)
    }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> UserError {
    UserError::new(format!("cannot {what} `{}`: {error}", text::path(path)))
}

fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder)
}

/// Another link to where `link` leads.
fn same_link(link: &Path, folder: &Path) -> io::Result<TempPath> {
    let made = tempfile::Builder::new().prefix(PREFIX).make_in(folder, |at| symlink(fs::read_link(link)?, at));
    Ok(made?.into_temp_path())
}

/// Puts one file in its place, and notes what takes that back. The path of one that stays.
fn place_one(root: &Path, file: PlacedFile, done: &mut Vec<Undo>) -> io::Result<Option<PathBuf>> {
    let PlacedFile { path, content, existing } = file;
    let place = root.join(&path);
    let folder = path.parent().unwrap_or(Path::new(""));
    if !is_plain(root, folder) {
        return Err(io::Error::other("it is behind a link or a file"));
    }
    let here = place.symlink_metadata().ok();
    let Some(content) = content else {
        if here.is_none() {
            return Ok(None);
        }
        done.push(Undo::PutBack(second_name(&place, root)?, place.clone()));
        fs::remove_file(&place)?;
        for folder in folder.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
            // One with other files in it stays.
            if fs::remove_dir(root.join(folder)).is_err() {
                break;
            }
            done.push(Undo::MakeFolder(root.join(folder)));
        }
        return Ok(None);
    };
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !root.join(folder).is_dir()).collect();
    for folder in missing.into_iter().rev() {
        fs::create_dir(root.join(folder))?;
        done.push(Undo::RemoveFolder(root.join(folder)));
    }
    let is_kept = existing == Existing::Keep;
    match (existing, here) {
        (Existing::Replace(_), Some(meta)) if !meta.is_dir() => {
            done.push(Undo::PutBack(second_name(&place, root)?, place.clone()));
            content.persist(&place)?;
        }
        _ => match content.persist_noclobber(&place) {
            Ok(()) => done.push(Undo::Remove(place)),
            Err(error) if is_kept && error.error.kind() == ErrorKind::AlreadyExists => {
                return Ok(Some(path));
            }
            Err(error) => return Err(error.error),
        },
    }
    Ok(None)
}

/// A second name of a file, in a folder that is not going to be removed; a copy where that cannot be.
fn second_name(place: &Path, folder: &Path) -> io::Result<TempPath> {
    let linked = tempfile::Builder::new().prefix(PREFIX).make_in(folder, |at| {
        nix::unistd::linkat(nix::fcntl::AT_FDCWD, place, nix::fcntl::AT_FDCWD, at, nix::fcntl::AtFlags::empty())
            .map_err(io::Error::from)
    });
    if let Ok(named) = linked {
        return Ok(named.into_temp_path());
    }
    if place.is_symlink() {
        return same_link(place, folder);
    }
    let copy = temporary(folder)?.into_temp_path();
    fs::copy(place, &copy)?;
    Ok(copy)
}

fn take_back(undo: Undo) -> io::Result<()> {
    match undo {
        Undo::Remove(path) => fs::remove_file(path),
        // On another file system it is copied.
        Undo::PutBack(from, to) => from.persist(&to).or_else(|error| fs::copy(&error.path, &to).map(drop)),
        Undo::RemoveFolder(path) => fs::remove_dir(path),
        Undo::MakeFolder(path) => fs::create_dir(path),
    }
}
