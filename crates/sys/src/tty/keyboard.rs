//! A pseudoterminal that is a child's stdin: what is written here is typed there. The child's output does not pass it.

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::termios::{LocalFlags, SetArg, cfmakeraw, tcgetattr, tcsetattr};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;

/// Both ends of the pseudoterminal. The child's is kept open, so that the other one can be polled at any time; once that one
/// is dropped, the child reads the end of its input.
pub struct Keyboard {
    /// The end to write to, which does not block.
    pub outer: File,
    /// The child's end.
    pub inner: Arc<OwnedFd>,
}

impl Keyboard {
    /// Opens a pseudoterminal in raw mode. Call it from the thread that spawns children: for a moment they would inherit it.
    ///
    /// # Errors
    /// The machine has no pseudoterminal left.
    pub fn open() -> io::Result<Keyboard> {
        let OpenptyResult { master, slave } = openpty(None, None)?;
        for end in [&master, &slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let mut settings = tcgetattr(&slave)?;
        cfmakeraw(&mut settings);
        // It does nothing in raw mode. A program that makes its terminal raw turns it off, and is seen by that.
        settings.local_flags.insert(LocalFlags::ECHONL);
        tcsetattr(&slave, SetArg::TCSANOW, &settings)?;
        Ok(Keyboard { outer: File::from(master), inner: Arc::new(slave) })
    }

    /// The stdin of the child.
    pub fn stdin(&self) -> io::Result<Stdio> {
        Ok(self.inner.try_clone()?.into())
    }

    /// Whether the child has made its stdin raw: from then on it passes Ctrl-C on.
    pub fn is_taken(&self) -> bool {
        tcgetattr(&*self.inner).is_ok_and(|settings| !settings.local_flags.contains(LocalFlags::ECHONL))
    }
}
