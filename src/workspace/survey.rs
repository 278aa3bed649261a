//! Finds what goes from a directory into a workspace: git's own list in a repository, everything elsewhere.

use super::content::Content;
use super::export::export;
use crate::exit::UserError;
use crate::facts::{SparseFile, Workspace};
use crate::git::{Author, CleanRepository, Repository, is_git_directory, user_excludes};
use crate::spec::CopyScope;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Ids of commits that a plan names: each is an argument of git's.
const MAX_TIPS: usize = 4096;

/// Longest part of a file of attributes that is read, in bytes, and most filters that are named.
const MAX_ATTRIBUTES_BYTES: u64 = 1 << 20;
const MAX_FILTERS: usize = 8;
/// Most bytes of holes in a file that is copied.
const MAX_HOLE_BYTES: u64 = 1 << 30;
/// The unit in which a file's room on the disk is counted, in bytes.
const BLOCK_BYTES: u64 = 512;

/// One entry of the workspace.
pub struct Entry<'a> {
    /// Relative to the workspace; empty for the workspace itself.
    pub path: &'a Path,
    pub content: &'a Content,
}

/// What goes into a workspace.
#[derive(Debug)]
pub struct Survey {
    pub found: Workspace,
    /// Commits and tags to which refs of the repositories lead, branches first; at most [`MAX_TIPS`].
    pub tips: Vec<String>,
    selection: CopyScope,
    /// The user's own list of files that no repository wants.
    excludes: OnceCell<Option<PathBuf>>,
    /// By path in the workspace, so that a folder comes before its content.
    entries: BTreeMap<PathBuf, Content>,
}

/// Surveys a directory. `private`: folders that must not be copied as a part of it.
///
/// # Errors
/// `UserError` for a directory that contains a private folder or is inside a git directory, for one that cannot be read,
/// and for a repository that git does not read.
pub fn survey(from: &Path, selection: CopyScope, private: &[PathBuf]) -> Result<Survey, UserError> {
    let from = from.canonicalize().map_err(|error| UserError::unreadable(from, &error))?;
    if let Some(path) = private.iter().find(|path| path.starts_with(&from)) {
        return Err(UserError::new(format!(
            "`--cwd` would copy all of `{}`, and `{}` in it",
            from.display(),
            path.display()
        ))
        .hint("go to the directory of one project"));
    }
    let mut ancestors = from.ancestors().take_while(|path| path.join(".git").symlink_metadata().is_err());
    if ancestors.any(|path| path.ends_with(".git") || is_git_directory(path)) {
        return Err(UserError::new(format!("`{}` is inside a repository's own directory", from.display()))
            .hint("go to a worktree of it, or make one (`git worktree add`)"));
    }
    let found = Workspace {
        from: from.clone(),
        files: 0,
        bytes: 0,
        repositories: Vec::new(),
        outside: Vec::new(),
        within: None,
        author: None,
        all_ignored: false,
        sparse: Vec::new(),
        filters: Vec::new(),
    };
    let mut survey = Survey { found, tips: Vec::new(), selection, excludes: OnceCell::new(), entries: BTreeMap::new() };
    survey.entries.insert(PathBuf::new(), Content::File(from.clone()));
    if from.join(".git").symlink_metadata().is_ok() {
        survey.add_repository(Path::new(""))?;
    } else {
        let around = Repository::find(&from)?;
        // Without a repository, git need not be installed.
        survey.found.author = Author::effective(around.as_ref()).ok().flatten();
        around.iter().for_each(|repository| survey.note_outside(repository, &repository.top));
        survey.found.within = around.as_ref().map(|repository| repository.top.clone());
        match (selection, around) {
            (CopyScope::Unignored, Some(around)) => survey.add_listed(Path::new(""), &CleanRepository::new(around)?)?,
            _ => survey.add_all(Path::new(""))?,
        }
    }
    survey.leave_out_sparse();
    survey.find_filters();
    survey.count_files();
    let is_of_git =
        |path: &Path| path.as_os_str().is_empty() || path.components().any(|part| part.as_os_str() == ".git");
    let has_any =
        || fs::read_dir(&from).is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name() != ".git"));
    survey.found.all_ignored = survey.entries.keys().all(|path| is_of_git(path)) && has_any();
    Ok(survey)
}

impl Survey {
    /// Surveys the directory again, as it is now. `None` if it cannot be read any more.
    pub fn repeat(&self) -> Option<Survey> {
        survey(&self.found.from, self.selection, &[]).ok()
    }

    /// All entries; a folder comes before its content.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter().map(|(path, content)| Entry { path, content })
    }

    /// Modification time of entries that have none of their own: now, in seconds since 1970.
    pub fn time(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        i64::try_from(now).unwrap_or(0)
    }

    /// Is this path of the workspace in no repository there?
    pub fn is_loose(&self, path: &Path) -> bool {
        !self.found.repositories.iter().any(|repository| repository == "." || path.starts_with(repository))
    }

    /// Adds a repository's worktree and its exported `.git`.
    fn add_repository(&mut self, path: &Path) -> Result<(), UserError> {
        let repository = Repository::open(&self.disk(path))?;
        if !repository.has_worktree() {
            return self.add_all(path);
        }
        self.note_outside(&repository, &self.found.from.clone());
        if path.as_os_str().is_empty() {
            self.found.author = Author::effective(Some(&repository))?;
        }
        let clean = CleanRepository::new(repository)?;
        match self.selection {
            CopyScope::Unignored => self.add_listed(path, &clean)?,
            CopyScope::All => self.add_all(path)?,
        }
        let exported = export(clean)?;
        let name = if path.as_os_str().is_empty() { ".".to_owned() } else { path.to_string_lossy().into_owned() };
        self.found.repositories.push(name);
        let git = path.join(".git");
        for (below, content) in exported {
            if let (Content::Bytes(bytes), true) = (&content, below == *"packed-refs") {
                self.note_tips(bytes);
            }
            self.add(git.join(below), content);
        }
        Ok(())
    }

    /// Notes the ids of a file `packed-refs`.
    fn note_tips(&mut self, packed: &[u8]) {
        let ids = packed.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').next());
        let ids = ids.map(|id| String::from_utf8_lossy(id).into_owned()).filter(|id| !id.is_empty());
        for id in ids.take(MAX_TIPS.saturating_sub(self.tips.len())) {
            self.tips.push(id);
        }
    }

    /// Notes which folders of a repository are read that are not in this directory.
    fn note_outside(&mut self, repository: &Repository, within: &Path) {
        for folder in repository.outside(within) {
            if !self.found.outside.iter().any(|known| folder.starts_with(known)) {
                self.found.outside.push(folder.to_owned());
            }
        }
    }

    /// Adds a repository without a worktree, exported, unless it is there already.
    fn add_bare_repository(&mut self, path: &Path) -> Result<(), UserError> {
        if matches!(self.entries.get(&path.join("config")), Some(Content::Bytes(_))) {
            return Ok(());
        }
        let repository = Repository::open_bare(&self.disk(path))?;
        self.note_outside(&repository, &self.found.from.clone());
        for (below, content) in export(CleanRepository::new(repository)?)? {
            self.add(path.join(below), content);
        }
        Ok(())
    }

    /// Adds the files below `path` that git tracks or does not ignore.
    fn add_listed(&mut self, path: &Path, clean: &CleanRepository) -> Result<(), UserError> {
        let listed = clean.files(&self.disk(path), self.excludes()?)?;
        // git lists the files of one folder one after another, so the last folder's location is kept.
        let mut last = (PathBuf::from("/"), Location::Outside);
        // A tag and a space stand before each name.
        for field in listed.fields().filter(|field| field.len() > 2) {
            let path = path.join(OsString::from_vec(field[2..].to_vec()));
            let folder = path.parent().unwrap_or(Path::new(""));
            if last.0 != folder {
                last = (folder.to_owned(), self.locate(folder));
            }
            match &last.1 {
                Location::Outside => {}
                // An untracked file. One that git tracks is in the repository's history anyway, and is copied as it is.
                Location::BareRepository(folder) if field[0] == b'?' => self.add_bare_repository(folder)?,
                _ => self.add_entry(&path)?,
            }
        }
        Ok(())
    }

    fn excludes(&self) -> Result<Option<&Path>, UserError> {
        if self.excludes.get().is_none() {
            let _ = self.excludes.set(user_excludes()?);
        }
        Ok(self.excludes.get().and_then(Option::as_deref))
    }

    /// Adds one entry of git's list.
    fn add_entry(&mut self, path: &Path) -> Result<(), UserError> {
        if path.file_name().is_none_or(is_dot_git) {
            return Ok(());
        }
        // The path of a folder ends in a slash, which this removes.
        let path: PathBuf = path.components().collect();
        let disk = self.disk(&path);
        // The file is deleted and not committed yet, or not checked out.
        let Ok(meta) = disk.symlink_metadata() else { return Ok(()) };
        self.add(path.clone(), Content::File(disk.clone()));
        // A submodule, or an untracked repository.
        if meta.is_dir() && disk.join(".git").symlink_metadata().is_ok() {
            self.add_repository(&path)?;
        }
        Ok(())
    }

    /// Adds everything below `path`.
    fn add_all(&mut self, path: &Path) -> Result<(), UserError> {
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            let disk = self.found.from.join(&folder);
            let entries = fs::read_dir(&disk).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            for entry in entries.map_err(|error| UserError::unreadable(&disk, &error))? {
                let path = folder.join(entry.file_name());
                if entry.file_name() == ".git" {
                    continue;
                }
                self.add(path.clone(), Content::File(entry.path()));
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                match entry.path().join(".git").symlink_metadata() {
                    Ok(_) => self.add_repository(&path)?,
                    Err(_) if is_git_directory(&entry.path()) => self.add_bare_repository(&path)?,
                    Err(_) => folders.push(path),
                }
            }
        }
        Ok(())
    }

    /// Locates a folder in git's list. An index may contain any path, because git checks names when they are added and not
    /// when they are read.
    fn locate(&self, folder: &Path) -> Location {
        let is_plain = |part| matches!(part, Component::Normal(name) if !is_dot_git(name));
        let is_folder = |path: &Path| self.disk(path).symlink_metadata().is_ok_and(|meta| meta.is_dir());
        if !folder.components().all(is_plain) || !folder.ancestors().all(is_folder) {
            return Location::Outside;
        }
        let bare = folder.ancestors().find(|folder| is_git_directory(&self.disk(folder)));
        bare.map_or(Location::Worktree, |bare| Location::BareRepository(bare.to_owned()))
    }

    /// The path on the disk of a path in the workspace.
    fn disk(&self, path: &Path) -> PathBuf {
        // Joined with an empty path, the path would end in a slash.
        if path.as_os_str().is_empty() { self.found.from.clone() } else { self.found.from.join(path) }
    }

    /// Adds an entry and the folders above it.
    fn add(&mut self, path: PathBuf, content: Content) {
        let parents: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
        for folder in parents {
            if self.entries.contains_key(&folder) {
                break;
            }
            // A folder of an exported `.git` may not exist on the disk: it gets the metadata of the surveyed directory.
            let disk = self.found.from.join(&folder);
            let disk = if disk.is_dir() { disk } else { self.found.from.clone() };
            self.entries.insert(folder, Content::File(disk));
        }
        self.entries.insert(path, content);
    }

    /// Finds the filters that attributes name.
    fn find_filters(&mut self) {
        let mut filters = BTreeSet::new();
        for (path, content) in &self.entries {
            let is_attributes = path.ends_with(".gitattributes") || path.ends_with(".git/info/attributes");
            let Content::File(disk) = content else { continue };
            if !is_attributes || !disk.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
                continue;
            }
            let mut text = String::new();
            let file = fs::File::open(disk).map(|file| file.take(MAX_ATTRIBUTES_BYTES));
            let _ = file.and_then(|mut file| file.read_to_string(&mut text));
            let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
            filters.extend(
                lines
                    .flat_map(str::split_whitespace)
                    .filter_map(|word| word.strip_prefix("filter="))
                    .map(str::to_owned),
            );
        }
        self.found.filters = filters.into_iter().take(MAX_FILTERS).collect();
    }

    /// Leaves out files that are mostly holes: the archive would have them as zeros.
    fn leave_out_sparse(&mut self) {
        let found = &mut self.found;
        self.entries.retain(|path, content| {
            let Content::File(disk) = content else { return true };
            let disk = &*disk;
            let Ok(meta) = fs::symlink_metadata(disk) else { return true };
            let holes = meta.len().saturating_sub(meta.blocks() * BLOCK_BYTES);
            let is_left_out = meta.is_file() && holes > MAX_HOLE_BYTES && has_holes(disk);
            if is_left_out {
                found.sparse.push(SparseFile { path: path.to_string_lossy().into_owned(), bytes: meta.len() });
            }
            !is_left_out
        });
    }

    /// Sets the counts of files and bytes in `found`.
    fn count_files(&mut self) {
        for content in self.entries.values() {
            let size = match content {
                Content::Bytes(bytes) => Some(bytes.len() as u64),
                Content::Objects(objects) => Some(objects.estimated_bytes()),
                Content::File(path) => {
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

/// Has this file a hole before its end? One that the file system keeps compressed has none.
fn has_holes(path: &Path) -> bool {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let Ok(file) = fs::OpenOptions::new().read(true).custom_flags(flags).open(path) else { return false };
    let first = nix::unistd::lseek(&file, 0, nix::unistd::Whence::SeekHole);
    file.metadata().is_ok_and(|meta| first.is_ok_and(|first| first.unsigned_abs() < meta.len()))
}

/// Where a folder is.
enum Location {
    /// In the worktree that is surveyed.
    Worktree,
    /// In this repository without a worktree.
    BareRepository(PathBuf),
    /// Not below the directory, behind a link, or in a `.git`.
    Outside,
}

fn is_dot_git(name: &OsStr) -> bool {
    name.eq_ignore_ascii_case(".git")
}
