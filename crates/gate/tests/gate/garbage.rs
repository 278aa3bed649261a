//! Any bytes on the socket, on their own and inside TLS: refused or answered, never a panic, never a hang, never memory
//! without a bound; and the gate still answers.

use super::*;

/// Numbers without a pattern, the same each time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Something that was right, with a few bytes changed, doubled, or gone.
    fn mutate(&mut self, from: &[u8]) -> Vec<u8> {
        let mut bytes = from.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
            match self.below(4) {
                0 if !bytes.is_empty() => bytes[at] = self.next() as u8,
                1 => bytes.truncate(at),
                2 => {
                    let some = self.bytes(8);
                    bytes.splice(at..at, some);
                }
                _ => {
                    let end = (at + self.below(40)).min(bytes.len());
                    let some = bytes[at.min(end)..end].to_vec();
                    bytes.splice(at..at, some);
                }
            }
        }
        bytes
    }
}

const REQUESTS: [&[u8]; 6] = [
    b"GET /x HTTP/1.1\r\nhost: a.test\r\n\r\n",
    b"POST /x HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nt: 1\r\n\r\nGET / HTTP/1.1\r\nhost: a.test\r\n\r\n",
    b"POST /x HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\nhelloGET /y HTTP/1.0\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nhost: a.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n\x81\x85\0\0\0\0hello\x89\x80\0\0\0\0",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x0c\x01\x05\0\0\0\x01\x82\x87\x84\x41\x06a.test\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x0c\x01\x04\0\0\0\x01\x83\x87\x84\x41\x06a.test\0\0\x05\0\x01\0\0\0\x01hello\0\0\x08\x06\0\0\0\0\0abcdefgh",
];

/// Sends it, says that nothing follows, and waits for the end.
async fn throw(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) {
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    read_all(stream).await;
}

/// Bytes that this process holds.
fn resident(pid: u32) -> u64 {
    let pages = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test]
async fn any_bytes_on_any_socket() {
    let origin = Origin::speaking(&["a.test"], &["h2", "http/1.1"]).await;
    let to = origin.plain.to_string();
    let gate = Gate::start(
        &origin,
        json!([
            route(&origin, "a.test", json!({ "methods": ["GET", "POST"] })),
            { "host": "a.test", "port": 80, "private": true, "connect_to": to, "methods": ["GET", "POST"] },
            route(&origin, "pin.test", json!({ "intercept": false })),
        ]),
    )
    .await;
    let pem = std::fs::read(gate.dir.path().join("ca.pem")).unwrap();
    let inside = async |version: &[u8], bytes: &[u8]| {
        let mut config = (*client(&pem)).clone();
        config.alpn_protocols = vec![version.to_vec()];
        let name = ServerName::try_from("a.test").unwrap();
        let stream = gate.connect("a.test:443").await;
        throw(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap(), bytes).await;
    };
    let mut hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03".to_vec();
    let mut noise = Noise(1);
    hello.extend(noise.bytes(200));
    let mut after_warming = 0;
    for round in 0..300 {
        let length = noise.below(600);
        let random = noise.bytes(length);
        throw(gate.raw().await, &random).await;
        throw(gate.raw().await, &noise.mutate(b"CONNECT a.test:443\n")).await;
        throw(gate.connect("a.test:443").await, &random).await;
        throw(gate.connect("a.test:443").await, &noise.mutate(&hello)).await;
        throw(gate.connect("pin.test:443").await, &noise.mutate(&hello)).await;
        throw(gate.connect("a.test:80").await, &random).await;
        let request = REQUESTS[round % REQUESTS.len()];
        throw(gate.connect("a.test:80").await, &noise.mutate(request)).await;
        let version: &[u8] = if request.starts_with(b"PRI") { b"h2" } else { b"http/1.1" };
        inside(version, &noise.mutate(request)).await;
        inside(b"h2", &[&request[..request.len().min(24)], &random].concat()).await;
        if round == 50 {
            after_warming = resident(gate.child.id());
        }
    }
    let after = resident(gate.child.id());
    assert!(after < after_warming + (24 << 20), "{after_warming} {after}");
    let mut sender = gate.https("a.test").await;
    assert_eq!(sender.send_request(ask("GET a.test /", &[])).await.unwrap().status(), 200);
}
