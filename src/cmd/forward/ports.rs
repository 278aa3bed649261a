//! The ports of `forward`: parsed, and bound.

use crate::cli::ForwardArgs;
use crate::exit::UserError;
use crate::hint;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

/// Free ports that are tried.
const MAX_FREE_PORT_TRIES: u32 = 16;

/// `HERE:INSIDE`, or one port for both. `here` is 0 for a free port.
pub struct Ports {
    here: u16,
    inside: u16,
}

/// The sockets that lead to one port inside.
pub struct Listener {
    pub address: SocketAddr,
    pub inside: u16,
    pub sockets: Vec<TcpListener>,
}

impl Ports {
    /// # Errors
    /// `UserError` for text that is not one or two ports.
    pub fn parse(text: &str) -> Result<Ports, UserError> {
        let (here, inside) = text.split_once(':').unwrap_or((text, text));
        match (here.parse(), inside.parse()) {
            (Ok(here), Ok(inside @ 1..)) => Ok(Ports { here, inside }),
            _ => Err(UserError::new(format!("`{text}` is not a port: use PORT or LOCAL:INSIDE")).hint(
                "`5173`, or `8080:5173` for 8080 here and 5173 inside; `--address` is for another address than loopback",
            )),
        }
    }

    /// Listens on both loopback addresses, because `localhost` may mean either; or on the address that was asked for.
    ///
    /// # Errors
    /// `UserError` where the port cannot be bound, with a port that could.
    pub fn listen(&self, asked: &ForwardArgs) -> Result<Listener, UserError> {
        let first = SocketAddr::from((asked.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), self.here));
        // A port that is free on one address may be taken on the other.
        for _ in 0..MAX_FREE_PORT_TRIES {
            let (socket, address) = bind(first).map_err(|error| self.bind_error(asked, first, &error))?;
            let mut listener = Listener { address, inside: self.inside, sockets: vec![socket] };
            if asked.address.is_some() {
                return Ok(listener);
            }
            let second = SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()));
            match bind(second) {
                Ok((socket, _)) => listener.sockets.push(socket),
                Err(error) if error.kind() != ErrorKind::AddrInUse => {}
                Err(_) if self.here == 0 => continue,
                Err(error) => return Err(self.bind_error(asked, second, &error)),
            }
            return Ok(listener);
        }
        Err(UserError::new("no port is free on both of loopback's addresses"))
    }

    fn bind_error(&self, asked: &ForwardArgs, address: SocketAddr, error: &io::Error) -> UserError {
        let cannot = |why: &str| UserError::new(format!("cannot listen on `{address}`: {why}"));
        match error.kind() {
            ErrorKind::AddrInUse => cannot("the port is in use").hint(hint!(
                "`claude-bottle forward {} 0:{}` takes a free one",
                asked.identity,
                self.inside
            )),
            ErrorKind::PermissionDenied => cannot("the port is root's").hint(hint!(
                "`claude-bottle forward {} 0:{}` takes one that is not",
                asked.identity,
                self.inside
            )),
            _ => cannot(&error.to_string()),
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}
