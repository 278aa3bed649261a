//! A git directory of our own for a repository: its objects, refs and index, and of its configuration the data alone.
//!
//! What git reads and writes by links lies where git itself has it, and git locks it there. Hooks, filters, monitors,
//! remotes, includes and everything else that a configuration can name is not in this directory.

use super::file::{below, file_below, read_small, refuse_links};
use super::repository::Repository;
use super::settings::Settings;
use super::{Git, GitOutput};
use crate::exit::UserError;
use crate::text;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use sys::git::is_of_worktree;
use tempfile::TempDir;

/// Beginning of the names of these folders, in the folder for temporary files.
pub const FOLDER_PREFIX: &str = "claude-bottle-git-";

/// Removed on drop.
#[derive(Debug)]
pub struct CleanRepository {
    pub repository: Repository,
    folder: TempDir,
}

impl CleanRepository {
    /// # Errors
    /// `UserError` for a link or a pipe where git has a file, and if the folder cannot be made.
    pub fn new(repository: Repository) -> Result<CleanRepository, UserError> {
        let failed = |error: io::Error| UserError::new(format!("cannot make a folder for git: {error}"));
        let folder = tempfile::Builder::new().prefix(FOLDER_PREFIX).tempdir().map_err(failed)?;
        let clean = CleanRepository { repository, folder };
        clean.fill(failed)?;
        Ok(clean)
    }

    fn fill(&self, failed: impl Fn(io::Error) -> UserError + Copy) -> Result<(), UserError> {
        let (repository, folder) = (&self.repository, self.folder.path());
        fs::write(folder.join("config"), &repository.settings.data).map_err(failed)?;
        fs::write(folder.join("HEAD"), head(repository)?).map_err(failed)?;
        for name in ["info", "logs/refs", "objects", "refs"] {
            fs::create_dir_all(folder.join(name)).map_err(failed)?;
        }
        for (git_dir, names) in [
            (&repository.own, &["index", "info/sparse-checkout"][..]),
            (&repository.shared, &["info/attributes", "info/exclude", "logs/refs/stash", "packed-refs", "shallow"]),
        ] {
            for name in names {
                // git makes an index, and locks it, where the link leads.
                if file_below(git_dir, name)?.is_some() || *name == "index" {
                    symlink(git_dir.join(name), folder.join(name)).map_err(failed)?;
                }
            }
        }
        for entry in fs::read_dir(&repository.own).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with("sharedindex.") && entry.file_type().is_ok_and(|kind| kind.is_file())
            {
                symlink(entry.path(), folder.join(name)).map_err(failed)?;
            }
        }
        self.link_refs(failed)
    }

    /// Links to each folder of refs, below which no link is.
    fn link_refs(&self, failed: impl Fn(io::Error) -> UserError) -> Result<(), UserError> {
        let (repository, folder) = (&self.repository, self.folder.path());
        let is_linked = repository.own != repository.shared;
        let mut parts = vec![(&repository.shared, "refs")];
        if is_linked {
            parts.push((&repository.own, "refs"));
        }
        if repository.settings.ref_format.is_some() {
            if is_linked {
                let what = "is a worktree of a repository whose refs are a reftable, which is not read here";
                return Err(UserError::new(format!("`{}` {what}", text::path(&repository.top)))
                    .hint("git refs migrate --ref-format=files"));
            }
            parts.push((&repository.shared, "reftable"));
        }
        for (git_dir, name) in parts {
            let path = git_dir.join(name);
            if below(git_dir, name)?.is_none() {
                continue;
            }
            refuse_links(&path)?;
            if name == "reftable" {
                symlink(&path, folder.join(name)).map_err(&failed)?;
                continue;
            }
            for entry in fs::read_dir(&path).map_err(|error| UserError::unreadable(&path, &error))?.flatten() {
                if !is_linked || is_of_worktree(&entry.file_name()) == (git_dir == &repository.own) {
                    symlink(entry.path(), folder.join(name).join(entry.file_name())).map_err(&failed)?;
                }
            }
        }
        Ok(())
    }

    /// Adds a folder below `refs` for refs that git is going to write.
    ///
    /// # Errors
    /// `UserError` if it cannot be made.
    pub fn add_ref_folder(&self, name: &str) -> Result<(), UserError> {
        let there = self.repository.shared.join("refs").join(name);
        let here = self.folder.path().join("refs").join(name);
        if self.repository.settings.ref_format.is_some() || here.symlink_metadata().is_ok() {
            return Ok(());
        }
        let made = fs::create_dir_all(&there).and_then(|()| symlink(&there, here));
        made.map_err(|error| UserError::new(format!("cannot make `{}`: {error}", text::path(&there))))
    }

    /// Takes over what the user's own configuration says of line ends.
    ///
    /// # Errors
    /// `UserError` if git cannot be run, or the folder cannot be written.
    pub fn with_user_data(self) -> Result<CleanRepository, UserError> {
        // The repository's own settings come after the user's.
        let text = format!("{}{}", Settings::user_data()?, self.repository.settings.data);
        let written = fs::write(self.folder.path().join("config"), text);
        written.map_err(|error| UserError::new(format!("cannot write a file for git: {error}")))?;
        Ok(self)
    }

    /// A new, empty folder in this one.
    ///
    /// # Errors
    /// `UserError` if it cannot be made.
    pub fn scratch(&self, name: &str) -> Result<PathBuf, UserError> {
        let path = self.folder.path().join(name);
        let made = match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir(&path),
        };
        made.map_err(|error| UserError::new(format!("cannot make a folder for git: {error}"))).map(|()| path)
    }

    /// git at the top of the worktree.
    pub fn git(&self) -> Git {
        self.git_in(&self.repository.top)
    }

    /// git in a folder of the worktree.
    pub fn git_in(&self, folder: &Path) -> Git {
        let Git(git) = Git::isolated(folder);
        let git = git.repository(self.folder.path(), &self.repository.top);
        // An index in two files has its other one where only the repository's own git directory is searched.
        let git = Git(git).env("GIT_OBJECT_DIRECTORY", self.repository.shared.join("objects"));
        git.args(["-c", "core.splitIndex=false", "-c", "core.fsync=objects,derived-metadata,-loose-object"])
    }

    /// Runs git at the top of the worktree.
    ///
    /// # Errors
    /// `UserError` if git cannot be run, or fails.
    pub fn query(&self, args: &[&str]) -> Result<GitOutput, UserError> {
        self.successful(self.git().args(args).run(Vec::new())?)
    }

    /// The output of a call of git that succeeded.
    ///
    /// # Errors
    /// `UserError` if git failed.
    pub fn successful(&self, output: GitOutput) -> Result<GitOutput, UserError> {
        match output.is_success() {
            true => Ok(output),
            false => {
                let top = text::path(&self.repository.top);
                Err(UserError::new(format!("git does not read `{top}`: {}", output.error_line())))
            }
        }
    }

    /// The files below `folder` that git tracks or does not ignore, NUL-terminated, each behind a tag and a space.
    /// `excludes`: patterns of what the user ignores everywhere.
    ///
    /// # Errors
    /// As for [`CleanRepository::query`].
    pub fn files(&self, folder: &Path, excludes: Option<&Path>) -> Result<GitOutput, UserError> {
        let mut git = self.git_in(folder);
        if let Some(path) = excludes {
            let mut setting = OsString::from("core.excludesFile=");
            setting.push(path);
            git = git.args([OsString::from("-c"), setting]);
        }
        git = git.args(["ls-files", "-z", "-t", "--cached", "--others", "--exclude-standard"]);
        if let Some(path) = self.repository.own_excludes()? {
            let mut option = OsString::from("--exclude-from=");
            option.push(path);
            git = git.args([option]);
        }
        self.successful(git.run(Vec::new())?)
    }

    /// The filter by which git would write each of these files, in their order; `None` for one without.
    ///
    /// # Errors
    /// As for [`CleanRepository::query`].
    pub fn filters<'a>(&self, paths: impl Iterator<Item = &'a Path>) -> Result<Vec<Option<OsString>>, UserError> {
        let paths = paths.flat_map(|path| [path.as_os_str().as_bytes(), b"\0"].concat()).collect();
        let said = self.successful(self.git().args(["check-attr", "-z", "--stdin", "filter"]).run(paths)?)?;
        // A path, the attribute, and its value.
        let values = said.stdout.split(|byte| *byte == 0).skip(2).step_by(3);
        let is_filter = |value: &&[u8]| ![&b"unspecified"[..], b"unset"].contains(value);
        Ok(values.map(|value| Some(value).filter(is_filter).map(|value| OsStr::from_bytes(value).to_owned())).collect())
    }

    /// The bytes of these files, each counted as often as it is named. `git`: of this repository.
    ///
    /// # Errors
    /// As for [`CleanRepository::query`].
    pub fn total_size<'a>(&self, git: Git, ids: impl Iterator<Item = &'a str>) -> Result<u64, UserError> {
        let ids: String = ids.flat_map(|id| [id, "\n"]).collect();
        let git = git.args(["cat-file", "--buffer", "--batch-check=%(objectsize)"]);
        let sizes = self.successful(git.run(ids.into_bytes())?)?.lines();
        // Of one that is missing there is no number.
        Ok(sizes.iter().filter_map(|line| line.parse::<u64>().ok()).fold(0, u64::saturating_add))
    }

    /// Does `one` lead to nothing that `other` does not lead to? False where git cannot say.
    ///
    /// # Errors
    /// `UserError` if git cannot be run.
    pub fn is_ancestor(&self, one: &str, other: &str) -> Result<bool, UserError> {
        Ok(self.git().args(["merge-base", "--is-ancestor", one, other]).run(Vec::new())?.is_success())
    }

    /// Is this object in the repository?
    pub fn has_object(&self, id: &str) -> bool {
        self.git().args(["cat-file", "-e", id]).run(Vec::new()).is_ok_and(|output| output.is_success())
    }

    /// The ids of the commits and tags that the refs point at, one on each line.
    ///
    /// # Errors
    /// As for [`CleanRepository::query`].
    pub fn tips(&self) -> Result<Vec<u8>, UserError> {
        Ok(self.query(&["for-each-ref", "--format=%(objectname)"])?.stdout)
    }

    /// [`CleanRepository::tips`] without those of the refs in this folder.
    pub fn tips_beside(&self, folder: &str) -> Result<Vec<u8>, UserError> {
        let listed = self.query(&["for-each-ref", "--format=%(objectname) %(refname)"])?.stdout;
        let pairs = listed
            .split(|byte| *byte == b'\n')
            .filter_map(|line| line.split_at_checked(line.iter().position(|byte| *byte == b' ')?));
        let tips = pairs.filter(|(_, name)| !name[1..].starts_with(folder.as_bytes()));
        Ok(tips.flat_map(|(id, _)| [id, b"\n"].concat()).collect())
    }
}

/// The content of `HEAD`.
fn head(repository: &Repository) -> Result<Vec<u8>, UserError> {
    let path = repository.own.join("HEAD");
    let bytes = read_small(&path)?.unwrap_or_default();
    let text = bytes.trim_ascii_end();
    let is_id = [40, 64].contains(&text.len()) && text.iter().all(u8::is_ascii_hexdigit);
    match is_id || text.starts_with(b"ref: refs/") {
        true => Ok([text, b"\n"].concat()),
        false => Err(UserError::new(format!("`{}` names neither a branch nor a commit", text::path(&path)))),
    }
}
