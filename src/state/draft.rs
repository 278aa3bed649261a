//! A file of the user's while it is edited: the draft is beside it, and replaces it whole or not at all. Nothing that was
//! written is lost: where both have changed, both stay.

use crate::exit::UserError;
use crate::hint;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// The beginning of a draft's name.
pub const DRAFT_PREFIX: &str = ".claude-bottle-draft-";

pub struct Draft {
    /// The edited file itself, where the user named a link.
    target: PathBuf,
    /// What was in it when the draft was made.
    found: Vec<u8>,
    path: TempPath,
}

impl Draft {
    /// Copies `file` into a draft beside it; a link is followed first.
    ///
    /// # Errors
    /// The file cannot be read, or no file can be made beside it.
    pub fn of(file: &Path) -> Result<Draft, UserError> {
        let target = file.canonicalize().map_err(|e| cannot("read", file, &e))?;
        let found = fs::read(&target).map_err(|e| cannot("read", &target, &e))?;
        let folder = target.parent().unwrap_or(Path::new("/"));
        let make = || -> io::Result<TempPath> {
            // Editors know by the suffix that it is JSON with comments.
            let mut draft = tempfile::Builder::new().prefix(DRAFT_PREFIX).suffix(".jsonc").tempfile_in(folder)?;
            draft.write_all(&found)?;
            Ok(draft.into_temp_path())
        };
        let path = make().map_err(|e| cannot("write beside", &target, &e))?;
        Ok(Draft { target, found, path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The draft as the editor left it; `None` where nothing was changed.
    ///
    /// # Errors
    /// The draft is not there any more.
    pub fn changed(&self) -> Result<Option<Vec<u8>>, UserError> {
        let bytes = fs::read(&self.path).map_err(|e| cannot("read", &self.path, &e))?;
        Ok((bytes != self.found).then_some(bytes))
    }

    /// Replaces the file by the draft.
    ///
    /// # Errors
    /// The file was changed meanwhile, or cannot be written; then both are kept.
    pub fn replace_target(self) -> Result<(), UserError> {
        let why = match fs::read(&self.target) {
            Ok(now) if now == self.found => match self.rename() {
                Ok(()) => return Ok(()),
                Err(error) => cannot("write", &self.target, &error).what,
            },
            _ => format!("`{}` was changed by somebody else meanwhile, and stays so", self.target.display()),
        };
        let kept = self.keep()?;
        Err(UserError::new(why).hint(hint!("what you wrote is in `{}`", kept.display())))
    }

    fn rename(&self) -> io::Result<()> {
        // An editor may have replaced the draft by another file, with another mode.
        fs::set_permissions(&self.path, fs::metadata(&self.target)?.permissions())?;
        File::open(&self.path)?.sync_data()?;
        fs::rename(&self.path, &self.target)
    }

    /// Keeps the draft where it is; gives its path.
    ///
    /// # Errors
    /// The file system's.
    pub fn keep(self) -> Result<PathBuf, UserError> {
        let path = self.path.to_path_buf();
        self.path.keep().map_err(|e| cannot("keep", &path, &e))
    }
}

fn cannot(what: &str, path: &Path, why: &dyn Display) -> UserError {
    UserError::new(format!("cannot {what} `{}`: {why}", path.display()))
}
