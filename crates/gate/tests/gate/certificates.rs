//! The certificates of a bottle, as OpenSSL reads and verifies them: names of every length, serial numbers, dates.

use super::*;

/// The certificates that the gate shows for `name`, in PEM: its own, and the authority's.
async fn shown(gate: &Gate, name: &str) -> Vec<String> {
    let stream = gate.tls(&format!("{name}:443"), name).await;
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    chain
        .iter()
        .map(|der| {
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", wrapped(&encode_base64(der)))
        })
        .collect()
}

fn wrapped(base64: &str) -> String {
    base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>().join("\n")
}

/// What `openssl` says to these words, `pem` in its standard input.
fn openssl(words: &[&str], pem: &str) -> (bool, String) {
    let mut child = Command::new("openssl")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl: apt-get install openssl");
    child.stdin.take().unwrap().write_all(pem.as_bytes()).unwrap();
    let output = finish("openssl", child);
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// A name of this many bytes, in labels of at most 60.
fn name_of(length: usize) -> String {
    let mut name = "l".repeat(length - 5);
    for dot in (60..name.len()).step_by(61) {
        name.replace_range(dot..=dot, ".");
    }
    name + ".test"
}

#[tokio::test]
async fn openssl_verifies_names_of_every_length() {
    let origin = Origin::start(&["a.test"]).await;
    let gate = Gate::start(&origin, json!([])).await;
    let authority = gate.dir.path().join("ca.pem");
    // 64 bytes are the longest common name.
    for name in ["a.test".to_owned(), "claude-bottle".to_owned(), name_of(64), name_of(65), name_of(100), name_of(253)]
    {
        let chain = shown(&gate, &name).await;
        // As Python 3.13 asks for it.
        let words = ["verify", "-x509_strict", "-verify_hostname", &name, "-CAfile", authority.to_str().unwrap()];
        let (verified, said) = openssl(&words, &chain[0]);
        assert!(verified, "{name}: {said}");
        let (_, names) = openssl(&["x509", "-noout", "-subject", "-issuer"], &chain[0]);
        assert_eq!(names.contains("subject=\n"), name.len() > 64, "{names}");
        assert!(names.contains("CN = claude-bottle CA") || names.contains("CN=claude-bottle CA"), "{names}");
    }
}

#[tokio::test]
async fn each_certificate_has_a_serial_number_of_its_own_and_none_outlives_its_authority() {
    let origin = Origin::start(&["a.test"]).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let gate = Gate::start(&origin, json!([])).await;
        let mut ends = Vec::new();
        for name in ["a.test", "b.test", "c.test"] {
            let chain = shown(&gate, name).await;
            for certificate in &chain {
                let (_, said) = openssl(&["x509", "-noout", "-serial", "-dates"], certificate);
                let value = |key: &str| said.lines().find_map(|line| line.strip_prefix(key)).unwrap().to_owned();
                let serial = value("serial=");
                assert_eq!(serial.len(), 32, "{said}");
                seen.insert(serial);
                ends.push((value("notBefore="), value("notAfter=")));
            }
        }
        assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    }
    // Three leaves and an authority, twice.
    assert_eq!(seen.len(), 8, "{seen:?}");
}
