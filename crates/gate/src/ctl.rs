//! `ctl`: how the operator asks a running gate, and tells it. JSON lines over a socket in the gate's private tmpfs, which
//! the agent has no way to. What is secret comes on stdin, and no error quotes any of it.

use crate::egress::Egress;
use crate::events::{complain, say};
use policy::Route;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use wire::{CTL_SOCKET, DueTokens, FreshToken, Reload};

/// Bytes of one request line: a policy with its certificates.
const LONGEST: u64 = 4 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Request {
    verb: String,
    /// Of a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What came on stdin.
    #[serde(default)]
    body: Value,
}

/// `ctl [--socket PATH] VERB`: prints the answer; 1 when the gate says no.
pub fn run(args: &[String]) -> i32 {
    let (socket, words) = match args {
        [flag, socket, words @ ..] if flag == "--socket" => (socket.as_str(), words),
        words => (CTL_SOCKET, words),
    };
    let asks = |verb: &String, name| Request { verb: verb.clone(), name, body: Value::Null };
    let request = match words {
        [verb] if verb == "reload" => stdin().map(|body| Request { body, ..asks(verb, None) }),
        [verb, name] if verb == "token" => stdin().map(|body| Request { body, ..asks(verb, Some(name.clone())) }),
        [verb] => Ok(asks(verb, None)),
        _ => return complain("usage: claude-bottle-gate ctl [--socket PATH] status|due|reload|token NAME"),
    };
    let request = match request {
        Ok(request) => request,
        Err(why) => return complain(&why),
    };
    match ask(socket, &request) {
        Ok(line) => {
            let answer: Value = serde_json::from_str(&line).unwrap_or_default();
            say(line.trim_end());
            i32::from(!answer.is_object() || answer.get("error").is_some())
        }
        Err(error) => {
            complain(&format!("cannot ask the gate at `{socket}`: {error}"));
            125
        }
    }
}

fn stdin() -> Result<Value, String> {
    let mut text = Vec::new();
    let read = std::io::stdin().lock().take(LONGEST).read_to_end(&mut text);
    read.map_err(|error| format!("cannot read the standard input: {error}"))?;
    serde_json::from_slice(&text)
        .map_err(|error| format!("the standard input is not JSON: line {}, column {}", error.line(), error.column()))
}

fn ask(socket: &str, request: &Request) -> std::io::Result<String> {
    let mut stream = std::os::unix::net::UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

/// Which part of a reload is wrong. serde's messages quote what they found, which may be a secret in the wrong place: only
/// the position is told.
fn place(body: &Value) -> String {
    let Some(routes) = body["policy"]["routes"].as_array() else {
        return "there is no `policy` with `routes`".to_owned();
    };
    match routes.iter().position(|route| Route::deserialize(route).is_err()) {
        Some(index) => format!("route {} of the policy is not valid", index + 1),
        None => "there is more than `policy`, `printed` and `values`, or one of them is not valid".to_owned(),
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
        let answer = match serde_json::from_slice(&line) {
            Ok(request) => obey(egress, request).unwrap_or_else(|why| json!({ "error": why })),
            Err(_) => json!({ "error": "a request is a JSON object with a `verb`" }),
        };
        write.write_all(format!("{answer}\n").as_bytes()).await?;
        if line.last() != Some(&b'\n') {
            return Ok(());
        }
    }
}

fn obey(egress: &Egress, request: Request) -> Result<Value, String> {
    let Request { verb, name, body } = request;
    match (verb.as_str(), name) {
        ("status", None) => Ok(egress.status()),
        ("due", None) => Ok(json!(DueTokens { due: egress.due() })),
        ("reload", None) => match Reload::deserialize(&body) {
            Ok(reload) => egress.reload(reload),
            Err(_) => Err(egress.unchanged(place(&body))),
        },
        ("token", Some(name)) => match FreshToken::deserialize(&body) {
            Ok(FreshToken { value }) => egress.renew(&name, &value.0),
            Err(_) => Err(egress.unchanged(format!("what came for `{name}` is no `value` in base64"))),
        },
        _ => Err("unknown verb".to_owned()),
    }
}
