//! Events on streams in both directions: each arrives as it is sent, whatever its last bytes could be the beginning of, and
//! the rest of a finding still does not.

use super::http2::{ask_two, two};
use super::*;
use testing::planted::PIN;
use tokio::sync::mpsc::{Sender, channel};

/// The ends of a request and its answer that `/echo` keeps open.
struct Echo {
    send: Sender<Frame<Bytes>>,
    answer: Incoming,
}

impl Echo {
    /// By HTTP/1 in chunks, or by HTTP/2.
    async fn open(gate: &Gate, host: &str, is_two: bool) -> Echo {
        let (send, receive) = channel(4);
        let line = format!("POST {host} /echo");
        let response = if is_two {
            let mut request = ask_two(&line, &[]);
            *request.body_mut() = frames(receive);
            two(gate, host).await.send_request(request).await.unwrap()
        } else {
            let mut request = ask(&line, &[]);
            *request.body_mut() = frames(receive);
            gate.https(host).await.send_request(request).await.unwrap()
        };
        assert_eq!(response.status(), 200);
        Echo { send, answer: response.into_body() }
    }

    /// Sends an event, and waits until all of it is back.
    async fn event(&mut self, event: &[u8]) {
        self.send.send(Frame::data(Bytes::copy_from_slice(event))).await.unwrap();
        let mut back = Vec::new();
        while back.len() < event.len() {
            let what = format!("the end of {:?} after {:?}", Bytes::copy_from_slice(event), back);
            let frame = within(&what, self.answer.frame()).await.unwrap().unwrap();
            back.extend_from_slice(&frame.into_data().unwrap());
        }
        assert_eq!(back, event);
    }
}

async fn start(origin: &Origin) -> Gate {
    let routes = json!([
        route(origin, "token.test", json!({ "methods": ["POST"], "auth": { "scheme": "bearer", "token": "tok" } })),
        route(origin, "a.test", json!({ "methods": ["GET", "POST"] })),
    ]);
    Gate::with(origin, routes, |document| {
        document["values"]["ask"] = json!(encode_base64(PIN.as_bytes()));
    })
    .await
}

#[tokio::test]
async fn an_event_arrives_whatever_its_last_bytes_could_begin() {
    let origin = Origin::speaking(&["a.test", "token.test"], &["h2", "http/1.1"]).await;
    let gate = start(&origin).await;
    let tails = [
        &b"1234567890"[..],
        b"id: 4111111",
        b"{\"at\":1700000000",
        b"ghp_",
        b"github_pat_",
        b"sk-ant-api03-",
        b"AKIA",
        b"gate-onl",
        b"zx-api03-q8",
        b"g\r\n\r\n",
        b"%67%61",
        b"-----BEGIN ",
    ];
    for is_two in [false, true] {
        for host in ["a.test", "token.test"] {
            let mut echo = Echo::open(&gate, host, is_two).await;
            for last in 0..=u8::MAX {
                echo.event(&[b'x', b' ', last]).await;
                echo.event(b".\n").await;
            }
            for tail in tails {
                echo.event(tail).await;
                echo.event(b".\n").await;
            }
        }
    }
}

#[tokio::test]
async fn what_goes_on_after_a_pause_is_still_found() {
    let origin = Origin::speaking(&["a.test"], &["h2", "http/1.1"]).await;
    let mut gate = start(&origin).await;
    for is_two in [false, true] {
        // Beginnings that were let go, and what makes a finding of each.
        for at in [1, 5, 11] {
            let mut echo = Echo::open(&gate, "a.test", is_two).await;
            echo.event(b"pin: ").await;
            echo.event(&PIN.as_bytes()[..at]).await;
            let rest = [&PIN.as_bytes()[at..], b" and more\n"].concat();
            echo.send.send(Frame::data(rest.into())).await.unwrap();
            let mut back = Vec::new();
            while let Some(Ok(frame)) = within("the end", echo.answer.frame()).await {
                back.extend_from_slice(&frame.into_data().unwrap_or_default());
            }
            assert!(back.len() < 20, "{}", String::from_utf8_lossy(&back));
            let alarm = gate.line().await.event;
            assert!(matches!(alarm, Event::Alarm(_)), "{alarm:?}");
            gate.refused("carries a secret that this bottle was given").await;
        }
    }
}

/// What stands before it tells what it is, and left long ago.
#[tokio::test]
async fn what_is_told_by_its_name_waits_for_its_end() {
    let origin = Origin::speaking(&["a.test"], &["h2", "http/1.1"]).await;
    let mut gate = start(&origin).await;
    let aws = ["AKIA", "Q3EGRIXWZT5N7YF"].concat();
    for is_two in [false, true] {
        for (before, secret) in [("password=", "Xk29fLq8Wm4Z"), ("card: ", "4539148803436467"), ("", &aws)] {
            let mut echo = Echo::open(&gate, "a.test", is_two).await;
            echo.event(b"x ").await;
            echo.send.send(Frame::data(format!("{before}{secret}").into())).await.unwrap();
            // What is let go is so after a pause; what is not stays for any time.
            let mut back = Vec::new();
            let pause = tokio::time::sleep(Duration::from_millis(500));
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    frame = echo.answer.frame() => match frame {
                        Some(Ok(frame)) => back.extend_from_slice(&frame.into_data().unwrap_or_default()),
                        _ => break,
                    },
                }
            }
            let told = String::from_utf8_lossy(&back).into_owned();
            assert!(
                before.starts_with(told.trim_end_matches(|c| secret.starts_with(c))) && !told.contains(secret),
                "{told}"
            );
            echo.send.send(Frame::data(Bytes::from_static(b"K\n"))).await.unwrap();
            drop(echo);
            while !matches!(gate.line().await.event, Event::Request(_)) {}
        }
    }
}

#[tokio::test]
async fn the_rest_of_a_credential_is_masked_after_a_pause() {
    let origin = Origin::start(&["token.test"]).await;
    let routes = json!([route(&origin, "token.test", json!({ "auth": { "scheme": "bearer", "token": "tok" } }))]);
    let gate = Gate::start(&origin, routes).await;
    let mut sender = gate.https("token.test").await;
    for (at, told) in [(5, 5), (9, 9), (10, 0)] {
        let request = ask(&format!("GET token.test /sse-said?{at}"), &[]);
        let mut body = sender.send_request(request).await.unwrap().into_body();
        let mut back = String::new();
        let first = format!("data: {}", &TOKEN[..told]);
        while back.len() < first.len() {
            let frame = within("the first event", body.frame()).await.unwrap().unwrap();
            back += std::str::from_utf8(&frame.into_data().unwrap()).unwrap();
        }
        assert_eq!(back, first);
        origin.more.notify_one();
        while let Some(frame) = within("the rest", body.frame()).await {
            back += std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap();
        }
        assert_eq!(back, format!("{first}{}\n\n", "*".repeat(TOKEN.len() - told)));
    }
}
