//! The door: a network made of loopback. Every name asked for gets an address of its own, and what connects there is
//! passed to the gate's socket behind the line `CONNECT name:port`. Who may pass is the gate's to say.
//!
//! Invariant: listeners stand on 127.64.0.0/10 alone (127.0.0.1 is the agent's own). They hold at most half of the
//! descriptors and connections the other half: a flood of one does not end the other.

use super::Failure;
use super::dns::{self, Found, Lookup};
use super::names::{MOST, Names};
use super::relay::relay;
use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, UnixStream};
use tokio::sync::Semaphore;
use wire::GATE_HOST;

/// The wait after an error that time may mend: no descriptor, no memory, no room in a queue.
pub const BACK_OFF: Duration = Duration::from_millis(20);
/// How long a connection waits for the gate to take it.
const PATIENCE: Duration = Duration::from_secs(10);
const BACKLOG: u32 = 1024;
/// Connections at one time; each holds two descriptors and two buffers. More wait in their listener's queue.
const MOST_CONNECTIONS: usize = 4096;

/// A handle; all of them are the one door.
#[derive(Clone)]
pub struct Door(Rc<RefCell<State>>);

struct State {
    names: Names,
    ports: Vec<u16>,
    socket: Rc<Path>,
    host_name: String,
    descriptors: usize,
    /// One permit a connection.
    room: Arc<Semaphore>,
}

impl Door {
    /// Answers DNS from now on. `descriptors` is how many this process may have open.
    pub fn open(socket: &Path, descriptors: u64) -> Result<Door, Failure> {
        let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        let door = Door(Rc::new(RefCell::new(State {
            names: Names::default(),
            ports: vec![443, 80],
            socket: socket.into(),
            host_name: host_name.trim().to_ascii_lowercase(),
            descriptors,
            room: Arc::new(Semaphore::new(MOST_CONNECTIONS.min(descriptors / 4))),
        })));
        let state = door.0.clone();
        dns::serve(Rc::new(move |lookup| state.borrow_mut().find(lookup)))
            .map_err(|e| Failure(format!("cannot answer DNS on 127.0.0.1:53: {e}")))?;
        Ok(door)
    }

    /// Listens on these ports too, for names already given as for those to come.
    pub fn declare(&self, ports: &[u16]) {
        let mut state = self.0.borrow_mut();
        for port in ports {
            if *port == 0 || state.ports.contains(port) {
                continue;
            }
            state.ports.push(*port);
            for (name, address) in state.names.iter() {
                if let Ok(listener) = listen(SocketAddrV4::new(address, *port)) {
                    state.accept(listener, name, *port);
                }
            }
        }
    }
}

impl State {
    fn find(&mut self, lookup: Lookup<'_>) -> Found {
        match lookup {
            Lookup::Name(Ipv4Addr::LOCALHOST) => Found::Name("localhost".into()),
            Lookup::Name(address) => {
                self.names.name(address).map_or(Found::Nothing, |name| Found::Name(name.to_owned()))
            }
            Lookup::Address(name) if self.is_own(name) => Found::Address(Ipv4Addr::LOCALHOST),
            Lookup::Address(name) => match self.names.address(name) {
                Some(address) => Found::Address(address),
                None => self.admit(name).map_or(Found::Failed, Found::Address),
            },
        }
    }

    fn is_own(&self, name: &str) -> bool {
        name == "localhost" || name.ends_with(".localhost") || name == self.host_name
    }

    /// A new name: its listeners first, then the address, so that no one connects to nothing.
    fn admit(&mut self, name: &str) -> Option<Ipv4Addr> {
        let full = self.names.len() >= MOST.min(self.descriptors / 2 / self.ports.len());
        // Who has asked for too many names can still ask why.
        if full && name != GATE_HOST {
            return None;
        }
        let address = self.names.next();
        let bound: io::Result<Vec<TcpListener>> =
            self.ports.iter().map(|port| listen(SocketAddrV4::new(address, *port))).collect();
        for (listener, port) in bound.ok()?.into_iter().zip(&self.ports) {
            self.accept(listener, name, *port);
        }
        Some(self.names.give(name))
    }

    fn accept(&self, listener: TcpListener, name: &str, port: u16) {
        let line: Rc<str> = format!("CONNECT {name}:{port}\n").into();
        tokio::task::spawn_local(accept(listener, line, self.socket.clone(), self.room.clone()));
    }
}

/// Synchronous: the answer that names the address is written after this.
pub fn listen(at: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(at.into())?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, line: Rc<str>, socket: Rc<Path>, room: Arc<Semaphore>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let permit = room.clone().acquire_owned().await;
                let (line, socket) = (line.clone(), socket.clone());
                tokio::task::spawn_local(async move {
                    let _permit = permit;
                    let _ = client.set_nodelay(true);
                    if let Ok(Ok(gate)) = tokio::time::timeout(PATIENCE, reach(&socket)).await {
                        relay(client, gate, line.as_bytes()).await;
                    }
                });
            }
            Err(_) => tokio::time::sleep(BACK_OFF).await,
        }
    }
}

/// A full queue at the gate's socket says `EAGAIN` and offers nothing to wait on, so this asks again.
async fn reach(socket: &Path) -> io::Result<UnixStream> {
    use nix::libc::{EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    loop {
        match UnixStream::connect(socket).await {
            Err(e) if matches!(e.raw_os_error(), Some(EAGAIN | EMFILE | ENFILE | ENOBUFS | ENOMEM)) => {
                tokio::time::sleep(BACK_OFF).await;
            }
            end => return end,
        }
    }
}
