//! What of a directory goes into a workspace: git's own list where there is a repository, everything elsewhere.

use super::export::{export, export_bare, is_git_directory};
use crate::exit::UserError;
use crate::facts::Workspace;
use crate::git::{self, Git};
use crate::spec::Copied;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where an entry's content is.
#[derive(Debug, Clone)]
pub enum From {
    Disk(PathBuf),
    Text(Vec<u8>),
}

/// One entry: its path in the workspace.
pub struct Entry<'a> {
    pub inside: &'a Path,
    pub from: &'a From,
}

#[derive(Debug)]
pub struct Survey {
    pub found: Workspace,
    what: Copied,
    /// By path in the workspace: a folder comes before what is in it.
    entries: BTreeMap<PathBuf, From>,
}

/// Looks at a directory.
///
/// # Errors
/// `UserError` for a directory that is no project's, for one that cannot be read, for a repository that git does not read.
pub fn survey(from: &Path, what: Copied, private: &[PathBuf]) -> Result<Survey, UserError> {
    let from = from.canonicalize().map_err(|error| unreadable(from, &error))?;
    if let Some(path) = private.iter().find(|path| path.starts_with(&from)) {
        return Err(UserError::new(format!(
            "`--cwd` would copy all of `{}`, and `{}` in it",
            from.display(),
            path.display()
        ))
        .hint("go to the directory of one project"));
    }
    let mut to_top = from.ancestors().take_while(|path| path.join(".git").symlink_metadata().is_err());
    if to_top.any(|path| path.ends_with(".git") || is_git_directory(path)) {
        return Err(UserError::new(format!("`{}` is inside a repository's own directory", from.display()))
            .hint("go to a worktree of it, or make one (`git worktree add`)"));
    }
    let found = Workspace { from: from.clone(), files: 0, bytes: 0, repositories: Vec::new(), within: None };
    let mut survey = Survey { found, what, entries: BTreeMap::new() };
    survey.entries.insert(PathBuf::new(), From::Disk(from.clone()));
    if from.join(".git").symlink_metadata().is_ok() {
        survey.repository(Path::new(""))?;
    } else {
        survey.found.within = git::top(&from).unwrap_or_default();
        match (what, &survey.found.within) {
            (Copied::Unignored, Some(_)) => survey.listed(Path::new(""))?,
            _ => survey.walked(Path::new(""))?,
        }
    }
    survey.count();
    Ok(survey)
}

impl Survey {
    /// The same directory as it is now; `None` where it cannot be read any more.
    pub fn again(&self) -> Option<Survey> {
        survey(&self.found.from, self.what, &[]).ok()
    }

    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter().map(|(inside, from)| Entry { inside, from })
    }

    /// Of what has no time of its own.
    pub fn time(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        i64::try_from(now).unwrap_or(0)
    }

    /// A repository's worktree and its `.git`.
    fn repository(&mut self, path: &Path) -> Result<(), UserError> {
        let Some(exported) = export(&self.disk(path))? else { return self.walked(path) };
        match self.what {
            Copied::Unignored => self.listed(path)?,
            Copied::All => self.walked(path)?,
        }
        let name = if path.as_os_str().is_empty() { ".".to_owned() } else { path.to_string_lossy().into_owned() };
        self.found.repositories.push(name);
        let git = path.join(".git");
        for (below, from) in exported {
            self.put(git.join(below), from);
        }
        Ok(())
    }

    /// A repository without a worktree, in its place.
    fn bare(&mut self, path: &Path) -> Result<(), UserError> {
        if matches!(self.entries.get(&path.join("config")), Some(From::Text(_))) {
            return Ok(());
        }
        for (below, from) in export_bare(&self.disk(path))? {
            self.put(path.join(below), from);
        }
        Ok(())
    }

    /// What git tracks, or does not ignore.
    fn listed(&mut self, path: &Path) -> Result<(), UserError> {
        let folder = self.disk(path);
        let args = ["ls-files", "-z", "-t", "--cached", "--others", "--exclude-standard"];
        let said = Git::offline(&folder).args(args).run(Vec::new())?;
        if !said.is_success() {
            return Err(UserError::new(format!("git does not read `{}`: {}", folder.display(), said.error_line())));
        }
        // Files of one folder follow one another: one look is enough for them.
        let mut last = (PathBuf::from("/"), Place::Elsewhere);
        // A tag and a space stand before each name.
        for field in said.fields().filter(|field| field.len() > 2) {
            let path = path.join(OsString::from_vec(field[2..].to_vec()));
            let above = path.parent().unwrap_or(Path::new(""));
            if last.0 != above {
                last = (above.to_owned(), self.place(above));
            }
            match &last.1 {
                Place::Elsewhere => {}
                // What is tracked is in the history as it is.
                Place::Bare(folder) if field[0] == b'?' => self.bare(folder)?,
                _ => self.entry(&path)?,
            }
        }
        Ok(())
    }

    /// One that git lists.
    fn entry(&mut self, path: &Path) -> Result<(), UserError> {
        if path.file_name().is_none_or(is_git) {
            return Ok(());
        }
        // A folder's has a slash at its end.
        let path: PathBuf = path.components().collect();
        let disk = self.disk(&path);
        // Deleted, and not committed yet; or not checked out.
        let Ok(meta) = disk.symlink_metadata() else { return Ok(()) };
        self.put(path.clone(), From::Disk(disk.clone()));
        // A submodule, or a repository that nobody tracks.
        if meta.is_dir() && disk.join(".git").symlink_metadata().is_ok() {
            self.repository(&path)?;
        }
        Ok(())
    }

    /// All there is.
    fn walked(&mut self, path: &Path) -> Result<(), UserError> {
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            let disk = self.found.from.join(&folder);
            let entries = fs::read_dir(&disk).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            for entry in entries.map_err(|error| unreadable(&disk, &error))? {
                let path = folder.join(entry.file_name());
                if entry.file_name() == ".git" {
                    continue;
                }
                self.put(path.clone(), From::Disk(entry.path()));
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                match entry.path().join(".git").symlink_metadata() {
                    Ok(_) => self.repository(&path)?,
                    Err(_) if is_git_directory(&entry.path()) => self.bare(&path)?,
                    Err(_) => folders.push(path),
                }
            }
        }
        Ok(())
    }

    /// Where a folder is that git lists something in. An index may list anything: git looks at its names when they are
    /// added, not when they are read.
    fn place(&self, folder: &Path) -> Place {
        let plain = |part| matches!(part, Component::Normal(name) if !is_git(name));
        let is_folder = |path: &Path| self.disk(path).symlink_metadata().is_ok_and(|meta| meta.is_dir());
        if !folder.components().all(plain) || !folder.ancestors().all(is_folder) {
            return Place::Elsewhere;
        }
        let bare = folder.ancestors().find(|folder| is_git_directory(&self.disk(folder)));
        bare.map_or(Place::Own, |bare| Place::Bare(bare.to_owned()))
    }

    fn disk(&self, path: &Path) -> PathBuf {
        // Joined with nothing, a path would end in a slash.
        if path.as_os_str().is_empty() { self.found.from.clone() } else { self.found.from.join(path) }
    }

    /// With the folders above it.
    fn put(&mut self, inside: PathBuf, from: From) {
        let above: Vec<PathBuf> = inside.ancestors().skip(1).map(Path::to_owned).collect();
        for folder in above {
            if self.entries.contains_key(&folder) {
                break;
            }
            // Those of an exported `.git` are like the directory that it is in.
            let disk = self.found.from.join(&folder);
            let disk = if disk.is_dir() { disk } else { self.found.from.clone() };
            self.entries.insert(folder, From::Disk(disk));
        }
        self.entries.insert(inside, from);
    }

    fn count(&mut self) {
        for from in self.entries.values() {
            let size = match from {
                From::Text(text) => Some(text.len() as u64),
                From::Disk(path) => {
                    fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map(|meta| meta.len())
                }
            };
            if let Some(size) = size {
                self.found.files += 1;
                self.found.bytes += size;
            }
        }
    }
}

enum Place {
    Own,
    /// In this repository without a worktree.
    Bare(PathBuf),
    /// Not below the directory, behind a link, or in a `.git`.
    Elsewhere,
}

fn is_git(name: &OsStr) -> bool {
    name.eq_ignore_ascii_case(".git")
}

pub fn unreadable(path: &Path, error: &std::io::Error) -> UserError {
    UserError::new(format!("cannot read `{}`: {error}", path.display()))
}
