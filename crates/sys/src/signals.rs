//! Signals as bytes in a pipe: a handler writes the number, and ordinary code decides what it means.
//!
//! One exception: the third ending signal ends the process inside the handler, unless a [`PromptReader`] lives. Without
//! one the program may be waiting for the engine and read no signal for a long time.
//!
//! No masks and no SIG_IGN, because children would inherit them; exec resets caught handlers.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{self, Pid};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::time::Duration;

pub use nix::libc::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGSTOP, SIGTERM, SIGTSTP, SIGWINCH};

/// Receives the numbers of caught signals, in the order in which they arrived.
#[derive(Debug)]
pub struct Signals {
    read: BorrowedFd<'static>,
}

/// Read end of the pipe; set once handlers are installed.
static READ_END: OnceLock<OwnedFd> = OnceLock::new();

/// Write end of the pipe. It is never closed.
static WRITE_END: AtomicI32 = AtomicI32::new(-1);
/// Process id of the process that installed the handlers.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// Count of ending signals so far.
static ENDING_SIGNALS: AtomicU32 = AtomicU32::new(0);
/// Whether a [`PromptReader`] lives.
static READ_PROMPTLY: AtomicBool = AtomicBool::new(false);

extern "C" fn handler(number: nix::libc::c_int) {
    // Between fork and exec a child has this handler and this pipe, and receives the signals of its process group. The
    // signal would be counted twice.
    if Pid::this().as_raw() == OWNER.load(Ordering::Relaxed) {
        let errno = Errno::last_raw();
        record(WRITE_END.load(Ordering::Relaxed), number);
        Errno::set_raw(errno);
    }
}

fn record(pipe: RawFd, number: i32) {
    let byte = [u8::try_from(number).unwrap_or(0)];
    // SAFETY: write(2) on a descriptor that is never closed; async-signal-safe. A full pipe loses the byte, not the process.
    unsafe { nix::libc::write(pipe, byte.as_ptr().cast(), 1) };
    if ![SIGTSTP, SIGCONT, SIGWINCH].contains(&number)
        && ENDING_SIGNALS.fetch_add(1, Ordering::Relaxed) >= 2
        && !READ_PROMPTLY.load(Ordering::Relaxed)
    {
        exit_now(number);
    }
}

/// While this lives, a thread reads every signal at once, and no handler ends the process.
pub struct PromptReader;

impl PromptReader {
    pub fn begin() -> PromptReader {
        READ_PROMPTLY.store(true, Ordering::Relaxed);
        PromptReader
    }
}

impl Drop for PromptReader {
    fn drop(&mut self) {
        READ_PROMPTLY.store(false, Ordering::Relaxed);
    }
}

/// Catches INT, TERM, HUP and QUIT for the rest of the process's life. A signal that was ignored at the start stays
/// ignored, as `nohup` and a shell's background jobs require. A second call returns the same receiver, with the signals
/// that were not read yet.
///
/// # Errors
/// The pipe or a handler cannot be made.
pub fn catch() -> io::Result<Signals> {
    if let Some(read) = READ_END.get() {
        return Ok(Signals { read: read.as_fd() });
    }
    let (read, write) = unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK)?;
    let pipe = write.as_raw_fd();
    std::mem::forget(write);
    WRITE_END.store(pipe, Ordering::Relaxed);
    OWNER.store(Pid::this().as_raw(), Ordering::Relaxed);
    match ctrlc::try_set_handler(move || record(pipe, Signal::SIGINT as i32)) {
        // `MultipleHandlers`: SIGINT was ignored, and stays so.
        Ok(()) | Err(ctrlc::Error::MultipleHandlers) => {}
        Err(error) => return Err(io::Error::other(error)),
    }
    let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        // SAFETY: the handler calls only getpid(2), write(2) and _exit(2).
        let previous = unsafe { sigaction(signal, &action) }?;
        if matches!(previous.handler(), SigHandler::SigIgn) {
            // SAFETY: it restores the action that the kernel returned.
            unsafe { sigaction(signal, &previous) }?;
        }
    }
    Ok(Signals { read: READ_END.get_or_init(|| read).as_fd() })
}

/// Catches signals until it is dropped; holds the previous actions.
pub struct ScopedSignals(Vec<(Signal, SigAction)>);

/// Catches SIGTSTP and SIGCONT, because a process that made the terminal raw must restore it before the shell gets it,
/// and make it raw again afterwards.
pub fn catch_stop_signals() -> ScopedSignals {
    catch_scoped(&[Signal::SIGTSTP, Signal::SIGCONT])
}

/// Catches SIGTSTP, SIGCONT and SIGWINCH.
pub fn catch_terminal_signals() -> ScopedSignals {
    catch_scoped(&[Signal::SIGTSTP, Signal::SIGCONT, Signal::SIGWINCH])
}

/// Signals that are ignored stay so.
fn catch_scoped(signals: &[Signal]) -> ScopedSignals {
    let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
    let mut replaced = Vec::new();
    for signal in signals.iter().copied() {
        // SAFETY: the handler only writes one byte to a pipe, which is async-signal-safe.
        match unsafe { sigaction(signal, &action) } {
            Ok(previous) if matches!(previous.handler(), SigHandler::SigIgn) => {
                // SAFETY: it restores the action that the kernel returned.
                let _ = unsafe { sigaction(signal, &previous) };
            }
            Ok(previous) => replaced.push((signal, previous)),
            Err(_) => {}
        }
    }
    ScopedSignals(replaced)
}

impl Drop for ScopedSignals {
    fn drop(&mut self) {
        for (signal, previous) in &self.0 {
            // SAFETY: it restores the action that the kernel returned.
            let _ = unsafe { sigaction(*signal, previous) };
        }
    }
}

/// Takes back the handlers that Rust's library sets for its words about a stack overflow: the kernel keeps SIGSEGV and
/// SIGBUS of other processes from process 1 of a container only where these have no handler.
pub fn reset_fault_handlers() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGSEGV, Signal::SIGBUS] {
        // SAFETY: the default action runs no code of this process.
        let _ = unsafe { sigaction(signal, &default) };
    }
}

/// Ends this process at once, with the exit code of a process that the signal killed. No clean-up runs, so a session stays
/// `live` on disk and reads as `lost`.
pub fn exit_now(number: i32) -> ! {
    // SAFETY: _exit(2) runs no code of this process.
    unsafe { nix::libc::_exit(128 + number) }
}

/// Has SIGTERM end this process. The first process of a container ignores it without a handler.
///
/// # Errors
/// The handler cannot be made.
pub fn end_at_sigterm() -> io::Result<()> {
    extern "C" fn end(number: nix::libc::c_int) {
        exit_now(number);
    }
    let action = SigAction::new(SigHandler::Handler(end), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler calls only _exit(2), which is async-signal-safe.
    unsafe { sigaction(Signal::SIGTERM, &action) }?;
    Ok(())
}

/// Whether a signal was caught that no code has read yet.
pub fn is_pending() -> bool {
    READ_END.get().is_some_and(|read| {
        let mut fds = [PollFd::new(read.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO) == Ok(1)
    })
}

/// Whether an ending signal has come since the start, read or not.
pub fn has_ending_come() -> bool {
    ENDING_SIGNALS.load(Ordering::Relaxed) > 0
}

/// The oldest caught signal that no code has read yet.
pub fn take_pending() -> Option<i32> {
    Signals { read: READ_END.get()?.as_fd() }.try_recv()
}

impl Signals {
    /// The oldest signal that has arrived and was not read yet. Does not wait.
    pub fn try_recv(&self) -> Option<i32> {
        let mut byte = [0];
        match unistd::read(self.read, &mut byte) {
            Ok(1) => Some(i32::from(byte[0])),
            _ => None,
        }
    }

    /// Waits until `fd` is readable or at its end.
    ///
    /// # Errors
    /// A signal came first: its number.
    pub fn wait_readable(&self, fd: BorrowedFd) -> Result<(), i32> {
        loop {
            if self.wait_fd(fd, PollFlags::POLLIN) {
                return Ok(());
            }
            if let Some(number) = self.try_recv() {
                return Err(number);
            }
        }
    }

    /// Waits until `fd` is ready for one of the `wanted` events or at its end. False if a signal came first; it is not
    /// read.
    pub fn wait_fd(&self, fd: BorrowedFd, wanted: PollFlags) -> bool {
        loop {
            let mut fds = [PollFd::new(self.read.as_fd(), PollFlags::POLLIN), PollFd::new(fd, wanted)];
            match poll(&mut fds, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                Err(_) => return true,
                Ok(_) => return !fds[0].any().unwrap_or(false),
            }
        }
    }

    /// The next signal, if one comes within `timeout`.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<i32> {
        let mut fds = [PollFd::new(self.read.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX));
        self.try_recv()
    }

    /// Waits for the next signal, without a limit.
    pub fn recv(&self) -> i32 {
        loop {
            let mut fds = [PollFd::new(self.read.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, PollTimeout::NONE);
            if let Some(number) = self.try_recv() {
                return number;
            }
        }
    }
}

/// Readable while a signal is waiting.
impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

/// The signal's name, such as `SIGTERM`.
pub fn name(number: i32) -> &'static str {
    Signal::try_from(number).map_or("a signal", Signal::as_str)
}
