//! Real git through the gate, in every version of its protocol: what a route lets it fetch it fetches, everything else is
//! explained, and nothing is ever pushed.

use super::*;
use std::path::Path;
use testing::git::{backend, git};

/// A server of git's own for the repositories of a folder: its HTTP program, as a web server would run it.
async fn server(folder: &Path) -> SocketAddr {
    let listener = listen().await;
    let address = listener.local_addr().unwrap();
    let folder = folder.to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let folder = folder.clone();
            let service = service_fn(move |request| {
                let folder = folder.clone();
                async move { Ok::<_, Infallible>(backend(&folder, request).await) }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// A proxy for git that leads to the gate: where the agent's door would stand.
async fn door(gate: &Gate) -> SocketAddr {
    let listener = listen().await;
    let address = listener.local_addr().unwrap();
    let socket = gate.dir.path().join("gate.sock");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let socket = socket.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let place = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
                let mut gate = UnixStream::connect(&socket).await.unwrap();
                gate.write_all(format!("CONNECT {place}\n").as_bytes()).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut gate).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn real_git_fetches_what_is_listed_and_pushes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let done = async |at: &str, arguments: &[&str]| {
        let (good, said) = git(&folder.join(at), arguments).await;
        assert!(good, "{arguments:?}: {said}");
        said
    };
    for name in ["team/app", "other/app"] {
        done("", &["init", "-q", "--bare", &format!("served/{name}.git")]).await;
        done("", &["-C", &format!("served/{name}.git"), "config", "http.receivepack", "true"]).await;
    }
    done("", &["init", "-q", "seed"]).await;
    for number in 0..20 {
        std::fs::write(folder.join("seed/file"), format!("{number}\n").repeat(2000)).unwrap();
        done("seed", &["add", "."]).await;
        done("seed", &["commit", "-q", "-m", &format!("commit {number}")]).await;
    }
    done("seed", &["push", "-q", "../served/team/app.git", "main"]).await;
    done("seed", &["push", "-q", "../served/other/app.git", "main"]).await;

    let to = format!("http://{}", server(&folder.join("served")).await);
    let origin = Origin::start(&["x.test"]).await;
    let mut gate = Gate::start(
        &origin,
        json!([
            { "host": "git.test", "paths": ["/team/**"], "git": "fetch", "private": true, "connect_to": to },
            { "host": "git.test", "methods": ["GET", "POST"], "paths": ["/other/**"], "private": true, "connect_to": to },
        ]),
    )
    .await;
    let proxy = format!("http.proxy=http://{}", door(&gate).await);
    let authority = format!("http.sslCAInfo={}", gate.dir.path().join("ca.pem").display());
    for version in ["0", "1", "2"] {
        let protocol = format!("protocol.version={version}");
        let run = async |at: &str, arguments: &[&str]| {
            let base = ["-c", &proxy, "-c", &authority, "-c", &protocol];
            git(&folder.join(at), &[&base, arguments].concat()).await
        };
        let good = async |at: &str, arguments: &[&str]| {
            let (good, said) = run(at, arguments).await;
            assert!(good, "version {version}: {arguments:?}: {said}");
            said
        };
        let copy = format!("copy{version}");
        good("", &["ls-remote", "https://git.test/team/app.git"]).await;
        good("", &["clone", "-q", "https://git.test/team/app.git", &copy]).await;
        good("", &["clone", "-q", "--depth", "1", "https://git.test/team/app.git", &format!("flat{version}")]).await;
        assert_eq!(good(&format!("flat{version}"), &["rev-list", "--count", "HEAD"]).await.trim(), "1");
        good(&format!("flat{version}"), &["fetch", "-q", "--unshallow"]).await;
        assert_eq!(good(&format!("flat{version}"), &["rev-list", "--count", "HEAD"]).await.trim(), "20");
        done("seed", &["commit", "-q", "--allow-empty", "-m", "more"]).await;
        done("seed", &["push", "-q", "-f", "../served/team/app.git", "main"]).await;
        good(&copy, &["fetch", "-q"]).await;
        assert_eq!(good(&copy, &["rev-list", "--count", "HEAD..origin/main"]).await.trim(), "1");
        done("seed", &["reset", "-q", "--hard", "HEAD~1"]).await;
        done("seed", &["push", "-q", "-f", "../served/team/app.git", "main"]).await;
        while let Ok(line) = gate.lines.try_recv() {
            let line: Line = serde_json::from_str(&line).unwrap();
            assert!(matches!(&line.event, Event::Request(audit) if audit.verdict == Outcome::Allow), "{line:?}");
        }

        // What is not listed, and what is listed for everything but git.
        for (address, why) in [("https://git.test/closed/app.git", "path"), ("https://git.test/other/app.git", "git")] {
            let (fetched, said) = run("", &["clone", "-q", address, "never"]).await;
            assert!(!fetched && said.contains("403"), "version {version}: {address}: {said}");
            let audit = gate.audit().await;
            assert_eq!(audit.verdict, Outcome::Deny, "{why}: {audit:?}");
        }
        done(&copy, &["commit", "-q", "--allow-empty", "-m", "mine"]).await;
        for address in ["https://git.test/team/app.git", "https://git.test/other/app.git"] {
            let (pushed, said) = run(&copy, &["push", address, "HEAD:main"]).await;
            assert!(!pushed && said.contains("403"), "version {version}: {said}");
            gate.refused("push").await;
        }
    }
    // The page says why; git shows the number only.
    let mut sender = gate.https("git.test").await;
    let line = "GET git.test /team/app.git/info/refs?service=git-receive-pack";
    let page = text(sender.send_request(ask(line, &[])).await.unwrap()).await;
    assert!(page.contains("push"), "{page}");
}
