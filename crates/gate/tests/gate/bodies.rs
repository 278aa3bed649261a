//! Bodies that a server may not read: it would take them for the next request, and its answer for the next answer.

use super::*;
use wire::{Alarm, Done};

/// A request that is hidden in a body.
const HIDDEN: &str = "GET /secret HTTP/1.1\r\nhost: a.test\r\n\r\n";

/// A server that reads no bodies: each head that ends is answered with its request line, on a connection that it keeps.
async fn lazy() -> SocketAddr {
    let listener = listen().await;
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while let Ok(byte) = stream.read_u8().await {
                    seen.push(byte);
                    if !seen.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let line = String::from_utf8_lossy(&seen).lines().next().unwrap_or_default().to_owned();
                    seen.clear();
                    // One answer too many, in the same piece.
                    let twice = if line.contains("/twice") { 2 } else { 1 };
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{line}", line.len());
                    let _ = stream.write_all(answer.repeat(twice).as_bytes()).await;
                }
            });
        }
    });
    address
}

fn with_body(mut request: Request<Payload>, body: impl Into<Bytes>) -> Request<Payload> {
    *request.body_mut() = full(body);
    request
}

/// A body of unknown length.
fn unmeasured(mut request: Request<Payload>) -> Request<Payload> {
    let (push, receive) = tokio::sync::mpsc::channel(1);
    push.try_send(Frame::data(Bytes::from(HIDDEN))).unwrap();
    *request.body_mut() = frames(receive);
    // hyper takes the body of a GET for none otherwise; HTTP/2, whose URI has a scheme, knows no coding.
    if request.uri().scheme().is_none() {
        request.headers_mut().insert("transfer-encoding", "chunked".parse().unwrap());
    }
    request
}

/// The next two events, in whatever order: the request's and an alarm.
async fn alarmed(gate: &mut Gate) {
    let events = [gate.line().await.event, gate.line().await.event];
    let finding = "the upstream sent bytes of an answer that nobody asked for";
    let is_alarm = |event: &Event| match event {
        Event::Alarm(Alarm { host, finding: found, done, .. }) => {
            (host.as_str(), found.as_str(), *done) == ("a.test", finding, Done::Blocked)
        }
        _ => false,
    };
    assert!(events.iter().any(is_alarm), "{events:?}");
}

#[tokio::test]
async fn a_body_that_its_method_gives_no_meaning_is_refused() {
    let methods = json!(["GET", "HEAD", "OPTIONS", "DELETE", "POST"]);
    for versions in [&["http/1.1"][..], &["h2"]] {
        let origin = Origin::speaking(&["a.test", "open.test"], versions).await;
        let routes = json!([
            route(&origin, "a.test", json!({ "methods": methods })),
            route(&origin, "open.test", json!({ "methods": methods, "bodies": true })),
        ]);
        let mut gate = Gate::start(&origin, routes).await;
        for two in [false, true] {
            let (mut one_closed, mut one_open) = (gate.https("a.test").await, gate.https("open.test").await);
            let (mut two_closed, mut two_open) =
                (http2::two(&gate, "a.test").await, http2::two(&gate, "open.test").await);
            let mut send = async |line: &str, change: fn(Request<Payload>) -> Request<Payload>| {
                let open = line.contains("open.test");
                match (two, open) {
                    (false, false) => one_closed.send_request(change(ask(line, &[]))).await,
                    (false, true) => one_open.send_request(change(ask(line, &[]))).await,
                    (true, false) => two_closed.send_request(change(http2::ask_two(line, &[]))).await,
                    (true, true) => two_open.send_request(change(http2::ask_two(line, &[]))).await,
                }
            };
            for method in ["GET", "OPTIONS", "DELETE"] {
                for change in [|request| with_body(request, HIDDEN), unmeasured] {
                    let response = send(&format!("{method} a.test /x"), change).await.unwrap();
                    assert_eq!(mark(&response), "denied; reason=method", "{versions:?} {two} {method}");
                    assert!(text(response).await.contains("a server that does not read it"));
                    gate.refused("with a body").await;
                    let told = told(send(&format!("{method} open.test /x"), change).await.unwrap()).await;
                    assert_eq!(told["length"], HIDDEN.len(), "{told}");
                    gate.allowed().await;
                }
            }
            let response = send("HEAD a.test /x", |request| with_body(request, HIDDEN)).await.unwrap();
            assert_eq!(mark(&response), "denied; reason=method");
            gate.refused("with a body").await;
            let told = told(send("POST a.test /x", |request| with_body(request, HIDDEN)).await.unwrap()).await;
            assert_eq!(told["length"], HIDDEN.len());
            gate.allowed().await;
        }
        // No body is said in this way, too.
        let mut sender = gate.https("a.test").await;
        let response = sender.send_request(ask("GET a.test /x", &[("content-length", "0")])).await.unwrap();
        assert_eq!(response.status(), 200);
    }
}

#[tokio::test]
async fn an_http1_connection_that_carried_a_body_is_not_used_again() {
    let origin = Origin::start(&["a.test"]).await;
    let gate = Gate::start(&origin, json!([route(&origin, "a.test", json!({ "methods": ["GET", "POST"] }))])).await;
    let mut sender = gate.https("a.test").await;
    let mut send = async |request| told(sender.send_request(request).await.unwrap()).await;
    let first = send(ask("GET a.test /1", &[])).await;
    let second = send(with_body(ask("POST a.test /2", &[]), "x")).await;
    let third = send(ask("POST a.test /3", &[])).await;
    let fourth = send(ask("GET a.test /4", &[])).await;
    assert_eq!(second["headers"]["connection"], "close");
    assert!(first["headers"].get("connection").is_none() && third["headers"].get("connection").is_none());
    assert_eq!(first["connection"], second["connection"]);
    assert_ne!(second["connection"], third["connection"]);
    assert_eq!(third["connection"], fourth["connection"]);
}

#[tokio::test]
async fn a_hidden_request_gets_no_answer_to_the_agent() {
    let origin = Origin::start(&["a.test"]).await;
    let to = lazy().await;
    let routes = json!([{
        "host": "a.test", "port": 80, "private": true, "connect_to": to.to_string(), "paths": ["/allowed/**"],
        "methods": ["GET", "POST"], "bodies": true,
    }]);
    let mut gate = Gate::start(&origin, routes).await;
    let mut sender = converse(gate.connect("a.test:80").await).await;
    for method in ["GET", "POST"] {
        let hiding = with_body(ask(&format!("{method} a.test /allowed/x"), &[]), HIDDEN);
        let answer = text(sender.send_request(hiding).await.unwrap()).await;
        assert_eq!(answer, format!("{method} /allowed/x HTTP/1.1"));
        alarmed(&mut gate).await;
        let next = text(sender.send_request(ask("GET a.test /allowed/next", &[])).await.unwrap()).await;
        assert_eq!(next, "GET /allowed/next HTTP/1.1");
        gate.allowed().await;
    }
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_end_the_connection_with_an_alarm() {
    let origin = Origin::start(&["a.test"]).await;
    let to = lazy().await;
    let routes = json!([{ "host": "a.test", "port": 80, "private": true, "connect_to": to.to_string() }]);
    let mut gate = Gate::start(&origin, routes).await;
    let mut sender = converse(gate.connect("a.test:80").await).await;
    assert_eq!(text(sender.send_request(ask("GET a.test /twice", &[])).await.unwrap()).await, "GET /twice HTTP/1.1");
    alarmed(&mut gate).await;
    assert_eq!(text(sender.send_request(ask("GET a.test /next", &[])).await.unwrap()).await, "GET /next HTTP/1.1");
}

/// Python's own server keeps its connections and reads no body of a GET.
#[tokio::test]
async fn python_s_server_serves_no_hidden_request_to_the_agent() {
    let files = tempfile::tempdir().unwrap();
    std::fs::create_dir(files.path().join("allowed")).unwrap();
    std::fs::write(files.path().join("allowed/x"), "allowed").unwrap();
    std::fs::write(files.path().join("secret"), "SECRET").unwrap();
    let mut server = Command::new("python3")
        .args(["-u", "-m", "http.server", "--protocol", "HTTP/1.1", "--bind", "127.0.0.1", "0"])
        .current_dir(files.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("python3 is wanted: apt-get install python3");
    let watchdog = Watchdog::over("Python's server", &server);
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port: u16 = line.split("port ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let origin = Origin::start(&["a.test"]).await;
    for bodies in [false, true] {
        let routes = json!([{
            "host": "a.test", "port": 80, "private": true, "connect_to": format!("127.0.0.1:{port}"),
            "paths": ["/allowed/**"], "bodies": bodies,
        }]);
        let gate = Gate::start(&origin, routes).await;
        let mut sender = converse(gate.connect("a.test:80").await).await;
        for _ in 0..20 {
            let hiding = with_body(ask("GET a.test /allowed/x", &[]), HIDDEN);
            let answer = text(sender.send_request(hiding).await.unwrap()).await;
            assert_eq!(answer == "allowed", bodies, "{answer}");
            let next = text(sender.send_request(ask("GET a.test /allowed/x", &[])).await.unwrap()).await;
            assert_eq!(next, "allowed");
        }
    }
    drop(watchdog);
    server.kill().unwrap();
    server.wait().unwrap();
}
