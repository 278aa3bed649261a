//! What these tests run in: upstream repositories, servers of them, a gate, and a way for git to the gate.

use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use testing::gate::{Gate, document, full, listen};
use testing::git::{backend, git};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use wire::{Event, GitAudit, Outcome, encode_base64};

/// The token that the https upstream wants.
pub const TOKEN: &str = "tk-9c51e07f2ab8463d-Qw";
/// A value that the agent was given.
pub const GIVEN: &str = "gv-4f9a81c27be6d3105a-Zk";

/// Folders with upstream repositories, and what the servers need.
pub struct World {
    pub folder: tempfile::TempDir,
}

/// A gate, and git's way to it.
pub struct Bed {
    pub gate: Gate,
    port: u16,
}

impl World {
    /// One upstream repository, `up.git`, with one commit on `main`.
    pub async fn new() -> World {
        let world = World { folder: tempfile::tempdir().unwrap() };
        world.good("", &["init", "-q", "--bare", "up.git"]).await;
        world.good("", &["init", "-q", "seed"]).await;
        world.commit("seed", "file", "one\ntwo\nthree\n").await;
        world.good("seed", &["push", "-q", "../up.git", "main"]).await;
        for args in [["-N", "", "-f", "host"], ["-N", "", "-f", "user"]] {
            world.keygen(&["-t", "ed25519"], &args);
        }
        world
    }

    pub fn keygen(&self, kind: &[&str], args: &[&str]) {
        let output = Command::new("ssh-keygen").arg("-q").args(kind).args(args).current_dir(self.path()).output();
        let output = output.expect("ssh-keygen is needed here: apt-get install openssh-server");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// Runs git, which succeeds.
    pub async fn good(&self, at: &str, arguments: &[&str]) -> String {
        let (good, said) = git(&self.path().join(at), arguments).await;
        assert!(good, "{arguments:?}: {said}");
        said.trim().to_owned()
    }

    /// Runs git, which fails.
    pub async fn bad(&self, at: &str, arguments: &[&str]) -> String {
        let (good, said) = git(&self.path().join(at), arguments).await;
        assert!(!good, "{arguments:?}: {said}");
        said
    }

    pub async fn commit(&self, at: &str, file: &str, text: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path().join(at).join(file), text).unwrap();
        self.good(at, &["add", "-A"]).await;
        self.good(at, &["commit", "-q", "-m", "a change"]).await;
        self.head(at).await
    }

    pub async fn head(&self, at: &str) -> String {
        self.good(at, &["rev-parse", "HEAD"]).await
    }

    /// Which object a ref of the upstream names; empty: none.
    pub async fn upstream(&self, name: &str) -> String {
        git(&self.path().join("up.git"), &["rev-parse", "-q", "--verify", name]).await.1.trim().to_owned()
    }

    /// A real sshd. Returns its port. `more`: lines of its configuration.
    pub async fn sshd(&self, more: &str) -> u16 {
        // As root, sshd wants a folder that the system's own service makes.
        let _ = std::fs::create_dir("/run/sshd");
        let folder = self.path().display();
        let keys = self.read("user.pub");
        std::fs::write(self.path().join("authorized_keys"), keys).unwrap();
        let config = format!(
            "HostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\nPidFile none\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\n{more}\n"
        );
        let path = self.path().join("sshd_config");
        std::fs::write(&path, config).unwrap();
        let listener = listen().await;
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stream = stream.into_std().unwrap();
                stream.set_nonblocking(false).unwrap();
                let stream = std::os::fd::OwnedFd::from(stream);
                let mut sshd = tokio::process::Command::new("/usr/sbin/sshd");
                sshd.args(["-i", "-e", "-f"]).arg(&path).stdin(Stdio::from(stream.try_clone().unwrap()));
                sshd.stdout(Stdio::from(stream)).stderr(Stdio::null()).kill_on_drop(true);
                let mut child = sshd.spawn().expect("sshd is needed here: apt-get install openssh-server");
                tokio::spawn(async move { child.wait().await });
            }
        });
        port
    }

    /// The remote `app` over ssh, with the key of the server that listens there.
    pub fn ssh(&self, port: u16) -> Value {
        let known_hosts = format!("[127.0.0.1]:{port} {}", self.read("host.pub"));
        let path = self.path().join("up.git").display().to_string();
        remote(json!({ "ssh": {
            "user": user(), "host": "127.0.0.1", "port": port, "path": path, "known_hosts": known_hosts,
            "key": { "key": "key" },
        } }))
    }

    /// A gate with these remotes.
    pub async fn gate(&self, remotes: Value) -> Bed {
        self.gate_with(remotes, |_| {}).await
    }

    pub async fn gate_with(&self, remotes: Value, change: impl FnOnce(&mut Value)) -> Bed {
        self.gate_by(serving, remotes, change).await
    }

    /// `serving`: how the gate is run.
    pub async fn gate_by(&self, serving: fn(&Path) -> Command, remotes: Value, change: impl FnOnce(&mut Value)) -> Bed {
        let roots = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        let mut document = document(&roots, json!([]));
        document["git"] = json!({ "remotes": remotes });
        document["values"]["key"] = json!(encode_base64(self.read("user").as_bytes()));
        document["values"]["token"] = json!(encode_base64(TOKEN.as_bytes()));
        document["values"]["given"] = json!(encode_base64(GIVEN.as_bytes()));
        document["go"]["env"]["GIVEN"] = json!({ "value": "given" });
        change(&mut document);
        let mut gate = Gate::run(serving, document.to_string().as_bytes());
        match gate.line().await.event {
            Event::Ready { .. } => {}
            other => panic!("not ready: {other:?}"),
        }
        let port = door(&gate.dir.path().join("gate.sock")).await;
        Bed { gate, port }
    }

    /// Has the upstream run this script before it takes a push.
    pub fn set_hook(&self, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let hook = self.path().join("up.git/hooks/pre-receive");
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::write(&hook, script).unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A gate with one ssh upstream, and a clone of it.
    pub async fn cloned(&self, change: impl FnOnce(&mut Value)) -> Bed {
        let mut app = self.ssh(self.sshd("AcceptEnv GIT_PROTOCOL").await);
        change(&mut app);
        let mut bed = self.gate(json!([app])).await;
        self.good("", &["clone", "-q", &bed.url("app"), "work"]).await;
        assert_eq!(bed.audit().await.verdict, Outcome::Allow);
        bed
    }
}

/// A remote named `app` that leads there.
pub fn remote(upstream: Value) -> Value {
    json!({
        "name": "app", "origin": "claude-bottle.json:7", "private": true, "upstream": upstream,
        "rules": { "refs": ["refs/heads/*", "refs/tags/*"] },
    })
}

/// The name of the user that runs the tests.
pub fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The gate's program, with programs of the test before all others.
pub fn serving(folder: &Path) -> Command {
    let mut command = testing::gate::serving(folder);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", folder.join("bin").display()));
    command
}

/// What git connects to in place of `git.bottle`, as the agent's door leads to the gate.
async fn door(socket: &Path) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = socket.to_owned();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let socket = socket.clone();
            tokio::spawn(async move {
                let Ok(mut gate) = UnixStream::connect(&socket).await else { return };
                if gate.write_all(b"CONNECT git.bottle:9418\n").await.is_ok() {
                    let _ = copy_bidirectional(&mut stream, &mut gate).await;
                }
            });
        }
    });
    port
}

impl Bed {
    pub fn url(&self, name: &str) -> String {
        format!("git://127.0.0.1:{}/{name}", self.port)
    }

    pub async fn raw(&self) -> UnixStream {
        self.gate.connect("git.bottle:9418").await
    }

    /// The next line of the audit trail, which is of a git operation.
    pub async fn audit(&mut self) -> GitAudit {
        match self.gate.line().await.event {
            Event::Git(audit) => audit,
            other => panic!("{other:?}"),
        }
    }

    /// The next operation was refused or failed; the reason has these words.
    pub async fn refused(&mut self, verdict: Outcome, words: &str) -> GitAudit {
        let audit = self.audit().await;
        assert_eq!(audit.verdict, verdict, "{audit:?}");
        assert!(audit.reason.as_deref().unwrap_or_default().contains(words), "{words}: {audit:?}");
        audit
    }

    /// A program that the gate's children meet in place of another one.
    pub fn replace(&self, name: &str, script: &str) {
        let folder = self.gate.dir.path().join("bin");
        std::fs::create_dir_all(&folder).unwrap();
        // Renamed into its place: a file that is open for writing cannot be run.
        let fresh = folder.join("fresh");
        std::fs::write(&fresh, script).unwrap();
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(fresh, folder.join(name)).unwrap();
    }

    pub fn restore(&self, name: &str) {
        std::fs::remove_file(self.gate.dir.path().join("bin").join(name)).unwrap();
    }

    /// `ctl VERB` with this input: the answer.
    pub fn ctl(&self, verb: &[&str], input: &Value) -> Value {
        use std::io::Write;
        let socket = self.gate.dir.path().join("ctl.sock");
        let mut command = Command::new(testing::gate_program());
        command.arg("ctl").arg("--socket").arg(socket).args(verb).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
        serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
    }
}

/// A server of git's smart HTTP over TLS for the names `localhost` and `web.test`.
pub struct Https {
    pub port: u16,
    pub roots: String,
    /// Requests: method, path, and value of the header `authorization`.
    pub seen: Arc<Mutex<Vec<String>>>,
    /// What it answers in place of git, if anything: a status and a header `location`.
    pub instead: Arc<Mutex<Option<(u16, String)>>>,
    /// The token that it wants.
    pub token: Arc<Mutex<String>>,
}

impl Https {
    pub async fn start(folder: &Path) -> Https {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned(), "web.test".to_owned()])
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = listen().await;
        let https = Https {
            port: listener.local_addr().unwrap().port(),
            roots: issuer.pem(),
            seen: Arc::default(),
            instead: Arc::default(),
            token: Arc::new(Mutex::new(TOKEN.to_owned())),
        };
        let (folder, seen, instead) = (folder.to_owned(), https.seen.clone(), https.instead.clone());
        let token = https.token.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, folder, seen, instead) =
                    (acceptor.clone(), folder.clone(), seen.clone(), instead.clone());
                let token = token.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                        let (folder, seen, instead) = (folder.clone(), seen.clone(), instead.clone());
                        let wanted = format!("git:{}", token.lock().unwrap());
                        async move {
                            let sent =
                                request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
                            let sent = sent.unwrap_or_default();
                            seen.lock().unwrap().push(format!("{} {} {sent}", request.method(), request.uri().path()));
                            let answer = instead.lock().unwrap().clone();
                            let wanted = format!("Basic {}", encode_base64(wanted.as_bytes()));
                            let own = |status: u16| Response::builder().status(status);
                            Ok::<_, Infallible>(match answer {
                                Some((status, location)) => {
                                    own(status).header("location", location).body(full("")).unwrap()
                                }
                                None if sent != wanted => own(401).body(full("who are you?")).unwrap(),
                                None => backend(&folder, request).await,
                            })
                        }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        https
    }

    pub fn remote(&self) -> Value {
        remote(json!({ "https": {
            "host": "localhost", "port": self.port, "path": "/up.git", "user": "git", "token": "token",
        } }))
    }
}

/// A page of the gate's own.
pub async fn page(bed: &Bed, path: &str) -> String {
    let mut sender = testing::gate::converse(bed.gate.connect("gate.bottle:80").await).await;
    let request = testing::gate::ask(&format!("GET gate.bottle {path}"), &[]);
    testing::gate::text(sender.send_request(request).await.unwrap()).await
}
