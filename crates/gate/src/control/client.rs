//! `ctl`: the client of the control socket. Secret input comes on stdin, and no error quotes any of it.

use crate::control::{MAX_REQUEST_BYTES, Request};
use crate::stdio::{complain, print};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use wire::CTL_SOCKET;

/// For one answer of the gate.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The exit code where the gate cannot be reached.
const UNREACHABLE: i32 = 125;

/// `ctl [--socket PATH] VERB`: prints the answer. The exit code is 1 where the answer is an error.
pub fn run(args: &[String]) -> i32 {
    let (socket, words) = match args {
        [flag, socket, words @ ..] if flag == "--socket" => (socket.as_str(), words),
        words => (CTL_SOCKET, words),
    };
    let plain = |verb: &String, name| Request { verb: verb.clone(), name, body: Value::Null };
    let request = match words {
        [verb] if verb == "reload" || verb == "git-allow" => {
            read_body().map(|body| Request { body, ..plain(verb, None) })
        }
        [verb, name] if verb == "token" => read_body().map(|body| Request { body, ..plain(verb, Some(name.clone())) }),
        [verb] => Ok(plain(verb, None)),
        _ => return complain("usage: claude-bottle-gate ctl [--socket PATH] status|due|reload|git-allow|token NAME"),
    };
    let request = match request {
        Ok(request) => request,
        Err(why) => return complain(&why),
    };
    match send(socket, &request) {
        Ok(line) => {
            let answer: Value = serde_json::from_str(&line).unwrap_or_default();
            print(line.trim_end());
            i32::from(!answer.is_object() || answer.get("error").is_some())
        }
        Err(error) => {
            complain(&format!("cannot ask the gate at `{socket}`: {error}"));
            UNREACHABLE
        }
    }
}

fn read_body() -> Result<Value, String> {
    let mut text = Vec::new();
    let read = std::io::stdin().lock().take(MAX_REQUEST_BYTES).read_to_end(&mut text);
    read.map_err(|error| format!("cannot read the standard input: {error}"))?;
    serde_json::from_slice(&text)
        .map_err(|error| format!("the standard input is not JSON: line {}, column {}", error.line(), error.column()))
}

/// Sends the request, and returns the line that the gate answers.
fn send(socket: &str, request: &Request) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}
