//! The gate's side of the one socket. A first line says what a connection is; nothing before it is understood, and
//! everything has a bound: the line, the time for it, and the number of connections.

use crate::audit::record::AuditRecord;
use crate::egress::Egress;
use crate::egress::passthrough;
use crate::egress::request::serve::Conversation;
use crate::listen::greeting::{First, parse};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::socket::{MsgFlags, recv};
use policy::{Denial, Protocol, Reason};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use wire::{Event, GATE_HOST, MAX_WORK_BYTES};

/// Connections at once, where the descriptor limit allows: each has a second one to its upstream. Where both sides stop
/// reading, one holds more than half a MiB of buffers (measured): all together stay below the container's memory.
const MOST: u64 = 1024;
/// Descriptors that are not connections.
const RESERVED: u64 = 64;
/// For the first line; then, each, for the TLS hello and the rest of the handshake.
pub const GREETING: Duration = Duration::from_secs(10);
/// `CONNECT `, a name of 253 bytes, a port.
const LONGEST: usize = 300;
const WORK: &[u8] = b"WORK ";

/// Held as long as a connection lives.
pub struct Place {
    egress: Arc<Egress>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.egress.counters.closed();
    }
}

impl Egress {
    /// Serves until it is dropped. More connections than there is room for wait in the socket's queue.
    pub async fn accept(self: Arc<Self>, listener: UnixListener) {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        let room = (limit.saturating_sub(RESERVED) / 2).clamp(8, MOST);
        let room = Arc::new(Semaphore::new(usize::try_from(room).unwrap_or(8)));
        loop {
            let Ok(permit) = room.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    self.counters.opened();
                    let place = Place { egress: self.clone(), _permit: permit };
                    tokio::spawn(self.clone().open(stream, place));
                }
                // Out of descriptors, most likely: they come back.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn open(self: Arc<Self>, mut stream: UnixStream, place: Place) {
        let line = match timeout(GREETING, first_line(&mut stream)).await {
            Ok(Ok(line)) => line,
            Ok(Err(why)) => return self.refuse_line(why),
            Err(_) => return self.refuse_line("the first line did not come"),
        };
        match parse(&line) {
            Some(First::Go) => {
                let _ = timeout(GREETING, async {
                    stream.write_all(&self.snapshot().go).await?;
                    stream.shutdown().await
                })
                .await;
            }
            Some(First::Work(work)) => {
                self.events.push(Event::Work(work));
                let _ = timeout(GREETING, stream.write_all(b"\n")).await;
            }
            Some(First::Connect { host, port }) => self.connect(stream, place, host, port).await,
            None => self.refuse_line("the first line is malformed"),
        }
    }

    async fn connect(self: Arc<Self>, stream: UnixStream, place: Place, host: String, port: u16) {
        if host != GATE_HOST {
            let snapshot = self.snapshot();
            match snapshot.policy.at(&host, port) {
                Ok(index) if snapshot.route(index).protocol == Protocol::Tcp => {
                    return passthrough::tcp(&self, AuditRecord::connection(&self, &host, port), stream, index).await;
                }
                Ok(index) if !snapshot.route(index).intercept => {
                    return passthrough::untouched(&self, AuditRecord::connection(&self, &host, port), stream, index)
                        .await;
                }
                Ok(_) => {}
                // Whoever speaks neither TLS nor HTTP would wait for a page that it cannot read.
                Err(denial) if !self.speaks_http(port) => {
                    return AuditRecord::connection(&self, &host, port).denied(&denial);
                }
                Err(_) => {}
            }
        }
        Conversation::new(self, place, host, port).serve(stream).await;
    }

    fn speaks_http(&self, port: u16) -> bool {
        let routes = &self.snapshot().policy.routes;
        matches!(port, 80 | 443) || routes.iter().any(|route| route.port == port && route.protocol == Protocol::Http)
    }

    fn refuse_line(self: &Arc<Self>, why: &str) {
        AuditRecord::connection(self, "", 0).denied(&Denial::new(Reason::Malformed, why));
    }
}

/// Reads up to the first newline and not one byte beyond it: what follows belongs to TLS or HTTP.
async fn first_line(stream: &mut UnixStream) -> Result<Vec<u8>, &'static str> {
    let mut line: Vec<u8> = Vec::with_capacity(64);
    loop {
        let mut seen = [0u8; LONGEST];
        let peek = |stream: &UnixStream, seen: &mut [u8]| {
            stream.try_io(Interest::READABLE, || Ok(recv(stream.as_raw_fd(), seen, MsgFlags::MSG_PEEK)?))
        };
        stream.readable().await.map_err(|_| "the connection broke")?;
        let count = match peek(stream, &mut seen) {
            Ok(0) => return Err("the connection closed before its first line"),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return Err("the connection broke"),
        };
        let end = seen[..count].iter().position(|byte| *byte == b'\n');
        let take = end.map_or(count, |end| end + 1);
        let longest = if line.starts_with(WORK) || seen.starts_with(WORK) { MAX_WORK_BYTES } else { LONGEST };
        if line.len() + take > longest {
            return Err("the first line is too long");
        }
        stream.read_exact(&mut seen[..take]).await.map_err(|_| "the connection broke")?;
        line.extend_from_slice(&seen[..take]);
        if end.is_some() {
            line.pop();
            return Ok(line);
        }
    }
}
