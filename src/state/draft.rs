//! A file of the user's while it is edited: the draft lies beside it, and takes its place whole or not at all. Nothing
//! that somebody wrote is lost: where both changed, both stay.

use crate::exit::UserError;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// What a draft's name begins with.
pub const DRAFT: &str = ".claude-bottle-draft-";

pub struct Draft {
    /// The file itself, not a link to it.
    target: PathBuf,
    found: Vec<u8>,
    path: TempPath,
}

impl Draft {
    /// A copy of `file`, beside whatever it is a link to.
    ///
    /// # Errors
    /// Where it cannot be read, or nothing can be made beside it.
    pub fn of(file: &Path) -> Result<Draft, UserError> {
        let target = file.canonicalize().map_err(|e| cannot("read", file, &e))?;
        let found = fs::read(&target).map_err(|e| cannot("read", &target, &e))?;
        let folder = target.parent().unwrap_or(Path::new("/"));
        let make = || -> io::Result<TempPath> {
            // Editors tell by the end of a name what is in it: JSON with comments.
            let mut draft = tempfile::Builder::new().prefix(DRAFT).suffix(".jsonc").tempfile_in(folder)?;
            draft.write_all(&found)?;
            Ok(draft.into_temp_path())
        };
        let path = make().map_err(|e| cannot("write beside", &target, &e))?;
        Ok(Draft { target, found, path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// As the editor left it; `None` where it is as it was found.
    ///
    /// # Errors
    /// Where it is not there any more.
    pub fn written(&self) -> Result<Option<Vec<u8>>, UserError> {
        let bytes = fs::read(&self.path).map_err(|e| cannot("read", &self.path, &e))?;
        Ok((bytes != self.found).then_some(bytes))
    }

    /// It takes the file's place.
    ///
    /// # Errors
    /// Where the file was changed meanwhile, or cannot be written; then both are there.
    pub fn settle(self) -> Result<(), UserError> {
        let why = match fs::read(&self.target) {
            Ok(now) if now == self.found => match self.replace() {
                Ok(()) => return Ok(()),
                Err(error) => cannot("write", &self.target, &error).what,
            },
            _ => format!("`{}` was changed by somebody else meanwhile, and stays so", self.target.display()),
        };
        let kept = self.keep()?;
        Err(UserError::new(why).hint(format!("what you wrote is in `{}`", kept.display())))
    }

    fn replace(&self) -> io::Result<()> {
        // An editor may have put another file in the draft's place.
        fs::set_permissions(&self.path, fs::metadata(&self.target)?.permissions())?;
        File::open(&self.path)?.sync_data()?;
        fs::rename(&self.path, &self.target)
    }

    /// It stays where it is.
    ///
    /// # Errors
    /// Of the file system.
    pub fn keep(self) -> Result<PathBuf, UserError> {
        let path = self.path.to_path_buf();
        self.path.keep().map_err(|e| cannot("keep", &path, &e))
    }
}

fn cannot(what: &str, path: &Path, why: &dyn Display) -> UserError {
    UserError::new(format!("cannot {what} `{}`: {why}", path.display()))
}
