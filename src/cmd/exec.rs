//! `exec`: runs a command inside a live bottle, under the same confinement and with the agent's environment.
//!
//! Its input goes in as frames, over a stream that ends with this process, whatever ends it: that is how the command inside
//! hears of it. The engine itself would leave it running.

use super::live::LiveBottle;
use crate::cli::ExecArgs;
use crate::exit::Exit;
use anyhow::Result;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use sys::signals::{self, Signals};
use sys::{timings, tty};
use wire::InputFrame;

/// Pieces of input that wait for the engine's client.
const MAX_WAITING_PIECES: usize = 4;
const READ_BYTES: usize = 16 * 1024;

/// What the main thread waits for.
enum ExecEvent {
    /// The engine's client has ended.
    Ended,
    Signal(i32),
}

pub fn run(asked: ExecArgs) -> Result<Exit> {
    let bottle = LiveBottle::open(asked.identity.as_deref())?;
    let is_on_terminal = tty::attached();
    let mut args = bottle.exec("-i", &["exec", "--input", if is_on_terminal { "terminal" } else { "pipe" }]);
    if !asked.command.is_empty() {
        args.push("--".to_owned());
        args.extend(asked.command);
    }
    timings::phase("run");
    let signals = signals::catch()?;
    let (_caught, _listening) = (is_on_terminal.then(signals::catch_terminal_signals), signals::PromptReader::begin());
    let mut client = bottle.docker.attach_with_input(&args)?;
    let Some(stdin) = client.stdin.take() else { return Ok(Exit::ENGINE) };
    let restore = if is_on_terminal { tty::save_line_discipline() } else { None };
    restore.iter().for_each(tty::TerminalGuard::set_raw);
    let watch = Watch { input: Input::begin(stdin, is_on_terminal)?, events: watch(&client, signals)?, restore };
    let ended = watch.until_the_end(&mut client);
    drop(watch);
    Ok(match ended? {
        Ok(status) => exit_of(status),
        Err(signal) => Exit::signal(signal),
    })
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, Some(number)) => Exit::signal(number),
        (None, None) => Exit::ENGINE,
    }
}

/// Begins to wait for the client's end and for signals.
fn watch(client: &Child, signals: Signals) -> Result<Receiver<ExecEvent>> {
    let ((sender, events), pid) = (channel(), client.id());
    let of_signals: Sender<ExecEvent> = sender.clone();
    sys::thread::spawn(move || while of_signals.send(ExecEvent::Signal(signals.recv())).is_ok() {})?;
    sys::thread::spawn(move || {
        sys::child::await_end(pid);
        let _ = sender.send(ExecEvent::Ended);
    })?;
    Ok(events)
}

struct Watch {
    input: Input,
    events: Receiver<ExecEvent>,
    /// `None` without a terminal.
    restore: Option<tty::TerminalGuard>,
}

impl Watch {
    /// Waits for the end of the client, which a signal kills: its number.
    fn until_the_end(&self, client: &mut Child) -> Result<Result<ExitStatus, i32>> {
        loop {
            match self.events.recv()? {
                ExecEvent::Ended => return Ok(Ok(client.wait()?)),
                ExecEvent::Signal(signals::SIGWINCH) => self.input.resize(),
                ExecEvent::Signal(signals::SIGTSTP) => {
                    self.restore.iter().for_each(tty::TerminalGuard::suspend);
                    sys::child::stop_self();
                }
                ExecEvent::Signal(signals::SIGCONT) => {
                    self.restore.iter().for_each(tty::TerminalGuard::set_raw);
                    self.input.resize();
                }
                ExecEvent::Signal(number) => {
                    let _ = client.kill();
                    let _ = client.wait();
                    return Ok(Err(number));
                }
            }
        }
    }
}

/// The command's input, on its way to the client.
struct Input {
    frames: SyncSender<Vec<u8>>,
}

impl Input {
    /// Sends what this process's stdin brings, from now on; of a terminal its size first.
    fn begin(mut client: ChildStdin, is_on_terminal: bool) -> Result<Input> {
        let (frames, pieces) = sync_channel::<Vec<u8>>(MAX_WAITING_PIECES);
        let input = Input { frames };
        if is_on_terminal {
            input.resize();
        }
        // It ends with this process, or with the client.
        sys::thread::spawn(move || while pieces.recv().is_ok_and(|piece| client.write_all(&piece).is_ok()) {})?;
        let frames = input.frames.clone();
        sys::thread::spawn(move || {
            let mut buffer = [0; READ_BYTES];
            loop {
                let piece = match nix::unistd::read(io::stdin(), &mut buffer) {
                    Ok(count) if count > 0 => InputFrame::encode_data(&buffer[..count]),
                    Err(Errno::EINTR) => continue,
                    // Another process has made it non-blocking.
                    Err(Errno::EAGAIN) => {
                        let _ = poll(&mut [PollFd::new(io::stdin().as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
                        continue;
                    }
                    _ => break,
                };
                if frames.send(piece).is_err() {
                    return;
                }
            }
            // A terminal has no end of input but its own, and then a signal says so.
            if !is_on_terminal {
                let _ = frames.send(InputFrame::encode_end());
            }
        })?;
        Ok(input)
    }

    /// Sends the terminal's size.
    fn resize(&self) {
        if let Ok(size) = tty::size(&io::stdin()) {
            let _ = self.frames.try_send(InputFrame::encode_size(size.to_numbers()));
        }
    }
}
