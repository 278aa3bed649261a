//! The same decision through the gate's own program: a raw request line reaches the origin exactly when the policy lets it
//! pass, and byte for byte. One kept-alive plain connection; a new one only where the gate has ended it.

use policy::{Policy, Request};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::mpsc::{Receiver, Sender, channel};
use testing::gate::serving;
use testing::process::Watchdog;
use testing::requests::{TRICKS, path, query, route as whole_route};
use testing::wait::WAIT_TIMEOUT;
use wire::encode_base64;

const LINES: usize = 2000;

/// Answers every request with an empty 200, and tells its first line before it does.
fn origin() -> (SocketAddr, Receiver<String>) {
    fn serve(stream: std::net::TcpStream, seen: &Sender<String>) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut writer = stream;
        loop {
            let mut lines = Vec::new();
            loop {
                let mut line = Vec::new();
                if reader.read_until(b'\n', &mut line)? == 0 {
                    return Ok(());
                }
                if line == b"\r\n" {
                    break;
                }
                lines.push(String::from_utf8_lossy(&line).trim_end_matches("\r\n").to_owned());
            }
            let _ = seen.send(lines.swap_remove(0));
            writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (send, seen) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let send = send.clone();
            std::thread::spawn(move || serve(stream, &send));
        }
    });
    (address, seen)
}

struct Gate {
    child: Child,
    dir: tempfile::TempDir,
    watchdog: Option<Watchdog>,
}

impl Gate {
    /// Its audit trail is read and forgotten: nobody waits for it.
    fn start(policy: &Policy) -> Gate {
        let key = rcgen::KeyPair::generate().unwrap();
        let root = rcgen::CertificateParams::default().self_signed(&key).unwrap().pem();
        let document = json!({
            "version": 1, "identity": "fixer-abcde", "bottle": "dev", "policy": policy,
            "go": { "env": {}, "files": [], "command": ["true"], "cwd": "/" },
            "roots": "roots", "values": { "roots": encode_base64(root.as_bytes()) },
        });
        let dir = tempfile::tempdir().unwrap();
        let mut child = serving(dir.path()).spawn().unwrap();
        let watchdog = Some(Watchdog::over("a gate", &child));
        child.stdin.take().unwrap().write_all(document.to_string().as_bytes()).unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.next().unwrap().unwrap();
        assert!(ready.contains("ready"), "{ready}");
        std::thread::spawn(move || lines.count());
        Gate { child, dir, watchdog }
    }

    fn connect(&self) -> BufReader<UnixStream> {
        let mut stream = UnixStream::connect(self.dir.path().join("gate.sock")).unwrap();
        stream.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
        stream.write_all(b"CONNECT x.test:80\n").unwrap();
        BufReader::new(stream)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.watchdog = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status, and whether the connection goes on.
fn answer(stream: &mut BufReader<UnixStream>, method: &str) -> (u16, bool) {
    let (mut status, mut length, mut goes_on) = (0, 0, true);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap() == 0 {
            return (status, false);
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest[..3].parse().unwrap();
        } else if let Some(count) = line.strip_prefix("content-length: ") {
            length = count.parse().unwrap();
        } else if line == "connection: close" {
            goes_on = false;
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
    stream.read_exact(&mut body).unwrap();
    (status, goes_on)
}

/// What the gate may judge of a request target, if it is one for this connection: what stands before a fragment, which
/// no server is ever sent.
fn judged(target: &str) -> Option<&str> {
    let target = target.split('#').next().unwrap_or_default();
    match target.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !scheme.is_empty() => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            // What stands before `@` is the agent's own credential, and stays behind.
            let authority = authority.rsplit('@').next().unwrap_or_default();
            let ours = scheme.eq_ignore_ascii_case("http")
                && ["x.test", "X.test", "x.test.", "x.test:80"].contains(&authority);
            ours.then_some(if path.is_empty() { "/" } else { path })
        }
        _ => Some(target),
    }
}

/// What is expected to reach the origin.
fn expected(policy: &Policy, method: &str, target: &str) -> Option<String> {
    let target = judged(target)?;
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let request =
        Request { host: "x.test", port: 80, method, path, query, has_body: false, headers: &[("host", b"x.test")] };
    policy.decide(&request).ok().map(|_| format!("{method} {target} HTTP/1.1"))
}

fn target() -> impl Strategy<Value = String> {
    let special = select(vec![
        "*",
        "http://x.test/a",
        "http://X.test/team/b",
        "http://x.test.",
        "http://x.test:80/a?s=yes",
        "http://x.test:81/a",
        "http://y.test/a",
        "http://u@x.test/a",
        "http://x.test@y.test/a",
        "https://x.test/a",
        "ftp://x.test/a",
        "x.test:80",
        "x.test",
        "//x.test/a",
        "?s=yes",
        "a",
        "/a#b",
        "/a?s=yes#b",
        "/#",
        "/<a>",
        "/a`",
        "/a\"b",
        "/a{b}|^",
        "/a?q=\"x\"",
        "/a?q=<",
        "/a\u{e9}",
        "/a?\u{e9}",
        "/a?",
        "/?",
        "/a??b",
        "/a%",
        "http://x.test?s=yes",
        "http:///a",
        "http://[::1]/a",
        "http://127.0.0.1/a",
        "/:80",
        "/a:b@c",
    ]);
    let ends = (path(), prop::option::of(query())).prop_map(|(path, query)| match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    });
    let odd = ("/[!-~]{0,20}", select(TRICKS.to_vec())).prop_map(|(path, trick)| format!("{path}{trick}"));
    // A space ends a target: what follows would be another protocol's name.
    let fits = |target: &String| !target.contains([' ', '\r', '\n', '\0']);
    prop_oneof![1 => special.prop_map(str::to_owned), 6 => ends, 2 => odd].prop_filter("one word", fits)
}

#[test]
fn the_gate_forwards_exactly_what_the_policy_lets_pass() {
    let (address, seen) = origin();
    let place = json!({ "host": "x.test", "port": 80, "private": true, "connect_to": address.to_string() });
    let line = |more: serde_json::Value| {
        let mut route = place.clone();
        route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        whole_route(route)
    };
    let policy = Policy {
        routes: vec![
            line(json!({ "paths": ["/secret/**", "/*/secret"], "methods": ["GET", "POST"], "deny": true })),
            line(json!({ "paths": ["/team/**", "/a", "/*/b/**"], "methods": ["GET", "POST", "OPTIONS"] })),
            line(json!({ "query": { "s": "y*" } })),
            line(json!({ "paths": ["/v1/**", "/"], "methods": ["GET", "OPTIONS", "PUT"] })),
        ],
    };
    let gate = Gate::start(&policy);
    let mut runner = TestRunner::deterministic();
    let method = select(vec!["GET", "GET", "GET", "POST", "OPTIONS", "PUT", "get", "TRACE", "HEAD", "X-Y"]);
    let strategy = (method, target());
    let (mut passed, mut stream) = (0, gate.connect());
    for _ in 0..LINES {
        let (method, target) = strategy.new_tree(&mut runner).unwrap().current();
        let request = format!("{method} {target} HTTP/1.1\r\nhost: x.test\r\n\r\n");
        stream.get_mut().write_all(request.as_bytes()).unwrap_or_else(|error| panic!("{method} {target}: {error}"));
        let (status, goes_on) = answer(&mut stream, method);
        // The origin has told it before it answered.
        let arrived: Vec<String> = seen.try_iter().collect();
        let wanted: Vec<String> = expected(&policy, method, &target).into_iter().collect();
        assert_eq!(arrived, wanted, "{method} {target}: {status}");
        assert_eq!(status == 200, wanted.len() == 1, "{method} {target}: {status}");
        passed += wanted.len();
        if !goes_on {
            stream = gate.connect();
        }
    }
    assert!((LINES / 20..LINES).contains(&passed), "{passed} of {LINES}");
}

#[test]
fn a_header_counts_only_if_it_goes_on() {
    let (address, seen) = origin();
    let gate = Gate::start(&Policy {
        routes: vec![whole_route(json!({
            "host": "x.test", "port": 80, "private": true, "connect_to": address.to_string(),
            "query": { "service": "git-upload-pack" }, "headers": { "x-api-version": "20*" },
        }))],
    });
    let mut stream = gate.connect();
    for (query, headers, status) in [
        ("service=git-upload-pack", "X-Api-Version: 2022", 200),
        ("service=git-upload-pack", "", 403),
        ("service=git-upload-pack", "X-Api-Version: 1922", 403),
        ("service=git-upload-pack", "X-Api-Version: 2022\r\nx-api-version: 2022", 403),
        ("service=git-upload-pack", "X-Api-Version: 2022\r\nx_api_version: 2099", 403),
        ("service=git-upload-pack", "X-Api-Version: 2022\r\nConnection: keep-alive, x-api-version", 403),
        ("service=other", "X-Api-Version: 2022", 403),
        ("a=b", "X-Api-Version: 2022", 403),
    ] {
        let headers = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
        let request = format!("GET /x?{query} HTTP/1.1\r\nhost: x.test\r\n{headers}\r\n");
        stream.get_mut().write_all(request.as_bytes()).unwrap();
        assert_eq!(answer(&mut stream, "GET"), (status, true), "{query} {headers}");
        assert_eq!(seen.try_iter().count(), usize::from(status == 200), "{query} {headers}");
    }
}
