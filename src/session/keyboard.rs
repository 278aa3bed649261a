//! Passes on what is typed on this terminal to the engine's client, whose stdin is a pseudoterminal of ours, and looks for
//! the detach keys in it. The client writes to this terminal itself.

use super::detach_keys::DetachKeys;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use sys::tty;
use sys::{child, signals};

/// How long the rest of a key's sequence is waited for. Programs wait longer for it before they take an escape byte for a key.
const SEQUENCE_TIMEOUT: Duration = Duration::from_millis(25);
/// Bytes that wait for the client. Beyond them nothing more is read, and the terminal waits. An agent that hangs takes less
/// than that from a person who types, and can be detached from.
const MAX_WAITING_BYTES: usize = 1 << 20;
/// Bytes that are read at once.
const READ_BYTES: usize = 16 * 1024;

/// The keys of a terminal that sends a signal, while the client has not made its stdin raw.
const SIGNAL_KEYS: [(u8, i32); 3] = [(0x03, signals::SIGINT), (0x1a, signals::SIGTSTP), (0x1c, signals::SIGQUIT)];

/// The stdin of the engine's client, before anything is passed on to it.
pub(super) struct ClientInput(tty::Keyboard);

/// Passes on what is typed, until it is dropped.
pub(super) struct Keyboard {
    /// The client's stdin.
    inner: Arc<OwnedFd>,
    /// Dropped, it ends the thread.
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl ClientInput {
    /// # Errors
    /// The machine has no pseudoterminal left.
    pub fn open() -> io::Result<ClientInput> {
        tty::Keyboard::open().map(ClientInput)
    }

    pub fn stdin(&self) -> io::Result<Stdio> {
        self.0.stdin()
    }

    /// Passes on what is typed from now on; the terminal is raw. `detach` is called once, if the keys are typed.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn pass_on(self, keys: &str, detach: impl FnOnce() + Send + 'static) -> io::Result<Keyboard> {
        let (stopped, stop) = io::pipe()?;
        let inner = self.0.inner.clone();
        let mut relay = Relay { keys: DetachKeys::new(keys), input: self.0, waiting: Vec::new(), is_taken: false };
        let thread = sys::thread::spawn(move || {
            if relay.run(&stopped) == RelayEnd::Detach {
                detach();
                // Until the client is ended, it must not see an end of its input.
                let _ = poll(&mut [PollFd::new(stopped.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
            }
        })?;
        let keyboard = Keyboard { inner, stop: Some(stop), thread: Some(thread) };
        keyboard.resize();
        Ok(keyboard)
    }
}

impl Keyboard {
    /// Gives the client's stdin this terminal's size, which some clients read there.
    pub fn resize(&self) {
        if let Ok(size) = tty::size(&io::stdin()) {
            let _ = tty::set_size(&self.inner, size);
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RelayEnd {
    Detach,
    /// The terminal is gone, or nothing more is to be passed on.
    Over,
}

struct Relay {
    keys: DetachKeys,
    input: tty::Keyboard,
    /// What the client has not taken yet.
    waiting: Vec<u8>,
    /// The client has made its stdin raw.
    is_taken: bool,
}

impl Relay {
    fn run(&mut self, stopped: &PipeReader) -> RelayEnd {
        let stdin = io::stdin();
        let mut is_open = true;
        loop {
            let typed = match is_open && self.waiting.len() < MAX_WAITING_BYTES {
                true => PollFlags::POLLIN,
                false => PollFlags::empty(),
            };
            let taken = if self.waiting.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
            let mut fds = [
                PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.input.outer.as_fd(), taken),
                PollFd::new(stdin.as_fd(), typed),
            ];
            // A terminal that was closed is always ready.
            let polled = if typed.is_empty() { &mut fds[..2] } else { &mut fds[..] };
            let timeout = match self.keys.is_waiting() {
                true => PollTimeout::try_from(SEQUENCE_TIMEOUT).unwrap_or(PollTimeout::NONE),
                false => PollTimeout::NONE,
            };
            let count = match poll(polled, timeout) {
                Err(Errno::EINTR) => continue,
                Err(_) => return RelayEnd::Over,
                Ok(count) => count,
            };
            let [stop, client, terminal] = fds.map(|fd| fd.any().unwrap_or(false));
            if stop {
                return RelayEnd::Over;
            }
            if client && !self.write() {
                return RelayEnd::Over;
            }
            if count == 0 && self.keys.expire(&mut self.waiting) {
                return RelayEnd::Detach;
            }
            if terminal && !typed.is_empty() {
                match self.read() {
                    Some(RelayEnd::Detach) => return RelayEnd::Detach,
                    Some(RelayEnd::Over) => is_open = false,
                    None => {}
                }
            }
            if !is_open && self.waiting.is_empty() {
                return RelayEnd::Over;
            }
        }
    }

    /// Reads what was typed. `None`: it goes on.
    fn read(&mut self) -> Option<RelayEnd> {
        let mut buffer = [0; READ_BYTES];
        let mut typed = match nix::unistd::read(io::stdin(), &mut buffer) {
            Ok(count) if count > 0 => buffer[..count].to_vec(),
            Err(Errno::EINTR | Errno::EAGAIN) => return None,
            _ => {
                self.keys.finish(&mut self.waiting);
                return Some(RelayEnd::Over);
            }
        };
        self.is_taken |= self.input.is_taken();
        if !self.is_taken {
            typed.retain(|byte| match SIGNAL_KEYS.iter().find(|(key, _)| key == byte) {
                Some((_, signal)) => {
                    child::signal_our_group(*signal);
                    false
                }
                None => true,
            });
        }
        self.keys.read(&typed, &mut self.waiting).then_some(RelayEnd::Detach)
    }

    /// Writes what the client takes now. False where it takes nothing any more.
    fn write(&mut self) -> bool {
        match self.input.outer.write(&self.waiting) {
            Ok(count) => drop(self.waiting.drain(..count)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => return false,
        }
        true
    }
}
