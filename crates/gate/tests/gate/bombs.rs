//! Bodies that unpack to far more than they are, beside requests that have nothing to do with them.

use super::*;
use testing::encodings::{gzip, zstd_window};

/// What the bombs unpack to: for some seconds' work of a gate that was compiled for tests.
const BOMB_BYTES: usize = 6 << 20;
/// Requests that are answered while one bomb is read.
const MIN_ANSWERED: usize = 8;
/// Bombs of one kind: a gate that was compiled to be quick, on a busy machine, may have read some before others were asked.
const MAX_BOMBS: usize = 30;

/// Bytes of a body that takes long to scan without a compressed file in it.
const PLAIN_BYTES: usize = 1 << 20;
/// Requests that are answered meanwhile.
const MIN_ANSWERED_BESIDE_TEXT: usize = 12;

/// Its name, the host that is asked, and the request.
type Bomb<'a> = (&'a str, &'a str, &'a dyn Fn() -> Request<Payload>);

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn post(headers: &[(&str, &str)], body: Vec<u8>) -> Request<Payload> {
    ask("POST a.test /", headers).map(|_| full(body))
}

/// How many requests are answered, one after the other, until `bomb` has its answer.
async fn answered_beside(gate: &Gate, host: &str, bomb: Request<Payload>) -> usize {
    let (mut bomber, mut innocent) = (gate.https(host).await, gate.https("a.test").await);
    let told = innocent.send_request(ask("GET a.test /", &[])).await.unwrap();
    assert_eq!(told.status(), 200);
    text(told).await;
    let mut bomb = std::pin::pin!(tokio::spawn(async move {
        let answer = bomber.send_request(bomb).await.unwrap();
        // Denied, or cut off at its end.
        drop(answer.into_body().collect().await);
    }));
    let mut count = 0;
    loop {
        let next = async {
            let told = innocent.send_request(ask("GET a.test /", &[])).await.unwrap();
            assert_eq!(told.status(), 200);
            text(told).await;
        };
        tokio::select! {
            biased;
            ended = &mut bomb => {
                ended.unwrap();
                return count;
            }
            () = next => count += 1,
        }
        // The request that was under way when the bomb ended may not be answered.
        if bomb.is_finished() {
            return count;
        }
    }
}

#[tokio::test]
async fn a_body_that_unpacks_to_much_holds_up_no_other() {
    let origin = Origin::start(&["a.test", "token.test"]).await;
    let routes = json!([
        route(&origin, "a.test", json!({ "methods": ["GET", "POST"] })),
        route(&origin, "token.test", json!({ "auth": { "scheme": "bearer", "token": "tok" } })),
    ]);
    let gate = Gate::start(&origin, routes).await;
    let zeros = vec![0; BOMB_BYTES];
    let nested = json!({ "file": encode_base64(&gzip(&bzip2(&zeros))) }).to_string();
    let get = |path: &str| ask(&format!("GET token.test {path}"), &[]);
    let (file, encoded) = (bzip2(&zeros), gzip(&zeros));
    let bombs: [Bomb; 5] = [
        ("a file", "a.test", &|| post(&[], file.clone())),
        ("a file in a file in JSON", "a.test", &|| post(&[], nested.clone().into())),
        ("an encoded body", "a.test", &|| post(&[("content-encoding", "gzip")], encoded.clone())),
        ("a file in an answer", "token.test", &|| get(&format!("/bomb?{BOMB_BYTES}"))),
        ("an encoded answer", "token.test", &|| get(&format!("/encoded-bomb?{BOMB_BYTES}"))),
    ];
    for (name, host, bomb) in bombs {
        let (mut most, mut sent) = (0, 0);
        while most < MIN_ANSWERED && sent < MAX_BOMBS {
            most = most.max(answered_beside(&gate, host, bomb()).await);
            sent += 1;
        }
        assert!(most >= MIN_ANSWERED, "{name}: {most} requests");
    }
}

/// What takes the scanner long although it is as long as it looks.
fn plain_texts() -> [(&'static str, Vec<u8>); 3] {
    let code = "const value = { name: 12, id: \"5f2c\" }; foo(bar) \\u0041 =41 41 42 43\n";
    let json = json!({ "text": code, "file": encode_base64(code.as_bytes()) }).to_string();
    let mut state = 1u32;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    [
        ("code", code.repeat(PLAIN_BYTES / code.len()).into()),
        ("JSON", json.repeat(PLAIN_BYTES / json.len()).into()),
        ("noise", (0..PLAIN_BYTES / 4).flat_map(|_| noise()).collect()),
    ]
}

#[tokio::test]
async fn a_body_that_takes_long_to_scan_holds_up_no_other() {
    let origin = Origin::start(&["a.test", "token.test"]).await;
    let routes = json!([
        route(&origin, "a.test", json!({ "methods": ["GET", "POST"] })),
        route(&origin, "token.test", json!({ "methods": ["POST"], "auth": { "scheme": "bearer", "token": "tok" } })),
    ]);
    let gate = Gate::start(&origin, routes).await;
    for (name, body) in plain_texts() {
        // The second one comes back, and is searched for the credential, too.
        for (way, host, path) in [("up", "a.test", "/"), ("up and down", "token.test", "/echo")] {
            let (mut most, mut sent) = (0, 0);
            while most < MIN_ANSWERED_BESIDE_TEXT && sent < MAX_BOMBS {
                let upload = ask(&format!("POST {host} {path}"), &[]).map(|_| full(body.clone()));
                most = most.max(answered_beside(&gate, host, upload).await);
                sent += 1;
            }
            assert!(most >= MIN_ANSWERED_BESIDE_TEXT, "{name}, {way}: {most} requests");
        }
    }
}

#[tokio::test]
async fn encoded_bodies_under_way_take_no_more_memory_than_there_is_for_them() {
    let origin = Origin::start(&["a.test"]).await;
    let gate = Gate::start(&origin, json!([route(&origin, "a.test", json!({ "methods": ["POST"] }))])).await;
    let mut open = Vec::new();
    // Windows of 8 MiB, for which there are 256 MiB.
    while open.len() <= 32 {
        let (push, receive) = tokio::sync::mpsc::channel(1);
        push.send(Frame::data(Bytes::from(zstd_window()))).await.unwrap();
        let mut sender = gate.https("a.test").await;
        let request = ask("POST a.test /echo", &[("content-encoding", "zstd")]).map(|_| frames(receive));
        let response = within("the head of an answer", sender.send_request(request)).await.unwrap();
        let status = response.status();
        let mut body = response.into_body();
        match within("the body of an answer", body.frame()).await {
            Some(Ok(_)) if status == 200 => open.push((push, sender, body)),
            _ => break,
        }
    }
    assert!((8..=32).contains(&open.len()), "{} bodies", open.len());
}
