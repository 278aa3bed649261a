//! The socket by which another process asks the owner of a session to detach its terminal. A connection is the request, and
//! ends when the owner has settled.

use crate::state::Folder;
use anyhow::{Context as _, Result};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

const NAME: &str = "terminal";
/// How long an owner may take. It copies nothing to detach.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A path of the socket that is short enough for any folder, while the folder is open.
fn path(folder: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()))
}

/// Takes requests until it is dropped.
pub(super) struct TerminalSocket {
    file: PathBuf,
}

impl TerminalSocket {
    /// Calls `request` for each request.
    ///
    /// # Errors
    /// The socket, or the thread that serves it, cannot be made.
    pub fn listen(folder: &Folder, mut request: impl FnMut() + Send + 'static) -> io::Result<TerminalSocket> {
        let file = folder.path().join(NAME);
        // An owner that was killed left it.
        let _ = fs::remove_file(&file);
        let listener = UnixListener::bind(path(&File::open(folder.path())?))?;
        sys::thread::spawn(move || {
            // They end with this process.
            let mut waiting = Vec::new();
            while let Ok((connection, _)) = listener.accept() {
                waiting.push(connection);
                request();
            }
        })?;
        Ok(TerminalSocket { file })
    }
}

impl Drop for TerminalSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

/// Asks the owner of a session to detach its terminal, and waits until it has settled. False where it listens to nobody: it
/// has no terminal, or is not at its agent's yet.
///
/// # Errors
/// It does not answer.
pub fn ask_to_detach(folder: &Folder) -> Result<bool> {
    let Ok(mut connection) = UnixStream::connect(path(&File::open(folder.path())?)) else { return Ok(false) };
    connection.set_read_timeout(Some(TIMEOUT))?;
    match connection.read(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(error).with_context(|| format!("the process that has `{}` does not answer", folder.identity))
        }
        _ => Ok(true),
    }
}
