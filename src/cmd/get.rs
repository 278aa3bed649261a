//! `get`: copies a file out of a live bottle, read with the agent's own rights. The file appears whole or not at all, and
//! never over another one without `--force`. What is large is asked for.

use super::bounded_copy::{self, SizeConsent};
use super::live::LiveBottle;
use super::progress_reader::ProgressReader;
use crate::cli::GetArgs;
use crate::exit::{Exit, UserError};
use crate::say;
use crate::text;
use anyhow::{Context as _, Result};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

pub fn run(asked: &GetArgs) -> Result<Exit> {
    // One word is the file, of the newest session of this directory.
    let (identity, path) = match &asked.path {
        Some(path) => (Some(asked.identity.as_str()), path.as_path()),
        None => (None, Path::new(&asked.identity)),
    };
    let bottle = LiveBottle::open(identity)?;
    let to = match (&asked.file, path.file_name()) {
        (Some(file), Some(name)) if file.is_dir() => file.join(name),
        (Some(file), _) => file.clone(),
        (None, Some(name)) => PathBuf::from(name),
        (None, None) => {
            return Err(UserError::new("no name for the file").hint("name a file of this machine, too").into());
        }
    };
    let piped = to == Path::new("-");
    if !piped && !asked.force && to.symlink_metadata().is_ok() {
        return Err(UserError::new(format!("`{}` is there already", to.display()))
            .hint("`--force` overwrites it")
            .into());
    }
    let mut stream = bottle.docker.stream(&bottle.exec_on_file("get", path)?)?;
    let stdout = stream.child.stdout.take().context("no stdout")?;
    let mut consent = SizeConsent::new(format!("`{}`", text::one_line(&path.to_string_lossy())), asked.yes);
    if piped {
        consent.copy(stdout, say::bytes)?;
        stream.expect_success_inside()?;
        return Ok(Exit::OK);
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder).with_context(|| format!("cannot write to `{}`", folder.display()))?;
    consent.copy(ProgressReader::new(stdout, None), bounded_copy::into(&mut file))?;
    stream.expect_success_inside()?;
    file.as_file().set_permissions(PermissionsExt::from_mode(0o644))?;
    let placed = if asked.force { file.persist(&to) } else { file.persist_noclobber(&to) };
    placed.with_context(|| format!("cannot write `{}`", to.display()))?;
    Ok(Exit::OK)
}
