//! The agent has no network, and every program works: real clients through the door.

use super::{Rig, run};
use serde_json::json;

/// Runs a script in a bottle whose one route leads to the test's origin; gives what it printed.
fn inside(rig: &Rig, script: &str) -> String {
    let ran = rig.run(&["start", "--yes", "agent"], script).code(0);
    rig.assert_nothing_left();
    ran.stdout
}

fn rig(image: Option<serde_json::Value>) -> Rig {
    let rig = Rig::new(&json!({}));
    let mut route = rig.origin().route();
    route["git"] = json!("fetch");
    let mut bottle = json!({ "egress": { "routes": [route] } });
    if let Some(image) = image {
        bottle["image"] = image;
    }
    rig.manifest(&json!({
        "bottles": { "net": bottle },
        "agents": { "agent": { "bottle": "net", "command": ["bash"] } },
    }));
    rig
}

#[test]
fn real_clients_reach_what_is_allowed_and_are_told_why_not() {
    let context = tempfile::tempdir().unwrap();
    let source = context.path().join("fetch.go");
    std::fs::write(&source, include_str!("fetch.go")).unwrap();
    let mut go = std::process::Command::new("go");
    go.args(["build", "-o", "fetch", "fetch.go"]).current_dir(context.path()).env("CGO_ENABLED", "0");
    go.env("GOCACHE", context.path().join("cache")).env("GOFLAGS", "-mod=mod");
    run(&mut go, "").code(0);
    std::fs::remove_dir_all(context.path().join("cache")).unwrap();
    let dockerfile = context.path().join("Dockerfile");
    std::fs::write(
        &dockerfile,
        "FROM claude-bottle-agent\nUSER 0:0\n\
         RUN apt-get update && apt-get install -y --no-install-recommends nodejs\n\
         COPY fetch /usr/local/bin/fetch\nUSER 1000:1000\n",
    )
    .unwrap();
    let rig = rig(Some(json!({ "dockerfile": dockerfile, "context": context.path() })));
    let said = inside(&rig, include_str!("clients.sh"));
    for client in ["curl", "python", "node", "go"] {
        let line = |wanted: &str| {
            let start = format!("{client} {wanted}: ");
            said.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{start} in\n{said}"))
        };
        assert!(line("allowed").contains("hello from the origin"), "{said}");
        assert!(line("refused").contains("host `refused.example.org` is not on the allowlist"), "{said}");
    }
    for words in ["git allowed: 0 one", "git refused: 128", "git push refused: ", "proxies: none", "interfaces: lo"] {
        assert!(said.contains(words), "`{words}` in\n{said}");
    }
    // The bottle's own images go with the test.
    let plan = rig.run(&["start", "--dry-run", "--format", "json", "agent"], "").code(0).stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let built = plan["images"]["builds"].as_array().unwrap().iter().rev().take(2);
    for build in built {
        super::docker(&["rmi", build["tag"].as_str().unwrap()]);
    }
}

#[test]
fn names_connections_and_a_server_of_the_agents_own() {
    let rig = rig(None);
    let said = inside(&rig, include_str!("door.sh"));
    for words in [
        "hosts: 127.64.0.1 allowed.example.org",
        "pointer: 127.64.0.1 allowed.example.org",
        "localhost: 127.0.0.1",
        "names: 1024 answered, 976 failed, first again 127.64.0.1",
        "parallel: 200",
        "own server: index of the agent's own",
        "allowed again: hello from the origin",
        "literal: refused at once",
        "udp: nothing gets out",
    ] {
        assert!(said.contains(words), "`{words}` in\n{said}");
    }
}
