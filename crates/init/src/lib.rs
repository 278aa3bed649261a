//! `init`: the first process of the agent's container. It is the door (names and connections), starts the agent's
//! command once the gate lets it go, reaps what is orphaned, and ends with the command's own code.
//!
//! Invariant: the command starts only after a whole, valid go; nothing the agent does afterwards makes this process
//! panic or allocate without bound. One thread, made at start: a full process table cannot hurt it.

mod child;
mod dns;
mod door;
mod exec;
mod files;
mod go;
mod merge;
mod names;
mod pipe;
mod redraw;
mod relay;
mod transfer;
mod work;

use child::{Child, End, Signals, Why};

use door::Door;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// What is wrong before the command runs.
const FAILED: i32 = 125;
/// How long the gate may take to come up and answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the command could not start; one line.
#[derive(Debug)]
struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure(error.to_string())
    }
}

/// Where things are; the options exist so that tests run without a container.
struct Place {
    socket: PathBuf,
    home: PathBuf,
}

/// `args` follow the verb: `[--socket PATH] [--home DIR]`, or `exec … [-- CMD…]`. Returns the exit code.
pub fn run(args: &[String]) -> i32 {
    let ended = match args.first().map(String::as_str) {
        Some("exec") => exec::run(&args[1..]),
        Some(child::ENTER) => return child::enter(&args[1..]),
        _ => place(args).and_then(|(place, rest)| match rest {
            [] => serve(&place),
            [word] if word == "redraw" => redraw::run(),
            [word] if word == "pipe" => pipe::run(),
            [word, rest @ ..] if word == "work" => work::run(&place.home, rest),
            [word] if word == "size" => work::size(&place.home),
            [word, path] if word == "put" => transfer::put(&place.home, path),
            [word, path] if word == "get" => transfer::get(&place.home, path),
            [word, ..] => Err(Failure(format!("init does not know `{word}`"))),
        }),
    };
    ended.unwrap_or_else(|Failure(why)| {
        complain(&why);
        FAILED
    })
}

/// Stderr may be a terminal that is gone: `eprintln!` would panic.
fn complain(why: &str) {
    let _ = writeln!(std::io::stderr(), "claude-bottle: {why}");
}

/// Reads the options in front; what follows them is returned as it is.
fn place(args: &[String]) -> Result<(Place, &[String]), Failure> {
    let mut place = Place { socket: wire::GATE_SOCKET.into(), home: wire::HOME.into() };
    let mut rest = args;
    while let [option, tail @ ..] = rest {
        let target = match option.as_str() {
            "--socket" => &mut place.socket,
            "--home" => &mut place.home,
            _ => break,
        };
        let [value, tail @ ..] = tail else {
            return Err(Failure(format!("`{option}` needs a value")));
        };
        *target = value.into();
        rest = tail;
    }
    Ok((place, rest))
}

fn serve(place: &Place) -> Result<i32, Failure> {
    let limit = child::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut signals = Signals::catch()?;
        let door = Door::open(&place.socket, limit.raised)?;
        let message = tokio::select! {
            message = go::fetch(&place.socket, PATIENCE) => message?,
            signal = signals.ending() => return Ok(End::Signal(signal).code()),
        };
        let start = go::Start::new(&message, &place.home)?;
        files::write_all(&message, &place.home)?;
        tokio::select! {
            () = work::note(&place.home) => {}
            signal = signals.ending() => return Ok(End::Signal(signal).code()),
        }
        door.declare(&message.go.ports);
        drop(message);
        child::terminal_size().await;
        let child = Child::start(&start, limit.soft)?;
        let ended = child.attend(&mut signals).await;
        child::end_the_rest(&mut signals).await;
        if ended.why == Why::Itself {
            tokio::select! {
                () = work::tell(&place.socket, &place.home) => {}
                _ = signals.ending() => {}
            }
        }
        Ok(ended.end.code())
    })
}
