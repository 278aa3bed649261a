//! `forward`: a server of an agent's on this machine's loopback, for as long as the bottle runs.

use super::launch::{Inside, inside};
use crate::cli::Forward;
use crate::exit::{EngineError, Exit, Refused};
use crate::mux::Mux;
use crate::say::{self, Tone};
use crate::state::Condition;
use crate::sys::signals::{self, Signals};
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long the inner end may take to go, and its container after it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a session's owner may take to say how it ended, and between two looks.
const LAST_WORD: Duration = Duration::from_secs(10);
const BREATH: Duration = Duration::from_millis(50);

/// After an error that time may mend: no descriptor is left.
const BACK_OFF: Duration = Duration::from_millis(20);

const OLD: &str = "a bottle that an older claude-bottle started has no such way: end it and resume it";

pub fn run(asked: &Forward) -> Result<Exit> {
    let ports = asked.ports.iter().map(|text| Ports::read(text)).collect::<Result<Vec<_>, _>>()?;
    let inside = inside(&asked.identity)?;
    let mut listeners = Vec::new();
    for ports in ports {
        listeners.extend(ports.listen(asked)?);
    }
    let signals = signals::catch()?;
    let mut stream = inside.docker.hold(&inside.exec("-i", &["pipe"]))?;
    let (stdin, stdout) = (stream.child.stdin.take(), stream.child.stdout.take());
    let mut mux = Mux::here(stdout.context("no stdout")?, stdin.context("no stdin")?)?;
    let served = serve(&mut mux, &listeners, &signals);
    let was_up = mux.is_up();
    drop(listeners);
    drop(mux);
    let said = stream.end_within(PATIENCE);
    match served {
        Ok(Some(number)) => Ok(Exit::signal(number)),
        Ok(None) => over(&inside, was_up, &said, &signals),
        Err(error) => Err(broken(&inside, &format!("{error:#}")).into()),
    }
}

/// What was typed: `HERE:INSIDE`, or one port for both.
struct Ports {
    here: u16,
    inside: u16,
}

struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    inside: u16,
}

impl Ports {
    fn read(text: &str) -> Result<Ports, Refused> {
        let (here, inside) = text.split_once(':').unwrap_or((text, text));
        match (here.parse(), inside.parse()) {
            (Ok(here), Ok(inside @ 1..)) => Ok(Ports { here, inside }),
            _ => Err(Refused::new(format!("`{text}` names no ports"))
                .hint("`5173`, or `8080:5173` for 8080 here and 5173 inside; `--address` is for another address than loopback")),
        }
    }

    /// On both of loopback's addresses, since `localhost` is either; or on the one that was asked for.
    fn listen(&self, asked: &Forward) -> Result<Vec<Listener>, Refused> {
        if let Some(address) = asked.address {
            return Ok(vec![self.bind(address, self.here).map_err(|error| self.refused(asked, &error))?]);
        }
        // A free port of one may be taken on the other.
        for _ in 0..16 {
            let first =
                self.bind(Ipv4Addr::LOCALHOST.into(), self.here).map_err(|error| self.refused(asked, &error))?;
            match self.bind(Ipv6Addr::LOCALHOST.into(), first.address.port()) {
                Ok(second) => return Ok(vec![first, second]),
                Err(error) if error.kind != ErrorKind::AddrInUse => return Ok(vec![first]),
                Err(_) if self.here == 0 => {}
                Err(error) => return Err(self.refused(asked, &error)),
            }
        }
        Err(Refused::new("no port is free on both of loopback's addresses"))
    }

    fn bind(&self, address: IpAddr, port: u16) -> Result<Listener, Unbound> {
        let address = SocketAddr::from((address, port));
        let bound = || {
            let socket = TcpListener::bind(address)?;
            socket.set_nonblocking(true)?;
            Ok(Listener { address: socket.local_addr()?, socket, inside: self.inside })
        };
        bound().map_err(|error: std::io::Error| Unbound { address, kind: error.kind(), why: error.to_string() })
    }

    fn refused(&self, asked: &Forward, error: &Unbound) -> Refused {
        let Unbound { address, kind, why } = error;
        let (identity, inside) = (&asked.identity, self.inside);
        let cannot = |why: &str| Refused::new(format!("cannot listen on `{address}`: {why}"));
        match kind {
            ErrorKind::AddrInUse => cannot("the port is in use")
                .hint(format!("`claude-bottle forward {identity} 0:{inside}` takes a free one")),
            ErrorKind::PermissionDenied => cannot("the port is root's")
                .hint(format!("`claude-bottle forward {identity} 0:{inside}` takes one that is not")),
            _ => cannot(why),
        }
    }
}

struct Unbound {
    address: SocketAddr,
    kind: ErrorKind,
    why: String,
}

/// Until a signal comes, whose number it gives, or the other end is gone.
fn serve(mux: &mut Mux, listeners: &[Listener], signals: &Signals) -> Result<Option<i32>> {
    let mut shown = false;
    let mut silent = BTreeSet::new();
    loop {
        let mut watched = vec![signals.as_fd()];
        if shown && mux.has_room() {
            watched.extend(listeners.iter().map(|listener| listener.socket.as_fd()));
        }
        let turn = mux.turn(&watched)?;
        if let Some(number) = signals.next() {
            return Ok(Some(number));
        }
        for listener in turn.ready.iter().filter_map(|place| listeners.get(place.checked_sub(1)?)) {
            if mux.has_room() {
                accept(mux, listener);
            }
        }
        for port in turn.refused {
            if silent.insert(port) {
                say::note(&format!("nothing listens on {port} inside yet"));
            }
        }
        if turn.over {
            return Ok(None);
        }
        if mux.is_up() && !shown {
            show(listeners)?;
            shown = true;
        }
    }
}

fn accept(mux: &mut Mux, listener: &Listener) {
    use ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    let accepted = listener.socket.accept().and_then(|(socket, _)| mux.open(socket, listener.inside));
    if accepted.is_err_and(|error| ![ConnectionAborted, Interrupted, WouldBlock].contains(&error.kind())) {
        std::thread::sleep(BACK_OFF);
    }
}

fn show(listeners: &[Listener]) -> Result<()> {
    for Listener { address, inside, .. } in listeners {
        if !address.ip().is_loopback() {
            let who = format!("whoever reaches this machine at `{address}` reaches {inside} inside");
            say::line(&say::paint(Tone::Loud, &who));
        }
        if address.ip() != Ipv6Addr::LOCALHOST {
            say::out(&format!("http://{address}/ → {inside} inside\n"))?;
        }
    }
    Ok(())
}

/// The inner end is gone. `said`: its last words.
fn over(inside: &Inside, was_up: bool, said: &str, signals: &Signals) -> Result<Exit> {
    // It ends a moment before its container does.
    let until = Instant::now() + if was_up { PATIENCE } else { Duration::ZERO };
    loop {
        match inside.still_runs() {
            Ok(()) if Instant::now() < until => std::thread::sleep(BREATH),
            Ok(()) => {
                let error = broken(inside, said.lines().last().unwrap_or("its inner end was ended"));
                return Err(if said.contains("does not know") { error.hint(OLD) } else { error }.into());
            }
            Err(refused) if was_up && refused.is::<Refused>() => return Ok(ended(inside, signals)),
            Err(error) => return Err(error),
        }
        if let Some(number) = signals.next() {
            return Ok(Exit::signal(number));
        }
    }
}

fn broken(inside: &Inside, why: &str) -> EngineError {
    let why = why.strip_prefix("claude-bottle: ").unwrap_or(why);
    EngineError::new(format!("the way into `{}` is broken: {why}", inside.folder.identity))
}

/// How a session ended its owner says.
fn ended(inside: &Inside, signals: &Signals) -> Exit {
    let (folder, until) = (&inside.folder, Instant::now() + LAST_WORD);
    while folder.condition() == Condition::Live && Instant::now() < until {
        if let Some(number) = signals.next() {
            return Exit::signal(number);
        }
        std::thread::sleep(BREATH);
    }
    let identity = &folder.identity;
    match folder.condition() {
        Condition::Kept(rest) => say::note(&format!("`{identity}` has ended: {}", say::visible(&rest.why))),
        _ => say::note(&format!("`{identity}` has ended")),
    }
    if folder.path().exists() {
        say::next(&format!("claude-bottle resume {identity}"));
    }
    Exit::OK
}
