//! Where a repository of a bottle belongs here: at its path below the directory that was copied in. Where nothing is there, a
//! new one is made.
//!
//! Invariant: nothing that is here is written over, no link is followed below the directory, and nothing is made in a `.git`.

use super::autorun::{FileKind, is_in_git_folder};
use super::file_consent::FileConsent;
use super::{SessionWork, expect_placeable};
use crate::exit::{Exit, UserError};
use crate::git::{CleanRepository, Repository, init, plain_ref, split_entry};
use crate::hint;
use crate::probe;
use crate::say;
use crate::text;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The branch of a new repository where the bottle's has no plain name.
const DEFAULT_BRANCH: &str = "main";

pub enum LocalPlace {
    Here(CleanRepository),
    Absent(AbsentPlace),
}

/// Nothing is here, or an empty folder.
pub struct AbsentPlace {
    root: PathBuf,
    /// Relative to `root`; empty for `root` itself.
    below: PathBuf,
}

/// A repository that was made here. It is removed again on drop, unless it is kept.
pub struct NewRepository {
    place: AbsentPlace,
    folders: Vec<PathBuf>,
    is_kept: bool,
}

impl SessionWork {
    /// # Errors
    /// `UserError` where something else is here, or the repository cannot be read.
    pub fn place_of(&self, repository: &str) -> Result<LocalPlace> {
        let below = path_below(repository)?;
        let copied = self.plan.workspace.as_ref().map(|workspace| workspace.from.clone());
        let is_copied = copied.is_some();
        let root = copied.map_or_else(probe::current_dir, Ok)?;
        let place = if below.as_os_str().is_empty() { root.clone() } else { root.join(&below) };
        if !is_plain(&root, &below) {
            return Err(UserError::new(format!("`{}` is behind a link or a file", text::path(&place))).into());
        }
        if place.join(".git").symlink_metadata().is_ok() {
            let top = place.canonicalize()?;
            if let Some(found) = Repository::find(&top)?.filter(|found| found.top == top) {
                return Ok(LocalPlace::Here(CleanRepository::new(found)?));
            }
        }
        if !is_copied && let Some(around) = Repository::find(&root)? {
            return Ok(LocalPlace::Here(CleanRepository::new(around)?));
        }
        let mut entries = match fs::read_dir(&place) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(AbsentPlace::found(root, below)),
            entries => entries.map_err(|error| UserError::unreadable(&place, &error))?,
        };
        match entries.next() {
            None => Ok(AbsentPlace::found(root, below)),
            Some(_) if is_copied => {
                Err(UserError::new(format!("`{}` is here, and is no git repository", text::path(&place)))
                    .hint(hint!("`git init {}` makes it one; or move it away", place.display()))
                    .into())
            }
            Some(_) => Err(UserError::new(format!("`{}` is in no git repository", text::path(&place)))
                .hint("go to the repository that it belongs to, and type this again")
                .into()),
        }
    }

    /// The repository here to which one of the bottle belongs.
    ///
    /// # Errors
    /// As for [`SessionWork::place_of`]; and there is none.
    pub fn local_repository(&self, repository: &str) -> Result<CleanRepository> {
        match self.place_of(repository)? {
            LocalPlace::Here(found) => Ok(found),
            LocalPlace::Absent(place) => Err(place.none().into()),
        }
    }
}

/// The path of a repository of the bottle, checked.
pub fn path_below(repository: &str) -> Result<PathBuf, UserError> {
    if repository == "." {
        return Ok(PathBuf::new());
    }
    let path = Path::new(repository);
    let is_plain = !repository.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)));
    match is_plain && !is_in_git_folder(path) {
        true => Ok(path.to_owned()),
        false => Err(UserError::new(format!("`{}` is no place for a repository", text::one_line(repository)))),
    }
}

/// Is every existing component of the path `below` under `root` a directory, and none a symlink?
pub fn is_plain(root: &Path, below: &Path) -> bool {
    below.ancestors().filter(|path| !path.as_os_str().is_empty()).all(|path| {
        let found = std::fs::symlink_metadata(root.join(path));
        found.map_or(true, |meta| meta.is_dir())
    })
}

impl AbsentPlace {
    fn found(root: PathBuf, below: PathBuf) -> LocalPlace {
        LocalPlace::Absent(AbsentPlace { root, below })
    }

    pub fn path(&self) -> PathBuf {
        if self.below.as_os_str().is_empty() { self.root.clone() } else { self.root.join(&self.below) }
    }

    /// The error where a repository is wanted.
    pub fn none(&self) -> UserError {
        UserError::new(format!("no git repository is at `{}`", text::path(&self.path())))
    }

    /// Makes an empty repository. `format`: its hash, as git names it.
    pub fn make(self, format: &str) -> Result<NewRepository> {
        let mut new = NewRepository { place: self, folders: Vec::new(), is_kept: false };
        let missing: Vec<PathBuf> = new
            .place
            .below
            .ancestors()
            .map(|path| new.place.root.join(path))
            .take_while(|path| !path.is_dir())
            .collect();
        for folder in missing.into_iter().rev() {
            fs::create_dir(&folder).with_context(|| format!("cannot make `{}`", text::path(&folder)))?;
            new.folders.push(folder);
        }
        init(&new.place.path(), format, DEFAULT_BRANCH)?;
        Ok(new)
    }
}

impl NewRepository {
    pub fn path(&self) -> PathBuf {
        self.place.path()
    }

    /// # Errors
    /// `UserError` if it cannot be read.
    pub fn open(&self) -> Result<CleanRepository> {
        let none = || self.place.none();
        Ok(CleanRepository::new(Repository::find(&self.path())?.ok_or_else(none)?)?)
    }

    pub fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Checks out this commit: on the branch of this name, or on none. Files that run by themselves are written only after a
    /// yes; breaks with an exit code after a signal.
    ///
    /// # Errors
    /// `UserError` if git fails.
    pub fn check_out(
        &self,
        commit: &str,
        branch: Option<&str>,
        consent: &mut FileConsent,
    ) -> Result<ControlFlow<Exit>> {
        let clean = self.open()?.with_user_data()?;
        let listed = clean.query(&["ls-tree", "-r", "-z", "--full-tree", commit])?;
        let (mut files, mut ids) = (BTreeMap::new(), Vec::new());
        for (path, about) in listed.fields().filter_map(split_entry) {
            let about = String::from_utf8_lossy(about);
            let word = |number| about.split(' ').nth(number).unwrap_or_default();
            files.insert(path, FileKind::of_mode(u32::from_str_radix(word(0), 8).unwrap_or_default()));
            ids.push(word(2).to_owned());
        }
        expect_placeable(clean.total_size(clean.git(), ids.iter().map(String::as_str))?, "checked out")?;
        let left_out = match consent.of_repository(&self.place.below).left_out(&self.path(), &files)? {
            ControlFlow::Continue(left_out) => left_out,
            ControlFlow::Break(exit) => return Ok(ControlFlow::Break(exit)),
        };
        let head = match branch.map(branch_name) {
            Some(branch) => {
                let name = format!("refs/heads/{branch}");
                clean.query(&["update-ref", &name, commit])?;
                format!("ref: {name}\n")
            }
            None => format!("{commit}\n"),
        };
        fs::write(clean.repository.own.join("HEAD"), head)?;
        clean.query(&["read-tree", commit])?;
        if !left_out.is_empty() {
            say::hint(hint!("`git -C {} checkout -- .` writes them, too", self.path().display()));
        }
        let wanted = files.keys().filter(|path| !left_out.contains(*path));
        let paths: Vec<u8> = wanted.flat_map(|path| [path.as_os_str().as_bytes(), b"\0"].concat()).collect();
        let git = clean.git().args(["checkout-index", "--quiet", "-u", "-z", "--stdin"]).writes();
        clean.successful(git.run(paths)?)?;
        Ok(ControlFlow::Continue(()))
    }
}

impl Drop for NewRepository {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let _ = fs::remove_dir_all(self.path().join(".git"));
        // One with files in it stays.
        self.folders.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

/// The name of a branch here for one of the bottle; another than that if a shell or an option could read it otherwise.
fn branch_name(branch: &str) -> &str {
    let is_plain = !branch.contains('%') && plain_ref(branch.as_bytes()) == branch;
    let is_option = branch.split('/').any(|part| part.starts_with('-'));
    if is_plain && !is_option && branch != "HEAD" { branch } else { DEFAULT_BRANCH }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_a_place_below_the_directory_alone() {
        for path in ["app", "a b/c", ".hidden", "github"] {
            assert_eq!(path_below(path).unwrap(), Path::new(path));
        }
        for path in ["", "..", "a/../b", "/etc", "./a", ".git", ".git/hooks/x", "a/.GIT/x", "git~1/x", ".git /x"] {
            assert!(path_below(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_branch_here_has_a_plain_name() {
        for (branch, name) in [("main", "main"), ("fix/a-b", "fix/a-b"), ("-x", "main"), ("a/--b", "main")] {
            assert_eq!(branch_name(branch), name);
        }
        for branch in ["a%3Bb", "HEAD"] {
            assert_eq!(branch_name(branch), "main");
        }
    }
}
