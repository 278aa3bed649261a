//! `ctl`: the client of the control socket. Secret input comes on stdin, and no error quotes any of it.

use crate::control::{MAX_REQUEST_BYTES, Request};
use crate::stdio::{complain, print};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
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
        [verb] if verb == "watch" => return watch(socket),
        [verb] if ["reload", "decide", "git-allow"].contains(&verb.as_str()) => {
            read_body().map(|body| Request { body, ..plain(verb, None) })
        }
        [verb, name] if verb == "token" => read_body().map(|body| Request { body, ..plain(verb, Some(name.clone())) }),
        [verb] => Ok(plain(verb, None)),
        _ => {
            return complain(
                "usage: claude-bottle-gate ctl [--socket PATH] status|due|watch|reload|decide|git-allow|token NAME",
            );
        }
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
        Err(error) => unreachable(socket, &error),
    }
}

fn unreachable(socket: &str, error: &std::io::Error) -> i32 {
    complain(&format!("cannot ask the gate at `{socket}`: {error}"));
    UNREACHABLE
}

fn read_body() -> Result<Value, String> {
    let mut text = Vec::new();
    let read = std::io::stdin().lock().take(MAX_REQUEST_BYTES).read_to_end(&mut text);
    read.map_err(|error| format!("cannot read the standard input: {error}"))?;
    serde_json::from_slice(&text)
        .map_err(|error| format!("the standard input is not JSON: line {}, column {}", error.line(), error.column()))
}

/// `ctl watch`: says that an operator is there, and prints each line of the gate, until the standard input ends.
fn watch(socket: &str) -> i32 {
    let request = Request { verb: "watch".to_owned(), name: None, body: Value::Null };
    let watched = connect(socket, &request).and_then(|stream| {
        let writer = stream.try_clone()?;
        let until_stdin_ends = move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = writer.shutdown(Shutdown::Both);
        };
        sys::thread::spawn(until_stdin_ends)?;
        for line in BufReader::new(stream).lines() {
            print(&line?);
        }
        Ok(())
    });
    match watched {
        Ok(()) => 0,
        Err(error) => unreachable(socket, &error),
    }
}

/// Sends the request, and returns the line that the gate answers.
fn send(socket: &str, request: &Request) -> std::io::Result<String> {
    let stream = connect(socket, request)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

fn connect(socket: &str, request: &Request) -> std::io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    Ok(stream)
}
