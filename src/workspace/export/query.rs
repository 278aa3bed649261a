//! Read-only questions to git about a repository on the host.

use crate::exit::UserError;
use crate::git::{Git, GitOutput};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Worktree,
    Bare,
}

/// Runs git in `work`, whatever its status.
///
/// # Errors
/// `UserError` if git cannot be run.
pub fn try_query(work: &Path, args: &[&str]) -> Result<GitOutput, UserError> {
    Git::offline(work).args(["-c", "safe.bareRepository=all"]).args(args).run(Vec::new())
}

/// Runs git in `work`.
///
/// # Errors
/// `UserError` if git cannot be run, or fails.
pub fn query(work: &Path, args: &[&str]) -> Result<GitOutput, UserError> {
    let output = try_query(work, args)?;
    match output.is_success() {
        true => Ok(output),
        false => Err(UserError::new(format!("git does not read `{}`: {}", work.display(), output.error_line()))),
    }
}

/// A directory that `git rev-parse OPTION` prints, as a path below `work` if it is relative.
///
/// # Errors
/// As for [`query`].
pub fn query_directory(work: &Path, option: &str) -> Result<PathBuf, UserError> {
    let mut answer = query(work, &["rev-parse", option])?.stdout;
    answer.pop();
    Ok(work.join(OsString::from_vec(answer)))
}
