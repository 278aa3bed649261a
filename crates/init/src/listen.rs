//! TCP listeners on loopback addresses.

use std::io;
use std::net::SocketAddrV4;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel queues for each listener.
const BACKLOG: u32 = 1024;

/// How long a loop waits after an error that may pass: no descriptor, no memory, no room in a queue.
pub const ERROR_BACKOFF: Duration = Duration::from_millis(20);

/// Binds and listens at once, not in a task: a program that learns the address afterwards can connect to it.
///
/// # Errors
/// The address is taken, or no descriptor is left.
pub fn listen(address: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address.into())?;
    socket.listen(BACKLOG)
}
