//! Signatures of commits and tags: git makes them with the gate's key, verifies them, and gets none for anything else.

use crate::bed::{Bed, World};
use serde_json::json;
use testing::files::files_below;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::{GitOperation, Outcome, encode_base64};

/// A world with a key `sign` and a repository `work`, whose git signs as a bottle's does.
async fn signing(kind: &[&str], passphrase: &str) -> (World, Bed) {
    let world = World::new().await;
    world.keygen(kind, &["-N", passphrase, "-C", "me@example.org", "-f", "sign"]);
    let app = world.ssh(world.sshd("AcceptEnv GIT_PROTOCOL").await);
    let mut bed = world
        .gate_with(json!([app]), |document| {
            document["git"]["signing_key"] = match passphrase {
                "" => json!({ "key": "sign" }),
                _ => json!({ "key": "sign", "passphrase": "passphrase" }),
            };
            document["values"]["sign"] = json!(encode_base64(world.read("sign").as_bytes()));
            document["values"]["passphrase"] = json!(encode_base64(passphrase.as_bytes()));
        })
        .await;
    world.good("", &["clone", "-q", &bed.url("app"), "work"]).await;
    bed.audit().await;
    let public = public_key(&world);
    let (program, socket) = (testing::gate_program(), bed.gate.dir.path().join("gate.sock"));
    let script = format!("#!/bin/sh\nexec '{}' init --socket '{}' \"$@\"\n", program, socket.display());
    bed.replace("signer", &script);
    let signer = bed.gate.dir.path().join("bin/signer").display().to_string();
    std::fs::write(world.path().join("allowed"), format!("me@example.org namespaces=\"git\" {public}\n")).unwrap();
    let allowed = world.path().join("allowed").display().to_string();
    for (name, value) in [
        ("gpg.format", "ssh"),
        ("gpg.ssh.program", &signer),
        ("gpg.ssh.allowedSignersFile", &allowed),
        ("user.signingKey", &format!("key::{public}")),
        ("commit.gpgSign", "true"),
        ("tag.gpgSign", "true"),
    ] {
        world.good("work", &["config", name, value]).await;
    }
    (world, bed)
}

/// Without its comment.
fn public_key(world: &World) -> String {
    world.read("sign.pub").split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// What the gate answers to a request for a signature.
async fn ask(bed: &Bed, request: &[u8]) -> String {
    let mut stream = tokio::net::UnixStream::connect(bed.gate.dir.path().join("gate.sock")).await.unwrap();
    stream.write_all(format!("SIGN {}\n", request.len()).as_bytes()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn git_signs_and_verifies_commits_and_tags() {
    for (kind, passphrase) in [
        (&["-t", "ed25519"][..], "a passphrase"),
        (&["-t", "ecdsa", "-b", "256"], ""),
        (&["-t", "ecdsa", "-b", "384"], ""),
        (&["-t", "rsa", "-b", "3072"], ""),
    ] {
        let (world, mut bed) = signing(kind, passphrase).await;
        let commit = world.commit("work", "mine", "mine\n").await;
        let audit = bed.audit().await;
        assert_eq!((audit.verdict, audit.operation), (Outcome::Allow, GitOperation::Sign), "{audit:?}");
        assert_eq!(audit.object.as_deref(), Some(commit.as_str()), "the trail names the commit");
        let said = world.good("work", &["log", "-1", "--show-signature"]).await;
        assert!(said.contains("Good \"git\" signature for me@example.org"), "{kind:?}: {said}");
        world.good("work", &["tag", "-m", "A release", "v1"]).await;
        assert_eq!(bed.audit().await.object, Some(world.good("work", &["rev-parse", "v1"]).await));
        let said = world.good("work", &["tag", "-v", "v1"]).await;
        assert!(said.contains("Good \"git\" signature for me@example.org"), "{kind:?}: {said}");
        // A merge, and a commit with more in its head than git of today writes.
        world.good("work", &["checkout", "-q", "-b", "side", "HEAD^"]).await;
        world.commit("work", "other", "other\n").await;
        bed.audit().await;
        world.good("work", &["-c", "i18n.commitEncoding=latin1", "merge", "-q", "-m", "Both", "v1"]).await;
        assert_eq!(bed.audit().await.object, Some(world.head("work").await));
        world.good("work", &["verify-commit", "HEAD", "HEAD^1", "HEAD^2^{commit}"]).await;
        // It passes the gate, and is what it was.
        world.good("work", &["push", "-q", "origin", "HEAD:main", "v1"]).await;
        assert_eq!(bed.audit().await.verdict, Outcome::Allow);
        assert_eq!(world.upstream("main").await, world.head("work").await);
        // What is signed is not another commit.
        let raw = world.good("work", &["cat-file", "commit", "HEAD"]).await;
        std::fs::write(world.path().join("changed"), format!("{}\n", raw.replace("Both", "Neither"))).unwrap();
        let changed = world.good("work", &["hash-object", "-t", "commit", "-w", "../changed"]).await;
        world.bad("work", &["verify-commit", &changed]).await;
    }
}

#[tokio::test]
async fn nothing_but_commits_and_tags_of_the_own_key_is_signed() {
    let (world, mut bed) = signing(&["-t", "ed25519"], "").await;
    let public = public_key(&world);
    let head = world.good("work", &["cat-file", "commit", "HEAD"]).await;
    let certificate = "certificate version 0.1\npusher T <t@example.org> 1 +0000\n\na b refs/heads/main\n";
    let mut login = b"\0\0\0\x07session\x32".to_vec();
    for word in ["git", "ssh-connection", "publickey"] {
        login.extend_from_slice(&u32::try_from(word.len()).unwrap().to_be_bytes());
        login.extend_from_slice(word.as_bytes());
    }
    for (object, words) in [
        (certificate.as_bytes(), "only commits and tags"),
        (b"any file", "only commits and tags"),
        (&login, "only commits and tags"),
        (b"", "only commits and tags"),
    ] {
        let answer = ask(&bed, &[format!("{public}\n").as_bytes(), object].concat()).await;
        assert!(answer.starts_with("refused: ") && answer.contains(words), "{answer}");
        bed.refused(Outcome::Deny, words).await;
    }
    for request in [format!("{head}\n"), format!("{public} {head}\n"), format!("ssh-ed25519 AAAA\n{head}\n")] {
        assert!(ask(&bed, request.as_bytes()).await.starts_with("refused: this bottle's commits are signed by"));
        bed.refused(Outcome::Deny, &public).await;
    }
    assert!(ask(&bed, format!("{public}\n{head}\n").as_bytes()).await.starts_with("-----BEGIN SSH SIGNATURE-----\n"));
    assert_eq!(bed.audit().await.verdict, Outcome::Allow);
    // git tells why: of a file in another namespace, of another key, and of too much.
    let signer = bed.gate.dir.path().join("bin/signer");
    let run =
        |args: &[&str]| std::process::Command::new(&signer).args(args).current_dir(world.path()).output().unwrap();
    let ended = run(&["-Y", "sign", "-n", "file", "-f", "sign.pub", "seed/file"]);
    assert!(!ended.status.success() && !world.path().join("seed/file.sig").exists());
    world.keygen(&["-t", "ed25519"], &["-N", "", "-f", "own"]);
    let own = world.path().join("own.pub").display().to_string();
    let said =
        world.bad("work", &["-c", &format!("user.signingKey={own}"), "commit", "--allow-empty", "-m", "x"]).await;
    assert!(said.contains("for a key of your own"), "{said}");
    bed.refused(Outcome::Deny, "for a key of your own").await;
    std::fs::write(world.path().join("words"), "word ".repeat(300_000)).unwrap();
    let said = world.bad("work", &["commit", "--allow-empty", "-F", "../words"]).await;
    assert!(said.contains("more than 1024 KiB are not signed"), "{said}");
}

/// Neither the key nor its passphrase is in an answer, in a file of the gate's, or may leave in a request.
#[tokio::test]
async fn the_key_of_signatures_stays_in_the_gates_memory() {
    let (world, mut bed) = signing(&["-t", "ed25519"], "a long passphrase 4711").await;
    world.commit("work", "mine", "mine\n").await;
    bed.audit().await;
    let key: String = world.read("sign").lines().filter(|line| !line.starts_with("---")).collect();
    // Its first half has the public key, which is everywhere.
    let secret = &key[key.len() / 2..];
    let parts: Vec<&str> = (0..secret.len() - 24).step_by(8).map(|at| &secret[at..at + 24]).collect();
    let files = [bed.gate.dir.path(), &world.path().join("work")].map(files_below);
    for (path, content) in files.into_iter().flatten() {
        let text = String::from_utf8_lossy(&content);
        assert!(!parts.iter().any(|part| text.contains(part)), "{}", path.display());
    }
    // Nor does it leave.
    world.good("work", &["config", "commit.gpgSign", "false"]).await;
    world.commit("work", "notes", &key).await;
    let said = world.bad("work", &["push", "origin", "HEAD:topic"]).await;
    assert!(said.contains("`notes`") && said.contains("a credential that only the gate may send"), "{said}");
    bed.refused(Outcome::Deny, "must not leave").await;
}

#[tokio::test]
async fn a_bottle_without_a_key_says_so() {
    let world = World::new().await;
    let mut bed = world.gate(json!([world.ssh(1)])).await;
    assert!(ask(&bed, b"x\ny").await.starts_with("refused: this bottle has no key to sign with"));
    bed.refused(Outcome::Deny, "git.signing_key").await;
}
