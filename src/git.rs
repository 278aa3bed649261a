//! The host's git on the host's repositories, which may have been cloned or unpacked from anywhere.
//!
//! Invariant: no git runs with a repository's own git directory. [`Repository`] finds and reads one as data, and
//! [`CleanRepository`] gives git a directory of ours instead, with the repository's objects, refs and index.

mod author;
mod bundle;
mod clean;
mod file;
mod ref_name;
mod repository;
mod settings;
mod trial;

use crate::exit::UserError;
use crate::text;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

pub use author::Author;
pub use bundle::{RefChange, RefSpace, fetch, object_format};
pub use clean::{CleanRepository, FOLDER_PREFIX};
pub use ref_name::plain_ref;
pub use repository::{Repository, is_git_directory};
pub use settings::user_excludes;
pub use sys::git::GitOutput;
pub use trial::{ModeChange, RawChange, TrialIndex, blobs, changes, raw_changes, split_entry};

/// Longest output of git that is read, in bytes. The list of files of the largest known repositories is below it.
const MAX_OUTPUT_BYTES: u64 = 1 << 30;

/// Most memory of git on a repository, in bytes, without what it maps of files: a few kilobytes of a bottle's could be a delta
/// that makes any number of them. A file of 1 GiB can still be applied.
const MAX_MEMORY_BYTES: u64 = 4 << 30;

/// Longest time for a call of git that only reads. A pipe that is called `.gitignore` makes git wait for ever.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(120);

/// Longest time for a call of git that takes objects in, or writes files: they are as many as a bottle may bring.
const WRITE_TIMEOUT: Duration = Duration::from_secs(3600);

/// One call of git, to be given its arguments and run. Its errors are the user's.
pub struct Git(sys::git::Git);

impl Git {
    /// git in this folder, without a repository. Neither the user's configuration nor a repository's is read.
    pub fn isolated(folder: &Path) -> Git {
        let git = sys::git::Git::isolated(folder).keep_stderr().max_output(MAX_OUTPUT_BYTES);
        Git(git.max_memory(MAX_MEMORY_BYTES).timeout(QUESTION_TIMEOUT))
    }

    /// git with the user's own configuration and no repository.
    fn of_the_user() -> Git {
        let nowhere = Path::new("/nonexistent");
        Git(sys::git::Git::new(Path::new("/")).repository(nowhere, Path::new("/")).timeout(QUESTION_TIMEOUT))
    }

    pub fn args<S: AsRef<OsStr>>(self, args: impl IntoIterator<Item = S>) -> Git {
        Git(self.0.args(args))
    }

    fn env(self, name: &str, value: impl AsRef<OsStr>) -> Git {
        Git(self.0.env(name, value))
    }

    /// Sets the limit of a call that writes.
    pub fn writes(self) -> Git {
        Git(self.0.timeout(WRITE_TIMEOUT))
    }

    /// Runs git with `stdin` as its input.
    ///
    /// # Errors
    /// `UserError` if git is not installed, cannot be run, prints more than 1 GiB or takes too long.
    pub fn run(self, stdin: Vec<u8>) -> Result<GitOutput, UserError> {
        self.0.run(stdin).map_err(user_error)
    }

    /// Runs git with an open file as its input, from the file's position.
    ///
    /// # Errors
    /// As for [`Git::run`].
    pub fn run_reading(self, stdin: File) -> Result<GitOutput, UserError> {
        self.0.run_reading(stdin).map_err(user_error)
    }
}

/// Makes an empty repository in a folder that is there: without hooks or templates, whatever the user has configured.
///
/// # Errors
/// `UserError` if git cannot be run, or fails.
pub fn init(folder: &Path, format: &str, branch: &str) -> Result<(), UserError> {
    let (format, branch) = (format!("--object-format={format}"), format!("--initial-branch={branch}"));
    let made = Git::isolated(folder).args(["init", "--quiet", "--template=", &format, &branch, "."]).run(Vec::new())?;
    match made.is_success() {
        true => Ok(()),
        false => {
            let folder = text::path(folder);
            Err(UserError::new(format!("cannot make a repository in `{folder}`: {}", made.error_line())))
        }
    }
}

fn user_error(error: io::Error) -> UserError {
    match error.kind() {
        ErrorKind::NotFound => UserError::new("no `git` on this machine").hint("install git"),
        _ => UserError::new(format!("cannot run `git`: {error}")),
    }
}
