//! DNS for the agent: a UDP and a TCP server on loopback. No query ever leaves the container.

mod answer;

pub use answer::{Lookup, LookupResult};

use crate::listen::{ERROR_BACKOFF, listen};
use answer::answer;
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Longest UDP query, in bytes; announced by EDNS.
const MAX_UDP_BYTES: usize = 4096;
/// Most UDP queries that were received and not answered yet.
const MAX_WAITING_QUERIES: usize = 4096;
/// Requested size of the UDP socket's receive buffer, in bytes. The kernel may grant less.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// How long a TCP client may take for one query, or for reading one answer.
const TCP_IDLE_TIMEOUT: Duration = Duration::from_secs(10);
const ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53);

/// Answers lookups.
pub type Resolver = Rc<dyn Fn(Lookup<'_>) -> LookupResult>;

/// Binds the UDP and the TCP socket and answers on them for as long as the runtime lives.
///
/// # Errors
/// A socket cannot be bound.
pub fn serve(resolve: Resolver) -> std::io::Result<()> {
    let udp = std::net::UdpSocket::bind(ADDRESS)?;
    let _ = setsockopt(&udp, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES);
    udp.set_nonblocking(true)?;
    let udp = UdpSocket::from_std(udp)?;
    let tcp = listen(ADDRESS)?;
    tokio::task::spawn_local(serve_udp(udp, resolve.clone()));
    tokio::task::spawn_local(serve_tcp(tcp, resolve));
    Ok(())
}

/// Takes all waiting queries off the socket before it answers one. The kernel holds a few hundred and drops the rest, and
/// each lost query costs a client that uses glibc five seconds.
async fn serve_udp(socket: UdpSocket, resolve: Resolver) {
    let mut packet = [0; MAX_UDP_BYTES];
    let mut waiting = VecDeque::new();
    loop {
        // Yields now and then: a flood must not keep this thread from signals and connections.
        tokio::task::coop::consume_budget().await;
        if waiting.is_empty() && socket.readable().await.is_err() {
            tokio::time::sleep(ERROR_BACKOFF).await;
        }
        while waiting.len() < MAX_WAITING_QUERIES
            && let Ok((length, from)) = socket.try_recv_from(&mut packet)
        {
            waiting.push_back((packet[..length].to_vec(), from));
        }
        if let Some((query, from)) = waiting.pop_front()
            && let Some(reply) = answer(&query, |lookup| resolve(lookup))
        {
            let _ = socket.send_to(&reply, from).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, resolve: Resolver) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::task::spawn_local(answer_on(stream, resolve.clone()));
            }
            Err(_) => tokio::time::sleep(ERROR_BACKOFF).await,
        }
    }
}

/// Answers any number of queries on one connection, each after its length in two bytes (RFC 7766). `None` when the
/// connection ends.
async fn answer_on(mut stream: TcpStream, resolve: Resolver) -> Option<()> {
    loop {
        let query = async {
            let length = stream.read_u16().await.ok()?;
            let mut packet = vec![0; usize::from(length)];
            stream.read_exact(&mut packet).await.ok()?;
            Some(packet)
        };
        let packet = tokio::time::timeout(TCP_IDLE_TIMEOUT, query).await.ok()??;
        let reply = answer(&packet, |lookup| resolve(lookup))?;
        let mut framed = u16::try_from(reply.len()).ok()?.to_be_bytes().to_vec();
        framed.extend(reply);
        tokio::time::timeout(TCP_IDLE_TIMEOUT, stream.write_all(&framed)).await.ok()?.ok()?;
    }
}
