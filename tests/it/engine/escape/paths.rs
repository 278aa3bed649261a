//! Does a path that the policy lets through mean something else to a server? Asked of real ones: `make slow`.

use super::super::{Rig, run};
use policy::{Policy, Request};
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::Command;

/// Spellings of "the folder above", and of what stands between two segments.
const ABOVE: [&str; 28] = [
    "..",
    ".",
    "%2e%2e",
    ".%2e",
    "%2E.",
    "%252e%252e",
    "..;",
    "..;x=1",
    "..%20",
    "..%00",
    "..%09",
    "..%0d",
    "..%0a",
    "..%3b",
    "%c0%ae%c0%ae",
    "%u002e%u002e",
    "..%5c",
    "..\\",
    "...",
    "....",
    "..%2f",
    "%2e%2e%2f",
    "..%252f",
    "..%c0%af",
    ".%00.",
    "..%23",
    "..%3f",
    "",
];
const BETWEEN: [&str; 14] =
    ["/", "//", "\\", "%2f", "%5c", "/./", "/%2e/", ";/", "%252f", "/;/", "/%20/", "/.;/", "%2f%2f", "/%00/"];
const SECRETS: [&str; 8] = [
    "secret/file",
    "%73ecret/file",
    "secret%2ffile",
    "secret//file",
    "secret/./file",
    "secret/file/",
    "secret/",
    "secre%2574/file",
];

fn paths() -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for first in BETWEEN {
        for above in ABOVE {
            for second in BETWEEN {
                for secret in SECRETS {
                    paths.insert(format!("/allowed{first}{above}{second}{secret}"));
                    paths.insert(format!("/allowed/a/b{first}{above}{second}{above}{second}{above}{second}{secret}"));
                }
            }
        }
    }
    for between in BETWEEN {
        for secret in SECRETS {
            paths.insert(format!("{between}{secret}"));
            paths.insert(format!("/allowed{between}{secret}"));
            paths.insert(format!("/{between}allowed{between}..{between}{secret}"));
            paths.insert(format!("/x{between}..{between}{secret}"));
        }
    }
    paths
}

#[test]
#[ignore = "installs six web servers: `make slow`"]
fn a_path_that_passes_means_the_same_to_real_servers() {
    let rig = Rig::new(&json!({}));
    let image = format!("claude-bottle-test-{}", rig.id);
    let dockerfile = format!(
        "FROM {}\nRUN apt-get update && apt-get install -y --no-install-recommends \
         nginx-light apache2 lighttpd nodejs golang-go python3\n",
        std::env::var("CLAUDE_BOTTLE_BASE_IMAGE").unwrap()
    );
    let label = format!("claude-bottle.test={}", rig.id);
    run(Command::new("docker").args(["build", "-q", "-t", &image, "--label", &label, "-"]), &dockerfile).code(0);
    let policy: Policy = serde_json::from_value(json!({ "routes": [{
        "host": "allowed.example.org", "port": 443, "methods": ["GET"], "paths": ["/allowed/**"], "origin": "m:1" }] }))
    .unwrap();
    let paths = paths();
    let mut sent = BTreeSet::new();
    for path in &paths {
        let request = Request {
            host: "allowed.example.org",
            port: 443,
            method: "GET",
            path,
            query: None,
            headers: &[],
            has_body: false,
        };
        sent.extend(policy.decide(&request).ok().map(|pass| pass.path));
    }
    // Without a policy: the servers read some of these spellings as the secret's.
    let serve = |paths: &BTreeSet<String>| {
        let mut stdin = String::new();
        for path in paths {
            for byte in path.bytes() {
                let _ = write!(stdin, "{byte:02x}");
            }
            stdin.push('\n');
        }
        let program = include_str!("paths.py");
        let args = ["run", "--rm", "-i", "--label", &label, "--network", "none", &image, "python3", "-c", program];
        let ran = run(Command::new("docker").args(args), &stdin).code(0);
        let lines: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
        assert_eq!(
            (lines.first().map(String::as_str), lines.last().map(String::as_str)),
            (Some("ready"), Some("done"))
        );
        lines[1..lines.len() - 1].to_vec()
    };
    let unguarded: BTreeSet<String> = paths.iter().step_by(paths.len() / 500).cloned().collect();
    let (escaped, confused) = (serve(&sent), serve(&unguarded));
    run(Command::new("docker").args(["rmi", "-f", &image]), "").code(0);
    println!(
        "{} spellings, of which the policy lets {} through; six servers gave the secret for {} of those, and {} times for \
         {} that were sent without a policy",
        paths.len(),
        sent.len(),
        escaped.len(),
        confused.len(),
        unguarded.len()
    );
    assert!(!confused.is_empty() && !sent.is_empty());
    assert_eq!(escaped, [""; 0]);
}
