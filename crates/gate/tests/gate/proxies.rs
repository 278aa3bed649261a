//! Upstream proxies as companies have them: squid, spoken to plainly and in TLS, and a SOCKS server, as Debian has them.

use super::*;
use http_body_util::Full;
use nix::unistd::geteuid;
use rcgen::{CertificateParams, KeyPair};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Child;
use tempfile::TempDir;
use testing::wait;

/// With every character that has a meaning in an address.
const PASSWORD: &str = "p@ss:w0rd%/#";
const NAMES: [&str; 3] = ["a.test", "past.test", "other.test"];

/// A proxy of Debian's, on loopback, that knows no name but [`NAMES`]. All of them are this machine.
struct DebianProxy {
    child: Child,
    port: u16,
    tls_port: u16,
    /// What it reads.
    _folder: TempDir,
}

impl Drop for DebianProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn hosts(folder: &TempDir) -> String {
    let path = folder.path().join("hosts");
    fs::write(&path, NAMES.map(|name| format!("127.0.0.1 {name}\n")).concat()).unwrap();
    path.display().to_string()
}

impl DebianProxy {
    /// Squid, which lets CONNECT through to `connect_ports` alone. The PEM is its certificate's.
    fn squid(connect_ports: &str) -> (DebianProxy, String) {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let hashed = Command::new("openssl").args(["passwd", "-6", PASSWORD]).output().unwrap();
        fs::write(at("users"), format!("me:{}", String::from_utf8(hashed.stdout).unwrap())).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        fs::write(at("proxy.pem"), certificate.pem() + &key.serialize_pem()).unwrap();
        let (port, tls_port) = (free_port(), free_port());
        let config = format!(
            "http_port 127.0.0.1:{port}\nhttps_port 127.0.0.1:{tls_port} tls-cert={pem}\nhosts_file {hosts}\n\
             auth_param basic program /usr/lib/squid/basic_ncsa_auth {users}\nacl me proxy_auth REQUIRED\n\
             acl tunnels port {connect_ports}\nhttp_access deny CONNECT !tunnels\nhttp_access allow me\n\
             cache deny all\ncache_mem 1 MB\nmemory_pools off\npid_filename none\ncoredump_dir {folder}\n\
             access_log none\ncache_log /dev/null\nshutdown_lifetime 0 seconds\npinger_enable off\n",
            pem = at("proxy.pem"),
            hosts = hosts(&folder),
            users = at("users"),
            folder = folder.path().display(),
        );
        fs::write(at("squid.conf"), config).unwrap();
        let child =
            Command::new("squid").args(["-N", "-f", &at("squid.conf")]).spawn().expect("`make test` installs squid");
        let proxy = DebianProxy { child, port, tls_port, _folder: folder };
        for port in [port, tls_port] {
            wait::until("squid", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        }
        (proxy, certificate.pem())
    }

    /// A SOCKS server that asks for user and password. It resolves names with a hosts file of its own.
    fn socks() -> DebianProxy {
        assert!(geteuid().is_root(), "the SOCKS server gets a hosts file in a mount namespace, which root makes");
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let script = "mount --bind \"$1\" /etc/hosts && exec microsocks -i 127.0.0.1 -p \"$2\" -u me -P \"$3\"";
        let child = Command::new("unshare")
            .args(["--mount", "sh", "-c", script, "sh", &hosts(&folder), &port.to_string(), PASSWORD])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let proxy = DebianProxy { child, port, tls_port: 0, _folder: folder };
        wait::until("the SOCKS server", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        proxy
    }
}

/// A gate behind the proxy of this address. `pem`: a certificate that it trusts beside the origin's.
async fn gate_behind(origin: &Origin, address: &str, pem: &str, routes: Value) -> Gate {
    Gate::with(origin, routes, |document| {
        document["upstream_proxy"] = json!("proxy");
        document["values"]["proxy"] = json!(encode_base64(address.as_bytes()));
        document["values"]["roots"] = json!(encode_base64(format!("{}{pem}", origin.roots).as_bytes()));
    })
    .await
}

/// TLS, and plain HTTP, to the origin through the proxy.
fn routes(origin: &Origin) -> Value {
    let (tls, plain) = (origin.tls.port(), origin.plain.port());
    json!([
        { "host": "a.test", "methods": ["GET", "POST"], "connect_to": format!("a.test:{tls}") },
        { "host": "a.test", "port": 80, "connect_to": format!("http://a.test:{plain}") },
    ])
}

async fn get(gate: &Gate, name: &str) -> hyper::Response<Incoming> {
    gate.https(name).await.send_request(ask(&format!("GET {name} /x"), &[])).await.unwrap()
}

async fn assert_both_pass(gate: &mut Gate, proxy: &str) {
    for _ in 0..2 {
        assert_eq!(told(get(gate, "a.test").await).await["uri"], "/x", "{proxy}");
        gate.allowed().await;
        let mut sender = converse(gate.connect("a.test:80").await).await;
        for path in ["/y", "/z"] {
            let answer = told(sender.send_request(ask(&format!("GET a.test {path}"), &[])).await.unwrap()).await;
            assert!(answer["uri"].as_str().unwrap().ends_with(path), "{proxy}: {answer}");
            assert!(answer["headers"].get("proxy-authorization").is_none(), "{proxy}: {answer}");
            gate.allowed().await;
        }
    }
    // More than fits into any buffer on the way, both ways.
    let body = "x".repeat(3_000_000);
    let mut sender = gate.https("a.test").await;
    let post =
        Request::post("/up").header("host", "a.test").body(Full::new(Bytes::from(body.clone())).boxed()).unwrap();
    let sent = told(sender.send_request(post).await.unwrap()).await;
    assert_eq!(sent["length"], body.len(), "{proxy}");
    gate.allowed().await;
}

#[tokio::test]
async fn every_kind_of_proxy_carries_tls_and_plain_http() {
    let origin = Origin::start(&["a.test"]).await;
    let (squid, pem) = DebianProxy::squid("1-65535");
    let socks = DebianProxy::socks();
    for (scheme, port) in [("http", squid.port), ("https", squid.tls_port), ("socks5h", socks.port)] {
        // As it is typed, and as URLs want it.
        for password in [PASSWORD.to_owned(), "p%40ss%3Aw0rd%25%2F%23".to_owned()] {
            let address = format!("{scheme}://me:{password}@127.0.0.1:{port}");
            let mut gate = gate_behind(&origin, &address, &pem, routes(&origin)).await;
            assert_both_pass(&mut gate, &address).await;
        }
    }
}

#[tokio::test]
async fn what_a_proxy_does_not_take_is_told_in_words() {
    let origin = Origin::start(&["a.test"]).await;
    let (squid, pem) = DebianProxy::squid("443");
    let socks = DebianProxy::socks();
    let closed = format!("port {}; many proxies connect to port 443 only", origin.tls.port());
    for (address, pem, why) in [
        (format!("http://me:{PASSWORD}@127.0.0.1:{}", squid.port), &*pem, &*closed),
        (format!("https://me:{PASSWORD}@127.0.0.1:{}", squid.tls_port), &pem, &closed),
        (format!("https://me:{PASSWORD}@127.0.0.1:{}", squid.tls_port), "", "TLS with the upstream proxy: "),
        (format!("socks5h://me:wrong@127.0.0.1:{}", socks.port), "", "the upstream proxy answered: "),
    ] {
        let mut gate = gate_behind(&origin, &address, pem, routes(&origin)).await;
        let answer = get(&gate, "a.test").await;
        assert_eq!(answer.status(), 502, "{address}");
        let page = text(answer).await;
        assert!(page.contains(why) && !page.contains(PASSWORD), "{address}: {page}");
        let audit = gate.audit().await;
        assert!(audit.reason.as_deref().is_some_and(|reason| reason.contains(why)), "{address}: {audit:?}");
    }
    let (squid, pem) = DebianProxy::squid("1-65535");
    let mut gate =
        gate_behind(&origin, &format!("http://me:wrong@127.0.0.1:{}", squid.port), &pem, routes(&origin)).await;
    let page = text(get(&gate, "a.test").await).await;
    assert!(
        page.contains("answered 407: it takes no connection without its user and password, or not with these"),
        "{page}"
    );
    gate.audit().await;
}

/// What goes past the proxy is resolved and checked by the gate, which knows none of these names.
#[tokio::test]
async fn what_is_listed_goes_past_the_proxy() {
    let origin = Origin::start(&NAMES).await;
    let (squid, pem) = DebianProxy::squid("1-65535");
    let address = format!("http://me:{PASSWORD}@127.0.0.1:{}", squid.port);
    let to = |name: &str| json!({ "host": name, "connect_to": format!("{name}:{}", origin.tls.port()) });
    let mut routes = vec![to("a.test"), to("past.test"), to("other.test")];
    routes[2]["proxy"] = json!(false);
    routes.push(json!({ "host": "local.test", "connect_to": format!("10.0.0.1:{}", origin.tls.port()) }));
    let mut gate = Gate::with(&origin, json!(routes), |document| {
        document["upstream_proxy"] = json!("proxy");
        document["no_proxy"] = json!("past.test, 10.0.0.0/8");
        document["values"]["proxy"] = json!(encode_base64(address.as_bytes()));
        document["values"]["roots"] = json!(encode_base64(format!("{}{pem}", origin.roots).as_bytes()));
    })
    .await;
    assert_eq!(get(&gate, "a.test").await.status(), 200);
    gate.allowed().await;
    for name in ["past.test", "other.test"] {
        let page = text(get(&gate, name).await).await;
        assert!(page.contains("cannot resolve the name behind"), "{page}");
        gate.audit().await;
    }
    // An address that is past the proxy is as private as ever.
    assert_eq!(mark(&get(&gate, "local.test").await), "denied; reason=address");
    gate.refused("a private address, which is not allowed").await;
}
