//! `init put` and `init get`: one file in or out, with the agent's own rights and no others.

use super::Failure;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where it is: relative to the workspace, `~/` to the home.
fn place(home: &Path, path: &str) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(below) => home.join(below),
        None => home.join("workspace").join(path),
    }
}

/// Stdin into that file, which is whole or not there; prints where it is.
pub fn put(home: &Path, path: &str) -> Result<i32, Failure> {
    let path = place(home, path);
    let said = |what: &str, error: io::Error| Failure(format!("cannot {what} `{}`: {error}", path.display()));
    if path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(Failure(format!("`{}` is a directory", path.display())));
    }
    let folder = path.parent().ok_or_else(|| Failure("no name for the file".into()))?;
    fs::create_dir_all(folder).map_err(|error| said("make the folder of", error))?;
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().ok_or_else(|| Failure("no name for the file".into()))?);
    name.push(format!(".{}", std::process::id()));
    let fresh = folder.join(name);
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&fresh)?;
        io::copy(&mut io::stdin(), &mut file)?;
        fs::rename(&fresh, &path)
    };
    if let Err(error) = written() {
        let _ = fs::remove_file(&fresh);
        return Err(said("write", error));
    }
    let mut shown = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec();
    shown.push(b'\n');
    io::stdout().write_all(&shown)?;
    Ok(0)
}

/// That file on stdout.
pub fn get(home: &Path, path: &str) -> Result<i32, Failure> {
    let path = place(home, path);
    let said = |error: io::Error| Failure(format!("cannot read `{}`: {error}", path.display()));
    // A pipe without a writer would be waited for without end.
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&path).map_err(said)?;
    let meta = file.metadata().map_err(said)?;
    if !meta.is_file() {
        let what = if meta.is_dir() { "a directory" } else { "no regular file" };
        return Err(Failure(format!("`{}` is {what}", path.display())));
    }
    // As long as it was when it was opened: a file that grows would never end.
    let sent = io::copy(&mut file.take(meta.len()), &mut io::stdout()).map_err(said)?;
    match sent == meta.len() {
        true => Ok(0),
        false => Err(Failure(format!("`{}` became shorter while it was read", path.display()))),
    }
}
