//! Certificates of upstreams as OpenSSL's server shows them: what is trusted, and what the operator is told of the rest.

use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyPair, NameConstraints, date_time_ymd,
};
use std::process::{Child, ChildStdout};

/// `openssl s_server` on a port of its own, ended with this value.
struct OpensslServer {
    child: Child,
    at: SocketAddr,
    // Its end would end the server.
    _said: BufReader<ChildStdout>,
}

impl OpensslServer {
    /// `files`: certificate and key in PEM. `words`: more arguments.
    fn start(folder: &Path, (certificate, key): (&str, &str), words: &[&str]) -> OpensslServer {
        let (certificate_file, key_file) = (folder.join("server.pem"), folder.join("server.key"));
        std::fs::write(&certificate_file, certificate).unwrap();
        std::fs::write(&key_file, key).unwrap();
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert"])
            .arg(certificate_file)
            .arg("-key")
            .arg(key_file)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl: apt-get install openssl");
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let at = loop {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "openssl s_server ended");
            if let Some(at) = line.trim().strip_prefix("ACCEPT ") {
                break at.parse().unwrap();
            }
        };
        OpensslServer { child, at, _said: said }
    }
}

impl Drop for OpensslServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the gate answers for `a.test`, behind which `server` is. `ca`: PEM of the route's `upstream_ca`.
async fn answer(server: SocketAddr, ca: Option<&str>) -> (u16, String, Audit) {
    let origin = Origin::start(&["b.test"]).await;
    let mut rule = json!({ "host": "a.test", "private": true, "connect_to": server.to_string() });
    if ca.is_some() {
        rule["upstream_ca"] = json!("ca:1");
    }
    let mut gate = Gate::with(&origin, json!([rule]), |document| {
        if let Some(ca) = ca {
            document["values"]["ca:1"] = json!(encode_base64(ca.as_bytes()));
        }
    })
    .await;
    let response = gate.https("a.test").await.send_request(ask("GET a.test /", &[])).await.unwrap();
    let status = response.status().as_u16();
    let text = text(response).await;
    (status, text, gate.audit().await)
}

/// Certificate and key of a self-signed certificate for `a.test`, changed.
fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

#[tokio::test]
async fn a_servers_own_certificate_is_trusted_as_itself_by_name_and_date() {
    let folder = tempfile::tempdir().unwrap();
    let long_ago = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 31);
    type Change<'a> = Box<dyn FnOnce(&mut CertificateParams) + 'a>;
    let both = |params: &mut CertificateParams| {
        authority(params);
        long_ago(params);
    };
    let cases: Vec<(Change, Option<&str>)> = vec![
        (Box::new(authority), None),
        (Box::new(|_| {}), None),
        (Box::new(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))), None),
        (Box::new(both), Some("ended on 2020-01-31")),
        (Box::new(long_ago), Some("ended on 2020-01-31")),
        (
            Box::new(|params| {
                authority(params);
                params.not_before = date_time_ymd(4000, 2, 1);
                params.not_after = date_time_ymd(4001, 2, 1);
            }),
            Some("begins on 4000-02-01"),
        ),
        (
            Box::new(|params| {
                authority(params);
                params.subject_alt_names = CertificateParams::new(vec!["b.test".to_owned()]).unwrap().subject_alt_names;
                params.distinguished_name.push(DnType::CommonName, "a.test");
            }),
            Some("is for `b.test`"),
        ),
        (
            Box::new(|params| {
                authority(params);
                params.subject_alt_names.clear();
            }),
            Some("has no name"),
        ),
    ];
    for (index, (change, why)) in cases.into_iter().enumerate() {
        let (certificate, key) = self_signed(change);
        let server = OpensslServer::start(folder.path(), (&certificate, &key), &[]);
        let (status, text, audit) = answer(server.at, Some(&certificate)).await;
        match why {
            None => assert_eq!(status, 200, "{index}: {text}"),
            Some(why) => {
                assert!(status == 502 && text.contains(why), "{index}: {text}");
                assert!(audit.reason.unwrap().contains(why), "{index}");
            }
        }
        // Another one with the same names is trusted by nobody.
        let (other, other_key) = self_signed(authority);
        let server = OpensslServer::start(folder.path(), (&other, &other_key), &[]);
        let (status, text, _) = answer(server.at, Some(&certificate)).await;
        assert!(status == 502 && text.contains("`upstream_ca`"), "{index}: {text}");
    }
}

/// A leaf for `a.test` of an authority below `root`, and its key.
fn below(root: &CertifiedIssuer<'_, KeyPair>, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, root).unwrap().pem(), key.serialize_pem())
}

fn root(change: impl FnOnce(&mut CertificateParams)) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    authority(&mut params);
    // Not the one that the origin's root has, too.
    params.distinguished_name.push(DnType::CommonName, "a root of a house");
    change(&mut params);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[tokio::test]
async fn why_tls_failed_is_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let home = root(|_| {});
    let narrow = root(|params| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("b.test".to_owned())];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    });
    let middle = {
        let mut params = CertificateParams::default();
        authority(&mut params);
        params.distinguished_name.push(DnType::CommonName, "in the middle");
        CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &home).unwrap()
    };
    let no_change = |_: &mut CertificateParams| {};
    for (files, words, ca, why) in [
        (below(&home, no_change), &[][..], None, "no root that the gate trusts"),
        (below(&middle, no_change), &[], Some(home.pem()), "does not send the intermediate"),
        (below(&narrow, no_change), &[], Some(narrow.pem()), "may not sign for this name (nameConstraints)"),
        (
            below(&home, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            &[],
            Some(home.pem()),
            "not one for servers",
        ),
        (
            below(&home, |params| {
                let names = ["c.test", "d.test"].map(str::to_owned).to_vec();
                params.subject_alt_names = CertificateParams::new(names).unwrap().subject_alt_names;
            }),
            &[],
            Some(home.pem()),
            "its certificate is for `c.test`, `d.test`",
        ),
        (below(&home, authority), &[], Some(home.pem()), "names this very one"),
        (below(&home, no_change), &["-Verify", "1"], Some(home.pem()), "wants a certificate of the client"),
        (below(&home, no_change), &["-Verify", "1", "-tls1_2"], Some(home.pem()), "wants a certificate of the client"),
        (
            below(&home, no_change),
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"],
            Some(home.pem()),
            "no cipher in common",
        ),
        (rsa(folder.path(), "1024", "-sha256"), &[], None, "fewer than 2048 bits"),
        (rsa(folder.path(), "2048", "-sha1"), &[], None, "SHA-1 with RSA"),
    ] {
        // OpenSSL itself would not serve a small key, or SHA-1.
        let words =
            [words, if why.contains("bits") || why.contains("SHA-1") { &["-cipher", "ALL:@SECLEVEL=0"] } else { &[] }];
        let server = OpensslServer::start(folder.path(), (&files.0, &files.1), &words.concat());
        let ca = ca.or_else(|| {
            (!why.contains("no root")).then(|| std::fs::read_to_string(folder.path().join("rsa-ca.pem")).unwrap())
        });
        let (status, text, audit) = answer(server.at, ca.as_deref()).await;
        assert_eq!(status, 502, "{why}: {text}");
        assert!(text.contains("TLS with ") && text.contains(why), "{why}: {text}");
        assert!(!text.contains("Other(") && !text.contains("Error"), "{text}");
        assert!(audit.reason.unwrap().contains(why), "{why}");
    }
}

/// A leaf for `a.test` that an RSA key of this length signed in this way, and its key; the authority is in `rsa-ca.pem`.
fn rsa(folder: &Path, bits: &str, hash: &str) -> (String, String) {
    let openssl = |words: &[&str]| {
        let mut command = Command::new("openssl");
        command.args(words).current_dir(folder).stdin(Stdio::null());
        assert!(output(&mut command).status.success(), "{words:?}");
    };
    let key = format!("rsa:{bits}");
    let make = ["req", "-x509", "-nodes", "-days", "9", "-newkey"];
    let authority = ["-subj", "/CN=a root", "-keyout", "rsa-ca.key", "-out", "rsa-ca.pem"];
    openssl(&[&make[..], &[&key], &authority].concat());
    let leaf = [
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        hash,
        "-subj",
        "/CN=a leaf",
        "-keyout",
        "rsa.key",
        "-out",
        "rsa.pem",
    ];
    let signed = ["-CA", "rsa-ca.pem", "-CAkey", "rsa-ca.key", "-addext", "subjectAltName=DNS:a.test"];
    openssl(&[&make[..], &leaf, &signed, &["-addext", "basicConstraints=critical,CA:FALSE"]].concat());
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    (read("rsa.pem"), read("rsa.key"))
}

#[tokio::test]
async fn what_is_no_tls_is_told() {
    for (said, why) in
        [(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "does not speak TLS"), (b"", "ended the connection during")]
    {
        let listener = listen().await;
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut hello = [0; 4096];
                let _ = stream.read(&mut hello).await;
                let _ = stream.write_all(said).await;
            }
        });
        let (status, text, _) = answer(at, None).await;
        assert!(status == 502 && text.contains(why), "{why}: {text}");
    }
}
