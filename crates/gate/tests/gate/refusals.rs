//! The words of a refusal in every form that clients show, and those for a program that trusts other certificates.

use super::http2::{ask_two, two};
use super::*;
use tokio_rustls::rustls::RootCertStore;

const WHY: &str = "claude-bottle: refused: host `b.test` is not on the allowlist";

async fn start() -> (Origin, Gate) {
    let origin = Origin::start(&["a.test"]).await;
    let gate = Gate::start(&origin, json!([route(&origin, "a.test", json!({}))])).await;
    (origin, gate)
}

#[tokio::test]
async fn a_refusal_is_the_reason_phrase_of_http1() {
    let (_origin, gate) = start().await;
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n";
    for headers in ["", upgrade, "accept: application/json\r\n"] {
        let mut stream = gate.tls("b.test:443", "b.test").await;
        let request = format!("GET / HTTP/1.1\r\nhost: b.test\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 512];
        let count = within("the answer", stream.read(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..count]);
        assert!(answer.starts_with(&format!("HTTP/1.1 403 {WHY}\r\n")), "{answer}");
        assert!(answer.contains("x-claude-bottle: denied; reason=host\r\n"), "{answer}");
    }
    // What passes has the usual phrase.
    let mut stream = gate.tls("a.test:443", "a.test").await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(read_all(stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn a_refusal_is_json_where_json_is_wanted() {
    let (_origin, gate) = start().await;
    let mut sender = two(&gate, "b.test").await;
    for (accept, is_json) in [
        ("application/json", true),
        ("application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*", true),
        ("Application/JSON, text/plain, */*", true),
        ("*/*", false),
        ("text/html,application/xhtml+xml,application/json;q=0.1", false),
        ("application/jsonp", false),
    ] {
        let response = sender.send_request(ask_two("GET b.test /x", &[("accept", accept)])).await.unwrap();
        assert_eq!((response.status().as_u16(), mark(&response)), (403, "denied; reason=host"), "{accept}");
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(kind.starts_with("application/json"), is_json, "{accept}: {kind}");
        let text = text(response).await;
        match serde_json::from_str::<Value>(&text) {
            Ok(page) => assert!(is_json && page["error"] == WHY && page["more"][0].as_str().is_some(), "{text}"),
            Err(_) => assert!(!is_json && text.starts_with(WHY), "{text}"),
        }
    }
}

#[tokio::test]
async fn a_refusal_is_a_status_of_grpc() {
    let (_origin, gate) = start().await;
    let mut sender = two(&gate, "b.test").await;
    for kind in ["application/grpc", "application/grpc+proto", "application/grpc-web"] {
        let mut request = ask_two("POST b.test /a.B/C", &[("content-type", kind), ("te", "trailers")]);
        *request.body_mut() = full("12345");
        let response = sender.send_request(request).await.unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((response.status().as_u16(), mark(&response)), (200, "denied; reason=host"));
        assert_eq!((header("grpc-status").as_str(), header("content-type").as_str()), ("7", "application/grpc"));
        assert!(header("grpc-message").starts_with(WHY) && header("grpc-message").contains("%0A"), "{kind}");
        assert!(hyper::body::Body::is_end_stream(response.body()));
    }
}

#[tokio::test]
async fn a_program_with_other_roots_is_told_of() {
    let (_origin, mut gate) = start().await;
    let why = "the program does not trust the bottle's CA";
    // One that says it, and one that goes away.
    for says_it in [true, false] {
        let stream = gate.connect("a.test:443").await;
        if says_it {
            let mut config = (*client(&std::fs::read(gate.dir.path().join("ca.pem")).unwrap())).clone();
            let others = rcgen::CertificateParams::default().self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(others.der().clone()).unwrap();
            config = tokio_rustls::rustls::ClientConfig::builder_with_provider(config.crypto_provider().clone())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            let name = ServerName::try_from("a.test").unwrap();
            TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap_err();
        } else {
            let mut raw = stream;
            let config = client(&std::fs::read(gate.dir.path().join("ca.pem")).unwrap());
            let name = ServerName::try_from("a.test").unwrap();
            let mut client = tokio_rustls::rustls::ClientConnection::new(config, name).unwrap();
            let mut hello = Vec::new();
            client.write_tls(&mut hello).unwrap();
            raw.write_all(&hello).await.unwrap();
            assert_ne!(raw.read(&mut [0; 4096]).await.unwrap(), 0, "the certificate");
            drop(raw);
        }
        let audit = gate.audit().await;
        assert_eq!((audit.verdict, audit.denial.as_deref()), (Outcome::Error, Some("trust")), "{audit:?}");
        let reason = audit.reason.unwrap();
        assert!(reason.starts_with(why) && reason.contains("http://gate.bottle/trust"), "{reason}");
    }
    let mut sender = converse(gate.connect("gate.bottle:80").await).await;
    let page = text(sender.send_request(ask("GET gate.bottle /why", &[])).await.unwrap()).await;
    assert_eq!(page.matches(why).count(), 2, "{page}");
    let page = text(sender.send_request(ask("GET gate.bottle /trust", &[])).await.unwrap()).await;
    for file in [wire::CA_BUNDLE, wire::CA_CERTIFICATE, wire::CA_JAVA_KEYSTORE] {
        assert!(page.contains(file), "{page}");
    }
    for variable in wire::CA_VARIABLES.iter().filter(|name| page.contains(&format!("{name}="))) {
        assert!(["$BUNDLE", "$CA"].iter().any(|file| page.contains(&format!("{variable}={file}"))), "{variable}");
    }
}
