//! HTTP/1 as two servers could not read it in two ways: what is ambiguous is refused, with a reason, on any request of a
//! connection; and what is odd but right passes.

use super::*;

/// A gate with the plain origin behind `plain.test:80`.
async fn plain() -> (Origin, Gate) {
    let origin = Origin::start(&["a.test"]).await;
    let to = origin.plain.to_string();
    let methods = ["GET", "HEAD", "POST"];
    let routes = json!([{ "host": "plain.test", "port": 80, "private": true, "connect_to": to, "methods": methods }]);
    let gate = Gate::start(&origin, routes).await;
    (origin, gate)
}

/// Sends this as it is, and reads to the end.
async fn say(gate: &Gate, text: &[u8]) -> String {
    let mut stream = gate.connect("plain.test:80").await;
    // It may be refused before all of it was sent.
    let _ = stream.write_all(text).await;
    read_all(stream).await
}

#[tokio::test]
async fn what_two_servers_could_read_in_two_ways_is_refused() {
    let (_origin, mut gate) = plain().await;
    let long = format!("GET / HTTP/1.1\r\nhost: plain.test\r\nx: {}\r\n\r\n", "a".repeat(70_000));
    let start = "POST /x HTTP/1.1\r\nhost: plain.test\r\n";
    for (rest, why) in [
        ("content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "beside a transfer coding"),
        ("transfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n0\r\n\r\n", "beside a transfer coding"),
        ("content-length: 1\r\ncontent-length: 2\r\n\r\nab", "several content-length"),
        ("content-length: 1\r\ncontent-length: 1\r\n\r\na", "several content-length"),
        ("content-length: 1, 1\r\n\r\na", "not one number"),
        ("content-length: +1\r\n\r\na", "not one number"),
        ("transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "unknown transfer coding"),
        ("transfer-encoding: xchunked\r\n\r\n0\r\n\r\n", "unknown transfer coding"),
        ("x: a\r\n b\r\n\r\n", "folded"),
        ("x: a\nhost: b.test\r\n\r\n", "without a carriage return"),
        ("x: a\rb\r\n\r\n", "stands alone"),
        ("x: a\0b\r\n\r\n", "control byte"),
        ("x : a\r\n\r\n", "name is malformed"),
        ("connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 3\r\n\r\nabc", "has a body"),
    ] {
        let answer = say(&gate, format!("{start}{rest}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{rest:?}: {answer}");
        let mark = "x-claude-bottle: denied; reason=malformed";
        assert!(answer.contains(mark) && answer.contains(why), "{rest:?} {why}: {answer}");
        let audit = gate.refused(why).await;
        assert_eq!(audit.status, Some(400));
        // The same as the second request of a connection, behind a body of either kind.
        for first in
            ["content-length: 3\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nt: 1\r\n\r\n"]
        {
            let answer = say(&gate, format!("{start}{first}{start}{rest}").as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"length\":3"), "{rest:?}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 2, "{answer}");
            assert!(answer.contains("HTTP/1.1 400 ") && answer.contains(why), "{rest:?}: {answer}");
            assert_eq!(gate.audit().await.verdict, Outcome::Allow);
            gate.refused(why).await;
        }
    }
    let answer = say(&gate, long.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(gate.refused("larger than 64 KiB").await.status, Some(431));
    // More headers than anybody sends, in a small head.
    let many = format!("GET / HTTP/1.1\r\nhost: plain.test\r\n{}\r\n", "a: b\r\n".repeat(1000));
    assert!(say(&gate, many.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    gate.refused("not HTTP").await;
}

#[tokio::test]
async fn a_length_and_a_coding_have_one_spelling() {
    let (_origin, mut gate) = plain().await;
    let start = "POST /x HTTP/1.1\r\nhost: plain.test\r\nconnection: close\r\n";
    for (rest, why) in [
        ("content-length: 03\r\n\r\nabc", "begins with a zero"),
        ("Content-Length:\t044 \r\n\r\n12345678901234567890123456789012345678901234", "begins with a zero"),
        ("content-length: 00\r\n\r\n", "begins with a zero"),
        ("content_length: 3\r\n\r\n", "the one with dashes"),
        ("Content_Length: 3\r\ncontent-length: 3\r\n\r\nabc", "the one with dashes"),
        ("Transfer_Encoding: chunked\r\n\r\n", "the one with dashes"),
        ("transfer.encoding: chunked\r\ncontent-length: 3\r\n\r\nabc", "the one with dashes"),
    ] {
        let answer = say(&gate, format!("{start}{rest}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains(why), "{rest:?}: {answer}");
        gate.refused(why).await;
    }
    for (rest, length) in [("content-length: 0\r\n\r\n", 0), ("content-length: 3\r\n\r\nabc", 3)] {
        let answer = say(&gate, format!("{start}{rest}").as_bytes()).await;
        assert!(answer.contains(&format!("\"length\":{length}")), "{answer}");
        gate.audit().await;
    }
}

#[tokio::test]
async fn what_is_not_http_is_told_so_at_once() {
    let (_origin, mut gate) = plain().await;
    for (bytes, why) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "not HTTP"),
        (b"PING\r\n", "not HTTP"),
        (b"\x16\x03\x01\x02\x00\x01", "control byte"),
        (b"\0", "control byte"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "only where TLS agreed"),
        (b"GET /\r\n", "not HTTP"),
        (b"GET / HTTP/0.9\r\n", "not HTTP"),
        (&b"\r\n".repeat(100), "too many empty lines"),
    ] {
        // The sender waits for an answer: it does not close, and does not go on.
        let mut stream = gate.connect("plain.test:80").await;
        stream.write_all(bytes).await.unwrap();
        let answer = read_all(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(why), "{answer}");
        gate.refused(why).await;
    }
    let mut stream = gate.connect("plain.test:80").await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: pl").await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(read_all(stream).await.contains("in the middle of a head"));
    gate.refused("in the middle of a head").await;
    // Inside TLS it is the same.
    let mut stream = gate.tls("plain.test:443", "plain.test").await;
    stream.write_all(b"hello?\r\n").await.unwrap();
    assert!(read_all(stream).await.contains("this is not HTTP"));
    gate.refused("not HTTP").await;
}

#[tokio::test]
async fn a_body_that_is_not_framed_as_it_says_goes_no_further() {
    let (_origin, mut gate) = plain().await;
    let head = "POST /x HTTP/1.1\r\nhost: plain.test\r\ntransfer-encoding: chunked\r\n\r\n";
    for (body, why) in [
        ("zz\r\nab\r\n0\r\n\r\n", "size of a chunk"),
        ("0x2\r\nab\r\n0\r\n\r\n", "size of a chunk"),
        ("2 \r\nab\r\n0\r\n\r\n", "size of a chunk"),
        ("ffffffffffffffff1\r\nab", "too large"),
        ("2\nab\r\n0\r\n\r\n", "size of a chunk"),
        ("2\r\nabc\r\n0\r\n\r\n", "does not end where"),
        ("2;x\0\r\nab\r\n0\r\n\r\n", "extension"),
        ("2\r\nab\r\n0\r\nx: 1\nGET / HTTP/1.1\r\n\r\n", "trailer"),
    ] {
        let answer = say(&gate, format!("{head}{body}").as_bytes()).await;
        assert!(!answer.contains(" 200 "), "{body:?}: {answer}");
        gate.refused(why).await;
    }
}

#[tokio::test]
async fn odd_but_right_requests_pass() {
    let (_origin, mut gate) = plain().await;
    let get = "GET /x HTTP/1.1\r\nhost: plain.test\r\n";
    // An empty line before a request, several requests in one write, and a close.
    let answer = say(&gate, format!("\r\n{get}\r\n\r\n{get}\r\n{get}connection: close\r\n\r\n").as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 3, "{answer}");
    for _ in 0..3 {
        assert_eq!(gate.audit().await.verdict, Outcome::Allow);
    }
    let answer = say(&gate, b"GET /x HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
    gate.audit().await;
    // Whoever asks and says that nothing follows still gets the answer.
    let mut stream = gate.connect("plain.test:80").await;
    stream.write_all(format!("{get}\r\n").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(read_all(stream).await.starts_with("HTTP/1.1 200 "));
    gate.audit().await;
    // One byte at a time.
    let mut stream = gate.connect("plain.test:80").await;
    let slow = "POST /x HTTP/1.1\r\nhost: plain.test\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    for byte in slow.bytes() {
        stream.write_all(&[byte]).await.unwrap();
    }
    let answer = read_all(stream).await;
    assert!(answer.contains("\"length\":2"), "{answer}");
    gate.audit().await;
}

#[tokio::test]
async fn who_waits_for_continue_is_told_only_where_it_may_go_on() {
    let (_origin, mut gate) = plain().await;
    let expecting = |host: &str| {
        format!(
            "POST /x HTTP/1.1\r\nhost: {host}\r\nexpect: 100-continue\r\ncontent-length: 3\r\nconnection: close\r\n\r\n"
        )
    };
    let mut stream = gate.connect("plain.test:80").await;
    stream.write_all(expecting("plain.test").as_bytes()).await.unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"abc").await.unwrap();
    assert!(read_all(stream).await.starts_with("HTTP/1.1 200 "));
    gate.audit().await;
    let answer = say(&gate, expecting("b.test").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    gate.refused("host header").await;
}

#[tokio::test]
async fn what_the_upstream_says_before_its_answer_is_skipped() {
    let listener = listen().await;
    let to = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let early = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
                let answer = if head.starts_with(b"GET /switch") {
                    "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"
                } else {
                    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
                };
                stream.write_all(format!("{early}{answer}").as_bytes()).await.unwrap();
                let _ = stream.read(&mut [0]).await;
            });
        }
    });
    let origin = Origin::start(&["a.test"]).await;
    let routes = json!([{ "host": "plain.test", "port": 80, "private": true, "connect_to": to }]);
    let gate = Gate::start(&origin, routes).await;
    let mut sender = converse(gate.connect("plain.test:80").await).await;
    let response = sender.send_request(ask("GET plain.test /", &[])).await.unwrap();
    assert!(response.headers().get("link").is_none());
    assert_eq!(text(response).await, "ok");
    let response = sender.send_request(ask("GET plain.test /switch", &[])).await.unwrap();
    assert_eq!((response.status().as_u16(), mark(&response)), (502, "failed; reason=upgrade"));
}

/// That each of them has a minute and no longer is held beside the code, on a clock that does not have to be waited for.
#[tokio::test]
async fn heads_that_do_not_end_hold_up_nobody() {
    let origin = Origin::start(&["a.test"]).await;
    let gate = Gate::start(&origin, json!([route(&origin, "a.test", json!({}))])).await;
    let mut slow = Vec::new();
    for first in [&b""[..], b"GET / HTTP/1.1\r\nhost: a.test\r\nx: "] {
        for _ in 0..8 {
            let mut stream = gate.tls("a.test:443", "a.test").await;
            stream.write_all(first).await.unwrap();
            slow.push(stream);
        }
    }
    let page = gate.https("a.test").await.send_request(ask("GET a.test /hello", &[])).await.unwrap();
    assert_eq!(page.status(), 200);
    // One that is slow and honest gets its answer, too.
    let mut last = slow.pop().unwrap();
    last.write_all(b"y\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(read_all(last).await.starts_with("HTTP/1.1 200 "));
}
