//! The dashboard's terminal: raw, on its alternate screen, and restored on every way out: an end, an error, a signal, a
//! panic, Ctrl-Z, and each program that gets the terminal for a while.

use super::decisions::{Decisions, TaskResult};
use super::feeds::{Feeds, Progress};
use super::notices::Notices;
use super::{POLL_INTERVAL, now, verbs};
use crate::dashboard::{AskKey, Colours, Command, Key, KeyReader, Model, Screen, Size, detail_window, draw};
use crate::exit::{Exit, UserError};
use crate::say;
use crate::state::Home;
use anyhow::Result;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, raise};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic;
use std::sync::Mutex;
use std::time::Duration;
use sys::signals::{self, PromptReader, SIGCONT, SIGTSTP, ScopedSignals, Signals};
use sys::tty;

/// The alternate screen, no cursor, pastes marked as such, everything erased.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[0m\x1b[2J";
/// How long an escape byte waits for the rest of a key's sequence.
const ESCAPE_TIMEOUT: Duration = Duration::from_millis(50);
/// A terminal that does not tell its size.
const USUAL_SIZE: Size = Size { columns: 80, rows: 24 };

/// # Errors
/// The terminal cannot be opened or made raw.
pub fn run(home: Home, feeds: Feeds, model: Model, woken: UnixStream) -> Result<Exit> {
    let signals = signals::catch()?;
    // The panic's words come after the terminal is restored: the fields and these are dropped from the last to the first.
    let _words = HeldPanic::hold();
    let _prompt = PromptReader::begin();
    let terminal = Terminal::open()?;
    let decisions = Decisions::new(home, feeds.wake()?);
    let notices = Notices::of_user(now());
    let mut dashboard = Running { decisions, feeds, notices, model, woken, signals, terminal, is_leaving: false };
    dashboard.run()
}

struct Running {
    decisions: Decisions,
    feeds: Feeds,
    notices: Notices,
    model: Model,
    woken: UnixStream,
    signals: Signals,
    terminal: Terminal,
    /// The last decision's end is the dashboard's.
    is_leaving: bool,
}

impl Running {
    fn run(&mut self) -> Result<Exit> {
        let mut keys = KeyReader::default();
        loop {
            let progress = self.feeds.step();
            if let Some(rows) = self.feeds.changed_rows() {
                self.terminal.tty.write_all(self.notices.text(&rows).as_bytes())?;
                self.model.set_bottles(rows);
            }
            // Not only at a change: a gate that was not up yet is told later.
            self.decisions.watch(self.model.bottles());
            self.model.set_now(now());
            if self.take_outcomes() {
                // Keys that came before the question was on the screen are no answer to it.
                self.terminal.discard_input();
                keys = KeyReader::default();
            }
            self.terminal.show(&mut self.model)?;
            if self.is_leaving && self.model.open_decisions() == 0 {
                return Ok(Exit::OK);
            }
            let pause = match (progress, keys.is_waiting()) {
                (Progress::More, _) => Duration::ZERO,
                (_, true) => ESCAPE_TIMEOUT,
                _ => POLL_INTERVAL,
            };
            let input = self.wait(pause);
            while let Some(number) = self.signals.try_recv() {
                match number {
                    SIGTSTP => self.suspend()?,
                    SIGCONT => self.terminal.enter()?,
                    number => return Ok(Exit::signal(number)),
                }
            }
            let mut pressed: Vec<Key> = Vec::new();
            if input {
                let mut bytes = [0; 4096];
                match self.terminal.tty.read(&mut bytes) {
                    // The terminal is gone.
                    Ok(0) => return Ok(Exit::OK),
                    Ok(count) => pressed = keys.read(&bytes[..count]),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => return Ok(Exit::OK),
                }
            } else {
                pressed.extend(keys.flush());
            }
            for key in pressed {
                let Some(command) = self.model.press(key) else { continue };
                if let Some(exit) = self.follow(command)? {
                    return Ok(exit);
                }
            }
        }
    }

    /// Takes what engines have answered; true where a question is on the screen with it.
    fn take_outcomes(&mut self) -> bool {
        let mut asks = false;
        while let Some(outcome) = self.decisions.outcome() {
            match outcome {
                TaskResult::Preview(shown) => {
                    if self.model.show_preview(&shown.of, shown.preview.clone()) {
                        asks |= self.model.is_asking();
                        self.decisions.keep(*shown);
                    }
                }
                TaskResult::Decided { ask, told } => {
                    self.model.end_decision(&ask);
                    self.model.say(told);
                }
                TaskResult::Told(told) => self.model.say(told),
            }
        }
        asks
    }

    /// Waits for keys, signals, lines of a log, or the next look; true where there are keys.
    fn wait(&mut self, pause: Duration) -> bool {
        let mut fds = [
            PollFd::new(self.terminal.tty.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.woken.as_fd(), PollFlags::POLLIN),
        ];
        let _ = poll(&mut fds, PollTimeout::try_from(pause).unwrap_or(PollTimeout::ZERO));
        let [input, _, is_woken] = fds.map(|fd| fd.any().unwrap_or(false));
        if is_woken {
            let mut bytes = [0; 1024];
            while self.woken.read(&mut bytes).is_ok_and(|count| count == bytes.len()) {}
        }
        input
    }

    /// Does what a key asks for; an exit ends the dashboard.
    fn follow(&mut self, command: Command) -> Result<Option<Exit>> {
        match command {
            Command::Quit if self.is_leaving || self.model.open_decisions() == 0 => return Ok(Some(Exit::OK)),
            Command::Quit => {
                self.is_leaving = true;
                self.model.say("a decision is not over, and this ends after it; q again leaves at once");
            }
            Command::Suspend => self.suspend()?,
            Command::Redraw => self.terminal.enter()?,
            Command::Preview(of) => {
                let begun = self.decisions.preview(of);
                self.tell_failure(begun);
            }
            Command::Approve(of) => {
                let ask = of.ask.clone();
                let begun = self.decisions.approve(of);
                self.end_unbegun(&ask, begun);
            }
            Command::Reject { ask, reason } => {
                let begun = self.decisions.reject(ask.clone(), reason);
                self.end_unbegun(&ask, begun);
            }
            Command::Edit(ask) => {
                let id = format!("{}/{}", ask.identity, ask.change.id());
                self.lend(&["approve", &id, "--edit"])?;
            }
            Command::Save(ask) => {
                let id = format!("{}/{}", ask.identity, ask.change.id());
                self.lend(&["approve", &id, "--save"])?;
            }
            Command::Attach(identity) => self.lend(&["attach", &identity])?,
            Command::Detach(identity) => {
                let begun = self.decisions.detach(identity);
                self.tell_failure(begun);
            }
            Command::Logs(identity) => self.lend(&["logs", "--follow", &identity])?,
            Command::Stop(identity) => {
                self.model.say("stopping…");
                let begun = self.decisions.stop(identity);
                self.tell_failure(begun);
            }
        }
        Ok(None)
    }

    fn tell_failure(&mut self, begun: Result<()>) {
        if let Err(error) = begun {
            self.model.say(format!("{error:#}"));
        }
    }

    /// A decision that did not begin is over.
    fn end_unbegun(&mut self, ask: &AskKey, begun: Result<()>) {
        if begun.is_err() {
            self.model.end_decision(ask);
        }
        self.tell_failure(begun);
    }

    /// Gives the terminal to a verb of this program, and takes it back at its end.
    fn lend(&mut self, words: &[&str]) -> Result<()> {
        self.terminal.leave();
        let told = verbs::run(words, &self.signals);
        // Signals of the terminal were for the verb.
        while self.signals.try_recv().is_some() {}
        self.terminal.enter()?;
        self.model.say(told);
        Ok(())
    }

    /// Stops this process, as Ctrl-Z asks a program to; goes on when the shell brings it to the foreground again.
    fn suspend(&mut self) -> Result<()> {
        self.terminal.leave();
        let _ = raise(Signal::SIGSTOP);
        self.terminal.enter()
    }
}

/// The terminal while it is drawn on.
struct Terminal {
    tty: File,
    colours: Colours,
    shown: Option<Screen>,
    // Restored first.
    guard: tty::TerminalGuard,
    /// Messages would be drawn over.
    held: Option<say::HeldMessages>,
    _stops: ScopedSignals,
}

impl Terminal {
    fn open() -> Result<Terminal> {
        let none = || {
            UserError::new("there is no terminal to draw on").hint("`claude-bottle dashboard --once` prints it once")
        };
        let tty = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| none())?;
        let guard = tty::save().ok_or_else(none)?;
        let colours = if say::has_colour(&tty) { Colours::Sixteen } else { Colours::None };
        let mut terminal =
            Terminal { tty, colours, shown: None, guard, held: None, _stops: signals::catch_stop_signals() };
        terminal.enter()?;
        Ok(terminal)
    }

    /// Makes the terminal raw and takes its alternate screen, whatever it shows now.
    fn enter(&mut self) -> Result<()> {
        self.guard.set_raw();
        self.shown = None;
        self.held = self.held.take().or_else(say::hold_all_messages);
        Ok(self.tty.write_all(ENTER)?)
    }

    fn leave(&mut self) {
        self.guard.suspend();
        self.held = None;
    }

    fn size(&self) -> Size {
        match tty::size(&self.tty).map(tty::Size::cells) {
            Ok([columns, rows]) if columns > 0 && rows > 0 => Size { columns, rows },
            _ => USUAL_SIZE,
        }
    }

    /// Throws away what was typed and not read.
    fn discard_input(&self) {
        tty::discard_input(&self.tty);
    }

    fn show(&mut self, model: &mut Model) -> Result<()> {
        let size = self.size();
        // It is drawn next, or the dashboard ends.
        if let Some(window) = detail_window(model, size) {
            model.mark_shown(window);
        }
        let screen = draw(model, size);
        let mut change = screen.change_from(self.shown.as_ref(), self.colours);
        if self.shown.as_ref().is_some_and(|shown| shown.size != screen.size) {
            // What a terminal makes of its old rows at a resize is its own.
            change.insert_str(0, "\x1b[0m\x1b[2J");
        }
        if !change.is_empty() {
            self.tty.write_all(change.as_bytes())?;
        }
        self.shown = Some(screen);
        Ok(())
    }
}

static PANIC_WORDS: Mutex<Option<String>> = Mutex::new(None);

/// Holds the words of a panic, which would be drawn on a screen that is left right after; says them when it is dropped.
struct HeldPanic;

impl HeldPanic {
    fn hold() -> HeldPanic {
        panic::set_hook(Box::new(|info| {
            if let Ok(mut words) = PANIC_WORDS.lock() {
                words.get_or_insert_with(|| info.to_string());
            }
        }));
        HeldPanic
    }
}

impl Drop for HeldPanic {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = panic::take_hook();
        }
        if let Some(words) = PANIC_WORDS.lock().ok().and_then(|mut words| words.take()) {
            say::line(&words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
    use nix::sys::termios::{LocalFlags, tcgetattr};
    use std::process::{Command as Program, Stdio};

    /// Set for the program of this test that panics on a terminal of its own.
    const PANICS: &str = "PANICS_ON_ITS_TERMINAL";

    /// The words of a panic come when the screen that it happened on is left, which would take them along.
    #[test]
    fn a_panic_gives_the_terminal_back_and_then_its_words() {
        if std::env::var_os(PANICS).is_some() {
            let _words = HeldPanic::hold();
            let _terminal = Terminal::open().unwrap();
            panic!("while it was drawn");
        }
        let mut master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let slave = OpenOptions::new().read(true).write(true).open(ptsname_r(&master).unwrap()).unwrap();
        let stream = |slave: &File| Stdio::from(slave.try_clone().unwrap());
        let name = std::thread::current().name().unwrap().to_owned();
        let mut program = Program::new("/usr/bin/setsid");
        program.arg("--ctty").arg(std::env::current_exe().unwrap()).args(["--exact", &name, "--nocapture"]);
        program.env(PANICS, "1").stdin(stream(&slave)).stdout(stream(&slave)).stderr(stream(&slave));
        let mut child = program.spawn().unwrap();
        // Its end is the end of what can be read.
        drop((program, slave));
        let (mut seen, mut bytes) = (String::new(), [0; 4096]);
        while let Ok(count) = master.read(&mut bytes) {
            seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        assert!(!child.wait().unwrap().success());
        let at = |text: &str| seen.find(text).unwrap_or_else(|| panic!("no {text:?} in {seen:?}"));
        assert!(at("\x1b[?1049h") < at("\x1b[?1049l") && at("\x1b[?1049l") < at("while it was drawn"), "{seen:?}");
        assert_eq!(seen.matches("while it was drawn").count(), 1, "{seen:?}");
        let modes = tcgetattr(&master).unwrap().local_flags;
        assert!(modes.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG), "{modes:?}");
    }
}
