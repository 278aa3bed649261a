//! `init put` and `init get`: copy one file in or out, with the agent's own rights.

use crate::failure::Failure;
use crate::work;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The absolute path: `~/…` is relative to the home, everything else to the workspace.
fn resolve(home: &Path, path: &str) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(below) => home.join(below),
        None => home.join("workspace").join(path),
    }
}

/// Copies stdin to the file and prints the file's absolute path. The file appears whole or not at all.
///
/// # Errors
/// The path is a directory, or the file cannot be written.
pub fn put(home: &Path, path: &str) -> Result<i32, Failure> {
    let path = resolve(home, path);
    let failure = |what: &str, error: io::Error| Failure(format!("cannot {what} `{}`: {error}", path.display()));
    if path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(Failure(format!("`{}` is a directory", path.display())));
    }
    let folder = path.parent().ok_or_else(|| Failure("no name for the file".into()))?;
    work::await_record(home);
    fs::create_dir_all(folder).map_err(|error| failure("make the folder of", error))?;
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().ok_or_else(|| Failure("no name for the file".into()))?);
    name.push(format!(".{}", std::process::id()));
    let temporary = folder.join(name);
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&temporary)?;
        io::copy(&mut io::stdin(), &mut file)?;
        fs::rename(&temporary, &path)
    };
    if let Err(error) = written() {
        let _ = fs::remove_file(&temporary);
        return Err(failure("write", error));
    }
    let mut shown = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec();
    shown.push(b'\n');
    io::stdout().write_all(&shown)?;
    Ok(0)
}

/// Copies the file to stdout.
///
/// # Errors
/// It is no regular file, cannot be read, or became shorter while it was read.
pub fn get(home: &Path, path: &str) -> Result<i32, Failure> {
    let path = resolve(home, path);
    let failure = |error: io::Error| Failure(format!("cannot read `{}`: {error}", path.display()));
    // Without O_NONBLOCK the open of a pipe without a writer would wait for ever.
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&path).map_err(failure)?;
    let meta = file.metadata().map_err(failure)?;
    if !meta.is_file() {
        let what = if meta.is_dir() { "a directory" } else { "no regular file" };
        return Err(Failure(format!("`{}` is {what}", path.display())));
    }
    // At most the length at the time of opening: the copy of a file that grows might never end.
    let sent = io::copy(&mut file.take(meta.len()), &mut io::stdout()).map_err(failure)?;
    match sent == meta.len() {
        true => Ok(0),
        false => Err(Failure(format!("`{}` became shorter while it was read", path.display()))),
    }
}
