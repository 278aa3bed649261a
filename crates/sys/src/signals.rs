//! Signals become bytes in a pipe, and nothing else happens in a handler: what they mean is decided by ordinary code.
//! But for one: who asks for an end three times while nobody listens, for the engine is waited for, waits no more.
//!
//! No masks and no SIG_IGN, which children would inherit; caught handlers are reset by exec.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{self, Pid};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

pub const HANGUP: i32 = nix::libc::SIGHUP;
pub const STOP: i32 = nix::libc::SIGTSTP;
pub const HALT: i32 = nix::libc::SIGSTOP;
pub const CONTINUE: i32 = nix::libc::SIGCONT;
pub const RESIZED: i32 = nix::libc::SIGWINCH;

/// The numbers of the signals that arrived, in order.
#[derive(Debug)]
pub struct Signals {
    read: BorrowedFd<'static>,
}

static CAUGHT: OnceLock<OwnedFd> = OnceLock::new();

static PIPE: AtomicI32 = AtomicI32::new(-1);
static OWNER: AtomicI32 = AtomicI32::new(0);

extern "C" fn handler(number: nix::libc::c_int) {
    // A child between fork and exec has this handler and this pipe, and hears what its group is sent: it would count twice.
    if Pid::this().as_raw() == OWNER.load(Ordering::Relaxed) {
        let errno = Errno::last_raw();
        note(PIPE.load(Ordering::Relaxed), number);
        Errno::set_raw(errno);
    }
}

fn note(pipe: RawFd, number: i32) {
    let byte = [u8::try_from(number).unwrap_or(0)];
    // SAFETY: write(2) on a descriptor that is never closed; async-signal-safe. A full pipe loses the byte, not the process.
    unsafe { nix::libc::write(pipe, byte.as_ptr().cast(), 1) };
    if ![STOP, CONTINUE].contains(&number)
        && ASKED.fetch_add(1, Ordering::Relaxed) >= 2
        && !LISTENED.load(Ordering::Relaxed)
    {
        leave(number);
    }
}

/// How often an end was asked for.
static ASKED: AtomicU32 = AtomicU32::new(0);

static LISTENED: AtomicBool = AtomicBool::new(false);

/// Somebody hears of every signal at once, as long as this lives.
pub struct Listening;

impl Listening {
    pub fn begin() -> Listening {
        LISTENED.store(true, Ordering::Relaxed);
        Listening
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        LISTENED.store(false, Ordering::Relaxed);
    }
}

/// Catches INT, TERM, HUP and QUIT for the rest of the process's life, but for those that were ignored when it began:
/// `nohup` and a shell's background mean it. Whoever catches again hears what nobody has heard so far.
pub fn catch() -> io::Result<Signals> {
    if let Some(read) = CAUGHT.get() {
        return Ok(Signals { read: read.as_fd() });
    }
    let (read, write) = unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK)?;
    let pipe = write.as_raw_fd();
    std::mem::forget(write);
    PIPE.store(pipe, Ordering::Relaxed);
    OWNER.store(Pid::this().as_raw(), Ordering::Relaxed);
    match ctrlc::try_set_handler(move || note(pipe, Signal::SIGINT as i32)) {
        // The second: it was ignored, and stays so.
        Ok(()) | Err(ctrlc::Error::MultipleHandlers) => {}
        Err(error) => return Err(io::Error::other(error)),
    }
    let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        // SAFETY: the handler calls only getpid(2), write(2) and _exit(2).
        let found = unsafe { sigaction(signal, &action) }?;
        if matches!(found.handler(), SigHandler::SigIgn) {
            // SAFETY: it was so before.
            unsafe { sigaction(signal, &found) }?;
        }
    }
    Ok(Signals { read: CAUGHT.get_or_init(|| read).as_fd() })
}

/// Catches the terminal's stop and what follows it, for as long as this lives: whoever has made the terminal raw must put
/// it back before the shell gets it, and make it raw again afterwards.
pub struct Stops(Vec<(Signal, SigAction)>);

pub fn catch_stops() -> Stops {
    let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
    let mut found = Vec::new();
    for signal in [Signal::SIGTSTP, Signal::SIGCONT] {
        // SAFETY: the handler only writes one byte to a pipe, which is async-signal-safe.
        match unsafe { sigaction(signal, &action) } {
            Ok(before) if matches!(before.handler(), SigHandler::SigIgn) => {
                // SAFETY: it restores the action that the kernel gave; an ignored signal stays ignored.
                let _ = unsafe { sigaction(signal, &before) };
            }
            Ok(before) => found.push((signal, before)),
            Err(_) => {}
        }
    }
    Stops(found)
}

impl Drop for Stops {
    fn drop(&mut self) {
        for (signal, before) in &self.0 {
            // SAFETY: it was so before.
            let _ = unsafe { sigaction(*signal, before) };
        }
    }
}

/// Ends this process where it stands: for a person who asked three times. What it owns on disk says that it was alive.
pub fn leave(number: i32) -> ! {
    // SAFETY: _exit(2) runs no code of this process.
    unsafe { nix::libc::_exit(128 + number) }
}

impl Signals {
    /// The next signal that already arrived.
    pub fn next(&self) -> Option<i32> {
        let mut byte = [0];
        match unistd::read(self.read, &mut byte) {
            Ok(1) => Some(i32::from(byte[0])),
            _ => None,
        }
    }

    /// Waits until `fd` can be read (or has ended): `Ok`; or a signal came first: `Err` with its number.
    pub fn or_readable(&self, fd: BorrowedFd) -> Result<(), i32> {
        loop {
            if self.or(fd, PollFlags::POLLIN) {
                return Ok(());
            }
            if let Some(number) = self.next() {
                return Err(number);
            }
        }
    }

    /// Waits until `fd` can be read or written, as asked, or has ended; false: a signal came first, and is left.
    pub fn or(&self, fd: BorrowedFd, wanted: PollFlags) -> bool {
        loop {
            let mut fds = [PollFd::new(self.read.as_fd(), PollFlags::POLLIN), PollFd::new(fd, wanted)];
            match poll(&mut fds, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                Err(_) => return true,
                Ok(_) => return !fds[0].any().unwrap_or(false),
            }
        }
    }

    /// Waits for the next signal, for ever: for the thread that forwards them.
    pub fn wait(&self) -> i32 {
        loop {
            let mut fds = [PollFd::new(self.read.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, PollTimeout::NONE);
            if let Some(number) = self.next() {
                return number;
            }
        }
    }
}

/// Can be read when there is a next one.
impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

/// `SIGTERM` and the like.
pub fn name(number: i32) -> &'static str {
    Signal::try_from(number).map_or("a signal", Signal::as_str)
}
