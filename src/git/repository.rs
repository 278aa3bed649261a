//! A repository of the host, found and read as data: no git runs in it.
//!
//! Invariant: nothing in it leads to another repository. A git directory other than `.git` in the worktree is used only if it
//! points back, and no link below a git directory is followed.

use super::file::{below, file_below, read_small, refuse_links};
use super::settings::Settings;
use crate::exit::UserError;
use crate::text;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Folders in a row that borrow objects each from the next, as git follows them.
const MAX_ALTERNATES_DEPTH: usize = 5;

/// Folders in one another in which git looks for objects: `objects/info/commit-graphs`.
const STORE_DEPTH: usize = 3;

#[derive(Debug)]
pub struct Repository {
    /// Top folder of the worktree, without links; the git directory itself if there is no worktree.
    pub top: PathBuf,
    /// The git directory of this worktree: `HEAD`, index, operations in progress.
    pub own: PathBuf,
    /// The git directory that all worktrees share: refs, objects, configuration.
    pub shared: PathBuf,
    /// Folders of other repositories from which this one borrows objects.
    pub alternates: Vec<PathBuf>,
    pub settings: Settings,
}

impl Repository {
    /// The repository whose worktree contains `folder`. `None` if there is none, or one without a worktree.
    ///
    /// # Errors
    /// `UserError` for a repository of another user, one that leads to another repository, and one that cannot be read.
    pub fn find(folder: &Path) -> Result<Option<Repository>, UserError> {
        let folder = folder.canonicalize().map_err(|error| UserError::unreadable(folder, &error))?;
        for top in folder.ancestors() {
            if is_git_directory(top) {
                return Ok(None);
            }
            let git = top.join(".git");
            match git.symlink_metadata() {
                // git, too, goes on above a folder of this name that is none of its own.
                Ok(meta) if meta.is_dir() && !is_git_directory(&git) => {}
                Ok(_) => {
                    let repository = Repository::open(top)?;
                    return Ok(repository.has_worktree().then_some(repository));
                }
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// The repository whose worktree is `top`, a path without links. A git directory that is not `top/.git` itself must name
    /// `top` as its worktree, wherever it is: what is not ignored in a directory may lead to what is.
    ///
    /// # Errors
    /// As for [`Repository::find`]; and there is no repository.
    pub fn open(top: &Path) -> Result<Repository, UserError> {
        let git = top.join(".git");
        check_owner(&git)?;
        let own = match git.symlink_metadata() {
            Ok(meta) if meta.is_file() => pointed_at(&git)?,
            // A link to another folder is judged like a file that names it.
            _ => git.canonicalize().map_err(|error| UserError::unreadable(&git, &error))?,
        };
        if !own.is_dir() || own.join("HEAD").symlink_metadata().is_err() {
            return Err(UserError::new(format!("`{}` is not a repository", text::path(&git))));
        }
        let elsewhere = || {
            UserError::new(format!(
                "`{}` leads to `{}`, which does not name this folder as its worktree",
                text::path(&git),
                text::path(&own)
            ))
            .hint("`git worktree repair`, or `git config core.worktree` in that repository, if it is one of yours")
        };
        if below(&own, "commondir")?.is_some() {
            let shared = resolved(&own, &own.join("commondir"))?;
            let is_registered = own.parent() == Some(&shared.join("worktrees"));
            if !is_registered || worktree_of(&own)?.as_deref() != Some(top) {
                return Err(elsewhere());
            }
            return Repository::at(top, own, shared);
        }
        let repository = Repository::at(top, own.clone(), own.clone())?;
        let named = || repository.settings.worktree.as_ref().and_then(|path| own.join(path).canonicalize().ok());
        // Nothing is taken from a bare repository by its worktree, which it has none of.
        let is_bare_here = !repository.has_worktree() && own.starts_with(top);
        if own != git && !is_bare_here && named().as_deref() != Some(top) {
            return Err(elsewhere());
        }
        Ok(repository)
    }

    /// The repository without a worktree whose git directory is `folder`, a path without links.
    ///
    /// # Errors
    /// As for [`Repository::find`].
    pub fn open_bare(folder: &Path) -> Result<Repository, UserError> {
        check_owner(folder)?;
        if below(folder, "commondir")?.is_some() {
            return Err(UserError::new(format!("`{}` is a worktree's part of another repository", text::path(folder))));
        }
        Repository::at(folder, folder.to_owned(), folder.to_owned())
    }

    fn at(top: &Path, own: PathBuf, shared: PathBuf) -> Result<Repository, UserError> {
        let settings = Settings::read(&own, &shared)?;
        check_objects(&shared)?;
        let mut alternates = Vec::new();
        add_alternates(&shared.join("objects"), &mut alternates, MAX_ALTERNATES_DEPTH)?;
        alternates.iter().try_for_each(|store| refuse_pipes(store, STORE_DEPTH))?;
        Ok(Repository { top: top.to_owned(), own, shared, alternates, settings })
    }

    /// Folders of objects: its own, and those from which it borrows.
    pub fn stores(&self) -> impl Iterator<Item = PathBuf> {
        [self.shared.join("objects")].into_iter().chain(self.alternates.iter().cloned())
    }

    /// Folders outside `within` that are read with this repository.
    pub fn outside(&self, within: &Path) -> impl Iterator<Item = &Path> {
        let all = [&self.shared, &self.own].into_iter().chain(&self.alternates);
        all.map(PathBuf::as_path).filter(move |path| !path.starts_with(within))
    }

    /// A regular file of the worktree's own git directory; `None` if it is not there.
    ///
    /// # Errors
    /// `UserError` for a link, a pipe or a folder.
    pub fn own_file(&self, name: &str) -> Result<Option<PathBuf>, UserError> {
        file_below(&self.own, name)
    }

    /// Whether the worktree's own git directory has a folder of this name.
    ///
    /// # Errors
    /// `UserError` for a link.
    pub fn own_folder(&self, name: &str) -> Result<bool, UserError> {
        Ok(below(&self.own, name)?.is_some_and(|meta| meta.is_dir()))
    }

    /// A regular file of the shared git directory; `None` if it is not there.
    ///
    /// # Errors
    /// As for [`Repository::own_file`].
    pub fn shared_file(&self, name: &str) -> Result<Option<PathBuf>, UserError> {
        file_below(&self.shared, name)
    }

    /// The list of ignored files that the repository's `core.excludesFile` names, if it is in the worktree.
    ///
    /// # Errors
    /// As for [`Repository::own_file`].
    pub fn own_excludes(&self) -> Result<Option<PathBuf>, UserError> {
        let Some((_, name)) = self.settings.all.iter().rfind(|(key, _)| key == "core.excludesfile") else {
            return Ok(None);
        };
        let is_plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if is_plain { file_below(&self.top, name) } else { Ok(None) }
    }

    /// A bare repository has none of its own; those that were added to it are worktrees all the same.
    pub fn has_worktree(&self) -> bool {
        !self.settings.bare || self.own != self.shared
    }

    /// Does it lack objects on purpose, which it would fetch when they are wanted?
    pub fn is_partial(&self) -> bool {
        let packs = fs::read_dir(self.shared.join("objects/pack"));
        packs.into_iter().flatten().flatten().any(|entry| entry.path().extension() == Some("promisor".as_ref()))
    }
}

/// Whether this directory is a git directory, whatever its name. These are git's own criteria.
pub fn is_git_directory(folder: &Path) -> bool {
    folder.join("HEAD").symlink_metadata().is_ok() && folder.join("objects").is_dir() && folder.join("refs").is_dir()
}

/// Checks as git does that a repository of another user decides nothing here.
fn check_owner(git: &Path) -> Result<(), UserError> {
    let Ok(meta) = git.symlink_metadata() else { return Ok(()) };
    let user = nix::unistd::geteuid().as_raw();
    let behind_sudo = || std::env::var("SUDO_UID").ok().and_then(|id| id.parse().ok()) == Some(meta.uid());
    if meta.uid() == user || (user == 0 && behind_sudo()) || Settings::user_trusts(git.parent().unwrap_or(git))? {
        return Ok(());
    }
    Err(UserError::new(format!("`{}` belongs to another user", text::path(git)))
        .hint("`git config --global --add safe.directory FOLDER`, if you trust them"))
}

/// The git directory that a file `.git` names.
fn pointed_at(git: &Path) -> Result<PathBuf, UserError> {
    let bytes = read_small(git)?.unwrap_or_default();
    let path = bytes.strip_prefix(b"gitdir: ");
    let path = path.ok_or_else(|| UserError::new(format!("`{}` is not a repository", text::path(git))))?;
    canonical(git.parent().unwrap_or(git), path, git)
}

/// The folder that a file below `folder` names.
fn resolved(folder: &Path, file: &Path) -> Result<PathBuf, UserError> {
    canonical(folder, &read_small(file)?.unwrap_or_default(), file)
}

fn canonical(folder: &Path, path: &[u8], named_in: &Path) -> Result<PathBuf, UserError> {
    let path = folder.join(OsString::from_vec(path.trim_ascii_end().to_vec()));
    path.canonicalize().map_err(|error| {
        UserError::new(format!("`{}` leads to `{}`: {error}", text::path(named_in), text::path(&path)))
    })
}

/// The worktree that a git directory of one names as its own.
fn worktree_of(own: &Path) -> Result<Option<PathBuf>, UserError> {
    let Some(bytes) = read_small(&own.join("gitdir"))? else { return Ok(None) };
    let git = own.join(OsString::from_vec(bytes.trim_ascii_end().to_vec()));
    let top = git.parent().and_then(|top| top.canonicalize().ok());
    Ok(top.filter(|_| git.ends_with(".git")))
}

/// Checks that only files and folders are below the repository's objects.
fn check_objects(shared: &Path) -> Result<(), UserError> {
    match below(shared, "objects")? {
        Some(_) => refuse_links(&shared.join("objects")),
        None => Ok(()),
    }
}

/// Checks that git finds no pipe where a store of borrowed objects has a file: it would wait for ever. A store of the
/// user's may have links.
fn refuse_pipes(store: &Path, depth: usize) -> Result<(), UserError> {
    for entry in fs::read_dir(store).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = match entry.file_type() {
            Ok(kind) if !kind.is_symlink() => Some(kind),
            _ => path.metadata().ok().map(|meta| meta.file_type()),
        };
        match kind {
            Some(kind) if kind.is_dir() && depth > 1 => refuse_pipes(&path, depth - 1)?,
            Some(kind) if !kind.is_dir() && !kind.is_file() => {
                return Err(UserError::new(format!("`{}` is not a file", text::path(&path))));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Adds the folders from which the objects in `store` are borrowed, as git finds them.
fn add_alternates(store: &Path, found: &mut Vec<PathBuf>, depth: usize) -> Result<(), UserError> {
    let list = store.join("info/alternates");
    let bytes = read_small(&list)?.unwrap_or_default();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#') {
        if line[0] == b'"' {
            return Err(UserError::new(format!("`{}` has a name in quotes, which is not read", text::path(&list))));
        }
        let Ok(path) = store.join(OsString::from_vec(line.to_vec())).canonicalize() else { continue };
        if !found.contains(&path) && depth > 0 {
            found.push(path.clone());
            add_alternates(&path, found, depth - 1)?;
        }
    }
    Ok(())
}
