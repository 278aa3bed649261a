//! Files of the agent's, read without following a link or waiting for a pipe.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Seconds and nanoseconds since 1970 of a file's ctime, which the kernel sets at every change and no program can set.
pub type ChangeTime = (i64, i64);

/// When the content or metadata of the file, not of a link's target, last changed.
///
/// # Errors
/// The file is missing or not accessible.
pub fn change_time(path: &Path) -> io::Result<ChangeTime> {
    let meta = fs::symlink_metadata(path)?;
    Ok((meta.ctime(), meta.ctime_nsec()))
}

/// Opens a regular file; `None` for anything else, links and pipes included.
pub fn open_regular(path: &Path) -> Option<(fs::File, fs::Metadata)> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let meta = file.metadata().ok()?;
    meta.is_file().then_some((file, meta))
}

/// Copies a regular file with its modification time, by which git knows which files of an index it must read again. Does
/// nothing if `from` is no regular file.
pub fn copy_regular(from: &Path, to: &Path) {
    if let Some((mut file, meta)) = open_regular(from)
        && let Ok(mut copy) = fs::File::create(to)
    {
        let _ = io::copy(&mut file, &mut copy);
        let _ = meta.modified().and_then(|time| copy.set_modified(time));
    }
}
