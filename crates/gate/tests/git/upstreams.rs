//! Every kind of upstream: what is fetched and pushed arrives, and what is not as it should be is refused in words.

use crate::bed::{Https, TOKEN, World, remote};
use serde_json::json;
use testing::gate::upstream_proxy;
use wire::{GitOperation, Outcome};

#[tokio::test]
async fn ssh_in_every_version_of_the_protocol() {
    let world = World::new().await;
    for accept in ["AcceptEnv GIT_PROTOCOL", ""] {
        let port = world.sshd(accept).await;
        let mut bed = world.gate(json!([world.ssh(port)])).await;
        for version in ["0", "1", "2"] {
            let (url, to) = (bed.url("app"), format!("clone-{version}-{}", accept.len()));
            world.good("", &["-c", &format!("protocol.version={version}"), "clone", "-q", &url, &to]).await;
            assert_eq!(world.head(&to).await, world.upstream("main").await);
            let audit = bed.audit().await;
            assert_eq!(
                (audit.verdict, audit.operation, audit.remote.as_str()),
                (Outcome::Allow, GitOperation::Fetch, "app")
            );
            assert_eq!(audit.rule.as_deref(), Some("claude-bottle.json:7"));
            assert!(audit.received > 0 && audit.sent > 0, "{audit:?}");
        }
        // A commit that came by another way is there at the next fetch.
        let news = world.commit("seed", "file", format!("{accept}\n")).await;
        world.good("seed", &["push", "-q", "../up.git", "main"]).await;
        let to = format!("clone-2-{}", accept.len());
        world.good(&to, &["pull", "-q"]).await;
        assert_eq!(world.head(&to).await, news);
        bed.audit().await;
        // And a push arrives.
        let pushed = world.commit(&to, "mine", format!("mine {accept}\n")).await;
        let said = world.good(&to, &["push", "origin", "HEAD:topic", "HEAD:main"]).await;
        assert_eq!(world.upstream("topic").await, pushed, "{said}");
        assert_eq!(world.upstream("main").await, pushed);
        let audit = bed.audit().await;
        assert_eq!((audit.verdict, audit.operation, audit.refs.len()), (Outcome::Allow, GitOperation::Push, 2));
        world.good("seed", &["pull", "-q", "../up.git", "main"]).await;
        world.good("up.git", &["update-ref", "-d", "refs/heads/topic"]).await;
    }
}

#[tokio::test]
async fn keys_of_every_kind_log_in() {
    let world = World::new().await;
    for (kind, passphrase) in [
        (&["-t", "ed25519"][..], "pass phrase 1"),
        (&["-t", "ecdsa", "-b", "256"], ""),
        (&["-t", "ecdsa", "-b", "384"], "x"),
        (&["-t", "rsa", "-b", "2048"], "pass"),
        (&["-t", "rsa", "-b", "3072"], ""),
    ] {
        for name in ["user", "user.pub"] {
            std::fs::remove_file(world.path().join(name)).unwrap();
        }
        world.keygen(kind, &["-N", passphrase, "-f", "user"]);
        let mut app = world.ssh(world.sshd("").await);
        app["upstream"]["ssh"]["key"] = match passphrase {
            "" => json!({ "key": "key" }),
            _ => json!({ "key": "key", "passphrase": "passphrase" }),
        };
        let passphrase = json!(wire::encode_base64(passphrase.as_bytes()));
        let mut bed = world.gate_with(json!([app]), |document| document["values"]["passphrase"] = passphrase).await;
        world.good("", &["ls-remote", &bed.url("app")]).await;
        assert_eq!(bed.audit().await.verdict, Outcome::Allow, "{kind:?}");
    }
}

#[tokio::test]
async fn a_server_without_the_pinned_key_gets_nothing() {
    let world = World::new().await;
    let port = world.sshd("").await;
    world.keygen(&["-t", "ed25519"], &["-N", "", "-f", "other"]);
    for known_hosts in [
        format!("[127.0.0.1]:{port} {}", world.read("other.pub")),
        format!("[127.0.0.2]:{port} {}", world.read("host.pub")),
        format!("@revoked [127.0.0.1]:{port} {}", world.read("host.pub")),
    ] {
        let mut app = world.ssh(port);
        app["upstream"]["ssh"]["known_hosts"] = json!(known_hosts);
        let mut bed = world.gate(json!([app])).await;
        let said = world.bad("", &["clone", "-q", &bed.url("app"), "no"]).await;
        assert!(said.contains("pinned"), "{said}");
        bed.refused(Outcome::Deny, "pinned").await;
    }
}

#[tokio::test]
async fn a_certificate_of_a_pinned_authority_is_as_good_as_a_pinned_key() {
    let world = World::new().await;
    world.keygen(&["-t", "ed25519"], &["-N", "", "-f", "authority"]);
    world.keygen(&["-s", "authority", "-I", "host", "-h", "-n", "127.0.0.1"], &["host.pub"]);
    let port = world.sshd(&format!("HostCertificate {}/host-cert.pub", world.path().display())).await;
    let mut app = world.ssh(port);
    let pinned = format!("@cert-authority [127.0.0.1]:{port} {}", world.read("authority.pub"));
    app["upstream"]["ssh"]["known_hosts"] = json!(pinned);
    let mut bed = world.gate(json!([app])).await;
    world.good("", &["ls-remote", &bed.url("app")]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_gives_no_stale_answer() {
    let world = World::new().await;
    let mut bed = world.cloned(|_| {}).await;
    std::fs::rename(world.path().join("up.git"), world.path().join("away.git")).unwrap();
    let said = world.bad("work", &["fetch"]).await;
    assert!(said.contains("cannot be refreshed"), "{said}");
    bed.refused(Outcome::Error, "does not appear to be a git repository").await;
    let said = world.bad("work", &["push", "origin", "HEAD:x"]).await;
    assert!(said.contains("cannot be refreshed"), "{said}");
    bed.refused(Outcome::Error, "cannot be refreshed").await;
    std::fs::rename(world.path().join("away.git"), world.path().join("up.git")).unwrap();
    world.good("work", &["fetch"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);

    // Nothing listens there.
    let port = testing::gate::listen().await.local_addr().unwrap().port();
    let mut bed = world.gate(json!([world.ssh(port)])).await;
    let said = world.bad("", &["ls-remote", &bed.url("app")]).await;
    assert!(said.contains("cannot connect"), "{said}");
    bed.refused(Outcome::Error, "cannot connect").await;
    // A key that the server does not know.
    let port = world.sshd("").await;
    std::fs::write(world.path().join("authorized_keys"), "").unwrap();
    let mut bed = world.gate(json!([world.ssh(port)])).await;
    let said = world.bad("", &["ls-remote", &bed.url("app")]).await;
    assert!(said.contains("does not accept this bottle's key"), "{said}");
    bed.refused(Outcome::Error, "does not accept").await;
}

#[tokio::test]
async fn an_address_that_is_not_declared_private_is_not_dialled() {
    let world = World::new().await;
    let mut app = world.ssh(world.sshd("").await);
    app["private"] = json!(false);
    let mut bed = world.gate(json!([app])).await;
    world.bad("", &["ls-remote", &bed.url("app")]).await;
    bed.refused(Outcome::Deny, "leads to a loopback address").await;
}

#[tokio::test]
async fn https_with_a_token() {
    let world = World::new().await;
    world.good("up.git", &["config", "http.receivepack", "true"]).await;
    let https = Https::start(world.path()).await;
    let roots = wire::encode_base64(https.roots.as_bytes());
    let with_roots = |document: &mut serde_json::Value| document["values"]["roots"] = json!(roots);
    let mut bed = world.gate_with(json!([https.remote()]), with_roots).await;
    world.good("", &["clone", "-q", &bed.url("app"), "work"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    let news = world.commit("seed", "file", "news\n").await;
    world.good("seed", &["push", "-q", "../up.git", "main"]).await;
    world.good("work", &["pull", "-q"]).await;
    assert_eq!(world.head("work").await, news);
    bed.audit().await;
    let pushed = world.commit("work", "mine", "mine\n").await;
    world.good("work", &["push", "-q", "origin", "HEAD:main", "HEAD:topic"]).await;
    assert_eq!((world.upstream("main").await, world.upstream("topic").await), (pushed.clone(), pushed));
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    let expected = format!("Basic {}", wire::encode_base64(format!("git:{TOKEN}").as_bytes()));
    for line in https.seen.lock().unwrap().iter() {
        assert!(line.ends_with(&expected) && line.contains(" /up.git/"), "{line}");
    }

    *https.instead.lock().unwrap() = Some((302, "https://elsewhere.example/up.git/info/refs?service=x".to_owned()));
    let said = world.bad("work", &["fetch"]).await;
    assert!(said.contains("redirects to `https://elsewhere.example/up.git/info/refs`"), "{said}");
    bed.refused(Outcome::Deny, "is not followed").await;
    for (status, words) in [(401, "does not accept this remote's token"), (404, "no such repository"), (500, "500")] {
        *https.instead.lock().unwrap() = Some((status, String::new()));
        world.bad("work", &["fetch"]).await;
        bed.refused(Outcome::Error, words).await;
    }
    // A page of another kind is no list of refs.
    *https.instead.lock().unwrap() = Some((200, String::new()));
    world.bad("work", &["fetch"]).await;
    bed.refused(Outcome::Error, "no git server").await;
}

/// A token that its upstream takes no longer is asked for again, once, and the operation goes on with the next one.
#[tokio::test]
async fn a_rejected_token_is_renewed() {
    let world = World::new().await;
    world.good("up.git", &["config", "http.receivepack", "true"]).await;
    let https = Https::start(world.path()).await;
    let roots = wire::encode_base64(https.roots.as_bytes());
    let printed = |token: &str| wire::encode_base64(json!({ "token": token }).to_string().as_bytes());
    let mut bed = world
        .gate_with(json!([https.remote()]), |document| {
            document["values"]["roots"] = json!(roots);
            document["values"]["token"] = json!(printed(TOKEN));
            document["printed"] = json!(["token"]);
        })
        .await;
    let url = bed.url("app");
    world.good("", &["clone", "-q", &url, "work"]).await;
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    world.commit("work", "mine", "mine\n").await;
    let next = "tk-next-5be1f07d3c";
    next.clone_into(&mut https.token.lock().unwrap());
    let folder = world.path().join("work");
    let push = tokio::spawn(async move { testing::git::git(&folder, &["push", "-q", "origin", "HEAD:main"]).await });
    assert_eq!(bed.gate.line().await.event, wire::Event::Refresh { value: "token".to_owned() });
    bed.ctl(&["token", "token"], &json!({ "value": printed(next) }));
    assert_eq!(bed.gate.line().await.event, wire::Event::Refreshed { value: "token".to_owned() });
    let (good, said) = push.await.unwrap();
    assert!(good, "{said}");
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    assert_eq!(world.upstream("main").await, world.head("work").await);
}

/// Behind an upstream proxy, it is asked for the declared host and port, and the pinned key counts all the same.
#[tokio::test]
async fn upstreams_are_reached_through_the_upstream_proxy() {
    let world = World::new().await;
    world.good("up.git", &["config", "http.receivepack", "true"]).await;
    let (https, ssh_port) = (Https::start(world.path()).await, world.sshd("AcceptEnv GIT_PROTOCOL").await);
    let roots = wire::encode_base64(https.roots.as_bytes());
    let https_port = https.port;
    let (address, mut asked) = upstream_proxy(move |head| {
        let port = if head.starts_with("CONNECT ssh.test:") { ssh_port } else { https_port };
        ([127, 0, 0, 1], port).into()
    })
    .await;
    let mut over_ssh = world.ssh(ssh_port);
    over_ssh["private"] = json!(false);
    over_ssh["upstream"]["ssh"]["host"] = json!("ssh.test");
    over_ssh["upstream"]["ssh"]["known_hosts"] = json!(format!("[ssh.test]:{ssh_port} {}", world.read("host.pub")));
    let mut over_https = https.remote();
    (over_https["name"], over_https["private"]) = (json!("web"), json!(false));
    over_https["upstream"]["https"]["host"] = json!("web.test");
    let mut bed = world
        .gate_with(json!([over_ssh, over_https]), |document| {
            document["values"]["roots"] = json!(roots);
            document["upstream_proxy"] = json!("proxy");
            document["values"]["proxy"] =
                json!(wire::encode_base64(format!("http://me:secret-4711@{address}").as_bytes()));
        })
        .await;
    for (name, line) in [
        ("app", format!("CONNECT ssh.test:{ssh_port} HTTP/1.1\r\n")),
        ("web", format!("CONNECT web.test:{} HTTP/1.1\r\n", https.port)),
    ] {
        world.good("", &["clone", "-q", &bed.url(name), name]).await;
        assert_eq!(bed.audit().await.verdict, Outcome::Allow);
        world.commit(name, name, "mine\n").await;
        world.good(name, &["push", "-q", "origin", &format!("HEAD:{name}")]).await;
        assert_eq!(bed.audit().await.verdict, Outcome::Allow);
        assert_eq!(world.upstream(name).await, world.head(name).await);
        let mut heads = Vec::new();
        while let Ok(head) = asked.try_recv() {
            heads.push(head);
        }
        assert!(!heads.is_empty() && heads.iter().all(|head| head.starts_with(&line)), "{heads:?}");
    }
}

/// Whether it takes a push or not, what an upstream says holds no secret and acts on no terminal.
#[tokio::test]
async fn no_word_of_an_upstream_says_the_token() {
    let world = World::new().await;
    world.good("up.git", &["config", "http.receivepack", "true"]).await;
    let https = Https::start(world.path()).await;
    let roots = wire::encode_base64(https.roots.as_bytes());
    let mut bed = world.gate_with(json!([https.remote()]), |document| document["values"]["roots"] = json!(roots)).await;
    world.good("", &["clone", "-q", &bed.url("app"), "work"]).await;
    bed.audit().await;
    for code in [0, 1] {
        world.set_hook(&format!(
            "#!/bin/sh\necho 'welcome, {TOKEN}' >&2\nprintf 'plain\\033]0;words\\n' >&2\nexit {code}\n"
        ));
        world.commit("work", "mine", format!("{code}\n")).await;
        let push = ["push", "origin", "HEAD:main"];
        let said = if code == 0 { world.good("work", &push).await } else { world.bad("work", &push).await };
        assert!(!said.contains(TOKEN) && said.contains("plain\\u{1b}]0;words"), "{said}");
        let audit = bed.audit().await;
        assert!(!format!("{audit:?}").contains(TOKEN), "{audit:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_egress_names_the_remote() {
    let world = World::new().await;
    let upstream =
        json!({ "https": { "host": "git.example.org", "port": 443, "path": "/team/app.git", "user": "git" } });
    let bed = world.gate(json!([remote(upstream)])).await;
    for (path, names) in [
        ("/team/app/info/refs?service=git-upload-pack", true),
        ("/team/app.git/info/refs?service=git-receive-pack", true),
        ("/team/other/info/refs?service=git-upload-pack", false),
        ("/team/app", false),
    ] {
        let mut sender = testing::gate::converse(bed.gate.connect("git.example.org:80").await).await;
        let request = testing::gate::ask(&format!("GET git.example.org {path}"), &[]);
        let said = testing::gate::text(sender.send_request(request).await.unwrap()).await;
        assert!(said.contains("claude-bottle: refused"), "{said}");
        assert_eq!(said.contains("ask git for `git://git.bottle/app`"), names, "{path}: {said}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_remote_is_told_before_the_start() {
    let world = World::new().await;
    world.keygen(&["-t", "ed25519"], &["-N", "right", "-f", "locked"]);
    world.keygen(&["-t", "rsa", "-b", "2048", "-m", "PEM"], &["-N", "", "-f", "old"]);
    let encoded = |name: &str| json!(wire::encode_base64(world.read(name).as_bytes()));
    let ssh = |key: serde_json::Value, known_hosts: &str| {
        remote(
            json!({ "ssh": { "user": "git", "host": "a.org", "port": 22, "path": "x", "known_hosts": known_hosts, "key": key } }),
        )
    };
    for (remotes, words) in [
        (json!([ssh(json!({ "key": "locked" }), "x")]), "there is no passphrase"),
        (json!([ssh(json!({ "key": "locked", "passphrase": "given" }), "x")]), "the passphrase is wrong"),
        (json!([ssh(json!({ "key": "old" }), "x")]), "OpenSSH's format"),
        (json!([ssh(json!({ "key": "none" }), "x")]), "no value `none`"),
        (json!([ssh(json!({ "key": "key" }), " ")]), "no key is pinned"),
        (
            json!([
                ssh(json!({ "key": "key" }), "x"),
                remote(json!({ "https": { "host": "a.org", "port": 443, "path": "/x", "user": "git" } }))
            ]),
            "that of another",
        ),
        (json!([remote(json!({ "local": { "base": ["--all"] } }))]), "no object"),
        (json!([remote(json!({ "https": { "host": "a b", "port": 443, "path": "/x", "user": "git" } }))]), "no server"),
        (
            json!([remote(json!({ "https": { "host": "a.org", "port": 443, "path": "/../x", "user": "git" } }))]),
            "its path",
        ),
    ] {
        let mut document = testing::gate::document(&roots(), json!([]));
        document["git"] = json!({ "remotes": remotes });
        for (name, value) in [("key", encoded("user")), ("locked", encoded("locked")), ("old", encoded("old"))] {
            document["values"][name] = value;
        }
        document["values"]["given"] = json!(wire::encode_base64(b"wrong"));
        let mut gate = testing::gate::Gate::feed(document.to_string().as_bytes());
        match gate.line().await.event {
            wire::Event::Failed { reason } => {
                assert!(reason.contains(words) && reason.contains("`app` (claude-bottle.json:7)"), "{words}: {reason}");
            }
            other => panic!("{words}: {other:?}"),
        }
    }
}

fn roots() -> String {
    rcgen::CertificateParams::default().self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
}
