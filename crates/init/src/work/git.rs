//! git on repositories of the agent's: isolated calls whose errors are [`Failure`]s, and parsers of its output.

use crate::failure::Failure;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
pub use sys::git::{GitOutput, exclude_option, fields, lines};

/// One call of git, to be given its arguments and run.
pub struct Git(sys::git::Git);

impl Git {
    /// git on this git directory and its worktree.
    pub fn on(git_dir: &Path, work_tree: &Path) -> Git {
        Git(Git::without_repository(work_tree).0.repository(git_dir, work_tree))
    }

    /// git in `folder`, for calls that need no repository.
    pub fn without_repository(folder: &Path) -> Git {
        Git(sys::git::Git::isolated(folder))
    }

    pub fn args<S: AsRef<OsStr>>(self, args: impl IntoIterator<Item = S>) -> Git {
        Git(self.0.args(args))
    }

    pub fn env(self, name: &str, value: impl AsRef<OsStr>) -> Git {
        Git(self.0.env(name, value))
    }

    /// Runs git, whatever its status.
    ///
    /// # Errors
    /// git cannot be run, prints too much, or takes too long.
    pub fn run(self, stdin: &[u8]) -> Result<GitOutput, Failure> {
        Ok(self.0.run(stdin.to_vec())?)
    }

    /// Runs git and returns its stdout.
    ///
    /// # Errors
    /// As for [`Git::run`], or git fails.
    pub fn stdout(self, stdin: &[u8]) -> Result<Vec<u8>, Failure> {
        let output = self.run(stdin)?;
        match output.is_success() {
            true => Ok(output.stdout),
            false => Err(Failure(format!("git ended with {}", output.status))),
        }
    }

    /// Runs git and returns the one line that it prints, lossy; `None` if it fails or prints nothing.
    ///
    /// # Errors
    /// As for [`Git::run`].
    pub fn line(self) -> Result<Option<String>, Failure> {
        let output = self.run(b"")?;
        let line = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        Ok((output.is_success() && !line.is_empty()).then_some(line))
    }

    /// Runs git and copies its output to this process's stdout.
    ///
    /// # Errors
    /// git cannot be run, or stdout cannot be written.
    pub fn print(self, stdin: &[u8]) -> Result<ExitStatus, Failure> {
        self.print_to(stdin, &mut io::stdout())
    }

    /// Runs git and copies its output to `out`.
    ///
    /// # Errors
    /// git cannot be run, or `out` cannot be written.
    pub fn print_to(self, stdin: &[u8], out: &mut impl io::Write) -> Result<ExitStatus, Failure> {
        Ok(self.0.copy_output(stdin.to_vec(), out)?)
    }
}

/// Mode and blob of a file in a tree or an index, as git prints them; zeros if there is no file.
pub type ModeAndBlob = (String, String);

/// One path that differs, from the output of a diff with `--raw -z --no-abbrev`.
pub struct Difference<'a> {
    pub before: ModeAndBlob,
    pub after: ModeAndBlob,
    pub path: &'a [u8],
}

/// Parses the output of a diff with `--raw -z --no-abbrev`. Entries of another shape are skipped.
pub fn differences(raw: &[u8]) -> Vec<Difference<'_>> {
    let (mut parts, mut all) = (fields(raw), Vec::new());
    // `:MODE MODE BLOB BLOB STATUS`, then the path.
    while let (Some(change), Some(path)) = (parts.next(), parts.next()) {
        let change = String::from_utf8_lossy(change);
        let [old_mode, new_mode, old, new, _] = change.trim_start_matches(':').split(' ').collect::<Vec<_>>()[..]
        else {
            continue;
        };
        let pair = |mode: &str, blob: &str| (mode.to_owned(), blob.to_owned());
        all.push(Difference { before: pair(old_mode, old), after: pair(new_mode, new), path });
    }
    all
}

/// Whether this mode means that there is no file.
pub fn is_absent(mode: &str) -> bool {
    mode.bytes().all(|digit| digit == b'0')
}
