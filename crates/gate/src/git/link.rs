//! A stream of git's protocol to the upstream of a remote, whatever carries it.

use crate::egress::Egress;
use crate::egress::upstream::upstream_stream::UpstreamStream;
use crate::git::failure::Failure;
use crate::git::limits::{COPY_BYTES, EXPLANATION_TIMEOUT};
use nix::sys::socket::{MsgFlags, recv};
use policy::{Destination, Server};
use std::os::fd::AsRawFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A stream to an upstream. Dropping it ends what carries it.
pub struct Link {
    pub stream: UnixStream,
    carrier: Carrier,
}

/// The task that carries a link. It ends with the reason, where the link broke.
pub struct Carrier(pub JoinHandle<Option<Failure>>);

impl Drop for Carrier {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    pub fn new(stream: UnixStream, carrier: JoinHandle<Option<Failure>>) -> Link {
        Link { stream, carrier: Carrier(carrier) }
    }

    /// Why the link ended before what was expected: in the carrier's words, or else in these.
    pub async fn failure(mut self, otherwise: &str) -> Failure {
        // Without its end, the carrier would go on.
        drop(self.stream);
        let told = timeout(EXPLANATION_TIMEOUT, &mut self.carrier.0).await;
        let told = told.ok().and_then(Result::ok).flatten();
        told.unwrap_or_else(|| Failure::error(otherwise))
    }
}

/// Host and port of an upstream.
#[derive(Debug, Clone)]
pub struct Place {
    pub host: String,
    pub port: u16,
    pub private: bool,
}

impl Place {
    /// Connects as egress does: through the upstream proxy, or to an address that was checked.
    pub async fn dial(&self, egress: &Egress) -> Result<UpstreamStream, Failure> {
        let snapshot = egress.live.snapshot();
        let Place { host, port, private } = self;
        let server = Server { host, name: host, port: *port, private: *private, proxy: true };
        let destination = Destination::of_server(server, snapshot.via())?;
        let dialler = &egress.connector.dialler;
        let target = dialler.locate(&destination, snapshot.proxy.as_ref()).await?;
        Ok(dialler.tunnel(&target).await?)
    }
}

/// Copies until `from` ends, and then ends `to`, which a pipe is by being dropped. Counts in `bytes`, and fails where they are more than `most`.
pub async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    mut to: impl AsyncWrite + Unpin,
    bytes: &mut u64,
    most: u64,
) -> std::io::Result<()> {
    let mut part = vec![0; COPY_BYTES];
    loop {
        let count = from.read(&mut part).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        *bytes += count as u64;
        if *bytes > most {
            return Err(std::io::Error::other("it is more than fits"));
        }
        to.write_all(&part[..count]).await?;
    }
}

/// Resolves when the agent, which waits for an answer, has hung up. Where it says something, it is there.
async fn hung_up(agent: &UnixStream) {
    let peek = || Ok(recv(agent.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK)?);
    loop {
        let seen = match agent.readable().await {
            Ok(()) => agent.try_io(Interest::READABLE, peek),
            Err(error) => Err(error),
        };
        match seen {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Ok(1..) => return std::future::pending().await,
            Ok(0) | Err(_) => return,
        }
    }
}

/// Does the work, or drops it when the agent has hung up.
pub async fn unless_hung_up<T>(
    agent: &UnixStream,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        () = hung_up(agent) => Err(Failure::error("the agent hung up")),
    }
}
