//! The terminal: questions on it, and leaving it as it was found.
#![allow(unsafe_code)]

use crate::signals::Signals;
use nix::sys::termios::{self, FlushArg, LocalFlags, SetArg, Termios};
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd};

/// Are stdin and stdout both a terminal?
pub fn attached() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

nix::ioctl_read_bad!(window_size, nix::libc::TIOCGWINSZ, nix::libc::winsize);

/// Is stdin a terminal that was not told its size yet?
pub fn unsized_stdin() -> bool {
    let mut size = nix::libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes one `winsize`, or nothing where stdin is no terminal.
    let asked = unsafe { window_size(io::stdin().as_fd().as_raw_fd(), &mut size) };
    asked.is_ok() && size.ws_row == 0 && size.ws_col == 0
}

nix::ioctl_write_ptr_bad!(set_window_size, nix::libc::TIOCSWINSZ, nix::libc::winsize);

/// Makes a terminal one row smaller, and after a moment as it was: what runs on it draws again.
pub fn jolt(terminal: &impl AsFd, moment: std::time::Duration) -> io::Result<()> {
    let fd = terminal.as_fd().as_raw_fd();
    let mut size = nix::libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes one `winsize`.
    unsafe { window_size(fd, &mut size) }?;
    let smaller = nix::libc::winsize { ws_row: size.ws_row.saturating_sub(1).max(1), ..size };
    // SAFETY: the kernel reads one `winsize`.
    unsafe { set_window_size(fd, &smaller) }?;
    std::thread::sleep(moment);
    // SAFETY: the kernel reads one `winsize`.
    unsafe { set_window_size(fd, &size) }?;
    Ok(())
}

/// The controlling terminal, for a question.
pub struct Tty(File);

/// How a question ended.
pub enum Answer {
    Line(String),
    /// End of input: the terminal is gone, or Ctrl-D.
    Nothing,
    Signal(i32),
}

impl Answer {
    /// Only these words are a yes.
    pub fn is_yes(&self) -> bool {
        matches!(self, Answer::Line(line) if ["y", "Y", "yes", "YES"].contains(&line.trim()))
    }
}

impl Tty {
    /// `None` where this process has no terminal.
    pub fn open() -> Option<Tty> {
        OpenOptions::new().read(true).write(true).open("/dev/tty").ok().map(Tty)
    }

    /// Asks on the terminal and reads one line.
    pub fn ask(&mut self, question: &str, signals: &Signals) -> Answer {
        let _ = self.0.write_all(question.as_bytes());
        let mut line = Vec::new();
        loop {
            if let Err(signal) = signals.or_readable(self.0.as_fd()) {
                let _ = self.0.write_all(b"\n");
                return Answer::Signal(signal);
            }
            let mut byte = [0];
            match self.0.read(&mut byte) {
                Ok(1) if byte[0] == b'\n' => return Answer::Line(String::from_utf8_lossy(&line).into_owned()),
                Ok(1) => line.push(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return Answer::Nothing,
            }
        }
    }

    /// The same without echo; the terminal's settings come back on every path.
    pub fn ask_silently(&mut self, question: &str, signals: &Signals) -> Answer {
        let Ok(before) = termios::tcgetattr(&self.0) else { return Answer::Nothing };
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        let _ = termios::tcsetattr(&self.0, SetArg::TCSAFLUSH, &silent);
        let answer = self.ask(question, signals);
        let _ = termios::tcsetattr(&self.0, SetArg::TCSAFLUSH, &before);
        let _ = self.0.write_all(b"\n");
        answer
    }
}

/// Puts the terminal back on drop: line discipline as found, and whatever a full-screen program may have left on.
pub struct Restore {
    tty: File,
    found: Termios,
}

/// Remembers the terminal's settings. `None` without a terminal.
pub fn remember() -> Option<Restore> {
    let tty = Tty::open()?.0;
    let found = termios::tcgetattr(&tty).ok()?;
    Some(Restore { tty, found })
}

/// Leaves: application keypad and cursor keys, mouse modes, focus events, bracketed paste, synchronised output, the kitty
/// keyboard protocol and modifyOtherKeys, the alternate screen; shows the cursor, resets colours, charset and margins.
/// Leaving the alternate screen puts the cursor where it was last saved, also where the screen was not in use: saved
/// just before, it stays where it is.
const RESET: &[u8] = b"\x1b>\x1b[?1l\x1b[?9l\x1b[?1000l\x1b[?1001l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005l\x1b[?1006l\
\x1b[?1015l\x1b[?1016l\x1b[?2004l\x1b[?2026l\x1b[?2031l\x1b[<u\x1b[>4;0m\x1b7\x1b[?1049l\x1b[?7h\x1b[?25h\x1b[0m\x1b(B\x0f\r";

impl Restore {
    /// The same for now: the shell gets the terminal for a while.
    pub fn lend(&self) {
        self.put_back();
    }

    /// Raw again, as the engine's client makes it.
    pub fn take_again(&self) {
        let mut raw = self.found.clone();
        termios::cfmakeraw(&mut raw);
        let _ = termios::tcsetattr(&self.tty, SetArg::TCSADRAIN, &raw);
    }

    fn put_back(&self) {
        // Only the foreground may write to the terminal's settings; a stopped or background job would be stopped again.
        if nix::unistd::tcgetpgrp(&self.tty) != Ok(nix::unistd::getpgrp()) {
            return;
        }
        let _ = (&self.tty).write_all(RESET);
        let _ = termios::tcdrain(&self.tty);
        let _ = termios::tcsetattr(&self.tty, SetArg::TCSADRAIN, &self.found);
        let _ = termios::tcflush(&self.tty, FlushArg::TCIFLUSH);
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        self.put_back();
    }
}
