//! The gate's side of the one socket. The first line says what a connection is for; nothing before it is understood, and
//! everything has a bound: the line, the time for it, and the number of connections.

use crate::egress::Egress;
use crate::egress::connect::connect;
use crate::egress::limits::{
    ACCEPT_RETRY, GREETING_TIMEOUT, MAX_CONNECTIONS, MAX_FIRST_LINE_BYTES, MIN_CONNECTIONS, RESERVED_DESCRIPTORS,
};
use crate::egress::peer::Peer;
use crate::egress::permit::ConnectionPermit;
use crate::egress::request::serve::AgentConnection;
use crate::git::service::{self, GitService};
use crate::git::sign;
use crate::pages;
use crate::sessions::Sessions;
use crate::supervise::service::SuperviseService;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::socket::{MsgFlags, recv};
use policy::{Denial, Reason};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wire::{Event, FirstLine, GATE_HOST, GIT_HOST, GIT_PORT, MAX_WORK_BYTES, SUPERVISE_HOST, parse_first_line};

const WORK: &[u8] = b"WORK ";

/// What connections are handed to.
#[derive(Clone)]
pub struct Services {
    pub egress: Arc<Egress>,
    /// `None`: the manifest declares neither remotes nor a key for signatures.
    pub git: Option<Arc<GitService>>,
    /// `None`: the agent cannot propose anything.
    pub supervise: Option<Arc<SuperviseService>>,
    pub sessions: Arc<Sessions>,
}

/// Accepts and serves connections until it is dropped. More than there are permits for wait in the socket's queue.
pub async fn accept(services: Services, listener: UnixListener) {
    let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    let most = (descriptors.saturating_sub(RESERVED_DESCRIPTORS) / 2).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS);
    let permits = Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(8)));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        match listener.accept().await {
            // A child of the gate's has no business here.
            Ok((stream, _)) if services.sessions.holds_peer(&stream) => {}
            Ok((stream, _)) => {
                let permit = ConnectionPermit::new(services.egress.trail.clone(), permit);
                tokio::spawn(open(services.clone(), stream, permit));
            }
            Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
        }
    }
}

/// Reads the first line and hands the connection to the service that it is for.
async fn open(services: Services, mut stream: UnixStream, permit: ConnectionPermit) {
    let Services { egress, git, supervise, .. } = services;
    let line = match timeout(GREETING_TIMEOUT, read_first_line(&mut stream)).await {
        Ok(Ok(line)) => line,
        Ok(Err(why)) => return deny(&egress, why),
        Err(_) => return deny(&egress, "the first line did not come"),
    };
    match parse_first_line(&line) {
        Some(FirstLine::Go) => {
            let _ = timeout(GREETING_TIMEOUT, async {
                stream.write_all(&egress.live.snapshot().go).await?;
                stream.shutdown().await
            })
            .await;
        }
        Some(FirstLine::Work(mut work)) => {
            // Of pushes the gate knows itself.
            let pushed = match &git {
                Some(git) => git.count_pushed().await,
                None => Some(0),
            };
            work.pushed = pushed.unwrap_or_default();
            work.complete &= pushed.is_some();
            egress.trail.events.push(Event::Work(work));
            let _ = timeout(GREETING_TIMEOUT, stream.write_all(b"\n")).await;
        }
        Some(FirstLine::Sign { bytes }) => {
            let signer = git.as_ref().and_then(|git| git.signer.as_ref());
            sign::serve(signer, &egress, stream, bytes).await;
        }
        Some(FirstLine::Connect { host, port }) => {
            let connection = AgentConnection::new(egress, Peer { host, port }, permit);
            match git {
                Some(git) if connection.peer.host == GIT_HOST && port == GIT_PORT => {
                    git.serve(connection, stream).await
                }
                _ if let Some(supervise) =
                    supervise.filter(|_| connection.peer.host == SUPERVISE_HOST && port == 80) =>
                {
                    supervise.serve(connection, stream).await
                }
                _ if port == GIT_PORT => dispatch_git(connection, stream).await,
                _ => dispatch(connection, stream).await,
            }
        }
        None => deny(&egress, "the first line is malformed"),
    }
}

/// Serves the connection by the name that it asks for: one of the gate's own services, or an upstream.
async fn dispatch(connection: Arc<AgentConnection>, stream: UnixStream) {
    match connection.peer.host.as_str() {
        GATE_HOST => pages::serve(connection, stream).await,
        _ => connect(connection, stream).await,
    }
}

/// Serves a connection of git's own protocol to a host that is no service of the gate's: git is told why it is refused in a
/// form that it shows.
async fn dispatch_git(connection: Arc<AgentConnection>, mut stream: UnixStream) {
    let snapshot = connection.egress.live.snapshot();
    match snapshot.policy.route_for(&connection.peer.host, GIT_PORT) {
        Ok(_) => dispatch(connection, stream).await,
        Err(denial) => {
            connection.record_by(&snapshot).denied(&denial);
            service::refuse(&mut stream, &denial.text).await;
        }
    }
}

fn deny(egress: &Arc<Egress>, why: &str) {
    let snapshot = egress.live.snapshot();
    egress.trail.connection(&snapshot.audit_scope, "", 0).denied(&Denial::new(Reason::Malformed, why));
}

/// Reads up to the first newline and not one byte beyond it: what follows belongs to TLS or HTTP.
async fn read_first_line(stream: &mut UnixStream) -> Result<Vec<u8>, &'static str> {
    let mut line: Vec<u8> = Vec::with_capacity(64);
    loop {
        let mut seen = [0u8; MAX_FIRST_LINE_BYTES];
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
        let is_work = line.starts_with(WORK) || seen.starts_with(WORK);
        if line.len() + take > if is_work { MAX_WORK_BYTES } else { MAX_FIRST_LINE_BYTES } {
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
