//! Watches a running session: the terminal's child, the gate's lines, signals. It returns when the child has ended.
//!
//! The first signal stops the agent. The second kills it instead of waiting out the stop timeout. The third leaves at
//! once: the session stays `live` on disk and reads as `lost`.

use super::audit::Age;
use super::keyboard::{ClientInput, Keyboard};
use super::notify::Notifier;
use super::presence::Presence;
use super::settle::Cause;
use super::terminal_socket::TerminalSocket;
use super::{Session, audit};
use crate::docker::{Call, Docker, Stream};
use crate::facts::Terminal;
use crate::hint;
use crate::plan::{Args, Plan};
use crate::say;
use crate::text;
use anyhow::{Context as _, Result};
use std::process::ChildStdin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use sys::signals::{self, Signals};
use sys::{timings, tty};
use wire::{Change, Event, Work};

/// How long a session's end waits for the gate's comparison of the work.
const WORK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a session's end waits for the last lines of a gate that was removed.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an ending signal is waited for that has come and was not read yet.
const SIGNAL_TIMEOUT: Duration = Duration::from_secs(1);

/// What the main thread waits for.
pub(super) enum SessionEvent {
    /// The gate has read its document and serves.
    GateReady,
    /// The gate says why it cannot serve.
    GateFailed(String),
    /// The gate's client has ended.
    GateEnded,
    /// What is in the agent's home and nowhere else.
    Work(Work),
    /// The gate wants a token to be fetched anew.
    TokensDue,
    /// The agent proposed this, or a request of its waits.
    Proposed(Change),
    /// The terminal's child has ended.
    ClientEnded,
    /// The detach keys were typed, or another process asks for the same.
    Detach,
    /// The terminal has another size.
    Resized,
    /// A signal that asks for an end.
    Signal(i32),
    /// The shell wants the terminal.
    Suspend,
    /// The shell has given the terminal back.
    Resume,
}

/// The engine's client that runs the gate, and all events, those of other threads included.
pub(super) struct GateClient {
    /// `None` once its last words were read.
    stream: Option<Stream>,
    ready: bool,
    /// The comparison that init made at the end.
    work: Option<Work>,
    sender: Sender<SessionEvent>,
    events: Receiver<SessionEvent>,
}

impl GateClient {
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    pub fn set_ready(&mut self) {
        self.ready = true;
    }

    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.stream.as_mut()?.child.stdin.take()
    }

    /// The comparison of the work, which the gate passed on before the agent's container ended. Gates of older programs
    /// never send one, so the wait is bounded.
    pub fn await_work(&mut self) -> Option<Work> {
        while self.work.is_none() {
            match self.events.recv_timeout(WORK_TIMEOUT) {
                Ok(SessionEvent::Work(work)) => self.work = Some(work),
                Ok(SessionEvent::GateEnded) | Err(_) => break,
                Ok(_) => {}
            }
        }
        self.work.take()
    }

    /// The comparison of the work, if it has arrived.
    pub fn take_work(&mut self) -> Option<Work> {
        self.work.take()
    }

    /// A signal that has arrived and was not handled. The thread that reads signals may not have come to it yet.
    pub fn pending_signal(&mut self) -> Option<i32> {
        let timeout = if signals::has_ending_come() { SIGNAL_TIMEOUT } else { Duration::ZERO };
        while let Ok(event) = self.events.recv_timeout(timeout) {
            match event {
                SessionEvent::Signal(number) => return Some(number),
                SessionEvent::Work(work) => self.work = Some(work),
                _ => {}
            }
        }
        None
    }

    /// Waits until the last lines of a gate that was removed are in the audit trail.
    pub fn await_last_lines(&self) {
        while let Ok(event) = self.events.recv_timeout(LAST_LINES_TIMEOUT) {
            if matches!(event, SessionEvent::GateEnded) {
                return;
            }
        }
    }

    /// The last line on the stderr of a gate that ended without a reason.
    fn last_words(&mut self) -> String {
        let (status, stderr) = self.stream.take().map(Stream::wait).unwrap_or_default();
        match stderr.lines().last().filter(|line| !line.is_empty()) {
            Some(line) => line.to_owned(),
            None => status.map_or_else(|| "it ended".to_owned(), |status| format!("it ended ({status})")),
        }
    }
}

/// A request that the agent end. It is repeated until the client comes back: a call that reaches the engine before the
/// container runs has no effect.
struct StopRequest {
    args: Args,
    call: Option<Call>,
    attempts_left: u32,
}

impl StopRequest {
    const RETRY_INTERVAL: Duration = Duration::from_millis(250);
    const MAX_ATTEMPTS: u32 = 60;

    fn begin(docker: &Docker, args: Args) -> StopRequest {
        let call = docker.begin(&args).ok();
        StopRequest { args, call, attempts_left: StopRequest::MAX_ATTEMPTS }
    }

    /// Repeats the call once the last one has ended. False where all attempts were made.
    fn retry(&mut self, docker: &Docker) -> bool {
        self.attempts_left = self.attempts_left.saturating_sub(1);
        if self.call.as_mut().is_none_or(Call::has_ended) {
            self.call = docker.begin(&self.args).ok();
        }
        self.attempts_left > 0
    }
}

/// A request that the terminal be detached. The client is ended only once the agent runs: before, it is the client that
/// starts it.
struct DetachRequest {
    /// Asks whether the agent runs.
    call: Option<Call>,
}

impl DetachRequest {
    const RETRY_INTERVAL: Duration = Duration::from_millis(10);

    fn begin(docker: &Docker, plan: &Plan) -> DetachRequest {
        DetachRequest { call: docker.begin_is_running(&plan.agent_container()).ok() }
    }

    /// Whether the agent runs, as far as the engine has answered; asks again where it does not.
    fn is_possible(&mut self, docker: &Docker, plan: &Plan) -> bool {
        if self.call.as_mut().is_some_and(|call| !call.has_ended()) {
            return false;
        }
        let is_running = self.call.take().is_some_and(|call| call.finish().is_ok_and(|answer| answer == "true"));
        if !is_running {
            *self = DetachRequest::begin(docker, plan);
        }
        is_running
    }
}

/// The terminal's child, and how its end came about.
///
/// The fields are dropped in this order: the terminal is restored before the held messages are written, or a full-screen
/// program's screen would take them along.
struct Watch {
    client: Stream,
    cause: Cause,
    /// Set once the agent was asked to end.
    stop: Option<StopRequest>,
    /// Set once the terminal is to be detached.
    detach: Option<DetachRequest>,
    /// A second signal has come, and the agent was killed.
    is_killed: bool,
    /// `None` without a terminal.
    keyboard: Option<Keyboard>,
    restore: Option<tty::TerminalGuard>,
    presence: Option<Presence>,
    notifier: Option<Notifier>,
    _held_messages: Option<say::HeldMessages>,
}

impl Session<'_> {
    /// Reads the gate's lines: all of them go into the audit trail, and those that matter here to the main thread.
    pub(super) fn follow_gate(&mut self, mut stream: Stream) -> Result<()> {
        let (sender, events) = channel();
        let stdout = stream.child.stdout.take();
        let (tell, folder) = (sender.clone(), self.folder.clone());
        sys::thread::spawn(move || {
            if let Some(stdout) = stdout {
                audit::follow(stdout, &folder.audit(), |event, age| {
                    if age == Age::New {
                        folder.count_event(&event);
                    }
                    let _ = match event {
                        Event::Ready { .. } => tell.send(SessionEvent::GateReady),
                        Event::Failed { reason } => tell.send(SessionEvent::GateFailed(reason)),
                        Event::Work(work) => tell.send(SessionEvent::Work(work)),
                        Event::Refresh { .. } => tell.send(SessionEvent::TokensDue),
                        Event::Proposal(proposal) if age == Age::New => {
                            tell.send(SessionEvent::Proposed(proposal.change))
                        }
                        _ => Ok(()),
                    };
                });
            }
            let _ = tell.send(SessionEvent::GateEnded);
        })?;
        self.gate = Some(GateClient { stream: Some(stream), ready: false, work: None, sender, events });
        Ok(())
    }

    /// Runs the terminal's child by these arguments until it ends. Signals and the gate's death make it end. Gives the
    /// cause.
    ///
    /// # Errors
    /// The engine's program cannot be run.
    pub(super) fn watch(&mut self, args: &Args, signals: Signals) -> Result<Cause> {
        let restore = tty::save();
        let (_caught, _listening) = (signals::catch_terminal_signals(), signals::PromptReader::begin());
        let gate = self.gate.as_ref().context("the gate was not started")?;
        let sender = gate.sender.clone();
        sys::thread::spawn(move || forward_signals(&signals, &sender))?;
        let input = (self.plan.terminal == Terminal::Tty).then(ClientInput::open).transpose()?;
        let stdin = input.as_ref().map(ClientInput::stdin).transpose()?;
        let mut client = self.docker.attach_agent(args, stdin)?;
        let sender = gate.sender.clone();
        let keyboard = input.map(|input| {
            restore.iter().for_each(tty::TerminalGuard::set_raw);
            restore.iter().for_each(tty::TerminalGuard::push_title);
            input.pass_on(&self.plan.detach_keys, move || drop(sender.send(SessionEvent::Detach)))
        });
        let keyboard = keyboard.transpose().inspect_err(|_| drop(client.child.kill()))?;
        let sender = gate.sender.clone();
        // Without the socket the keys still detach.
        let _socket = keyboard
            .as_ref()
            .and_then(|_| TerminalSocket::listen(&self.folder, move || drop(sender.send(SessionEvent::Detach))).ok());
        timings::phase("run");
        let _held_messages = (self.plan.terminal == Terminal::Tty).then(say::hold_messages).flatten();
        let (sender, pid) = (gate.sender.clone(), client.child.id());
        let waiter = sys::thread::spawn(move || {
            sys::child::await_end(pid);
            let _ = sender.send(SessionEvent::ClientEnded);
        });
        if let Err(error) = waiter {
            // The client would hold the terminal, or the pipes, for ever.
            let _ = client.child.kill();
            return Err(error.into());
        }

        let (cause, stop, notifier) = (Cause::Ended, None, Notifier::of_user(&self.plan.identity));
        let presence = gate.ready.then(|| Presence::at_terminal(self.docker, &self.plan)).flatten();
        let mut watch = Watch {
            client,
            cause,
            stop,
            detach: None,
            is_killed: false,
            keyboard,
            restore,
            presence,
            notifier,
            _held_messages,
        };
        loop {
            let event = self.next_event(&mut watch)?;
            let gate = self.gate.as_mut().context("the gate was not started")?;
            match event {
                SessionEvent::GateReady => {
                    gate.ready = true;
                    watch.presence = Presence::at_terminal(self.docker, &self.plan);
                }
                SessionEvent::Proposed(change) => {
                    if let Some(notifier) = &mut watch.notifier {
                        notifier.tell(&change, &self.plan.home);
                    }
                }
                SessionEvent::Work(work) => gate.work = Some(work),
                SessionEvent::TokensDue => self.refresh.request(),
                SessionEvent::ClientEnded => return Ok(self.end_of(watch)),
                SessionEvent::Detach => watch.detach = Some(DetachRequest::begin(self.docker, &self.plan)),
                SessionEvent::Suspend => suspend(watch.restore.as_ref(), pid),
                SessionEvent::Resume => self.redraw(&watch),
                SessionEvent::Resized => watch.resize(),
                SessionEvent::Signal(number) if watch.cause == Cause::Ended => self.begin_end(&mut watch, number),
                SessionEvent::Signal(number) if watch.is_killed => self.leave(watch, number),
                SessionEvent::Signal(_) => {
                    watch.is_killed = true;
                    watch.stop = Some(StopRequest::begin(self.docker, self.plan.kill()));
                }
                SessionEvent::GateFailed(_) | SessionEvent::GateEnded if watch.cause != Cause::Ended => {}
                died @ (SessionEvent::GateFailed(_) | SessionEvent::GateEnded) => {
                    // No end of the agent's ends the gate, but both may end at once.
                    if let Ok(SessionEvent::ClientEnded) = gate.events.recv_timeout(Duration::ZERO) {
                        return Ok(self.end_of(watch));
                    }
                    let args = if gate.ready { self.plan.stop() } else { self.plan.kill() };
                    watch.cause = Cause::GateDied(match died {
                        SessionEvent::GateFailed(why) => why,
                        _ => gate.last_words(),
                    });
                    watch.stop = Some(StopRequest::begin(self.docker, args));
                }
            }
        }
    }

    /// The client has ended: restores the terminal, and tells what the client said. Its status alone says little: after the
    /// agent's end it is the agent's code.
    fn end_of(&mut self, watch: Watch) -> Cause {
        let Watch { client, cause, detach, keyboard, restore, presence, notifier, _held_messages, .. } = watch;
        drop((keyboard, restore, presence, notifier));
        let (status, stderr) = client.wait();
        if detach.is_some() {
            // It was killed for that.
            return cause;
        }
        for line in stderr.lines() {
            say::line(&text::one_line(line));
        }
        let has_failed = !status.is_some_and(|status| status.success());
        self.client_failed = has_failed && (self.plan.terminal == Terminal::Pipes || !stderr.is_empty());
        cause
    }

    /// Waits for the next event. Meanwhile tokens are refreshed, or the request to stop or to detach is repeated; once all
    /// attempts to stop were made, or the agent runs that is to be detached from, the client is killed.
    fn next_event(&mut self, watch: &mut Watch) -> Result<SessionEvent> {
        let gate = self.gate.as_mut().context("the gate was not started")?;
        loop {
            let pause = match (&watch.stop, &watch.detach) {
                (Some(_), _) => Some(StopRequest::RETRY_INTERVAL),
                (None, Some(_)) => Some(DetachRequest::RETRY_INTERVAL),
                (None, None) => self.refresh.pause(),
            };
            let Some(pause) = pause else { return Ok(gate.events.recv()?) };
            if let Ok(event) = gate.events.recv_timeout(pause) {
                return Ok(event);
            }
            let has_attempts = match (&mut watch.stop, &mut watch.detach) {
                (Some(stop), _) => stop.retry(self.docker),
                (None, Some(detach)) => !detach.is_possible(self.docker, &self.plan),
                (None, None) => {
                    self.refresh.advance(self.docker, &self.plan);
                    true
                }
            };
            if !has_attempts {
                let _ = watch.client.child.kill();
                return Ok(gate.events.recv()?);
            }
        }
    }

    /// The first signal: the agent is stopped, or left alone where its terminal was closed and it outlives it.
    fn begin_end(&self, watch: &mut Watch, number: i32) {
        watch.cause = self.cause_of(number);
        match watch.cause {
            // The client would only wait for the terminal that is gone.
            Cause::HungUp => drop(watch.client.child.kill()),
            _ => watch.stop = Some(StopRequest::begin(self.docker, self.plan.stop())),
        }
    }

    /// The third signal: this process ends, and the session stays as it is.
    fn leave(&self, mut watch: Watch, number: i32) -> ! {
        // The client would hold the terminal, or the pipes, for ever.
        let _ = watch.client.child.kill();
        drop(watch);
        let identity = &self.plan.identity;
        say::line(&format!("left `{identity}` as it is: it is lost until it is settled"));
        say::hint(hint!("claude-bottle resume {}", identity));
        signals::exit_now(number)
    }

    /// Why a session ends that this signal reaches.
    pub(super) fn cause_of(&self, number: i32) -> Cause {
        match number {
            signals::SIGHUP if self.plan.outlives_its_terminal() => Cause::HungUp,
            number => Cause::Signal(number),
        }
    }

    /// Takes the terminal again, which other programs used while this process was stopped.
    fn redraw(&self, watch: &Watch) {
        let Some(restore) = watch.restore.as_ref().filter(|_| self.plan.terminal == Terminal::Tty) else { return };
        restore.set_raw();
        restore.push_title();
        sys::child::send_signal(watch.client.child.id(), signals::SIGCONT);
        self.announce_client();
        // The terminal's size may be another one now; the program inside then draws.
        watch.resize();
    }

    /// Tells the bottle that this terminal will be on the agent's: it sets the program's modes on it, and has the program
    /// draw. Without that the session works as well; an older bottle knows only a part of it.
    pub(super) fn announce_client(&self) {
        if self.plan.terminal == Terminal::Tty {
            let _ = self.docker.run(&self.plan.redraw());
        }
    }
}

impl Watch {
    /// Has the client set the terminal's size inside. It has heard of a new size itself, before its stdin had it.
    fn resize(&self) {
        if let Some(keyboard) = &self.keyboard {
            keyboard.resize();
            sys::child::send_signal(self.client.child.id(), signals::SIGWINCH);
        }
    }
}

/// Sends every signal on, as long as the receiver exists.
fn forward_signals(signals: &Signals, sender: &Sender<SessionEvent>) {
    loop {
        let event = match signals.recv() {
            signals::SIGTSTP => SessionEvent::Suspend,
            signals::SIGCONT => SessionEvent::Resume,
            signals::SIGWINCH => SessionEvent::Resized,
            number => SessionEvent::Signal(number),
        };
        if sender.send(event).is_err() {
            return;
        }
    }
}

/// Gives the shell the terminal as it was, and stops this process. The client is stopped as well: it would read what is
/// typed at the shell.
fn suspend(restore: Option<&tty::TerminalGuard>, client: u32) {
    if let Some(restore) = restore {
        restore.suspend();
    }
    sys::child::send_signal(client, signals::SIGSTOP);
    sys::child::stop_self();
    // The shell has continued this process.
    sys::child::send_signal(client, signals::SIGCONT);
}
