//! A terminal that a test makes, with the program on it: what it shows is waited for, what a person types is typed.

use crate::harness::{WAIT_TIMEOUT, code, wait};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::time::Instant;

/// A person's terminal, and the program on it.
pub struct Terminal {
    child: Child,
    master: Option<OwnedFd>,
    pub seen: String,
}

impl Terminal {
    pub fn new(child: Child, master: OwnedFd) -> Terminal {
        Terminal { child, master: Some(master), seen: String::new() }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Waits until `text` was seen.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while !self.seen.contains(text) {
            assert!(self.read(deadline, text), "ended without `{text}`:\n{}", self.seen);
        }
    }

    pub fn types(&mut self, text: &str) {
        self.typist()(text);
    }

    /// Types beside a test that waits for what the program shows.
    pub fn typist(&self) -> impl FnMut(&str) + Send + use<> {
        let mut master = File::from(self.master.as_ref().unwrap().try_clone().unwrap());
        move |text| master.write_all(text.as_bytes()).unwrap()
    }

    /// The window is closed.
    pub fn hang_up(&mut self) {
        self.master = None;
    }

    /// Waits until no process has the terminal any more.
    #[track_caller]
    pub fn end_of_output(&mut self) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while self.read(deadline, "the end of the output") {}
    }

    /// All that was seen, and the exit code.
    #[track_caller]
    pub fn end(mut self) -> (i32, String) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while self.master.is_some() && self.read(deadline, "the end") {}
        let seen = self.seen;
        (code(wait(self.child, || seen.clone())), seen.replace("\r\n", "\n"))
    }

    /// Reads what comes; false at the end. `awaited` is what the test waits for.
    #[track_caller]
    fn read(&mut self, deadline: Instant, awaited: &str) -> bool {
        let master = self.master.as_ref().unwrap();
        let mut fds = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
        let left = deadline.saturating_duration_since(Instant::now());
        if poll(&mut fds, PollTimeout::try_from(left).unwrap()).unwrap() == 0 {
            let _ = self.child.kill();
            panic!("waited {WAIT_TIMEOUT:?} in vain for `{awaited}`; seen:\n{}", self.seen);
        }
        let mut bytes = [0; 4096];
        match nix::unistd::read(master, &mut bytes) {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
                true
            }
        }
    }
}
