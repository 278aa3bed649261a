//! A terminal that a test makes, with the program on it: what it shows is waited for, what a person types is typed.

use crate::harness::{Screen, WAIT_TIMEOUT, code, wait};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::time::Instant;
use sys::tty::{Size, set_size};

/// A person's terminal, and the program on it.
pub struct Terminal {
    child: Child,
    master: Option<OwnedFd>,
    pub seen: String,
    pub screen: Screen,
}

impl Terminal {
    /// Waits until the process is stopped, as by Ctrl-Z.
    pub fn until_stopped(&self) {
        let stat = format!("/proc/{}/stat", self.pid());
        wait::until("a process that is stopped", || std::fs::read_to_string(&stat).unwrap().contains(") T "));
    }

    pub fn new(child: Child, master: OwnedFd) -> Terminal {
        let [columns, rows] = Terminal::USUAL_SIZE;
        let screen = Screen::new(columns.into(), rows.into());
        Terminal { child, master: Some(master), seen: String::new(), screen }
    }

    /// Columns and rows of a terminal that is not resized.
    pub const USUAL_SIZE: [u16; 2] = [80, 24];

    /// The window gets another size, of which the kernel tells the program.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.screen.resize(columns.into(), rows.into());
        set_size(self.master.as_ref().unwrap(), Size::of_cells(columns, rows)).unwrap();
    }

    /// Waits until the screen shows this text in one row.
    #[track_caller]
    pub fn until_shown(&mut self, text: &str) {
        self.until_screen(text, |screen| screen.text().contains(text));
    }

    /// Waits until the screen is like that. `awaited`: in words.
    #[track_caller]
    pub fn until_screen(&mut self, awaited: &str, is_so: impl Fn(&Screen) -> bool) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while !is_so(&self.screen) {
            assert!(self.read(deadline, awaited), "ended without `{awaited}`:\n{}", self.screen.text());
        }
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
            let screen = self.screen.text();
            panic!("waited {WAIT_TIMEOUT:?} in vain for `{awaited}`; seen:\n{}\nscreen:\n{screen}", self.seen);
        }
        let mut bytes = [0; 4096];
        match nix::unistd::read(master, &mut bytes) {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.screen.feed(&bytes[..count]);
                self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
                true
            }
        }
    }
}
