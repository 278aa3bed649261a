//! `work apply`: applies uncommitted changes to the files here. Nothing that exists only here is overwritten, and files
//! that run by themselves are asked for by class.

mod changes;
mod loose;
mod patch;
mod placement;

use super::autorun::FileKind;
use super::file_consent::FileConsent;
use super::{SessionWork, choose_repositories, for_each, note_nothing};
use crate::cli::WorkApplyArgs;
use crate::cmd::home_reader::HomeReader;
use crate::exit::{Exit, UserError};
use crate::say;
use anyhow::Result;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub fn run(asked: &WorkApplyArgs) -> Result<Exit> {
    let session = SessionWork::open(asked.identity.as_deref())?;
    let reader = session.reader()?;
    let ended = bring(&session, &reader, asked.repository.as_deref(), FileConsent::new(asked.all));
    session.end(&reader, ended)
}

/// Applies what there is in this repository, or in all that have something, and outside of repositories.
pub fn bring(
    session: &SessionWork,
    reader: &HomeReader,
    named: Option<&str>,
    mut consent: FileConsent,
) -> Result<Exit> {
    let brought = session.folder.brought();
    let found = reader.work(&brought.elsewhere())?;
    let mut names = choose_repositories(&found, named, |repository| repository.files > 0)?;
    if named.is_none() {
        // What was applied may have been taken back there.
        names.extend(brought.changed().filter(|name| !names.contains(name)).collect::<Vec<_>>());
    }
    let loose = named.is_none() && found.files > 0;
    if names.is_empty() && !loose {
        note_nothing("uncommitted changes", &found);
        return Ok(Exit::OK);
    }
    let applied = for_each(&names, |name| changes::apply(session, reader, name, &mut consent));
    if let Ok(ControlFlow::Break(exit)) = applied {
        return Ok(exit);
    }
    let loose = if loose { loose::apply(session, reader, consent.of_repository(Path::new(""))) } else { Ok(Exit::OK) };
    match (applied, loose) {
        (Err(error), loose) => {
            if let Err(error) = loose {
                say::error(&error);
            }
            Err(error)
        }
        (Ok(_), loose) => loose,
    }
}

/// The error of a step before which nothing was changed, or after which all was put back.
fn nothing_changed(error: &UserError) -> UserError {
    UserError::new(format!("not applied, and nothing changed: {}", error.what))
}

/// What is at a path of this machine.
fn kind_here(path: &Path) -> FileKind {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => FileKind::Link,
        Ok(meta) if meta.is_dir() => FileKind::Submodule,
        Ok(meta) if meta.permissions().mode() & 0o111 != 0 => FileKind::Executable,
        _ => FileKind::Plain,
    }
}
