//! The terminal: prompts, its size, raw mode, and restoring its settings.
#![allow(unsafe_code)]

mod keyboard;
mod reset;

pub use keyboard::Keyboard;

use crate::signals::Signals;
use nix::sys::termios::{self, FlushArg, LocalFlags, SetArg, Termios};
use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;

/// Whether stdin and stdout are both terminals.
pub fn attached() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

nix::ioctl_read_bad!(window_size, nix::libc::TIOCGWINSZ, nix::libc::winsize);
nix::ioctl_write_ptr_bad!(set_window_size, nix::libc::TIOCSWINSZ, nix::libc::winsize);
nix::ioctl_write_int_bad!(set_controlling_terminal, nix::libc::TIOCSCTTY);

/// How long a changed size stays before it is changed back. A busy program would see two immediate changes as none.
pub const SEEN_AS_CHANGE: std::time::Duration = std::time::Duration::from_millis(50);

/// A terminal's size in cells and, where it is known, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    rows: u16,
    columns: u16,
    width: u16,
    height: u16,
}

impl Size {
    /// A size without one in pixels.
    pub fn of_cells(columns: u16, rows: u16) -> Size {
        Size { rows, columns, width: 0, height: 0 }
    }

    /// Columns and rows.
    pub fn cells(self) -> [usize; 2] {
        [self.columns.into(), self.rows.into()]
    }

    /// Rows, columns, width, height.
    pub fn to_numbers(self) -> [u16; 4] {
        [self.rows, self.columns, self.width, self.height]
    }

    pub fn of_numbers([rows, columns, width, height]: [u16; 4]) -> Size {
        Size { rows, columns, width, height }
    }

    /// The size with one row less; with one row more, where there is only one.
    pub fn other_height(self) -> Size {
        let rows = if self.rows > 1 { self.rows - 1 } else { self.rows + 1 };
        Size { rows, ..self }
    }
}

/// The size of a terminal; both of its ends have the same one.
///
/// # Errors
/// `terminal` is no terminal.
pub fn size(terminal: &impl AsFd) -> io::Result<Size> {
    let mut size = nix::libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes one `winsize`.
    unsafe { window_size(terminal.as_fd().as_raw_fd(), &mut size) }?;
    Ok(Size { rows: size.ws_row, columns: size.ws_col, width: size.ws_xpixel, height: size.ws_ypixel })
}

/// Sets the size of a terminal, on either of its ends. The kernel tells the program on it, if that is a change.
///
/// # Errors
/// `terminal` is no terminal.
pub fn set_size(terminal: &impl AsFd, size: Size) -> io::Result<()> {
    let Size { rows: ws_row, columns: ws_col, width: ws_xpixel, height: ws_ypixel } = size;
    let size = nix::libc::winsize { ws_row, ws_col, ws_xpixel, ws_ypixel };
    // SAFETY: the kernel reads one `winsize`.
    unsafe { set_window_size(terminal.as_fd().as_raw_fd(), &size) }?;
    Ok(())
}

/// Whether stdin is a terminal whose size is still 0 × 0, because the engine's client has not set it yet.
pub fn stdin_has_no_size() -> bool {
    size(&io::stdin()).is_ok_and(|size| size.rows == 0 && size.columns == 0)
}

/// Makes stdin the controlling terminal of a new session, whose leader this process becomes. Its process group is then in
/// the terminal's foreground.
///
/// # Errors
/// This process leads a process group, or stdin is no terminal or the one of another session.
pub fn take_stdin_as_controlling_terminal() -> io::Result<()> {
    nix::unistd::setsid()?;
    // SAFETY: the argument is a number; 0 takes no terminal away from another session.
    unsafe { set_controlling_terminal(io::stdin().as_fd().as_raw_fd(), 0) }?;
    Ok(())
}

/// Throws away what was typed at this terminal and not read yet.
pub fn discard_input(terminal: &impl AsFd) {
    let _ = termios::tcflush(terminal, FlushArg::TCIFLUSH);
}

/// The controlling terminal, for questions to the user.
pub struct Tty(File);

/// How a question ended.
pub enum Answer {
    /// What the user typed, without the line break.
    Line(String),
    /// End of input: the terminal is gone, or Ctrl-D.
    Nothing,
    /// The number of the signal that interrupted the question.
    Signal(i32),
}

impl Answer {
    /// Whether the line is `y` or `yes`, in small or capital letters.
    pub fn is_yes(&self) -> bool {
        matches!(self, Answer::Line(line) if ["y", "Y", "yes", "YES"].contains(&line.trim()))
    }
}

impl Tty {
    /// `None` if this process has no controlling terminal.
    pub fn open() -> Option<Tty> {
        OpenOptions::new().read(true).write(true).open("/dev/tty").ok().map(Tty)
    }

    /// Writes `question` and reads one line.
    pub fn ask(&mut self, question: &str, signals: &Signals) -> Answer {
        let _ = self.0.write_all(question.as_bytes());
        let mut line = Vec::new();
        loop {
            if let Err(signal) = signals.wait_readable(self.0.as_fd()) {
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

    /// Writes `question` and reads one line without echo. The terminal's settings are restored on every path.
    pub fn ask_silently(&mut self, question: &str, signals: &Signals) -> Answer {
        let Ok(saved) = termios::tcgetattr(&self.0) else { return Answer::Nothing };
        let mut silent = saved.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        let _ = termios::tcsetattr(&self.0, SetArg::TCSAFLUSH, &silent);
        let answer = self.ask(question, signals);
        let _ = termios::tcsetattr(&self.0, SetArg::TCSAFLUSH, &saved);
        let _ = self.0.write_all(b"\n");
        answer
    }
}

/// Restores the terminal on drop: the saved line discipline, and where it is for a full-screen program, every mode that such
/// a program may have left on.
pub struct TerminalGuard {
    tty: File,
    saved: Termios,
    resets_modes: bool,
    has_pushed_title: Cell<bool>,
}

/// Saves the settings of stdin's terminal; of the controlling one where stdin is none. `None` without a terminal.
pub fn save() -> Option<TerminalGuard> {
    TerminalGuard::of(stdin_terminal().or_else(|| Some(Tty::open()?.0))?, true)
}

/// Saves the line discipline of stdin's terminal alone. `None` where stdin is no terminal.
pub fn save_line_discipline() -> Option<TerminalGuard> {
    TerminalGuard::of(stdin_terminal()?, false)
}

/// stdin's terminal, open for writing as well.
fn stdin_terminal() -> Option<File> {
    io::stdin().is_terminal().then_some(())?;
    OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NOCTTY).open("/proc/self/fd/0").ok()
}

impl TerminalGuard {
    fn of(tty: File, resets_modes: bool) -> Option<TerminalGuard> {
        let saved = termios::tcgetattr(&tty).ok()?;
        Some(TerminalGuard { tty, saved, resets_modes, has_pushed_title: Cell::new(false) })
    }

    /// Passes every key on as it is typed: no line editing, no echo, no signals.
    pub fn set_raw(&self) {
        let mut raw = self.saved.clone();
        termios::cfmakeraw(&mut raw);
        let _ = termios::tcsetattr(&self.tty, SetArg::TCSADRAIN, &raw);
    }

    /// Has the terminal keep its title, which a program will set, until it is restored.
    pub fn push_title(&self) {
        if !self.has_pushed_title.replace(true) {
            let _ = (&self.tty).write_all(reset::PUSH_TITLE.as_bytes());
        }
    }

    /// Restores the saved settings while this process is stopped and the shell has the terminal.
    pub fn suspend(&self) {
        self.restore();
    }

    fn restore(&self) {
        // Only a foreground process may change its terminal's settings; the kernel would stop a background job.
        if nix::unistd::tcgetpgrp(&self.tty).is_ok_and(|foreground| foreground != nix::unistd::getpgrp()) {
            return;
        }
        if self.resets_modes {
            let _ = (&self.tty).write_all(reset::RESET.as_bytes());
            if self.has_pushed_title.replace(false) {
                let _ = (&self.tty).write_all(reset::POP_TITLE.as_bytes());
            }
            let _ = termios::tcdrain(&self.tty);
        }
        let _ = termios::tcsetattr(&self.tty, SetArg::TCSADRAIN, &self.saved);
        if self.resets_modes {
            // Reports that the program had asked for are not for the shell.
            let _ = termios::tcflush(&self.tty, FlushArg::TCIFLUSH);
        }
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        self.restore();
    }
}
