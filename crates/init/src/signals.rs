//! Signals of PID 1, caught by handlers (tokio's) and never masked: exec resets handlers, while an inherited mask would
//! make the agent deaf to signals.

use crate::failure::Failure;
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Signals that are passed on to the command. The kernel sends it SIGWINCH itself, when its terminal's size is set.
const FORWARDED: [Signal; 7] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCONT,
];

/// Says that another client will be on the terminal (`init redraw`). A process that does not know it ignores it.
pub const CLIENT_COMES: Signal = Signal::SIGURG;

/// All caught signals, in the order in which they arrived.
pub struct Signals(mpsc::UnboundedReceiver<Signal>);

impl Signals {
    /// Catches what is forwarded, SIGCHLD, and what concerns the terminal. Must be called in a `LocalSet`.
    ///
    /// # Errors
    /// A handler cannot be installed.
    pub fn catch() -> Result<Signals, Failure> {
        let (sender, receiver) = mpsc::unbounded_channel();
        for number in FORWARDED.into_iter().chain([Signal::SIGCHLD, Signal::SIGWINCH, CLIENT_COMES]) {
            let mut caught = signal(SignalKind::from_raw(number as i32))?;
            let sender = sender.clone();
            tokio::task::spawn_local(
                async move { while caught.recv().await.is_some() && sender.send(number).is_ok() {} },
            );
        }
        Ok(Signals(receiver))
    }

    /// Waits for the next signal.
    pub async fn recv(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            // The senders live as long as the runtime.
            None => std::future::pending().await,
        }
    }

    /// Waits for the next signal that asks the process to end.
    pub async fn next_ending(&mut self) -> Signal {
        loop {
            let signal = self.recv().await;
            if is_ending(signal) {
                return signal;
            }
        }
    }
}

/// Whether this signal asks a process to end.
pub fn is_ending(signal: Signal) -> bool {
    use Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    matches!(signal, SIGTERM | SIGINT | SIGHUP | SIGQUIT)
}
