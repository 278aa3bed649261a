//! `forward`: makes a server of the agent reachable on this machine's loopback, for as long as the bottle runs.

mod ports;

use super::live::LiveBottle;
use crate::cli::ForwardArgs;
use crate::exit::{EngineError, Exit, UserError};
use crate::hint;
use crate::say::{self, Tone};
use crate::state::Condition;
use crate::text;
use anyhow::{Context as _, Result};
use ports::{Listener, Ports};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use sys::signals::{self, Signals};
use wire::mux::Mux;

/// Time for the process inside to end, and for its container after it.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for the session's owner to record how it ended.
const MARK_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks at the container or the record.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Pause after an error of `accept` that may pass by itself, as when no descriptor is left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(20);

/// The hint for a bottle whose `init` does not know `pipe`.
const OLD_BOTTLE_HINT: &str = "a bottle that an older claude-bottle started has no such way: end it and resume it";

pub fn run(asked: &ForwardArgs) -> Result<Exit> {
    // No session is called as a port is.
    let is_port = asked.identity.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    let first = is_port.then_some(&asked.identity);
    if first.is_none() && asked.ports.is_empty() {
        return Err(UserError::new("no port is named")
            .hint(hint!("claude-bottle forward {} 5173", asked.identity))
            .into());
    }
    let ports = first.into_iter().chain(&asked.ports).map(|text| Ports::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let bottle = LiveBottle::open(first.is_none().then_some(asked.identity.as_str()))?;
    let listeners = ports.iter().map(|ports| ports.listen(asked)).collect::<Result<Vec<_>, _>>()?;
    let signals = signals::catch()?;
    let mut stream = bottle.docker.stream_with_input(&bottle.exec("-i", &["pipe"]))?;
    let (stdin, stdout) = (stream.child.stdin.take(), stream.child.stdout.take());
    let mut mux = Mux::on_host(stdout.context("no stdout")?, stdin.context("no stdin")?)?;
    let served = serve(&mut mux, &listeners, &signals);
    let was_up = mux.is_up();
    drop(listeners);
    drop(mux);
    let (_, stderr) = stream.wait_or_kill(END_TIMEOUT);
    match served {
        Ok(Some(number)) => Ok(Exit::signal(number)),
        Ok(None) => after_end(&bottle, was_up, &stderr, &signals),
        Err(error) => Err(broken_pipe(&bottle, &format!("{error:#}")).into()),
    }
}

/// Passes connections until a signal comes, whose number it returns, or the other end is gone.
fn serve(mux: &mut Mux, listeners: &[Listener], signals: &Signals) -> Result<Option<i32>> {
    let sockets = listeners.iter().flat_map(|listener| listener.sockets.iter().map(|socket| (socket, listener.inside)));
    let sockets: Vec<(&TcpListener, u16)> = sockets.collect();
    let mut shown = false;
    let mut reported = BTreeSet::new();
    loop {
        let mut watched = vec![signals.as_fd()];
        if shown && mux.has_room() {
            watched.extend(sockets.iter().map(|(socket, _)| socket.as_fd()));
        }
        let round = mux.run_once(&watched)?;
        if let Some(number) = signals.try_recv() {
            return Ok(Some(number));
        }
        for (socket, inside) in round.ready.iter().filter_map(|index| sockets.get(index.checked_sub(1)?)) {
            accept(mux, socket, *inside);
        }
        for port in round.without_listener {
            if reported.insert(port) {
                say::note(&format!("nothing listens on {port} inside yet"));
            }
        }
        if round.is_over {
            return Ok(None);
        }
        if mux.is_up() && !shown {
            print_addresses(listeners)?;
            shown = true;
        }
    }
}

/// Accepts one connection and opens its channel; after an error that may pass, waits a little.
fn accept(mux: &mut Mux, listener: &TcpListener, inside: u16) {
    use ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    if !mux.has_room() {
        return;
    }
    let accepted = listener.accept().and_then(|(socket, _)| mux.open(socket, inside));
    if accepted.is_err_and(|error| ![ConnectionAborted, Interrupted, WouldBlock].contains(&error.kind())) {
        std::thread::sleep(ACCEPT_BACKOFF);
    }
}

fn print_addresses(listeners: &[Listener]) -> Result<()> {
    for Listener { address, inside, .. } in listeners {
        if !address.ip().is_loopback() {
            let who = format!("whoever reaches this machine at `{address}` reaches {inside} inside");
            say::line(&say::paint(Tone::Loud, &who));
        }
        say::out(&format!("http://{address}/ → {inside} inside\n"))?;
    }
    Ok(())
}

/// The exit code after the process inside has ended, and why it has. `stderr`: its own.
///
/// # Errors
/// `EngineError` where it ended although the bottle still runs.
fn after_end(bottle: &LiveBottle, was_up: bool, stderr: &str, signals: &Signals) -> Result<Exit> {
    // The process ends a moment before its container does.
    let deadline = Instant::now() + if was_up { END_TIMEOUT } else { Duration::ZERO };
    loop {
        match bottle.check_running() {
            Ok(()) if Instant::now() < deadline => std::thread::sleep(POLL_INTERVAL),
            Ok(()) => {
                let error = broken_pipe(bottle, stderr.lines().last().unwrap_or("its inner end was ended"));
                return Err(if stderr.contains("does not know") { error.hint(OLD_BOTTLE_HINT) } else { error }.into());
            }
            Err(error) if was_up && error.is::<UserError>() => return Ok(report_end(bottle, signals)),
            Err(error) => return Err(error),
        }
        if let Some(number) = signals.try_recv() {
            return Ok(Exit::signal(number));
        }
    }
}

/// The error for a way into the bottle that broke.
fn broken_pipe(bottle: &LiveBottle, why: &str) -> EngineError {
    let why = why.strip_prefix("claude-bottle: ").unwrap_or(why);
    EngineError::new(format!("the way into `{}` is broken: {why}", bottle.folder.identity))
}

/// Says how the session ended, as soon as its owner has recorded that.
fn report_end(bottle: &LiveBottle, signals: &Signals) -> Exit {
    let (folder, deadline) = (&bottle.folder, Instant::now() + MARK_TIMEOUT);
    while folder.condition() == Condition::Live && Instant::now() < deadline {
        if let Some(number) = signals.try_recv() {
            return Exit::signal(number);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    let identity = &folder.identity;
    match folder.condition() {
        Condition::Kept(rest) => say::note(&format!("`{identity}` has ended: {}", text::one_line(&rest.why))),
        _ => say::note(&format!("`{identity}` has ended")),
    }
    if folder.path().exists() {
        say::suggest(hint!("claude-bottle resume {}", identity));
    }
    Exit::OK
}
