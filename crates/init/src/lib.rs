//! `init`: the first process of the agent's container. It is the door (names and connections), starts the agent's
//! command once the gate lets it go, reaps orphaned processes, and ends with the command's exit code.
//!
//! Invariant: the command starts only after a whole, valid go. Nothing that the agent does afterwards makes this process
//! panic or allocate without bound. It has one thread, made at start: a full process table cannot stop it.

mod child;
mod descriptors;
mod dns;
mod door;
mod enter;
mod exec;
mod failure;
mod files;
mod go;
mod listen;
mod merge;
mod modes;
mod names;
mod options;
mod pipe;
mod redraw;
mod relay;
mod sign;
mod signals;
mod size;
mod subprocess;
mod terminal;
mod terminfo;
mod transfer;
mod try_sockets;
mod work;

use child::{Child, End, EndedBy};
use door::Door;
use failure::{EXIT_FAILED, Failure, print_error};
use options::Options;
pub use sign::VERB as SIGN_VERB;
use signals::Signals;
use std::io::IsTerminal;
use std::rc::Rc;
use terminal::Terminal;

/// `args` follow the verb: `[--socket PATH] [--home DIR]`, or `exec … [-- CMD…]`. Returns the exit code.
pub fn run(args: &[String]) -> i32 {
    // The agent's programs have the same user id, and some of these processes hold what the agent must not change.
    if let Err(error) = sys::child::set_undumpable() {
        print_error(&format!("cannot become undumpable: {error}"));
        return EXIT_FAILED;
    }
    let ended = match args.first().map(String::as_str) {
        Some("exec") => exec::run(&args[1..]),
        Some(enter::VERB) => return enter::run(&args[1..]),
        _ => Options::parse(args).and_then(|(options, rest)| match rest {
            [] => serve(&options),
            [word] if word == "redraw" => redraw::run(),
            [word] if word == "pipe" => pipe::run(),
            // The reader: the host sends SIGTERM when the command that asked has ended.
            [word, rest @ ..] if word == "work" => {
                sys::signals::end_at_sigterm()?;
                work::run(&options.home, rest)
            }
            [word, rest @ ..] if word == "pushed" => {
                sys::signals::end_at_sigterm()?;
                work::pushed::run(&options.home, rest)
            }
            [word] if word == "size" => {
                sys::signals::end_at_sigterm()?;
                size::run(&options.home)
            }
            [word, rest @ ..] if word == sign::VERB => sign::run(&options.socket, rest),
            [word] if word == "try-sockets" => try_sockets::run(),
            [word, path] if word == "put" => transfer::put(&options.home, path),
            [word, path] if word == "get" => transfer::get(&options.home, path),
            [word, ..] => Err(Failure(format!("init does not know `{word}`"))),
        }),
    };
    ended.unwrap_or_else(|Failure(why)| {
        print_error(&why);
        EXIT_FAILED
    })
}

/// The whole life of the first process. Returns the command's exit code.
fn serve(options: &Options) -> Result<i32, Failure> {
    sys::signals::reset_fault_handlers();
    let limit = descriptors::raise_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut signals = Signals::catch()?;
        let door = Door::open(&options.socket, limit.raised)?;
        let message = tokio::select! {
            message = go::fetch(&options.socket) => message?,
            signal = signals.next_ending() => return Ok(End::Signal(signal).code()),
        };
        let command = go::AgentCommand::new(&message, &options.home)?;
        if let Some(term) = command.unknown_term.as_ref().filter(|_| std::io::stdin().is_terminal()) {
            let term = wire::one_line(&term.to_string_lossy());
            print_error(&format!(
                "the image does not know the terminal `{term}`: inside, TERM is {}",
                terminfo::DEFAULT_TERM
            ));
        }
        files::write_all(&message, &options.home)?;
        tokio::select! {
            () = work::record_if_new(&options.home) => {}
            signal = signals.next_ending() => return Ok(End::Signal(signal).code()),
        }
        door.declare(&message.go.ports);
        // It holds secrets.
        drop(message);
        terminal::await_size().await;
        let (terminal, for_child) = Terminal::open()?.unzip();
        let terminal = terminal.map(Rc::new);
        let relay = terminal.clone().map(|terminal| tokio::task::spawn_local(async move { terminal.relay().await }));
        let child = Child::start(&command, limit.soft, for_child)?;
        let ended = child.supervise(&mut signals, terminal.as_deref()).await;
        child::end_remaining_processes(&mut signals).await;
        if let Some(relay) = relay {
            // A process that survived may hold the terminal open, and a client that is stopped takes nothing.
            tokio::select! {
                _ = relay => {}
                _ = signals.next_ending() => {}
            }
        }
        if ended.by == EndedBy::Itself {
            tokio::select! {
                () = work::report_to_gate(&options.socket, &options.home) => {}
                _ = signals.next_ending() => {}
            }
        }
        Ok(ended.end.code())
    })
}
