//! The container's terminal, and the one behind it that the agent's program has. What is typed and written passes through
//! here, so that the modes which the program has set are known and can be set on a terminal that is attached later.
//!
//! Invariant: nothing waits for the engine's client. A client that is stopped holds up the program's output, not the door.

use crate::failure::Failure;
use crate::modes::ModeTracker;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::tcgetpgrp;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use sys::tty::{self, Size};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

/// Interval between two checks of the terminal's size.
const SIZE_POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Checks before the command starts without a size: half a second in all.
const MAX_SIZE_POLLS: usize = 100;
/// Bytes that are passed on at once.
const BUFFER_BYTES: usize = 16 * 1024;

/// Waits until the terminal has a size. The engine's client sets it only once the container runs, and a program that
/// draws before that would draw for a size of zero. Returns at once without a terminal, and after half a second at most.
pub async fn await_size() {
    for _ in 0..MAX_SIZE_POLLS {
        if !tty::stdin_has_no_size() {
            return;
        }
        tokio::time::sleep(SIZE_POLL_INTERVAL).await;
    }
}

/// The engine's terminal of this container, in raw mode, and the outer end of the program's.
pub struct Terminal {
    console: AsyncFd<File>,
    program: AsyncFd<File>,
    modes: RefCell<ModeTracker>,
    /// The console's size may have changed.
    resized: Notify,
    /// A client is about to be attached: the size that the console has until the client sets its own.
    awaited: Cell<Option<Size>>,
}

impl Terminal {
    /// Opens a terminal for the program, where stdin is one: this value, and the program's end. Must be called in a runtime.
    ///
    /// # Errors
    /// No pseudoterminal is left on the engine's machine.
    pub fn open() -> Result<Option<(Terminal, OwnedFd)>, Failure> {
        let stdin = io::stdin();
        if tcgetpgrp(&stdin).is_err() {
            return Ok(None);
        }
        let before = tcgetattr(&stdin)?;
        let size = tty::size(&stdin)?;
        let OpenptyResult { master, slave } = openpty(None, &before)
            .map_err(|e| Failure(format!("no terminal for the agent's program can be made: {e}")))?;
        tty::set_size(&slave, size)?;
        let mut raw = before;
        cfmakeraw(&mut raw);
        tcsetattr(&stdin, SetArg::TCSANOW, &raw)?;
        let console = stdin.as_fd().try_clone_to_owned()?;
        Ok(Some((
            Terminal {
                console: non_blocking(console)?,
                program: non_blocking(master)?,
                modes: RefCell::default(),
                resized: Notify::new(),
                awaited: Cell::new(None),
            },
            slave,
        )))
    }

    /// The console's size may have changed.
    pub fn resize(&self) {
        self.resized.notify_one();
    }

    /// A client will be attached and set the console's size. The console is made one row smaller, so that this is a change
    /// of the size even where the client's terminal is as large as the last one; who asks sees by it that this was done.
    pub fn await_client(&self) {
        let Ok(size) = tty::size(&self.console) else { return };
        let other = size.other_height();
        self.awaited.set(Some(other));
        let _ = tty::set_size(&self.console, other);
    }

    /// Passes on what is typed and what the program writes, until the last process on the program's terminal has ended.
    pub async fn relay(&self) {
        tokio::select! {
            () = self.relay_output() => {}
            () = self.relay_input() => {}
        }
    }

    async fn relay_output(&self) {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            tokio::select! {
                biased;
                () = self.resized.notified() => self.take_size().await,
                read = read(&self.program, &mut buffer) => match read {
                    Ok(count) if count > 0 => {
                        self.modes.borrow_mut().read(&buffer[..count]);
                        write_all(&self.console, &buffer[..count]).await;
                    }
                    // The kernel says EIO once no process has the program's end.
                    _ => return,
                },
            }
        }
    }

    async fn relay_input(&self) {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(count) = read(&self.console, &mut buffer).await
            && count > 0
        {
            write_all(&self.program, &buffer[..count]).await;
        }
        // The console is gone; the program's end decides.
        std::future::pending().await
    }

    /// Gives the program's terminal the console's size. On a terminal that was attached, the modes are set before: the
    /// program draws only because of the new size.
    async fn take_size(&self) {
        let Ok(size) = tty::size(&self.console) else { return };
        match self.awaited.get() {
            Some(awaited) if awaited == size => return,
            Some(_) => {
                self.awaited.set(None);
                let modes = self.modes.borrow().restore();
                write_all(&self.console, &modes).await;
                let _ = tty::set_size(&self.program, size.other_height());
                tokio::time::sleep(tty::SEEN_AS_CHANGE).await;
            }
            None => {}
        }
        // The size that the console has now: it may have changed meanwhile.
        if let Ok(size) = tty::size(&self.console) {
            let _ = tty::set_size(&self.program, size);
        }
    }
}

#[allow(deprecated)] // Unsound only for a value that is replaced by another descriptor; this one is not.
pub fn non_blocking(fd: OwnedFd) -> Result<AsyncFd<File>, Failure> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    fcntl(&fd, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    Ok(AsyncFd::new(File::from(fd))?)
}

pub async fn read(from: &AsyncFd<File>, buffer: &mut [u8]) -> io::Result<usize> {
    from.async_io(Interest::READABLE, |mut file| file.read(buffer)).await
}

/// Writes all of it. An end that is gone takes nothing more.
pub async fn write_all(to: &AsyncFd<File>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match to.async_io(Interest::WRITABLE, |mut file| file.write(bytes)).await {
            Ok(count) if count > 0 => bytes = &bytes[count..],
            _ => return,
        }
    }
}
