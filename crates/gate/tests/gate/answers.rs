//! The credential that the gate added is said back by the origin, in every way, and never arrives.

use super::*;
use wire::{Alarm, Done};

#[tokio::test]
async fn the_gates_credential_never_comes_back() {
    let origin = Origin::start(&["a.test"]).await;
    let auth = json!({ "auth": { "scheme": "bearer", "token": "tok" } });
    let mut gate = Gate::start(&origin, json!([route(&origin, "a.test", auth)])).await;
    let mut sender = gate.https("a.test").await;
    let stars = "*".repeat(TOKEN.len());
    let whole = format!("you said Bearer {stars}, did you not?");
    for way in [
        "plain", "gzip", "deflate", "br", "zstd", "pieces", "base64", "base64-1", "base64-2", "percent", "hex", "json",
        "header", "location", "trailer", "path", "entities", "numbers", "wrapped", "wide",
    ] {
        let asked = ask(
            &format!("GET a.test /said?{way}"),
            &[("accept-encoding", "gzip, zstd, rot13;q=1"), ("te", "trailers")],
        );
        let response = sender.send_request(asked).await.unwrap();
        let head = format!("{:?}", response.headers());
        assert!(!head.contains("content-encoding"), "{way}: {head}");
        let body = response.into_body().collect().await.unwrap();
        let trailers = format!("{:?}", body.trailers());
        let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        let shown = format!("{head} {trailers} {body}");
        match way {
            "header" | "location" => assert!(head.contains(&stars), "{way}: {shown}"),
            "trailer" => assert!(trailers.contains(&stars), "{way}: {shown}"),
            "plain" | "gzip" | "deflate" | "br" | "zstd" | "pieces" => assert_eq!(body, whole, "{way}"),
            _ => assert!(body.contains(&stars[..20]), "{way}: {shown}"),
        }
        let encoded = encode_base64(TOKEN.as_bytes());
        for left in
            [TOKEN, &encoded[..20], "676174652d6f6e6c79", "676174652D6F6E6C79", "%67%61%74%65", "\\u0067\\u0061"]
        {
            assert!(!shown.contains(left), "{way}: {shown}");
        }
        let alarm = gate.line().await.event;
        let Event::Alarm(Alarm { host, path, finding, done, .. }) = alarm else { panic!("{way}: {alarm:?}") };
        assert_eq!((host.as_str(), path.as_str(), done), ("a.test", "/said", Done::Masked));
        let audit = gate.audit().await;
        assert_eq!(audit.finding, Some(finding), "{way}");
        assert_eq!(audit.verdict, Outcome::Allow, "{way}");
    }
    // Only what can be read is asked for.
    let asked = ask("GET a.test /x", &[("accept-encoding", "rot13, gzip;q=0.5, br")]);
    assert_eq!(told(sender.send_request(asked).await.unwrap()).await["headers"]["accept-encoding"], "gzip;q=0.5, br");
}

#[tokio::test]
async fn the_reason_phrase_of_an_answer_is_the_gates_own() {
    let origin = Origin::start(&["a.test"]).await;
    let auth = json!({ "methods": ["GET", "POST"], "auth": { "scheme": "bearer", "token": "tok" } });
    let gate = Gate::start(&origin, json!([route(&origin, "a.test", auth)])).await;
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n";
    for (path, headers, line) in [
        ("/said?reason", "connection: close\r\n", "HTTP/1.1 400 Bad Request\r\n"),
        ("/ws?reason", upgrade, "HTTP/1.1 101 Switching Protocols\r\n"),
    ] {
        let mut stream = gate.tls("a.test:443", "a.test").await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: a.test\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n") {
            answer.push(within("the status line", stream.read_u8()).await.unwrap());
        }
        assert_eq!(String::from_utf8_lossy(&answer), line);
    }
}

#[tokio::test]
async fn a_route_with_a_credential_asks_for_no_range() {
    let origin = Origin::start(&["whole.test", "parts.test"]).await;
    let auth = json!({ "scheme": "bearer", "token": "tok" });
    let routes = json!([
        route(&origin, "whole.test", json!({ "auth": auth })),
        route(&origin, "parts.test", json!({ "auth": auth, "ranges": true })),
    ]);
    let mut gate = Gate::start(&origin, routes).await;
    let range =
        [("range", "bytes=0-5"), ("If_Range", "x"), ("request-range", "bytes=0-5"), ("x-ms-range", "bytes=0-5")];
    let range = [&range[..], &[("accept-encoding", "gzip")]].concat();
    let mut sender = gate.https("whole.test").await;
    let asked = told(sender.send_request(ask("GET whole.test /x", &range)).await.unwrap()).await;
    assert!(!asked["headers"].to_string().contains("range"), "{asked}");
    gate.allowed().await;
    for way in ["part", "parts"] {
        let response = sender.send_request(ask(&format!("GET whole.test /said?{way}"), &[])).await.unwrap();
        assert_eq!((response.status().as_u16(), mark(&response)), (403, "denied; reason=answer"), "{way}");
        assert!(text(response).await.contains("a part of a whole"), "{way}");
        gate.refused("a part of a whole").await;
    }
    let mut sender = gate.https("parts.test").await;
    let asked = told(sender.send_request(ask("GET parts.test /x", &range)).await.unwrap()).await;
    assert_eq!(
        (&asked["headers"]["range"], &asked["headers"]["accept-encoding"]),
        (&json!("bytes=0-5"), &json!("identity"))
    );
    assert_eq!(sender.send_request(ask("GET parts.test /said?part", &[])).await.unwrap().status(), 206);
}

#[tokio::test]
async fn a_credential_that_cannot_be_masked_ends_the_answer() {
    let origin = Origin::start(&["a.test"]).await;
    let auth = json!({ "auth": { "scheme": "bearer", "token": "tok" } });
    let mut gate = Gate::start(&origin, json!([route(&origin, "a.test", auth)])).await;
    for way in ["file", "twice", "name", "halves"] {
        let mut sender = gate.https("a.test").await;
        let asked = ask(&format!("GET a.test /said?{way}"), &[]);
        // The head may have left, or not.
        if let Ok(response) = sender.send_request(asked).await {
            if ["name", "halves"].contains(&way) {
                assert_eq!(
                    (response.status(), mark(&response)),
                    (StatusCode::BAD_GATEWAY, "failed; reason=credential")
                );
            } else {
                let head = format!("{response:?}");
                let body = response.into_body().collect().await;
                assert!(body.is_err(), "{way} {head} {:?}", body.unwrap().to_bytes());
            }
        }
        let alarm = gate.line().await.event;
        let Event::Alarm(Alarm { done, .. }) = alarm else { panic!("{way}: {alarm:?}") };
        assert_eq!(done, Done::Blocked, "{way}");
        assert_eq!(gate.audit().await.verdict, Outcome::Error, "{way}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_does_not_pass() {
    let origin = Origin::start(&["a.test", "b.test"]).await;
    let auth = json!({ "auth": { "scheme": "bearer", "token": "tok" } });
    let routes = json!([route(&origin, "a.test", auth), route(&origin, "b.test", json!({ "agent_auth": true }))]);
    let mut gate = Gate::start(&origin, routes).await;
    let mut sender = gate.https("a.test").await;
    let response = sender.send_request(ask("GET a.test /said?unknown", &[])).await.unwrap();
    assert_eq!((response.status(), mark(&response)), (StatusCode::BAD_GATEWAY, "failed; reason=encoding"));
    let mut sender = gate.https("a.test").await;
    // The head may have left, or not.
    if let Ok(response) = sender.send_request(ask("GET a.test /said?broken", &[])).await {
        assert!(response.into_body().collect().await.is_err());
    }
    for _ in 0..2 {
        assert_eq!(gate.audit().await.verdict, Outcome::Error);
    }
    // Where the gate adds nothing, it looks for nothing.
    let mut sender = gate.https("b.test").await;
    let asked = ask("GET b.test /said?unknown", &[("authorization", "Bearer of-the-agents-own")]);
    let response = sender.send_request(asked).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "rot13");
    assert_eq!(text(response).await, "you said Bearer of-the-agents-own, did you not?");
}

#[tokio::test]
async fn an_upstream_is_given_up_that_sends_interim_answers_without_end() {
    let (listener, origin) = (listen().await, Origin::start(&[]).await);
    let address = listener.local_addr().unwrap();
    // How many interim answers come before the last one; `None`: nothing but them.
    let (send, mut behind) = tokio::sync::mpsc::channel::<Option<usize>>(1);
    tokio::spawn(async move {
        while let (Some(count), Ok((mut stream, _))) = (behind.recv().await, listener.accept().await) {
            stream.read_buf(&mut Vec::with_capacity(4096)).await.unwrap();
            let mut sent = 0;
            while count != Some(sent)
                && stream.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").await.is_ok()
            {
                sent += 1;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await;
        }
    });
    let plain = json!({ "host": "plain.test", "port": 80, "private": true, "connect_to": address.to_string() });
    let gate = Gate::start(&origin, json!([plain])).await;
    for (count, status) in [(Some(0), 200), (Some(200), 200), (None, 502), (Some(3), 200)] {
        send.send(count).await.unwrap();
        let mut sender = converse(gate.connect("plain.test:80").await).await;
        let response = within("an answer", sender.send_request(ask("GET plain.test /", &[]))).await.unwrap();
        assert_eq!(response.status(), status, "{count:?}");
        let page = text(response).await;
        assert!(if status == 200 { page == "ok" } else { page.contains("interim answers") }, "{page}");
    }
}
