//! Relays one connection between a program of the agent's and the gate. Each direction is closed on its own.
//!
//! Invariant: everything that the gate has sent reaches the client, even if the gate stops reading early (a denial during an
//! upload). A reset by the gate only means that it left bytes unread, so it counts as the end of its stream.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

/// Bytes of the buffer of each direction.
const BUFFER_BYTES: usize = 32 * 1024;
/// How long a client may go on sending after the gate has closed. An earlier reset could overtake the gate's last bytes on
/// their way to the client.
const CLIENT_LINGER: Duration = Duration::from_secs(2);

/// How one direction ended.
#[derive(PartialEq, Eq)]
enum DirectionEnd {
    /// The sender closed, and the receiver's side was closed, too.
    Closed,
    /// The gate reads no more.
    GateStoppedReading,
    /// The client is gone before the end.
    ClientGone,
}

/// Relays until both directions have ended. `first` is sent to the gate before the client's bytes.
pub async fn relay(mut client: TcpStream, mut gate: UnixStream, first: &[u8]) {
    if gate.write_all(first).await.is_err() {
        return;
    }
    if relay_both(&mut client, &mut gate).await == DirectionEnd::ClientGone {
        return;
    }
    let _ = tokio::time::timeout(CLIENT_LINGER, drain(&mut client)).await;
}

async fn relay_both(client: &mut TcpStream, gate: &mut UnixStream) -> DirectionEnd {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_gate, mut to_gate) = gate.split();
    let upload = std::pin::pin!(upload(&mut from_client, &mut to_gate));
    let mut download = std::pin::pin!(download(&mut from_gate, &mut to_client));
    tokio::select! {
        // The gate's remaining bytes are delivered even if it reads no more.
        end = upload => if end == DirectionEnd::ClientGone { end } else { download.await },
        end = &mut download => end,
    }
}

/// Client to gate.
async fn upload(client: &mut tcp::ReadHalf<'_>, gate: &mut unix::WriteHalf<'_>) -> DirectionEnd {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match client.read(&mut buffer).await {
            Err(_) => return DirectionEnd::ClientGone,
            Ok(0) => {
                let _ = gate.shutdown().await;
                return DirectionEnd::Closed;
            }
            Ok(length) => {
                if gate.write_all(&buffer[..length]).await.is_err() {
                    return DirectionEnd::GateStoppedReading;
                }
            }
        }
    }
}

/// Gate to client. Ends only once the gate has closed both directions: until then it may still read.
async fn download(gate: &mut unix::ReadHalf<'_>, client: &mut tcp::WriteHalf<'_>) -> DirectionEnd {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match gate.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(length) => {
                if client.write_all(&buffer[..length]).await.is_err() {
                    return DirectionEnd::ClientGone;
                }
            }
        }
    }
    if client.shutdown().await.is_err() {
        return DirectionEnd::ClientGone;
    }
    let mut wait = Duration::from_millis(1);
    while !gate.ready(Interest::WRITABLE).await.is_ok_and(|ready| ready.is_write_closed()) {
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(1));
    }
    DirectionEnd::Closed
}

/// Reads and throws away.
async fn drain(client: &mut TcpStream) {
    let mut buffer = [0; 4096];
    while client.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
}
