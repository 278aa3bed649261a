//! The gate's own unix sockets.

use std::fs::{Permissions, remove_file, rename, set_permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::net::UnixListener;

/// Binds a socket under another name and renames it to `path`, so that it appears there with its mode, ready to be
/// connected to: clients connect as soon as they see it.
pub fn bind(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let fresh = path.with_extension("new");
    match remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&fresh)?;
    set_permissions(&fresh, Permissions::from_mode(mode))?;
    rename(&fresh, path)?;
    Ok(listener)
}
