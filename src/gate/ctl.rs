//! `ctl`: how the operator asks a running gate. JSON lines over a socket in the gate's private tmpfs, which the agent
//! has no way to.

use crate::egress::Egress;
use crate::events::{complain, say};
use claude_bottle::protocol::CTL_SOCKET;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Bytes of one request line.
const LONGEST: u64 = 64 * 1024;

/// `ctl [--socket PATH] VERB`: prints the answer; 1 when the gate says no.
pub fn run(args: &[String]) -> i32 {
    let (socket, verb) = match args {
        [verb] => (CTL_SOCKET, verb),
        [flag, socket, verb] if flag == "--socket" => (socket.as_str(), verb),
        _ => return complain("usage: claude-bottle-gate ctl [--socket PATH] status"),
    };
    let ask = || -> std::io::Result<String> {
        let mut stream = std::os::unix::net::UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        writeln!(stream, "{}", json!({ "verb": verb }))?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    };
    match ask() {
        Ok(line) => {
            let answer: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            say(line.trim_end());
            i32::from(!answer.is_object() || answer.get("error").is_some())
        }
        Err(error) => {
            complain(&format!("cannot ask the gate at `{socket}`: {error}"));
            125
        }
    }
}

pub async fn serve(listener: UnixListener, egress: Arc<Egress>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let egress = egress.clone();
                tokio::spawn(async move {
                    let _ = answer(stream, &egress).await;
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn answer(stream: UnixStream, egress: &Egress) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = tokio::io::BufReader::new(read);
    loop {
        let mut line = Vec::new();
        (&mut read).take(LONGEST).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Ok(());
        }
        let request: serde_json::Value = serde_json::from_slice(&line).unwrap_or_default();
        let answer = match request.get("verb").and_then(|verb| verb.as_str()) {
            Some("status") => egress.status(),
            Some(_) => json!({ "error": "unknown verb" }),
            None => json!({ "error": "a request is a JSON object with a `verb`" }),
        };
        write.write_all(format!("{answer}\n").as_bytes()).await?;
        if line.last() != Some(&b'\n') {
            return Ok(());
        }
    }
}
