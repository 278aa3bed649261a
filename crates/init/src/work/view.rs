//! A temporary git directory by which git reads a repository of the agent's: its refs, index and objects by links, and of
//! its configuration the data alone. No filter, monitor, hook or include that the agent has configured is in it.

use super::file::{copy_regular, open_regular};
use super::git::Git;
use crate::failure::Failure;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use sys::git::config::{self, BOOLEAN};
use sys::git::is_of_worktree;

/// Longest file of a git directory that is read as data, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Settings that say how the bytes of a file differ between worktree and repository, with their values: the worktree was
/// written with them.
const CORE: [(&str, &[&str]); 5] = [
    ("autocrlf", &["true", "false", "input"]),
    ("eol", &["lf", "crlf", "native"]),
    ("filemode", BOOLEAN),
    ("ignorecase", BOOLEAN),
    ("symlinks", BOOLEAN),
];

/// Removed on drop.
pub struct RepositoryView {
    folder: PathBuf,
    /// Folder of the repository's objects.
    pub objects: PathBuf,
    /// The repository's settings, as git lists them.
    settings: Vec<(String, String)>,
}

/// The two git directories of a worktree: its own, and the one that all worktrees share.
pub struct GitDirs {
    pub own: PathBuf,
    pub shared: PathBuf,
}

impl GitDirs {
    /// # Errors
    /// There is no git directory.
    pub fn find(worktree: &Path) -> Result<GitDirs, Failure> {
        let git = worktree.join(".git");
        let own = match read_small(&git) {
            Some(bytes) => {
                let path = bytes.strip_prefix(b"gitdir: ").ok_or_else(|| Failure("no repository".into()))?;
                worktree.join(trimmed(path))
            }
            None => git,
        };
        let own = own.canonicalize()?;
        let shared = match read_small(&own.join("commondir")) {
            Some(bytes) => own.join(trimmed(&bytes)).canonicalize()?,
            None => own.clone(),
        };
        GitDirs { own, shared }.checked()
    }

    /// # Errors
    /// It is no git directory.
    pub fn of_bare(folder: &Path) -> Result<GitDirs, Failure> {
        GitDirs { own: folder.to_owned(), shared: folder.to_owned() }.checked()
    }

    fn checked(self) -> Result<GitDirs, Failure> {
        match self.own.join("HEAD").symlink_metadata().is_ok() && self.shared.join("objects").is_dir() {
            true => Ok(self),
            false => Err(Failure("no repository".into())),
        }
    }
}

impl RepositoryView {
    /// # Errors
    /// The folder cannot be made, or git does not read the configuration.
    pub fn new(dirs: &GitDirs) -> Result<RepositoryView, Failure> {
        let folder = nix::unistd::mkdtemp(&std::env::temp_dir().join("claude-bottle-view-XXXXXX"))?;
        let mut view = RepositoryView { folder, objects: dirs.shared.join("objects"), settings: Vec::new() };
        let bytes = read_small(&dirs.shared.join("config")).unwrap_or_default();
        let list = ["config", "--file", "-", "--no-includes", "--list", "-z"];
        view.settings = config::parse(&Git::without_repository(&view.folder).args(list).stdout(&bytes)?);
        fs::write(view.folder.join("config"), view.configuration())?;
        for name in ["info", "logs/refs", "objects", "refs"] {
            fs::create_dir_all(view.folder.join(name))?;
        }
        for name in ["HEAD", "index"] {
            copy_regular(&dirs.own.join(name), &view.folder.join(name));
        }
        for name in ["info/exclude", "logs/refs/stash", "packed-refs", "shallow"] {
            copy_regular(&dirs.shared.join(name), &view.folder.join(name));
        }
        for entry in fs::read_dir(&dirs.own)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with("sharedindex.") {
                copy_regular(&entry.path(), &view.folder.join(entry.file_name()));
            }
        }
        view.link_refs(dirs)?;
        Ok(view)
    }

    /// Links to the refs, those of this worktree alone among them.
    fn link_refs(&self, dirs: &GitDirs) -> Result<(), Failure> {
        let is_linked = dirs.own != dirs.shared;
        for git_dir in [&dirs.shared, &dirs.own].into_iter().take(1 + usize::from(is_linked)) {
            let entries = match fs::read_dir(git_dir.join("refs")) {
                Err(_) if git_dir != &dirs.shared => continue,
                entries => entries?,
            };
            for entry in entries.flatten() {
                if !is_linked || is_of_worktree(&entry.file_name()) == (git_dir == &dirs.own) {
                    symlink(entry.path(), self.folder.join("refs").join(entry.file_name()))?;
                }
            }
        }
        let tables = dirs.shared.join("reftable");
        if is_linked && tables.is_dir() {
            return Err(Failure("a worktree beside a reftable is not read".into()));
        }
        if tables.is_dir() {
            symlink(tables, self.folder.join("reftable"))?;
        }
        Ok(())
    }

    /// The text of a configuration with the data of the repository's own.
    fn configuration(&self) -> String {
        config::data(&self.settings, &CORE)
    }

    /// git on the repository and this worktree of it.
    pub fn git(&self, worktree: &Path) -> Git {
        Git::on(&self.folder, worktree).env("GIT_OBJECT_DIRECTORY", &self.objects)
    }

    /// The value of a setting, and those of its like: `name` is the last part of its key.
    pub fn values<'a>(&'a self, section: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.settings.iter().filter_map(move |(key, value)| {
            let rest = key.strip_prefix(section)?.strip_prefix('.')?;
            let below = rest.strip_suffix(name)?.strip_suffix('.')?;
            Some((below, &value[..]))
        })
    }

    /// The configuration that was made, for another git directory of the same repository.
    pub fn copy_configuration(&self, to: &Path) -> Result<(), Failure> {
        Ok(fs::write(to, self.configuration())?)
    }
}

impl Drop for RepositoryView {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The commit in `HEAD` of this git directory, if it names no branch.
pub fn detached_head(git_dir: &Path) -> Option<String> {
    let id = String::from_utf8(read_small(&git_dir.join("HEAD"))?.trim_ascii_end().to_vec()).ok()?;
    ([40, 64].contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// The ids in the reflog of this git directory's `HEAD`: what was checked out or committed there. Of a log longer than
/// [`MAX_FILE_BYTES`], its end.
pub fn reflog_ids(git_dir: &Path) -> Vec<String> {
    let Some((mut file, meta)) = open_regular(&git_dir.join("logs/HEAD")) else { return Vec::new() };
    let _ = file.seek(SeekFrom::Start(meta.len().saturating_sub(MAX_FILE_BYTES)));
    let mut bytes = Vec::new();
    let _ = file.take(MAX_FILE_BYTES).read_to_end(&mut bytes);
    // `OLD NEW AUTHOR …`
    let words = bytes.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(1));
    let ids = words.filter(|word| [40, 64].contains(&word.len()) && word.iter().all(u8::is_ascii_hexdigit));
    ids.map(|id| String::from_utf8_lossy(id).into_owned()).collect()
}

/// The bytes of a regular file of at most 1 MiB.
fn read_small(path: &Path) -> Option<Vec<u8>> {
    let (file, meta) = open_regular(path).filter(|(_, meta)| meta.len() <= MAX_FILE_BYTES)?;
    let mut bytes = Vec::new();
    file.take(meta.len()).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn trimmed(path: &[u8]) -> OsString {
    OsString::from_vec(path.trim_ascii_end().to_vec())
}
