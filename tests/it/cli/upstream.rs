//! What the gate trusts and how it gets out, as the host says it: wrong files and addresses are found with the plan.

use crate::harness::{PLAIN, Place};
use wire::encode_base64;

const MANIFEST: &str = r#"{ "bottles": { "box": { "egress": { "routes": [
    { "host": "house.example.org",
      "upstream_ca": "ca.pem", "private": true },
    { "host": "out.example.org" } ] } } },
  "agents": { "plain": { "bottle": "box", "command": ["bash"] } } }"#;

/// A sequence with a sequence in it, as a certificate begins.
const DER: &[u8] = b"\x30\x04\x30\x02\x05\x00";

fn pem(label: &str) -> Vec<u8> {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", encode_base64(DER)).into_bytes()
}

/// Every kind of file that is no list of certificates in PEM, with a word of why.
fn bad_files() -> Vec<(Vec<u8>, &'static str)> {
    vec![
        (Vec::new(), "is empty"),
        (DER.to_vec(), "in DER, where PEM is wanted\nhint: openssl x509 -inform der -in "),
        (b"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02".to_vec(), "PKCS#7 in DER"),
        (pem("PKCS7"), "has a `PKCS7` in its line 1"),
        (pem("TRUSTED CERTIFICATE"), "`CERTIFICATE` is wanted\nhint: openssl x509 -in "),
        ([b"\xef\xbb\xbf".to_vec(), pem("CERTIFICATE")].concat(), "byte order mark"),
        (pem("CERTIFICATE")[..40].to_vec(), "cut off"),
        (pem("PRIVATE KEY"), "holds no certificate"),
    ]
}

#[test]
fn a_file_of_certificates_is_looked_at_with_the_plan() {
    let place = Place::new(MANIFEST);
    let certificates = || place.path("home/.claude-bottle/ca.pem");
    for (file, why) in bad_files() {
        std::fs::write(certificates(), file).unwrap();
        for words in [&["start", "--dry-run", "plain"][..], &["start", "--yes", "plain"]] {
            let done = place.run(words).done();
            let at = "claude-bottle.json:2: `upstream_ca` in a route: `";
            assert_eq!(done.status, 2, "{why}: {}", done.stderr);
            assert!(done.stderr.contains(at) && done.stderr.contains(why), "{why}: {}", done.stderr);
        }
        let done = place.run(&["doctor"]).done();
        let why = why.lines().next().unwrap();
        assert!(
            done.status != 0 && done.stdout.contains("`upstream_ca`") && done.stdout.contains(why),
            "{}",
            done.stdout
        );
    }
    std::fs::write(certificates(), pem("CERTIFICATE")).unwrap();
    assert_eq!(place.run(&["start", "--dry-run", "plain"]).done().status, 0);
    assert!(!place.run(&["doctor"]).done().stdout.contains("`upstream_ca`"));
}

#[test]
fn the_hosts_roots_are_looked_at_with_the_plan() {
    let place = Place::new(&MANIFEST.replace(r#""upstream_ca": "ca.pem", "#, ""));
    for (file, why) in bad_files() {
        std::fs::write(place.path("roots.pem"), file).unwrap();
        let done = place.run(&["start", "--dry-run", "plain"]).done();
        assert_eq!(done.status, 2, "{why}: {}", done.stderr);
        assert!(done.stderr.contains("`CLAUDE_BOTTLE_UPSTREAM_CA`: `") && done.stderr.contains(why), "{}", done.stderr);
        assert!(place.run(&["doctor"]).done().stdout.contains("`CLAUDE_BOTTLE_UPSTREAM_CA`: `"), "{why}");
    }
}

#[test]
fn a_proxy_that_is_none_is_found_with_the_plan() {
    let place = Place::new(&MANIFEST.replace(r#""upstream_ca": "ca.pem", "#, ""));
    for (value, why) in [
        ("ftp://me:hunter2@proxy.example.org:3128", "has a scheme that is none of `http`, `https` and `socks5h`"),
        ("socks5://me:hunter2@proxy.example.org:1080", "has the scheme `socks5`: write `socks5h`"),
        ("socks5h://hunter2@proxy.example.org", "has a user or a password that SOCKS cannot carry"),
        ("proxy.example.org:3128", "has no scheme"),
        ("http://", "has no host"),
        ("http://me:hunter2@proxy.example.org:0", "has a port that is no number"),
    ] {
        for words in [&["start", "--dry-run", "plain"][..], &["check", "plain", "https://out.example.org/"]] {
            let done = place.run(words).env("CLAUDE_BOTTLE_UPSTREAM_PROXY", value).done();
            let said = format!("`CLAUDE_BOTTLE_UPSTREAM_PROXY` {why}");
            assert_eq!(done.status, 2, "{value}: {}", done.stderr);
            assert!(done.stderr.contains(&said) && !done.stderr.contains("hunter2"), "{value}: {}", done.stderr);
        }
        let done = place.run(&["doctor"]).env("CLAUDE_BOTTLE_UPSTREAM_PROXY", value).done();
        assert!(done.status != 0 && done.stdout.contains(why) && !done.stdout.contains("hunter2"), "{}", done.stdout);
    }
}

#[test]
fn what_goes_past_the_proxy_is_said() {
    let place = Place::new(&MANIFEST.replace(r#""upstream_ca": "ca.pem", "#, ""));
    let proxy = |words: &[&str]| {
        place.run(words).env("CLAUDE_BOTTLE_UPSTREAM_PROXY", "http://proxy.example.org:3128").done().stdout
    };
    let plan = proxy(&["start", "--dry-run", "plain"]);
    assert!(plan.contains("but for what goes directly: https://house.example.org\n"), "{plan}");
    let direct = proxy(&["check", "plain", "https://house.example.org/"]);
    assert!(direct.contains("past the host's proxy") && direct.contains("also a private address"), "{direct}");
    let by_proxy = proxy(&["check", "plain", "https://out.example.org/"]);
    assert!(by_proxy.contains("by the host's proxy"), "{by_proxy}");
    let listed = |words: &[&str], list: &str| {
        let run = place.run(words).env("CLAUDE_BOTTLE_UPSTREAM_PROXY", "socks5h://proxy.example.org");
        run.env("CLAUDE_BOTTLE_NO_PROXY", list).done()
    };
    let plan = listed(&["start", "--dry-run", "plain"], ".example.org,10.0.0.0/8").stdout;
    assert!(plan.contains("; directly by `CLAUDE_BOTTLE_NO_PROXY`: .example.org,10.0.0.0/8\n"), "{plan}");
    assert!(plan.contains("https://house.example.org, https://out.example.org;"), "{plan}");
    let direct = listed(&["check", "plain", "https://out.example.org/"], "out.example.org").stdout;
    assert!(direct.contains("past the host's proxy, TLS, refused where that is a private address"), "{direct}");
    let by_proxy = listed(&["check", "plain", "https://out.example.org/"], "t.example.org,out.example.org:80").stdout;
    assert!(by_proxy.contains("by the host's proxy"), "{by_proxy}");
    let wrong = listed(&["check", "plain", "https://out.example.org/"], "out.example.org,10.0.0.0/40");
    assert!(
        wrong.status == 2 && wrong.stderr.contains("`CLAUDE_BOTTLE_NO_PROXY` has `10.0.0.0/40`, which is no network")
    );
}

/// Many proxies connect to no port but 443: what needs more is told before it fails.
#[test]
fn doctor_names_what_a_proxy_may_not_connect_to() {
    let routes = r#"{"host":"a.example.org"},{"host":"db.example.org","port":5432,"protocol":"tcp"},
        {"host":"b.example.org","port":8443},{"host":"c.example.org","port":80},{"host":"d.example.org","port":8443,"proxy":false}"#;
    let place = Place::new(&PLAIN.replace("\"box\": {}", &format!(r#""box": {{"egress": {{"routes": [{routes}]}}}}"#)));
    let said = |proxy: &str| place.run(&["doctor"]).env("CLAUDE_BOTTLE_UPSTREAM_PROXY", proxy).done().stdout;
    let wanted = "for `b.example.org:8443`, `db.example.org:5432` the proxy must connect to other ports than 443";
    let plain = said("http://proxy.example.org:3128");
    assert!(plain.contains(wanted), "{plain}");
    let none = said("");
    assert!(!none.contains("must connect to other ports"), "{none}");
}
