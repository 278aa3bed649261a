//! One connection between a program of the agent's and the gate: bytes both ways, each way closed on its own.
//!
//! Invariant: what the gate has said reaches the client even where the gate stops listening early (a refusal while an
//! upload is still coming). A reset by the gate only says that it left bytes unread, so it counts as its end.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

const BUFFER: usize = 32 * 1024;
/// How long a client may go on talking to a gate that has closed: a reset sooner could overtake the last answer.
const LINGER: Duration = Duration::from_secs(2);

/// How one direction came to its end.
#[derive(PartialEq, Eq)]
enum Way {
    /// The speaker closed, and the listener was told.
    Ended,
    /// The gate takes no more.
    Deaf,
    /// The client is gone in the middle.
    Broken,
}

/// Passes all bytes; `first` goes to the gate before the client's.
pub async fn relay(mut client: TcpStream, mut gate: UnixStream, first: &[u8]) {
    if gate.write_all(first).await.is_err() {
        return;
    }
    if pass(&mut client, &mut gate).await == Way::Broken {
        return;
    }
    let _ = tokio::time::timeout(LINGER, drain(&mut client)).await;
}

async fn pass(client: &mut TcpStream, gate: &mut UnixStream) -> Way {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_gate, mut to_gate) = gate.split();
    let up = std::pin::pin!(up(&mut from_client, &mut to_gate));
    let mut down = std::pin::pin!(down(&mut from_gate, &mut to_client));
    tokio::select! {
        // The gate's last words count even where the client has just been told that nobody listens.
        way = up => if way == Way::Broken { way } else { down.await },
        way = &mut down => way,
    }
}

async fn up(client: &mut tcp::ReadHalf<'_>, gate: &mut unix::WriteHalf<'_>) -> Way {
    let mut buffer = vec![0; BUFFER];
    loop {
        match client.read(&mut buffer).await {
            Err(_) => return Way::Broken,
            Ok(0) => {
                let _ = gate.shutdown().await;
                return Way::Ended;
            }
            Ok(length) => {
                if gate.write_all(&buffer[..length]).await.is_err() {
                    return Way::Deaf;
                }
            }
        }
    }
}

/// Ends only when the gate has closed both ways: until then it may still listen.
async fn down(gate: &mut unix::ReadHalf<'_>, client: &mut tcp::WriteHalf<'_>) -> Way {
    let mut buffer = vec![0; BUFFER];
    loop {
        match gate.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(length) => {
                if client.write_all(&buffer[..length]).await.is_err() {
                    return Way::Broken;
                }
            }
        }
    }
    if client.shutdown().await.is_err() {
        return Way::Broken;
    }
    let mut wait = Duration::from_millis(1);
    while !gate.ready(Interest::WRITABLE).await.is_ok_and(|ready| ready.is_write_closed()) {
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(1));
    }
    Way::Ended
}

async fn drain(client: &mut TcpStream) {
    let mut buffer = [0; 4096];
    while client.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
}
