//! `forward`, with the real inner end and servers of the test's beside it: the fake engine's `exec` runs `init pipe` here.

use crate::harness::{PLAIN, Place, Terminal, WAIT_TIMEOUT};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Barrier};
use std::thread;
use wire::GATE_BINARY;

/// A session that nobody is attached to.
fn running() -> Place {
    let place = Place::new(PLAIN);
    let done = place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done();
    assert_eq!(done.status, 0, "{done:?}");
    place.forget_calls();
    place
}

fn begin(place: &Place, ports: &[&str], pipe: &str) -> Terminal {
    let identity = place.session();
    let args: Vec<&str> = ["forward", &identity].into_iter().chain(ports.iter().copied()).collect();
    place.run(&args).env("FAKE_PIPE", pipe).on_terminal()
}

/// A forward of the port `inside` to a free one here.
struct Way {
    terminal: Terminal,
    port: u16,
}

impl Way {
    #[track_caller]
    fn to(place: &Place, inside: u16) -> Way {
        let mut terminal = begin(place, &[&format!("0:{inside}")], &format!("{} init pipe", testing::gate_program()));
        terminal.until(&format!(" → {inside} inside"));
        let port = terminal.seen.split("http://127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
        let port = port.parse().unwrap();
        Way { terminal, port }
    }

    #[track_caller]
    fn client(&self) -> TcpStream {
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        client.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
        client.set_write_timeout(Some(WAIT_TIMEOUT)).unwrap();
        client
    }

    /// The most memory that the program and the inner end have had, bytes.
    fn memory(&self) -> [u64; 2] {
        let program = self.terminal.pid();
        let children = fs::read_to_string(format!("/proc/{program}/task/{program}/children")).unwrap();
        [program, children.trim().parse().unwrap()].map(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
            peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
        })
    }

    #[track_caller]
    fn end(mut self) -> String {
        self.terminal.types("\u{3}");
        let (status, seen) = self.terminal.end();
        assert_eq!(status, 130, "{seen}");
        seen
    }
}

/// A server on loopback that does this with each connection, all at once.
fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    serve_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), serve)
}

fn serve_on(listener: TcpListener, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for socket in listener.incoming() {
            let serve = serve.clone();
            thread::spawn(move || serve(socket.unwrap()));
        }
    });
    port
}

fn echo(mut socket: TcpStream) {
    let mut reader = socket.try_clone().unwrap();
    let _ = std::io::copy(&mut reader, &mut socket);
    let _ = socket.shutdown(Shutdown::Write);
}

#[track_caller]
fn said_back(client: &mut TcpStream, words: &[u8]) {
    client.write_all(words).unwrap();
    let mut heard = vec![0; words.len()];
    client.read_exact(&mut heard).unwrap();
    assert_eq!(heard, words);
}

/// Waits until it has closed.
#[track_caller]
fn rest(client: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).unwrap();
    heard
}

#[test]
fn one_call_of_the_engine_whatever_comes() {
    let (place, one, two) = (running(), server(echo), server(echo));
    let mut terminal =
        begin(&place, &[&format!("0:{one}"), &format!("0:{two}")], &format!("{} init pipe", testing::gate_program()));
    terminal.until(&format!(" → {two} inside\r\n"));
    let ports: Vec<u16> = terminal
        .seen
        .split("http://127.0.0.1:")
        .skip(1)
        .map(|rest| rest.split('/').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(ports.len(), 2);
    for _ in 0..3 {
        // `localhost` is either.
        said_back(&mut TcpStream::connect((Ipv4Addr::LOCALHOST, ports[0])).unwrap(), b"one");
        said_back(&mut TcpStream::connect((Ipv6Addr::LOCALHOST, ports[1])).unwrap(), b"two");
    }
    terminal.types("\u{3}");
    assert_eq!(terminal.end().0, 130);
    let agent = format!("claude-bottle-{}-agent", place.session());
    let calls = place.calls();
    assert_eq!(calls.last().unwrap(), &["exec", "-w", "/", "-i", &agent, GATE_BINARY, "init", "pipe"]);
    assert_eq!(calls.iter().filter(|call| call[0] == "exec").count(), 1, "{calls:?}");
}

#[test]
fn a_connection_stays_and_each_way_ends_on_its_own() {
    let place = running();
    let way = Way::to(&place, server(echo));
    let mut client = way.client();
    for number in 0..1000 {
        said_back(&mut client, format!("request {number}").as_bytes());
    }
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut client), b"");

    // The client has said all before the server begins; and the server has before the client does.
    let last = Way::to(
        &place,
        server(|mut socket| {
            let mut heard = Vec::new();
            socket.read_to_end(&mut heard).unwrap();
            socket.write_all(format!("heard {}", heard.len()).as_bytes()).unwrap();
        }),
    );
    let mut client = last.client();
    client.write_all(&vec![7; 3_000_000]).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut client), b"heard 3000000");

    let (told, heard) = std::sync::mpsc::channel();
    let first = Way::to(
        &place,
        server(move |mut socket| {
            socket.write_all(b"hello").unwrap();
            socket.shutdown(Shutdown::Write).unwrap();
            let mut heard = Vec::new();
            socket.read_to_end(&mut heard).unwrap();
            told.send(heard).unwrap();
        }),
    );
    let mut client = first.client();
    assert_eq!(rest(&mut client), b"hello");
    client.write_all(b"and after that").unwrap();
    drop(client);
    assert_eq!(heard.recv_timeout(WAIT_TIMEOUT).unwrap(), b"and after that");
    for way in [way, last, first] {
        way.end();
    }
}

/// Whoever has not got all of it knows.
#[test]
fn a_reset_goes_through() {
    let place = running();
    let reset = |socket: TcpStream| sys::net::reset(socket);
    let way = Way::to(
        &place,
        server(move |mut socket| {
            let _ = socket.read(&mut [0; 10]);
            socket.write_all(b"half of").unwrap();
            reset(socket);
        }),
    );
    let mut client = way.client();
    client.write_all(b"go").unwrap();
    let mut heard = Vec::new();
    let error = client.read_to_end(&mut heard).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{heard:?}");

    let (told, heard) = std::sync::mpsc::channel();
    let back =
        Way::to(&place, server(move |mut socket| told.send(socket.read_to_end(&mut Vec::new()).is_err()).unwrap()));
    let mut client = back.client();
    client.write_all(b"half of").unwrap();
    reset(client);
    assert!(heard.recv_timeout(WAIT_TIMEOUT).unwrap());
    way.end();
    back.end();
}

/// A refusal while the upload still comes: the answer is read, and whole.
#[test]
fn an_early_answer_arrives() {
    let place = running();
    let way = Way::to(
        &place,
        server(|mut socket| {
            let _ = socket.read(&mut [0; 1000]);
            socket.write_all(&[b'n'; 10_000]).unwrap();
        }),
    );
    for _ in 0..10 {
        let mut client = way.client();
        let mut upload = client.try_clone().unwrap();
        let upload = thread::spawn(move || while upload.write_all(&[0; 10_000]).is_ok() {});
        let mut answer = vec![0; 10_000];
        client.read_exact(&mut answer).unwrap();
        assert!(answer.iter().all(|byte| *byte == b'n'));
        // Unless it has been reset by now.
        let _ = client.shutdown(Shutdown::Both);
        upload.join().unwrap();
    }
    way.end();
}

const LARGE: usize = 200_000_000;

/// What one window, the two buffers and the program itself may come to, with much to spare.
const MEMORY: u64 = 32 << 20;

fn pour(mut socket: impl Write) {
    let block: Vec<u8> = (0..=250).cycle().take(251 * 400).collect();
    let mut left = LARGE;
    while left > 0 {
        let count = left.min(block.len());
        socket.write_all(&block[..count]).unwrap();
        left -= count;
    }
}

/// Every byte as it was sent.
#[track_caller]
fn swallow(mut socket: impl Read) {
    let mut block = vec![0; 251 * 400];
    let mut left = LARGE;
    while left > 0 {
        let count = left.min(block.len());
        socket.read_exact(&mut block[..count]).unwrap();
        assert!(block[..count].iter().zip((0..=250u8).cycle()).all(|(is, wanted)| *is == wanted));
        left -= count;
    }
}

#[test]
fn much_goes_both_ways_in_little_memory() {
    let place = running();
    let way = Way::to(
        &place,
        server(|socket| {
            let up = socket.try_clone().unwrap();
            let up = thread::spawn(move || swallow(up));
            pour(socket);
            up.join().unwrap();
        }),
    );
    let client = way.client();
    let down = client.try_clone().unwrap();
    let down = thread::spawn(move || swallow(down));
    pour(client);
    down.join().unwrap();
    let memory = way.memory();
    assert!(memory.iter().all(|peak| *peak < MEMORY), "{memory:?}");
    way.end();
}

#[test]
fn who_does_not_read_holds_up_nobody() {
    let place = running();
    let way = Way::to(
        &place,
        server(|mut socket| {
            let mut word = [0; 4];
            socket.read_exact(&mut word).unwrap();
            match &word {
                b"pour" => while socket.write_all(&[0; 10_000]).is_ok() {},
                _ => socket.write_all(&word).unwrap(),
            }
        }),
    );
    let slow: Vec<TcpStream> = (0..20).map(|_| way.client()).collect();
    slow.iter().for_each(|mut slow| slow.write_all(b"pour").unwrap());
    for _ in 0..100 {
        said_back(&mut way.client(), b"echo");
    }
    let memory = way.memory();
    assert!(memory.iter().all(|peak| *peak < MEMORY + 20 * (2 << 20)), "{memory:?}");
    way.end();
}

#[test]
fn a_hundred_at_once() {
    let place = running();
    let all = Arc::new(Barrier::new(100));
    let there = all.clone();
    // None is answered before all have asked.
    let way = Arc::new(Way::to(
        &place,
        server(move |mut socket| {
            let mut word = [0; 8];
            socket.read_exact(&mut word).unwrap();
            there.wait();
            socket.write_all(&word).unwrap();
        }),
    ));
    let clients: Vec<_> = (0..100u64)
        .map(|number| {
            let mut client = way.client();
            thread::spawn(move || said_back(&mut client, &number.to_be_bytes()))
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    Arc::into_inner(way).unwrap().end();
}

/// More than one stream carries wait their turn.
#[test]
fn more_than_there_is_room_for_wait() {
    let place = running();
    let way = Way::to(&place, server(echo));
    let mut held: Vec<TcpStream> = (0..256).map(|_| way.client()).collect();
    held.iter_mut().for_each(|client| said_back(client, b"here"));
    let mut late = way.client();
    late.write_all(b"late").unwrap();
    late.set_nonblocking(true).unwrap();
    said_back(&mut held[0], b"still here");
    assert!(late.read(&mut [0; 4]).is_err(), "there was no room");
    late.set_nonblocking(false).unwrap();
    held.pop();
    let mut heard = [0; 4];
    late.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"late");
    way.end();
}

#[test]
fn nobody_listens_yet() {
    let place = running();
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let way = Way::to(&place, port);
    for _ in 0..5 {
        let mut client = way.client();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(rest(&mut client), b"", "a clean end, and quick");
    }
    // A server may bind either address of loopback.
    serve_on(TcpListener::bind((Ipv6Addr::LOCALHOST, port)).unwrap(), echo);
    said_back(&mut way.client(), b"now it does");
    let seen = way.end();
    assert_eq!(seen.matches(&format!("nothing listens on {port} inside yet\n")).count(), 1, "{seen}");
}

#[test]
fn what_is_typed_wrong() {
    let place = running();
    let identity = place.session();
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let busy = bound.local_addr().unwrap().port();
    for words in ["http", "5173:", "0", "5173:0", "70000", "127.0.0.1:8080:5173", "-1:1"] {
        let done = place.run(&["forward", &identity, "--", words]).done();
        let told = format!(
            "claude-bottle: `{words}` is not a port: use PORT or LOCAL:INSIDE\nhint: `5173`, or `8080:5173` for 8080 here and 5173 inside; \
             `--address` is for another address than loopback\n"
        );
        assert_eq!((done.status, done.stdout.as_str(), done.stderr), (2, "", told));
    }
    let done = place.run(&["forward", &identity, &format!("{busy}:5173")]).done();
    let told = format!(
        "claude-bottle: cannot listen on `127.0.0.1:{busy}`: the port is in use\n\
         hint: `claude-bottle forward {identity} 0:5173` takes a free one\n"
    );
    assert_eq!((done.status, done.stdout.as_str(), done.stderr), (2, "", told));
    assert!(place.calls().iter().all(|call| call[0] != "exec"), "nothing was begun inside");
    place.run(&["forward", &identity]).snap("forward-no-port");
    Place::new(PLAIN).run(&["forward", "plain-xxxxx", "5173"]).snap("forward-unknown");
    let kept = crate::harness::kept();
    kept.run(&["forward", &kept.session(), "5173"]).snap("forward-kept");
}

#[test]
fn another_address_than_loopback_is_said_loudly() {
    let place = running();
    let inside = server(echo);
    for (address, shown) in [("0.0.0.0", "0.0.0.0"), ("::1", "[::1]")] {
        let mut terminal = begin(
            &place,
            &["--address", address, &format!("0:{inside}")],
            &format!("{} init pipe", testing::gate_program()),
        );
        terminal.until(" → ");
        let port = terminal.seen.split(&format!("http://{shown}:")).nth(1).and_then(|rest| rest.split('/').next());
        let port: u16 = port.unwrap().parse().unwrap();
        said_back(&mut TcpStream::connect((address, port)).unwrap(), b"hello");
        terminal.types("\u{3}");
        let (status, seen) = terminal.end();
        assert_eq!(status, 130);
        let loud = format!("whoever reaches this machine at `0.0.0.0:{port}` reaches {inside} inside");
        assert_eq!(seen.contains(&loud), address == "0.0.0.0", "{seen}");
    }
}

const HELLO: &str = r"\000\000\000\000\000\000\001\001";

/// Whatever is said inside, nothing of the host's is reached, and nothing goes on.
#[test]
fn a_hostile_inner_end() {
    let place = running();
    let identity = place.session();
    let cases = [
        ("a connection of its own", format!(r"{HELLO}\001\000\000\000\001\000\002\000\120")),
        ("data on no connection", format!(r"{HELLO}\002\000\000\000\001\000\001x")),
        ("an end of no connection", format!(r"{HELLO}\003\000\000\000\011\000\000")),
        ("another version", r"\000\000\000\000\000\000\001\002".to_owned()),
        ("no frame", "Welcome to the bottle!".to_owned()),
        ("two beginnings", format!("{HELLO}{HELLO}")),
    ];
    for (what, bytes) in cases {
        let pipe = format!("sh -c 'printf \"{bytes}\"; exec cat 3>&1 >/dev/null'");
        let done = place.run(&["forward", &identity, "0:5173"]).env("FAKE_PIPE", pipe).done();
        let told = format!(
            "claude-bottle: the way into `{identity}` is broken: what comes from its other end is not understood\n"
        );
        assert_eq!((done.status, done.stderr), (125, told), "{what}");
    }
    // One that it may answer on: more than was asked for, and words after the last one.
    let frames = [
        r"\004\000\000\000\001\000\004\000\000\000\001".to_owned(),
        r"\005\000\000\000\001\000\000".repeat(2),
        format!("{}x", r"\003\000\000\000\001\000\000\002\000\000\000\001\000\001"),
    ];
    for bytes in frames {
        let pipe =
            format!("sh -c 'printf \"{HELLO}\"; head -c 9 >/dev/null; printf \"{bytes}\"; exec cat 3>&1 >/dev/null'");
        let mut terminal = begin(&place, &["0:5173"], &pipe);
        terminal.until(" → 5173 inside");
        let port = terminal.seen.split("http://127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
        let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port.parse::<u16>().unwrap())).unwrap();
        let (status, seen) = terminal.end();
        assert_eq!(status, 125, "{bytes}: {seen}");
        assert!(seen.ends_with("is not understood\n"), "{seen}");
    }
}

#[test]
fn an_inner_end_that_is_gone() {
    let place = running();
    let identity = place.session();
    let run = |pipe: &str| place.run(&["forward", &identity, "0:5173"]).env("FAKE_PIPE", pipe);
    let old = "sh -c 'echo \"claude-bottle: init does not know \\`pipe\\`\" >&2; exit 125'";
    run(old).snap("forward-old");
    run("sh -c 'kill -9 $$'").snap("forward-killed");
    // The engine's words count where it does not run: it ended between two looks.
    run(&format!("sh -c 'rm -r containers/claude-bottle-{identity}-agent; exit 1'")).snap("forward-ended");
}

/// The stream is gone, and so is the bottle: that is an end, not a failure.
#[test]
fn it_ends_with_the_bottle() {
    let place = running();
    let agent = format!("claude-bottle-{}-agent", place.session());
    let pipe = format!("sh -c 'printf \"{HELLO}\"; rm -r containers/{agent}; exit 137'");
    let identity = place.session();
    let done = place.run(&["forward", &identity, "0:5173"]).env("FAKE_PIPE", pipe).done();
    let told = format!("`{identity}` has ended\nhint: claude-bottle resume {identity}\n");
    assert_eq!((done.status, done.stderr), (0, told));
    assert!(
        done.stdout.starts_with("http://127.0.0.1:") && done.stdout.ends_with(" → 5173 inside\n"),
        "{}",
        done.stdout
    );
}

/// TERM, and a child that would stay for longer than any wait of a test.
#[test]
fn a_signal_ends_it_quickly() {
    let place = running();
    let terminal = begin(&place, &["0:5173"], &format!("sh -c 'printf \"{HELLO}\"; exec sleep 1000'"));
    let mut terminal = terminal;
    terminal.until(" → 5173 inside");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(terminal.pid()), nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(terminal.end().0, 143);
}
