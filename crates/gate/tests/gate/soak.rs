//! The gate's memory under the requests of many hours: it grows with what is open at once, not with what has been.
//!
//! A test sends a short load; `make soak-gate` sends as many as 24 hours of ten busy sessions, by `SOAK=REQUESTS`.

use super::*;
use testing::websocket::{UPGRADE, masked, receive};

/// Requests of a short load.
const SHORT: u64 = 2_000;
/// Connections of the agent's side at once.
const AT_ONCE: u64 = 8;
/// Memory that caches and the allocator may still take after the first fifth, in KiB.
const MAX_GROWTH_KIB: u64 = 8 * 1024;
/// Requests of one [`round`].
const ROUND: u64 = 20;

#[tokio::test]
async fn memory_does_not_grow_with_requests() {
    let requests = std::env::var("SOAK").map_or(SHORT, |text| text.parse().unwrap());
    let origin = Origin::speaking(&["a.test", "*.zone.test"], &["h2", "http/1.1"]).await;
    let all = json!({ "methods": ["GET", "POST"] });
    let routes = json!([route(&origin, "a.test", all.clone()), route(&origin, "*.zone.test", all)]);
    let gate = Gate::start(&origin, routes).await;
    let mut sizes = Vec::new();
    println!("{requests} requests; resident memory of the gate in KiB, at first {}", resident(&gate));
    for tenth in 0..10 {
        let rounds = requests.div_ceil(10 * ROUND * AT_ONCE);
        let worker = async |worker: u64| {
            for number in 0..rounds {
                round(&gate, &origin, (tenth * AT_ONCE + worker) * rounds + number).await;
            }
        };
        tokio::join!(worker(0), worker(1), worker(2), worker(3), worker(4), worker(5), worker(6), worker(7));
        sizes.push(resident(&gate));
        println!("after {} requests: {}", (tenth + 1) * AT_ONCE * rounds * ROUND, sizes[tenth as usize]);
    }
    let (settled, most) = (sizes[1], sizes[2..].iter().max().unwrap());
    assert!(*most <= settled + MAX_GROWTH_KIB, "{sizes:?}");
}

fn resident(gate: &Gate) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gate.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// All kinds of requests that sessions make, and names that were never asked for before.
async fn round(gate: &Gate, origin: &Origin, number: u64) {
    // A connection of its own, then kept alive.
    let mut sender = gate.https("a.test").await;
    for n in 0..8 {
        let request = ask(&format!("GET a.test /{number}/{n}"), &[]);
        assert_eq!(done(sender.send_request(request).await.unwrap()).await, 200);
    }
    // 10 KiB of text, as in a conversation.
    for _ in 0..2 {
        let mut request = ask("POST a.test /echo", &[]);
        *request.body_mut() = full(include_bytes!("soak.rs").repeat(4)[..10 * 1024].to_vec());
        assert_eq!(done(sender.send_request(request).await.unwrap()).await, 200);
    }
    // A stream of events, left in its midst.
    let mut events = sender.send_request(ask("GET a.test /sse", &[])).await.unwrap();
    assert!(events.body_mut().frame().await.unwrap().is_ok());
    drop((events, sender));
    origin.more.notify_waiters();
    // A WebSocket.
    let mut sender = gate.https("a.test").await;
    let response = sender.send_request(ask("GET a.test /ws", &UPGRADE)).await.unwrap();
    let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    receive(&mut stream).await.unwrap();
    stream.write_all(&masked(0x81, b"hello")).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(receive(&mut stream).await.unwrap().1, b"hello");
    drop(stream);
    // HTTP/2.
    let sender = http2::two(gate, "a.test").await;
    for n in 0..4 {
        let request = Request::builder().uri(format!("https://a.test/{number}/{n}")).body(full("")).unwrap();
        assert_eq!(done(sender.clone().send_request(request).await.unwrap()).await, 200);
    }
    // Names: one that is allowed, one that is not, and a path that is not.
    let name = format!("n{number}.zone.test");
    let mut sender = gate.https(&name).await;
    assert_eq!(done(sender.send_request(ask(&format!("GET {name} /"), &[])).await.unwrap()).await, 200);
    assert_eq!(done(sender.send_request(ask(&format!("DELETE {name} /"), &[])).await.unwrap()).await, 403);
    let name = format!("n{number}.evil.test");
    let mut sender = gate.https(&name).await;
    assert_eq!(done(sender.send_request(ask(&format!("GET {name} /"), &[])).await.unwrap()).await, 403);
    // What is no request at all.
    let mut stream = gate.raw().await;
    stream.write_all(b"garbage\n").await.unwrap();
    assert_eq!(read_all(stream).await, "");
}

/// The status of an answer that was read to its end.
async fn done(response: hyper::Response<Incoming>) -> u16 {
    let status = response.status().as_u16();
    response.into_body().collect().await.unwrap();
    status
}
