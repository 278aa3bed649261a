//! The door: a network made of loopback addresses. Every name that is looked up gets an address of its own, and each
//! connection to it is relayed to the gate's socket after the line `CONNECT name:port`. The gate decides what may pass.
//!
//! Invariant: listeners are on 127.64.0.0/10 only (127.0.0.1 is the agent's own). Listeners hold at most half of the
//! descriptors and connections the other half, so a flood of one does not stop the other.

use crate::dns::{self, Lookup, LookupResult};
use crate::failure::Failure;
use crate::listen::{ERROR_BACKOFF, listen};
use crate::names::{MAX_NAMES, Names};
use crate::relay::relay;
use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::Semaphore;
use wire::GATE_HOST;

/// How long a connection waits for the gate to accept it.
const GATE_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most connections at one time; each holds two descriptors and two buffers. More wait in their listener's queue.
const MAX_CONNECTIONS: usize = 4096;

/// A handle to the one door; clones share it.
#[derive(Clone)]
pub struct Door(Rc<RefCell<State>>);

struct State {
    names: Names,
    /// Ports on which every name has a listener.
    ports: Vec<u16>,
    /// The gate's socket.
    socket: Rc<Path>,
    /// The container's own name.
    host_name: String,
    /// How many descriptors this process may have open.
    max_descriptors: usize,
    /// One permit for each connection.
    permits: Arc<Semaphore>,
}

impl Door {
    /// Opens the door and answers DNS from now on. `max_descriptors`: how many this process may have open.
    ///
    /// # Errors
    /// The DNS port cannot be bound.
    pub fn open(socket: &Path, max_descriptors: u64) -> Result<Door, Failure> {
        let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let max_descriptors = usize::try_from(max_descriptors).unwrap_or(usize::MAX);
        let door = Door(Rc::new(RefCell::new(State {
            names: Names::default(),
            ports: vec![443, 80],
            socket: socket.into(),
            host_name: host_name.trim().to_ascii_lowercase(),
            max_descriptors,
            permits: Arc::new(Semaphore::new(MAX_CONNECTIONS.min(max_descriptors / 4))),
        })));
        let state = door.0.clone();
        dns::serve(Rc::new(move |lookup| state.borrow_mut().resolve(lookup)))
            .map_err(|e| Failure(format!("cannot answer DNS on 127.0.0.1:53: {e}")))?;
        Ok(door)
    }

    /// Listens on these ports, too, for all names: those that have an address and those to come.
    pub fn declare(&self, ports: &[u16]) {
        let mut state = self.0.borrow_mut();
        for port in ports {
            if *port == 0 || state.ports.contains(port) {
                continue;
            }
            state.ports.push(*port);
            for (name, address) in state.names.iter() {
                if let Ok(listener) = listen(SocketAddrV4::new(address, *port)) {
                    state.serve(listener, name, *port);
                }
            }
        }
    }
}

impl State {
    fn resolve(&mut self, lookup: Lookup<'_>) -> LookupResult {
        match lookup {
            Lookup::Name(Ipv4Addr::LOCALHOST) => LookupResult::Name("localhost".into()),
            Lookup::Name(address) => {
                self.names.name(address).map_or(LookupResult::NotFound, |name| LookupResult::Name(name.to_owned()))
            }
            Lookup::Address(name) if self.is_own(name) => LookupResult::Address(Ipv4Addr::LOCALHOST),
            Lookup::Address(name) => match self.names.address(name) {
                Some(address) => LookupResult::Address(address),
                None => self.add_name(name).map_or(LookupResult::Failed, LookupResult::Address),
            },
        }
    }

    /// Whether the name means the agent's own container.
    fn is_own(&self, name: &str) -> bool {
        name == "localhost" || name.ends_with(".localhost") || name == self.host_name
    }

    /// Gives a new name an address. Its listeners are bound first, so that no program connects to a closed port. `None` if
    /// there are too many names, or no descriptor is left.
    fn add_name(&mut self, name: &str) -> Option<Ipv4Addr> {
        let is_full = self.names.len() >= MAX_NAMES.min(self.max_descriptors / 2 / self.ports.len());
        // The gate's own pages are available even then, because they explain why.
        if is_full && name != GATE_HOST {
            return None;
        }
        let address = self.names.next_address();
        let bound: io::Result<Vec<TcpListener>> =
            self.ports.iter().map(|port| listen(SocketAddrV4::new(address, *port))).collect();
        for (listener, port) in bound.ok()?.into_iter().zip(&self.ports) {
            self.serve(listener, name, *port);
        }
        Some(self.names.assign(name))
    }

    /// Relays every connection to this listener, in a task.
    fn serve(&self, listener: TcpListener, name: &str, port: u16) {
        let line: Rc<str> = format!("CONNECT {name}:{port}\n").into();
        tokio::task::spawn_local(accept_all(listener, line, self.socket.clone(), self.permits.clone()));
    }
}

async fn accept_all(listener: TcpListener, line: Rc<str>, socket: Rc<Path>, permits: Arc<Semaphore>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let permit = permits.clone().acquire_owned().await;
                let (line, socket) = (line.clone(), socket.clone());
                tokio::task::spawn_local(async move {
                    let _permit = permit;
                    let _ = client.set_nodelay(true);
                    if let Ok(Ok(gate)) = tokio::time::timeout(GATE_CONNECT_TIMEOUT, connect_to_gate(&socket)).await {
                        relay(client, gate, line.as_bytes()).await;
                    }
                });
            }
            Err(_) => tokio::time::sleep(ERROR_BACKOFF).await,
        }
    }
}

/// Connects to the gate. While the queue of the gate's socket is full the kernel returns `EAGAIN` and offers no event to
/// wait for, so this tries again after a pause.
async fn connect_to_gate(socket: &Path) -> io::Result<UnixStream> {
    use nix::libc::{EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    loop {
        match UnixStream::connect(socket).await {
            Err(e) if matches!(e.raw_os_error(), Some(EAGAIN | EMFILE | ENFILE | ENOBUFS | ENOMEM)) => {
                tokio::time::sleep(ERROR_BACKOFF).await;
            }
            end => return end,
        }
    }
}
